"""Data sets that users and installed packages add by name."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from nelbo.core import added, joined
from nelbo.data.catalogue import catalogue
from nelbo.data.documents import CORPORA
from nelbo.data.made import MADE
from nelbo.data.prepare import prepare
from nelbo.data.splits import Data, Split


@dataclasses.dataclass(frozen=True)
class NamedData:
    """A data set that `load` finds by a name of `nelbo.core.Registry`.

    Args:
        title: one line of description.
        load: gives the data; the same ones every time.
        licence: of the data.
    """

    title: str
    load: Callable[[], Data]
    licence: str = ""


def added_sets() -> Mapping[str, NamedData]:
    """The data sets that were added."""
    return added().datasets


def names() -> tuple[str, ...]:
    """The names `load` knows.

    Raises:
        InputError: an added data set has the name of one of nelbo's own.
    """
    return tuple(joined("data sets", {**catalogue(), **CORPORA, **MADE}, added_sets()))


def data_from_arrays(name: str, arrays: Mapping[str, np.ndarray], *, citation: str = "", source: str = "") -> Data:
    """A data set from arrays in memory, checked as a file's are: NaN is missing, 0 and 1 alone are binary.

    Args:
        name: what reports call it.
        arrays: `(n, *shape)` for "train" and maybe "valid" and "test".
        citation: whom to cite.
        source: where the arrays are from.

    Raises:
        InputError: a type, shape or value that no model could use.
    """
    found = prepare(name, {split: Split(np.asarray(x)) for split, x in arrays.items()})
    return Data(name, found.splits, found.schema(), citation=citation, source=source, notes=found.notes)
