"""Bayes over what all examples share: priors, posteriors, and the objective that learns them."""

from nelbo.bayes.contracts import Marginals, SharedPosterior, SharedPrior
from nelbo.bayes.files import GLOBALS, load_globals, save_globals
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

__all__ = [
    "GLOBALS",
    "PARAMETERS",
    "POSTERIORS",
    "PRIORS",
    "WHERE",
    "ChainNormal",
    "Delta",
    "FullNormal",
    "HierarchicalPrior",
    "HorseshoePrior",
    "KTiedNormal",
    "LaplacePrior",
    "LearnedNormalPrior",
    "LowRankNormal",
    "Marginals",
    "MeanFieldNormal",
    "NormalPrior",
    "SharedParameters",
    "SharedPosterior",
    "SharedPrior",
    "WithGlobals",
    "checked_options",
    "described_parameters",
    "load_globals",
    "named_posteriors",
    "named_priors",
    "options_of_pair",
    "save_globals",
    "shared_parameters",
]
