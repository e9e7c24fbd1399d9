"""Bayes over what all examples share: priors, posteriors, the objective that learns them, and samplers."""

from nelbo.bayes.collector import Collected, Samples, collect, collected, with_samples
from nelbo.bayes.constant_sgd import constant_sgd, sgfs
from nelbo.bayes.diagnostics import Diagnostics, Temperature, diagnose, effective_sample_size, split_r_hat
from nelbo.bayes.globals import Delta, MeanFieldNormal, NormalPrior, SharedParameters, shared_parameters
from nelbo.bayes.hyperparameters import LearnedPrecision, learned_precision
from nelbo.bayes.langevin import sghmc, sgld
from nelbo.bayes.objective import WithGlobals
from nelbo.bayes.sampler import SamplerState, Temperatures
from nelbo.bayes.stationary import normal_kl, stationary_covariance

__all__ = [
    "Collected",
    "Delta",
    "Diagnostics",
    "LearnedPrecision",
    "MeanFieldNormal",
    "NormalPrior",
    "SamplerState",
    "Samples",
    "SharedParameters",
    "Temperature",
    "Temperatures",
    "WithGlobals",
    "collect",
    "collected",
    "constant_sgd",
    "diagnose",
    "effective_sample_size",
    "learned_precision",
    "normal_kl",
    "sgfs",
    "sghmc",
    "sgld",
    "shared_parameters",
    "split_r_hat",
    "stationary_covariance",
    "with_samples",
]
