"""Bayes over what all examples share: priors, posteriors, and the objective that learns them."""

from nelbo.bayes.contracts import Marginals, SharedPosterior, SharedPrior
from nelbo.bayes.objective import WithGlobals
from nelbo.bayes.posteriors import POSTERIORS, Delta, MeanFieldNormal
from nelbo.bayes.priors import PRIORS, LearnedNormalPrior, NormalPrior
from nelbo.bayes.shared import WHERE, SharedParameters, posteriors, priors, shared_parameters, without_globals

__all__ = [
    "POSTERIORS",
    "PRIORS",
    "WHERE",
    "Delta",
    "LearnedNormalPrior",
    "Marginals",
    "MeanFieldNormal",
    "NormalPrior",
    "SharedParameters",
    "SharedPosterior",
    "SharedPrior",
    "WithGlobals",
    "posteriors",
    "priors",
    "shared_parameters",
    "without_globals",
]
