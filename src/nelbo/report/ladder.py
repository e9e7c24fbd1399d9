"""The estimates of log p(x) of the same examples beside each other: bounds, estimates, exact values."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from nelbo.core import InputError
from nelbo.report.json_values import number
from nelbo.report.results import bound_kind, bound_name
from nelbo.report.style import LIGHT, Theme, style

Row = Mapping[str, Any]
_ERRORS = 2.0  # each side of a point
_ARROW = 0.08  # of the picture's width


def ladders(results: Sequence[Row]) -> list[list[Row]]:
    """Rows that score the same examples in two or more ways, lowest first: a list for each set of examples.

    Args:
        results: the rows under "results" in a `record.json`; of two by the same bound the later one counts.
    """
    groups: dict[tuple[Any, ...], dict[Any, Row]] = {}
    for row in results:
        if number(row.get("nats")) is not None and row.get("sha256") is not None:
            same = tuple(row.get(name) for name in ("data", "split", "examples", "sha256", "binarization"))
            groups.setdefault(same, {})[row.get("bound")] = row
    found = [sorted(rows.values(), key=lambda row: row["nats"]) for rows in groups.values()]
    return [rows for rows in found if len(rows) > 1]


def ladder_figure(rows: Sequence[Row], *, theme: Theme = LIGHT) -> Figure:
    """A line for each estimate: a point with its Monte Carlo error, and an arrow where log p(x) can only lie higher.

    Args:
        rows: of results, lowest first.
        theme: the colours.

    Raises:
        InputError: there is nothing to draw.
    """
    if not rows:
        raise InputError("There are no estimates of log p(x) to draw: score the run first (nelbo evaluate).")
    nats = np.array([float(row["nats"]) for row in rows])
    errors = np.array([number(row.get("standard_error")) or 0.0 for row in rows])
    low, high = (nats - _ERRORS * errors).min(), (nats + _ERRORS * errors).max()
    width = max(high - low, 1e-3)
    with style(theme):
        figure = Figure(figsize=(6.4, 0.9 + 0.42 * len(rows)))
        axes = figure.subplots()
        places = np.arange(len(rows))
        axes.errorbar(nats, places, xerr=_ERRORS * errors, fmt="none", color=theme.curves[0], elinewidth=1.2, capsize=3)
        kinds = [bound_kind(row) for row in rows]
        for kind, marker in (("lower bound", "o"), ("upper bound", "o"), ("estimate", "D"), ("exact", "s")):
            of_kind = np.array([one == kind for one in kinds])
            axes.plot(nats[of_kind], places[of_kind], marker, color=theme.curves[0], markersize=6)
        for place, value, kind in zip(places, nats, kinds, strict=True):
            if kind == "exact":
                axes.axvline(value, color=theme.soft, linewidth=1.0, linestyle="--", zorder=0)
            elif kind in {"lower bound", "upper bound"}:
                step = _ARROW * width * (1 if kind == "lower bound" else -1)
                arrow = {"arrowstyle": "->", "color": theme.curves[0], "linewidth": 1.2}
                axes.annotate("", xy=(value + step, place), xytext=(value, place), arrowprops=arrow)
        names = [bound_name(row.get("bound")) for row in rows]
        axes.set_yticks(places, [n if n == kind else f"{n}, {kind}" for n, kind in zip(names, kinds, strict=True)])
        axes.set(ylim=(-0.6, len(rows) - 0.4), xlabel="nats per example")
        axes.set_xlim(low - 0.06 * width, high + (0.06 + _ARROW) * width)
        axes.ticklabel_format(axis="x", useOffset=False)
        figure.set_layout_engine("tight")
    return figure
