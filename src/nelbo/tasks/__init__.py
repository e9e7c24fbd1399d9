"""Answers for a user."""

from nelbo.tasks.baselines import NEIGHBOURS, Filling, filling_scores, imputation_scores, mean_fill, neighbour_fill
from nelbo.tasks.embed import embed
from nelbo.tasks.generate import manifold, reconstruct, sample
from nelbo.tasks.given import READINGS, check_values, spoiled
from nelbo.tasks.impute import METHODS, Imputation, chain_film, hide, impute

__all__ = [
    "METHODS",
    "NEIGHBOURS",
    "READINGS",
    "Filling",
    "Imputation",
    "chain_film",
    "check_values",
    "embed",
    "filling_scores",
    "hide",
    "imputation_scores",
    "impute",
    "manifold",
    "mean_fill",
    "neighbour_fill",
    "reconstruct",
    "sample",
    "spoiled",
]
