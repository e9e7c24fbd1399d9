"""What the figures of a page show."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

WITHOUT_ARRAYS = ("curves", "study", "published")  # kinds that the summary of a run is enough for


@dataclasses.dataclass(frozen=True)
class Axes:
    """What a picture of a study shows: a line for each kind of row.

    Args:
        x: the column along the axis, with a logarithmic scale.
        y: the column that is drawn.
        lines: the columns whose values tell the lines apart.
        x_label: in words, with the unit.
        y_label: the same.
        where: what the other columns of the rows must hold.
        log_y: draw the common logarithm of y.
    """

    x: str
    y: str
    lines: tuple[str, ...]
    x_label: str
    y_label: str
    where: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    log_y: bool = False


@dataclasses.dataclass(frozen=True)
class Figure:
    """A view of one run or several.

    Args:
        name: of its file.
        title: which figure of the paper, and of what.
        kind: bounds against training examples seen, samples side by side, the 2-D manifold, the 2-D embedding, or
            the chain of an imputation, step by step; "study": columns of a study's rows against each other;
            "errors": how many of the errors that a measure kept are below each size; "published": the numbers of a
            study's rows beside those of the papers.
        parts: the names of the runs in it, or of the study.
        curves: which bounds of their histories, for curves.
        measure: which measure a picture of a chain is of.
        axes: of a picture of a study.
    """

    name: str
    title: str
    kind: Literal["curves", "samples", "manifold", "embedding", "chain", "study", "errors", "published"]
    parts: tuple[str, ...]
    curves: tuple[str, ...] = ("test", "train")
    measure: str = ""
    axes: Axes | None = None
