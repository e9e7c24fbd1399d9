"""Fan charts: the past of a series and draws of its future."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from nelbo.core import InputError
from nelbo.report.style import LIGHT, Theme, style

_LEVELS = (0.5, 0.8)


def fan_chart(
    past: Float[np.ndarray, "time channels"],
    draws: Float[np.ndarray, "draws horizon channels"],
    names: Sequence[str],
    *,
    step: str = "",
    level: float = 0.9,
    theme: Theme = LIGHT,
) -> Figure:
    """The past of some channels, and bands of what may come, a panel for each channel.

    Args:
        past: NaN where nothing was observed.
        draws: of the future.
        names: of the channels.
        step: how long a step is, in words.
        level: of the widest band; the others hold 50 and 80 %.
        theme: the colours.

    Raises:
        InputError: no channel, or no draw.
    """
    if not names or not draws.size:
        raise InputError("A fan chart needs at least one channel and one draw.")
    levels = sorted({*(one for one in _LEVELS if one < level), level}, reverse=True)
    before, after = np.arange(-len(past) + 1, 1), np.arange(1, draws.shape[1] + 1)
    with style(theme):
        figure = Figure(figsize=(6.6, 1.1 + 1.7 * len(names)))
        for i, (axes, name) in enumerate(zip(np.ravel(figure.subplots(len(names), sharex=True)), names, strict=True)):
            axes.plot(before, past[:, i], color=theme.ink, linewidth=1.2)
            for one in levels:
                low, high = np.quantile(draws[:, :, i], [0.5 - one / 2, 0.5 + one / 2], axis=0)
                axes.fill_between(after, low, high, color=theme.curves[0], alpha=0.22, linewidth=0,
                                  label=f"{one:.0%}")  # fmt: skip
            axes.plot(after, np.median(draws[:, :, i], axis=0), color=theme.curves[0], label="median")
            axes.axvline(0.5, color=theme.soft, linewidth=0.7)
            axes.set_ylabel(name)
            if i == 0:
                axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=len(levels) + 1)
        axes.set_xlabel(f"steps from now{f' ({step} each)' if step else ''}")
    return figure
