"""Data sets that come with scikit-learn: no network, no folder."""

import math
from collections.abc import Callable

import numpy as np
import sklearn
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.datasets import load_digits, load_sample_image

Arrays = dict[str, np.ndarray]
PHOTOGRAPHS = ("china", "flower")
_SIDE, _STRIDES = 32, {"train": 8, "valid": 16, "test": 16}
_COLUMNS = {"train": (0, 448), "valid": (448, 544), "test": (544, 640)}


def digits() -> Arrays:
    """Values 0..16 become uint8 by (255 v + 8) // 16: v = 8 is 128, v = 16 is 255."""
    pixels, labels = load_digits(return_X_y=True)
    counts = np.rint(np.asarray(pixels)).astype(np.int64).reshape(-1, 8, 8)
    x = ((255 * counts + 8) // 16).astype(np.uint8)
    return {"x": x, "y": np.asarray(labels).astype(np.uint8)}


def patches() -> Arrays:
    """Crops of the left part of both photographs train, of the middle validate, of the right test: none overlap.

    They stand in leaps through the photographs, so that the first rows are not all sky.
    """
    photographs = [np.asarray(load_sample_image(f"{name}.jpg"), np.uint8) for name in PHOTOGRAPHS]
    found = {}
    for split, (first, last) in _COLUMNS.items():
        crops = [_crops(photograph[:, first:last], _STRIDES[split]) for photograph in photographs]
        labels = np.repeat(np.arange(len(crops), dtype=np.uint8), [len(part) for part in crops])
        order = _leap(len(labels)) * np.arange(len(labels)) % len(labels)
        found |= {f"x_{split}": np.concatenate(crops)[order], f"y_{split}": labels[order]}
    return found


def _leap(count: int) -> int:
    """A step that visits all of a circle of `count` places, far from the last ones: near the golden section."""
    return next(step for step in range(round(0.618 * count), count) if math.gcd(step, count) == 1)


def _crops(picture: np.ndarray, stride: int) -> np.ndarray:
    windows = sliding_window_view(picture, (_SIDE, _SIDE), axis=(0, 1))[::stride, ::stride]
    return np.ascontiguousarray(np.moveaxis(windows, 2, -1).reshape(-1, _SIDE, _SIDE, picture.shape[-1]))


EMBEDDED: dict[str, Callable[[], Arrays]] = {"digits": digits, "patches": patches}
SOURCE = f"scikit-learn {sklearn.__version__}"
