"""Answers for a user."""

from nelbo.tasks.embed import embed
from nelbo.tasks.generate import manifold, reconstruct, sample
from nelbo.tasks.impute import METHODS, Imputation, chain_film, check_values, hide, imputation_scores, impute

__all__ = [
    "METHODS",
    "Imputation",
    "chain_film",
    "check_values",
    "embed",
    "hide",
    "imputation_scores",
    "impute",
    "manifold",
    "reconstruct",
    "sample",
]
