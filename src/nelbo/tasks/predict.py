"""Predictions of a supervised model: mean, standard deviation and interval, or classes."""

import dataclasses

import numpy as np
from jaxtyping import Array, Float, Int, Key

from nelbo.core import InputError
from nelbo.data import Source
from nelbo.evaluation import DRAWS, predictive
from nelbo.models import Model


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a model predicts for each row: numbers, or classes.

    Args:
        draws: number of draws of the weights that were averaged over; 1 for a point estimate.
        mean: mean of the predictive distribution, in the target's units; None for a classification.
        std: its standard deviation, of noise and the weights' uncertainty together.
        low: lower end of the central interval.
        high: upper end of the central interval.
        probabilities: probability of each class, averaged over the draws; None for a regression.
        classes: the most probable class of each row.
    """

    draws: int
    mean: Float[np.ndarray, " n"] | None = None
    std: Float[np.ndarray, " n"] | None = None
    low: Float[np.ndarray, " n"] | None = None
    high: Float[np.ndarray, " n"] | None = None
    probabilities: Float[np.ndarray, "n classes"] | None = None
    classes: Int[np.ndarray, " n"] | None = None


def predict(
    key: Key[Array, ""], model: Model, data: Source, *, draws: int = DRAWS, interval: float | int = 0.9
) -> Prediction:
    """Predict the target of every row.

    Args:
        key: for the draws of the weights.
        model: a regression or a classification, with or without a posterior over its weights.
        data: rows with their features as the context; targets are not read.
        draws: number of draws of the weights.
        interval: probability of the central interval, between 0 and 1.

    Raises:
        InputError: another model, no rows or draws, or an impossible interval.
    """
    if not 0.0 < interval < 1.0:
        raise InputError(f"The probability of an interval must lie between 0 and 1, got {interval}.")
    found = predictive(key, model, data, draws=draws, levels=(0.5 - 0.5 * interval, 0.5 + 0.5 * interval))
    if found.probabilities is not None:
        return Prediction(found.draws, probabilities=found.probabilities, classes=found.probabilities.argmax(1))
    low, high = (None, None) if found.quantiles is None else found.quantiles.T
    return Prediction(found.draws, found.mean, found.std, low, high)
