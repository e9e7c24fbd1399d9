"""Bounds and their gradient rules."""

from nelbo.objectives.base import (
    BoundKind,
    ExampleObjective,
    Loss,
    Objective,
    ObjectiveState,
    batch_mean,
    batch_size,
    bound_metrics,
    over_batch,
)
from nelbo.objectives.binary_gradients import half, straight_through
from nelbo.objectives.contrastive import (
    CHAINS,
    ContrastiveDivergence,
    Greedy,
    NegativePhase,
    pseudo_log_likelihood,
    tempered_kernel,
)
from nelbo.objectives.detection import MeanScore
from nelbo.objectives.draws import DRAWS, checked_draws, each_draw
from nelbo.objectives.importance import IWAE_FORMS, Iwae
from nelbo.objectives.monte_carlo_em import MonteCarloEM
from nelbo.objectives.named import NAMED, NamedObjective, Setting, sgvb, with_added
from nelbo.objectives.noise import NOISES, InputNoise
from nelbo.objectives.orderless import OrderAgnostic, estimate_given, random_known
from nelbo.objectives.perturbative import (
    Energies,
    Perturbative,
    best_reference,
    checked_order,
    perturbative_bound,
    series_loss,
    taylor,
)
from nelbo.objectives.score import ScoreFunction, Statistics, Vimco, leave_one_out_bounds, local_signals_hold
from nelbo.objectives.sgvb import FORMS, MaximumLikelihood, Sgvb, WarmUp
from nelbo.objectives.sparse import SparseProcess
from nelbo.objectives.stochastic_backpropagation import (
    GaussianGradient,
    StochasticBackpropagation,
    gaussian_gradient,
)
from nelbo.objectives.wake_sleep import WakeSleep

__all__ = [
    "CHAINS",
    "DRAWS",
    "FORMS",
    "IWAE_FORMS",
    "NAMED",
    "NOISES",
    "BoundKind",
    "ContrastiveDivergence",
    "Energies",
    "ExampleObjective",
    "GaussianGradient",
    "Greedy",
    "InputNoise",
    "Iwae",
    "Loss",
    "MaximumLikelihood",
    "MeanScore",
    "MonteCarloEM",
    "NamedObjective",
    "NegativePhase",
    "Objective",
    "ObjectiveState",
    "OrderAgnostic",
    "Perturbative",
    "ScoreFunction",
    "Setting",
    "Sgvb",
    "SparseProcess",
    "Statistics",
    "StochasticBackpropagation",
    "Vimco",
    "WakeSleep",
    "WarmUp",
    "batch_mean",
    "batch_size",
    "best_reference",
    "bound_metrics",
    "checked_draws",
    "checked_order",
    "each_draw",
    "estimate_given",
    "gaussian_gradient",
    "half",
    "leave_one_out_bounds",
    "local_signals_hold",
    "over_batch",
    "perturbative_bound",
    "pseudo_log_likelihood",
    "random_known",
    "series_loss",
    "sgvb",
    "straight_through",
    "taylor",
    "tempered_kernel",
    "with_added",
]
