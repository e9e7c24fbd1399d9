"""Bayes over what all examples share: priors, posteriors, and the objective that learns them."""

from nelbo.bayes.globals import Delta, MeanFieldNormal, NormalPrior, SharedParameters, shared_parameters
from nelbo.bayes.objective import WithGlobals

__all__ = ["Delta", "MeanFieldNormal", "NormalPrior", "SharedParameters", "WithGlobals", "shared_parameters"]
