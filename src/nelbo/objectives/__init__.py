"""Bounds and their gradient rules."""

from nelbo.objectives.base import Loss, Objective, batch_size, bound_metrics, mean_loss, over_batch
from nelbo.objectives.free_recognition import FreeRecognition, belief_network_model
from nelbo.objectives.gaussian_belief import (
    Beliefs,
    GaussianBeliefNet,
    belief_network_em,
    fit_beliefs,
    gaussian_belief_bound,
    gaussian_belief_net,
    prior_beliefs,
)
from nelbo.objectives.importance import IWAE_FORMS, Iwae
from nelbo.objectives.mean_field import (
    BOUNDS,
    BeliefNet,
    MeanField,
    VariationalEm,
    amortization_gap,
    mean_field,
    mean_field_bound,
    variational_em,
)
from nelbo.objectives.noise import NOISES, InputNoise
from nelbo.objectives.passages import half, straight_through
from nelbo.objectives.score import ScoreFunction, Statistics, Vimco, leave_one_out_bounds, nvil
from nelbo.objectives.sgvb import FORMS, MaximumLikelihood, Sgvb, WeightPrior
from nelbo.objectives.stochastic_backpropagation import (
    GaussianGradient,
    StochasticBackpropagation,
    gaussian_gradient,
)
from nelbo.objectives.wake_sleep import WakeSleep

__all__ = [
    "BOUNDS",
    "FORMS",
    "IWAE_FORMS",
    "NOISES",
    "BeliefNet",
    "Beliefs",
    "FreeRecognition",
    "GaussianBeliefNet",
    "GaussianGradient",
    "InputNoise",
    "Iwae",
    "Loss",
    "MaximumLikelihood",
    "MeanField",
    "Objective",
    "ScoreFunction",
    "Sgvb",
    "Statistics",
    "StochasticBackpropagation",
    "VariationalEm",
    "Vimco",
    "WakeSleep",
    "WeightPrior",
    "amortization_gap",
    "batch_size",
    "belief_network_em",
    "belief_network_model",
    "bound_metrics",
    "fit_beliefs",
    "gaussian_belief_bound",
    "gaussian_belief_net",
    "gaussian_gradient",
    "half",
    "leave_one_out_bounds",
    "mean_field",
    "mean_field_bound",
    "mean_loss",
    "nvil",
    "over_batch",
    "prior_beliefs",
    "straight_through",
    "variational_em",
]
