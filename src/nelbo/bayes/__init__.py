"""Bayes over what all examples share: priors, posteriors, the objective that learns them, and samplers."""

from nelbo.bayes.collector import SAMPLES, Collected, Samples, collect, collected, with_samples
from nelbo.bayes.constant_sgd import constant_sgd, sgfs
from nelbo.bayes.contracts import Marginals, SharedPosterior, SharedPrior
from nelbo.bayes.diagnostics import Diagnostics, Temperature, diagnose, effective_sample_size, split_r_hat
from nelbo.bayes.files import GLOBALS, load_globals, save_globals
from nelbo.bayes.hyperparameters import LearnedPrecision, learned_precision, precision_found
from nelbo.bayes.langevin import sghmc, sgld
from nelbo.bayes.objective import WithGlobals
from nelbo.bayes.posteriors import (
    POSTERIORS,
    ChainNormal,
    Delta,
    FullNormal,
    KTiedNormal,
    LowRankNormal,
    MeanFieldNormal,
)
from nelbo.bayes.priors import PRIORS, HierarchicalPrior, HorseshoePrior, LaplacePrior, LearnedNormalPrior, NormalPrior
from nelbo.bayes.sampler import SamplerState, Temperatures
from nelbo.bayes.sampling import SAMPLERS, Collecting, checked_sampling, sampler, sampler_options, spread_out
from nelbo.bayes.shared import (
    PARAMETERS,
    WHERE,
    SharedParameters,
    checked_options,
    described_parameters,
    named_posteriors,
    named_priors,
    options_of_pair,
    shared_parameters,
)
from nelbo.bayes.stationary import normal_kl, stationary_covariance
from nelbo.bayes.tempering import TEMPERINGS, Annealed, Global, Grid, Local, Tempering, Untempered, tempered
from nelbo.bayes.variational_inference import Svi

__all__ = [
    "GLOBALS",
    "PARAMETERS",
    "POSTERIORS",
    "PRIORS",
    "SAMPLERS",
    "SAMPLES",
    "TEMPERINGS",
    "WHERE",
    "Annealed",
    "ChainNormal",
    "Collected",
    "Collecting",
    "Delta",
    "Diagnostics",
    "FullNormal",
    "Global",
    "Grid",
    "HierarchicalPrior",
    "HorseshoePrior",
    "KTiedNormal",
    "LaplacePrior",
    "LearnedNormalPrior",
    "LearnedPrecision",
    "Local",
    "LowRankNormal",
    "Marginals",
    "MeanFieldNormal",
    "NormalPrior",
    "SamplerState",
    "Samples",
    "SharedParameters",
    "SharedPosterior",
    "SharedPrior",
    "Svi",
    "Temperature",
    "Temperatures",
    "Tempering",
    "Untempered",
    "WithGlobals",
    "checked_options",
    "checked_sampling",
    "collect",
    "collected",
    "constant_sgd",
    "described_parameters",
    "diagnose",
    "effective_sample_size",
    "learned_precision",
    "load_globals",
    "named_posteriors",
    "named_priors",
    "normal_kl",
    "options_of_pair",
    "precision_found",
    "sampler",
    "sampler_options",
    "save_globals",
    "sgfs",
    "sghmc",
    "sgld",
    "shared_parameters",
    "split_r_hat",
    "spread_out",
    "stationary_covariance",
    "tempered",
    "with_samples",
]
