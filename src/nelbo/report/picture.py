"""A picture with its words."""

import dataclasses
from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from nelbo.report.style import Theme


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture that can be drawn.

    Attributes:
        stem: its file name without suffix.
        heading: what it shows, in a few words.
        caption: how to read it.
        description: what is to be seen, for those who cannot see it.
        draw: a theme to a figure, or to 8-bit pixels.
        themed: whether the theme changes it (axes and text do; pixels do not).
    """

    stem: str
    heading: str
    caption: str
    description: str
    draw: Callable[[Theme], Figure | np.ndarray]
    themed: bool
