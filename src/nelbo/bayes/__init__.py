"""Bayes over what all examples share: priors, posteriors, and the objective that learns them."""

from nelbo.bayes.globals import Delta, MeanFieldNormal, NormalPrior, SharedParameters, shared_parameters
from nelbo.bayes.objective import WithGlobals
from nelbo.bayes.tempering import TEMPERINGS, Annealed, Global, Grid, Local, Tempering, Untempered, tempered
from nelbo.bayes.variational_inference import Svi

__all__ = [
    "TEMPERINGS",
    "Annealed",
    "Delta",
    "Global",
    "Grid",
    "Local",
    "MeanFieldNormal",
    "NormalPrior",
    "SharedParameters",
    "Svi",
    "Tempering",
    "Untempered",
    "WithGlobals",
    "shared_parameters",
    "tempered",
]
