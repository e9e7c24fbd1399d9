"""Host arrays in named splits, and the digests that name them and their rows."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nelbo.core import InputError
from nelbo.data.crops import Crops, LogSteps, Rows
from nelbo.data.schema import Schema, Values
from nelbo.data.tables import UserTable

SPLITS = ("train", "valid", "test")
_CHUNK_BYTES = 2**24


@dataclass(frozen=True)
class Split:
    """The rows of one split, on the host.

    Args:
        x: `(n, *shape)`; images are `(n, height, width, channels)`. `Crops` of photographs stand for such an array.
        y: `(n,)` integer labels, where there are any; or what is to be predicted: float64 numbers (NaN where one is
            missing) or int32 classes (below zero where one is missing or unknown).
        observed: bool, the shape of `x`; False marks a missing entry (where `x` holds zero). None: all observed.
        index: `(n,)` the place of each row in the file it was read from; None: in the order of the file.
        context: `(n, k)` float32, what is known of each row and not modelled; None: nothing.
        ids: `(n,)` text, what tells the rows apart beside a table's own columns, such as names of pictures; None:
            their places alone.
    """

    x: Rows
    y: np.ndarray | None = None
    observed: np.ndarray | None = None
    index: np.ndarray | None = None
    context: Rows | None = None
    ids: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, places: np.ndarray | slice) -> "Split":
        """The rows at `places`."""
        index = np.arange(len(self)) if self.index is None else self.index
        parts = {"y": self.y, "observed": self.observed, "index": index, "context": self.context, "ids": self.ids}
        chosen = {name: None if part is None else part[places] for name, part in parts.items()}
        return replace(self, x=self.x[places], **chosen)


@dataclass(frozen=True)
class Data:
    """A data set: named splits, and the schema of their rows.

    Args:
        name: what reports call it.
        splits: "train" (fitted to), "valid" (chosen by) and "test" (reported on), of which some may be absent; or
            "rows": all rows of a file, in their order.
        schema: what the rows are.
        binarization: "none", "static(seed=0)", "threshold" or "dynamic"; printed beside every likelihood. With
            "dynamic", `x` still holds grey values and every draw is made by `Source.example`.
        citation: whom to cite.
        source: where the arrays were found.
        vocabulary: the word of each entry, for word counts.
        table: the user's table as it was given; `Split.index` says where each row stands in it.
        notes: one sentence for everything that was assumed or left out in reading.
    """

    name: str
    splits: Mapping[str, Split]
    schema: Schema
    binarization: str = "none"
    citation: str = ""
    source: str = ""
    vocabulary: tuple[str, ...] | None = None
    table: UserTable | None = field(default=None, repr=False, compare=False)
    notes: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """What messages call it: the path of a table, or its name."""
        return self.name if self.table is None else self.table.where

    def place(self, row: int) -> str:
        """What messages call a row of the only split: a line of the user's text, or a row counted from 0."""
        index = self.only.index
        at = row if index is None else int(index[row])
        return f"row {at}" if self.table is None else self.table.place(at)

    def split(self, name: str) -> Split:
        """The split of this name.

        Raises:
            InputError: there is none.
        """
        if name not in self.splits:
            raise InputError(
                f"{self.name} has no {name} split (it has {', '.join(self.splits) or 'none'}): use another split, or "
                f"give a larger {name}_fraction."
            )
        return self.splits[name]

    @property
    def train(self) -> Split:
        """What is fitted to."""
        return self.split("train")

    @property
    def valid(self) -> Split:
        """What is chosen by."""
        return self.split("valid")

    @property
    def test(self) -> Split:
        """What is reported on."""
        return self.split("test")

    @property
    def only(self) -> Split:
        """The one split of data that were read whole.

        Raises:
            InputError: there are several.
        """
        if len(self.splits) != 1:
            raise InputError(f"{self.name} has the splits {', '.join(self.splits)}: name the one that is meant.")
        return next(iter(self.splits.values()))

    @property
    def values(self) -> Values:
        """What `x` holds: "uint8" (0..255), "binary" (0 and 1 as uint8), "unit" (float32 in [0, 1]), "real" (float32)
        or "counts" (of words: whole numbers as float32).
        """
        return "binary" if self.binarization.startswith(("static", "threshold")) else self.schema.values

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """The name of label 0, 1, ..."""
        return self.schema.label_names

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.schema.shape

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
            "columns": list(self.schema.feature_names),
            "missing_by_column": self._missing_by_column(),
            "sha256": {name: _split_digest(split) for name, split in self.splits.items()},
            "citation": self.citation,
            "source": self.source,
        }

    def _missing_by_column(self) -> dict[str, float]:
        """The share of missing cells of each modelled column in all splits; empty for other data."""
        masks = [split.observed for split in self.splits.values() if split.observed is not None]
        if not masks or not self.schema.features:
            return {}
        there = np.concatenate(masks)[:, self.schema.first_entries].mean(0)
        return {name: 1.0 - float(share) for name, share in zip(self.schema.modelled_names, there, strict=True)}


def missing_fraction(split: Split) -> float:
    """The share of entries that are missing, 0 to 1."""
    if split.observed is None or split.observed.size == 0:
        return 0.0
    return 1.0 - float(np.count_nonzero(split.observed)) / split.observed.size


def array_digest(x: Rows) -> str:
    """SHA-256, in hex, of an array's type, shape and bytes (little-endian, row after row): the same on every machine.

    A memory-mapped array is read in pieces, and what only stands for an array says so itself.
    """
    if isinstance(x, Crops | LogSteps):
        return x.digest
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
    beside = [array_digest(part) for part in (split.observed, split.context) if part is not None]
    if not beside:
        return array_digest(split.x)
    return hashlib.sha256("".join([array_digest(split.x), *beside]).encode()).hexdigest()
