"""What tells examples apart when batches are to hold different ones: an array with a row for each."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from nelbo.core import InputError
from nelbo.data import Split

INPUTS = ("inputs", "standardized")
MOST_BYTES = 2**31


def features_of(rows: Split, name: str, label_share: float | int) -> Float[np.ndarray, "n d"]:
    """The features of the training rows, in units of the root mean squared distance between two of them.

    Args:
        rows: the training data; what is missing is filled with the entry's mean.
        name: "inputs", the examples themselves; "standardized", each of their entries divided by its standard
            deviation; or a file `.npy` with a row for each training example.
        label_share: w from 0 to 1; squared distances are (1 - w) those of the features and w those of the labels: one
            indicator for each class, or the number that is to be predicted.

    Raises:
        InputError: a share out of its range, no labels to mix in, examples that are all alike, a file that does not
            fit.
    """
    if not 0 <= label_share <= 1:
        raise InputError(f"label_share is a part of the whole, from 0 to 1, got {label_share}.")
    parts = []
    if label_share < 1:
        given = _inputs(rows, standardized=name == "standardized") if name in INPUTS else _read(name, len(rows))
        parts.append(np.sqrt(1.0 - label_share) * _scaled(given, "features"))
    if label_share > 0:
        parts.append(np.sqrt(label_share) * _scaled(_labels(rows), "labels"))
    return np.concatenate(parts, axis=1)


def classes_of(rows: Split) -> np.ndarray | None:
    """The class of each training row; None where there are none."""
    return rows.y if rows.y is not None and rows.y.dtype.kind in "iu" else None


def features_name(name: str) -> str:
    """The name of features as a record keeps it: a file with its whole path."""
    return name if name in INPUTS else str(Path(name).expanduser().absolute())


def _inputs(rows: Split, *, standardized: bool) -> Float[np.ndarray, "n d"]:
    count, width = len(rows), int(np.prod(rows.x.shape[1:]))
    if 8 * count * width > MOST_BYTES:
        raise InputError(
            f"The features of {count:,} examples with {width:,} entries take {8 * count * width:,} bytes: give an "
            "embedding of them with features, such as nelbo embed writes."
        )
    x = np.asarray(rows.x, np.float64).reshape(count, width)
    if rows.observed is not None:
        there = rows.observed.reshape(count, width)
        x = np.where(there, x, x.sum(0, where=there) / np.maximum(there.sum(0), 1))
    if standardized:
        spread = x.std(0)
        x = x / np.where(spread > 0, spread, 1.0)
    return x


def _labels(rows: Split) -> Float[np.ndarray, "n d"]:
    if rows.y is None:
        raise InputError("These data have no labels to mix into the features: leave label_share out.")
    if (classes := classes_of(rows)) is not None:
        return (classes[:, None] == np.unique(classes[classes >= 0])).astype(np.float64)
    y = np.asarray(rows.y, np.float64)
    return np.where(np.isfinite(y), y, np.nanmean(y))[:, None]


def _read(name: str, count: int) -> Float[np.ndarray, "n d"]:
    if Path(name).suffix != ".npy":
        raise InputError(f"features must be {' or '.join(INPUTS)}, or a .npy file, got {name!r}.")
    try:
        found = np.load(name, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{name} cannot be read as features ({error}): give a .npy file of numbers.") from error
    if found.dtype.kind not in "fiub" or found.ndim < 2 or len(found) != count or not np.isfinite(found).all():
        raise InputError(
            f"{name} holds {found.dtype} of shape {found.shape}: features are finite numbers, a row for each of the "
            f"{count} training examples in their order."
        )
    return found.reshape(count, -1).astype(np.float64)


def _scaled(values: Float[np.ndarray, "n d"], what: str) -> Float[np.ndarray, "n d"]:
    distance = float(np.sqrt(2.0 * values.var(0).sum()))
    if not distance > 0:
        raise InputError(f"The {what} of all training examples are equal: nothing tells them apart.")
    return values / distance
