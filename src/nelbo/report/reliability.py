"""A plot of how far predicted probabilities can be relied on."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from nelbo.core import InputError
from nelbo.report.style import LIGHT, Theme, style

RELIABILITY = {  # what is predicted, what is observed, how to read it
    "class_reliability": (
        "probability of the most probable class",
        "share of these that are of that class",
        (
            "Test examples in bins of the probability of their most probable class; larger points hold more of them. "
            "On the diagonal the probabilities are right, below it the model is too sure. Lines: 90 % intervals."
        ),
    ),
    "quantile_reliability": (
        "probability that the target is lower",
        "share of targets that are lower",
        (
            "The share of test targets below each quantile of their predictive distribution. On the diagonal the "
            "quantiles are right; flatter than it, intervals are too narrow. Lines: 90 % intervals of each share."
        ),
    ),
    "time_rescaling": (
        "quantile of Exp(1)",
        "share of residuals that are lower",
        (
            "Time rescaling: the integrals of the intensity between events are drawn from Exp(1) where the process is "
            "that of the data, and their shares below its quantiles lie on the diagonal. Lines: 90 % intervals."
        ),
    ),
}


def reliability_diagram(kind: str, points: np.ndarray, theme: Theme = LIGHT) -> Figure:
    """The diagram of one of `RELIABILITY`, see `reliability_figure`."""
    x_label, y_label, _ = RELIABILITY[kind]
    return reliability_figure(points, x_label=x_label, y_label=y_label, theme=theme)


def reliability_figure(points: np.ndarray, *, x_label: str, y_label: str, theme: Theme = LIGHT) -> Figure:
    """What happened against what was predicted, with the diagonal on which both agree, and intervals of the shares.

    Args:
        points: `(n, 3)`: predicted probability, observed share, cases; the area of a point grows with its cases.
        x_label: what was predicted.
        y_label: what was observed.
        theme: the colours.

    Raises:
        InputError: there is nothing to draw, or an array of another shape.
    """
    if points.ndim != 2 or points.shape[1] != 3 or not len(points) or not np.isfinite(points).all():
        raise InputError(f"A reliability diagram needs finite points of three numbers, got shape {list(points.shape)}.")
    predicted, observed, count = points.T
    with style(theme):
        figure = Figure(figsize=(4.2, 4.0))
        axes = figure.subplots()
        axes.plot([0.0, 1.0], [0.0, 1.0], "--", color=theme.soft, linewidth=1.0)
        low, high = share_interval(observed, count)
        axes.vlines(predicted, low, high, color=theme.curves[0], linewidth=1.0, alpha=0.6)
        sizes = np.where(count.min() == count.max(), 25.0, 10.0 + 90.0 * count / count.max())
        axes.scatter(predicted, observed, s=sizes, color=theme.curves[0], zorder=3)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=x_label, ylabel=y_label)
        axes.set_aspect("equal")
    return figure


def share_interval(
    share: Float[np.ndarray, " n"], count: Float[np.ndarray, " n"], level: float = 0.9
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """The ends of Jeffreys's interval of a probability, of which a share of so many cases was observed.

    Source: Brown, Cai and DasGupta, Interval estimation for a binomial proportion (2001), section 3.1.3.

    Args:
        share: of the cases in which it happened.
        count: of cases.
        level: probability of the interval.
    """
    from scipy.stats import beta

    happened = np.rint(np.asarray(share, np.float64) * count)
    parts = happened + 0.5, count - happened + 0.5
    low, high = (np.asarray(beta.ppf(0.5 + side * level / 2, *parts)) for side in (-1, 1))
    return np.where(happened == 0, 0.0, low), np.where(happened == count, 1.0, high)
