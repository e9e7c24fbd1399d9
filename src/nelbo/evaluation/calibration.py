"""Calibration: whether what is said to happen with probability p happens in a share p of the cases."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Num

from nelbo.core import InputError

BINS = 15
LEVELS = tuple(round(0.05 * i, 2) for i in range(1, 20))  # of the quantiles of a regression
INTERVALS = (0.5, 0.9)


@dataclasses.dataclass(frozen=True)
class Reliability:
    """Points of a reliability diagram.

    Args:
        predicted: the mean predicted probability of each point.
        observed: the share of cases in which it happened.
        count: of cases.
    """

    predicted: Float[np.ndarray, " points"]
    observed: Float[np.ndarray, " points"]
    count: Float[np.ndarray, " points"]

    @property
    def error(self) -> float:
        """Expected calibration error: the mean of |observed - predicted|, weighted by the cases."""
        return float(np.sum(self.count * np.abs(self.observed - self.predicted)) / np.sum(self.count))


def class_reliability(
    probabilities: Float[np.ndarray, "n classes"], target: Num[np.ndarray, " n"], bins: int = BINS
) -> Reliability:
    """Reliability of the most probable class, in bins of equal width of its probability; empty bins are left out.

    Source: Guo et al., On calibration of modern neural networks (2017), eq. 1 to 3.

    Args:
        probabilities: of each class.
        target: the true class of each example.
        bins: how many.

    Raises:
        InputError: no examples, or no bins.
    """
    confidence = probabilities.max(1)
    return binned(confidence, probabilities.argmax(1) == target, bins)


def binned(confidence: Float[np.ndarray, " n"], happened: Bool[np.ndarray, " n"], bins: int = BINS) -> Reliability:
    """Reliability of probabilities in bins (k / bins, (k + 1) / bins] of equal width; empty bins are left out.

    Raises:
        InputError: no cases, or no bins.
    """
    if len(confidence) == 0 or bins < 1:
        raise InputError(f"Calibration needs at least one case and one bin, got {len(confidence)} and {bins}.")
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins).astype(float)
    full = count > 0
    sums = [np.bincount(place, weights=values, minlength=bins)[full] for values in (confidence, happened.astype(float))]
    return Reliability(sums[0] / count[full], sums[1] / count[full], count[full])


def quantile_reliability(cdf: Float[np.ndarray, " n"], levels: tuple[float, ...] = LEVELS) -> Reliability:
    """Reliability of a regression: the share of targets below the quantile of each level.

    Its error is the mean over levels of |share - level|. Source: Kuleshov, Fenner and Ermon, Accurate uncertainties for
    deep learning using calibrated regression (2018), eq. 9, with absolute values in place of squares.

    Args:
        cdf: the predictive cumulative distribution function at each target.
        levels: from 0 to 1.

    Raises:
        InputError: no targets.
    """
    if len(cdf) == 0:
        raise InputError("Calibration needs at least one target.")
    observed = np.array([np.mean(cdf <= level) for level in levels])
    return Reliability(np.array(levels), observed, np.full(len(levels), float(len(cdf))))


def coverage(target: Float[np.ndarray, " n"], low: Float[np.ndarray, " n"], high: Float[np.ndarray, " n"]) -> float:
    """The share of targets within their intervals, ends included."""
    return float(np.mean((low <= target) & (target <= high)))
