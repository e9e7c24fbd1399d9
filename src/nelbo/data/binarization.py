"""Turning grey values into zeros and ones on the host, and saying which way it was done."""

from dataclasses import replace

import numpy as np

from nelbo.core import InputError, choice
from nelbo.data.splits import Data, Split
from nelbo.data.streams import Stream

BINARIZATIONS = ("none", "static", "threshold", "dynamic")
_CHUNK = 2**22


def static_draw(x: np.ndarray, split: str, seed: int) -> np.ndarray:
    """Draw x ~ Bern(p) once, as uint8; p = x / 255 for uint8 and p = x for floats in [0, 1].

    Zero stays zero and full white stays one. The draw depends on `seed` and on the name of the split alone, and is
    the same on every machine (Salakhutdinov and Murray 2008 made theirs so, but their draw is another one).

    Args:
        x: `(n, *shape)` grey values.
        split: "train", "valid" or "test": each has its own stream.
        seed: names the draw.
    """
    stream = Stream(f"binarize/{split}", seed)
    drawn = np.empty(x.shape, np.uint8)
    step = max(1, _CHUNK // max(1, int(np.prod(x.shape[1:]))))
    scale = 255.0 if x.dtype == np.uint8 else 1.0
    for start in range(0, len(x), step):
        grey = np.asarray(x[start : start + step], np.float64) / scale
        drawn[start : start + step] = stream.uniform(grey.shape) < grey
    return drawn


def threshold(x: np.ndarray) -> np.ndarray:
    """One where the grey value is at least half (128 of 255, or 0.5), as uint8."""
    return (x >= (128 if x.dtype == np.uint8 else 0.5)).astype(np.uint8)


def binarize(data: Data, how: str, seed: int = 0) -> Data:
    """Return the data set with zeros and ones in place of grey values.

    Data that are 0 and 1 already stay as they are, with binarization "none".

    Args:
        data: holds "uint8", "unit" or "binary" values.
        how: "none"; "static": drawn once with `seed`; "threshold": at least half; "dynamic": `x` keeps its grey
            values and `Source.example` draws anew every time.
        seed: of the static draw.

    Raises:
        InputError: an unknown name, or data without a scale from black to white.
    """
    choice("binarization", how, BINARIZATIONS)
    if how != "none" and data.values == "uint8" and all(_only_bits(split.x) for split in data.splits.values()):
        data = replace(data, schema=replace(data.schema, values="binary"))  # read as grey values for a schema's sake
    if how == "none" or data.values == "binary":
        return data
    if data.values in ("real", "counts"):
        raise InputError(
            f"Cannot binarize {data.name} ({how}): it holds real numbers, not grey values; scale them to 0..1, or "
            "give uint8 images, or leave binarization at 'none'."
        )
    if how == "dynamic":
        return replace(data, binarization="dynamic")

    def drawn(name: str, split: Split) -> Split:
        x = static_draw(split.x, name, seed) if how == "static" else threshold(split.x)
        if split.observed is not None:
            x = np.where(split.observed, x, np.uint8(0))  # missing entries hold zero
        return replace(split, x=x)

    splits = {name: drawn(name, split) for name, split in data.splits.items()}
    label = f"static(seed={seed})" if how == "static" else "threshold"
    return replace(data, splits=splits, binarization=label)


def _only_bits(x: np.ndarray) -> bool:
    return x.size > 0 and int(x.max()) == 1
