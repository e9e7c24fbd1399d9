"""Bayes over parameters."""

from nelbo.weights.mean_field import FullVb, MeanField

__all__ = ["FullVb", "MeanField"]
