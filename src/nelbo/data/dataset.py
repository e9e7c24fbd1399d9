"""Host arrays in three splits, what their values mean, and the digest that names them."""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Values = Literal["uint8", "binary", "unit", "real", "counts"]
SPLITS = ("train", "valid", "test")
_CHUNK_BYTES = 2**24


@dataclass(frozen=True)
class Split:
    """The rows of one split, on the host.

    Args:
        x: `(n, *shape)`; images are `(n, height, width, channels)`.
        y: `(n,)` integer labels, where there are any.
        observed: bool, the shape of `x`; False marks a missing entry (where `x` holds zero). None: all observed.
    """

    x: np.ndarray
    y: np.ndarray | None = None
    observed: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Dataset:
    """A named data set in three splits.

    Args:
        name: what reports call it.
        train: fitted to.
        valid: chosen by.
        test: reported on.
        values: what `x` holds: "uint8" (counts 0..255), "binary" (0 and 1 as uint8), "unit" (float32 in [0, 1]),
            "real" (float32) or "counts" (of words: whole numbers as float32).
        binarization: "none", "static(seed=0)", "threshold" or "dynamic"; printed beside every likelihood. With
            "dynamic", `x` still holds grey values and every draw is made by `Source.example`.
        label_names: the name of label 0, 1, ...
        citation: whom to cite.
        source: where the arrays were found.
        vocabulary: the word of each entry, for word counts.
    """

    name: str
    train: Split
    valid: Split
    test: Split
    values: Values
    binarization: str = "none"
    label_names: tuple[str, ...] | None = None
    citation: str = ""
    source: str = ""
    vocabulary: tuple[str, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return tuple(self.train.x.shape[1:])

    @property
    def splits(self) -> dict[str, Split]:
        """The three splits by name."""
        return {"train": self.train, "valid": self.valid, "test": self.test}

    def describe(self) -> dict[str, Any]:
        """Everything a record needs to name these data: JSON-able, with one SHA-256 a split (values and mask)."""
        return {
            "name": self.name,
            "sizes": {name: len(split) for name, split in self.splits.items()},
            "shape": list(self.shape),
            "values": self.values,
            "binarization": self.binarization,
            "missing": {name: missing_fraction(split) for name, split in self.splits.items()},
            "labels": None if self.label_names is None else list(self.label_names),
            "sha256": {name: _split_digest(split) for name, split in self.splits.items()},
            "citation": self.citation,
            "source": self.source,
        }


def missing_fraction(split: Split) -> float:
    """The share of entries that are missing, 0 to 1."""
    if split.observed is None or split.observed.size == 0:
        return 0.0
    return 1.0 - float(np.count_nonzero(split.observed)) / split.observed.size


def array_digest(x: np.ndarray) -> str:
    """SHA-256, in hex, of an array's type, shape and bytes (little-endian, row after row): the same on every machine.

    A memory-mapped array is read in pieces.
    """
    little = x.dtype.newbyteorder("<")
    digest = hashlib.sha256(f"{little.str}|{x.shape}|".encode())
    if x.ndim == 0:
        digest.update(np.asarray(x, little).tobytes())
        return digest.hexdigest()
    row_bytes = max(1, x.nbytes // max(1, len(x)))
    step = max(1, _CHUNK_BYTES // row_bytes)
    for start in range(0, len(x), step):
        digest.update(np.ascontiguousarray(x[start : start + step], little).tobytes())
    return digest.hexdigest()


def _split_digest(split: Split) -> str:
    if split.observed is None:
        return array_digest(split.x)
    both = array_digest(split.x) + array_digest(split.observed)
    return hashlib.sha256(both.encode()).hexdigest()
