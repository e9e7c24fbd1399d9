"""Moments of training data, entry by entry, over what is observed."""

import numpy as np

from nelbo.data import Split


def mean_of(data: Split) -> np.ndarray:
    """Mean of each entry where it is observed."""
    if data.observed is None:
        return data.x.mean(0, dtype=float)
    return data.x.sum(0, dtype=float) / np.maximum(data.observed.sum(0), 1)


def spread_of(data: Split, axis: int | None) -> np.ndarray:
    """Standard deviation of each entry where it is observed, or one for all (images)."""
    x, observed = data.x, data.observed
    if observed is None:
        return np.asarray(x.std(axis, dtype=float))
    middle = mean_of(data) if axis == 0 else x.sum(dtype=float) / max(observed.sum(), 1)
    squares = np.where(observed, (x - middle) ** 2, 0.0)
    return np.asarray(np.sqrt(squares.sum(axis) / np.maximum(observed.sum(axis), 1)))
