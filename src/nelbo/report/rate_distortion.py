"""A picture of bounds on a rate-distortion function."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from nelbo.core import InputError
from nelbo.report.style import LIGHT, Theme, style

_FINE = 200  # places along the axis


def rate_distortion_figure(rows: Sequence[Mapping[str, Any]], *, theme: Theme = LIGHT) -> Figure:
    """Upper points with their errors, and the highest of the lower lines.

    Args:
        rows: each with "slope", "distortion", "upper" and its "upper_error", "intercept" of the lower line, and
            maybe "gaussian", all rates in nats.
        theme: the colours.

    Raises:
        InputError: there is nothing to draw.
    """
    if not rows:
        raise InputError("There are no bounds to draw: give slopes.")
    ordered = sorted(rows, key=lambda row: row["distortion"])
    places = np.array([row["distortion"] for row in ordered], float)
    upper, errors = (np.array([row[name] for row in ordered], float) for name in ("upper", "upper_error"))
    slopes, intercepts = (np.array([row[name] for row in ordered], float) for name in ("slope", "intercept"))
    along = np.geomspace(places.min() / 1.3, places.max() * 1.3, _FINE)
    lower = np.maximum((intercepts[:, None] - slopes[:, None] * along).max(0), 0.0)
    with style(theme):
        figure = Figure()
        axes = figure.subplots()
        axes.errorbar(places, upper, yerr=2 * errors, fmt="o-", color=theme.curves[0], label="upper bound", capsize=3)
        axes.plot(along, lower, color=theme.curves[1], label="lower bound")
        axes.fill_between(places, np.interp(places, along, lower), upper, color=theme.curves[0], alpha=0.12)
        if all(row.get("gaussian") is not None for row in ordered):
            gaussian = [row["gaussian"] for row in ordered]
            axes.plot(places, gaussian, "--", color=theme.soft, label="Gaussian of the same covariance")
        axes.set_xscale("log")
        axes.set_ylim(bottom=0.0)
        axes.set(xlabel="distortion: squared error of an example", ylabel="rate (nats an example)")
        axes.legend()
    return figure
