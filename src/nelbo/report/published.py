"""Numbers of ours beside published ones, a line for each."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from nelbo.core import InputError
from nelbo.report.style import LIGHT, Theme, style


def published_figure(
    labels: list[str],
    ours: Sequence[float | None],
    published: Sequence[float],
    *,
    x_label: str,
    theme: Theme = LIGHT,
) -> Figure:
    """Points of ours, open circles of the papers', with a line between the two; best published ones on top.

    Args:
        labels: of the rows.
        ours: None where there is no number yet.
        published: of the same rows.
        x_label: of both.
        theme: the colours.

    Raises:
        InputError: nothing to draw.
    """
    if not labels:
        raise InputError("There are no numbers to put beside published ones.")
    order = np.argsort(-np.asarray(published), kind="stable")
    with style(theme):
        figure = Figure(figsize=(7.0, 1.0 + 0.3 * len(labels)))
        axes = figure.subplots()
        places = np.arange(len(labels))
        theirs = np.asarray(published, float)[order]
        own = np.array([np.nan if ours[i] is None else float(ours[i]) for i in order])  # pyright: ignore[reportArgumentType]
        axes.hlines(places, np.fmin(own, theirs), np.fmax(own, theirs), color=theme.soft, linewidth=1.0)
        hollow = {"markerfacecolor": "none", "markersize": 6, "linestyle": "none"}
        axes.plot(theirs, places, marker="o", color=theme.curves[1], label="published", **hollow)
        axes.plot(own, places, marker="o", linestyle="none", color=theme.curves[0], markersize=6, label="ours")
        axes.set_yticks(places, [labels[i] for i in order.tolist()])
        axes.set(ylim=(-0.7, len(labels) - 0.3), xlabel=x_label)
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)  # beside the points, whichever there are
        figure.set_layout_engine("tight")
    return figure
