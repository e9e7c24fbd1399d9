"""One look for every figure: colours, type and lines, set for the figure alone and never for the process."""

import contextlib
import dataclasses
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.image
import numpy as np
from cycler import cycler
from matplotlib.figure import Figure

from nelbo.core import atomic_write

_DPI = 200
_INHERITED = ("backend", "interactive", "toolbar", "timezone", "savefig.directory", "webagg", "keymap", "tk", "macosx")


@dataclasses.dataclass(frozen=True)
class Theme:
    """Colours of a figure; curves and classes stay apart for colour-blind readers.

    Attributes:
        paper: background.
        ink: text.
        soft: axes, reference lines and secondary text.
        faint: grid lines.
        curves: a cycle for lines (after Okabe and Ito).
        classes: ten colours for scattered points (after Petroff, arXiv:2107.02270).
    """

    paper: str
    ink: str
    soft: str
    faint: str
    curves: tuple[str, ...]
    classes: tuple[str, ...]


_CLASSES = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadb",
)
_BRIGHT = ("#5aa9ee", "#ffb938", "#e8543a", "#a9b8b6", "#b57be0", "#c98b78", "#ff8a3c", "#cfc38a", "#8f94a3", "#a8e8e9")

LIGHT = Theme(
    paper="#ffffff",
    ink="#1f2328",
    soft="#6b7280",
    faint="#e7e9ec",
    curves=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b58500", "#56b4e9", "#4b5563"),
    classes=_CLASSES,
)
DARK = Theme(
    paper="#181b20",
    ink="#e6e8eb",
    soft="#9aa2ad",
    faint="#2b3038",
    curves=("#56b4e9", "#f28e4b", "#2fc598", "#e39ac3", "#e6b93c", "#8fa8ff", "#c3c9d1"),
    classes=_BRIGHT,
)


@contextlib.contextmanager
def style(theme: Theme = LIGHT) -> Iterator[None]:
    """Matplotlib's defaults with this theme on top, for the block only; a user's own settings do not leak in."""
    defaults = {key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith(_INHERITED)}
    settings: Any = {**defaults, **_parameters(theme)}
    with mpl.rc_context(settings):
        yield


def _parameters(theme: Theme) -> dict[str, Any]:
    """Matplotlib's names for the theme."""
    return {
        "figure.figsize": (6.6, 3.9),
        "figure.dpi": 100.0,
        "figure.facecolor": theme.paper,
        "figure.constrained_layout.use": True,
        "savefig.dpi": _DPI,
        "font.family": ["DejaVu Sans"],
        "font.size": 9.5,
        "text.color": theme.ink,
        "axes.facecolor": theme.paper,
        "axes.edgecolor": theme.soft,
        "axes.linewidth": 0.7,
        "axes.labelcolor": theme.ink,
        "axes.labelsize": 9.5,
        "axes.labelpad": 6.0,
        "axes.titlesize": 10.5,
        "axes.titlelocation": "left",
        "axes.titlepad": 10.0,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "axes.prop_cycle": cycler(color=theme.curves),
        "grid.color": theme.faint,
        "grid.linewidth": 0.8,
        "lines.linewidth": 1.8,
        "lines.solid_capstyle": "round",
        "xtick.color": theme.soft,
        "ytick.color": theme.soft,
        "xtick.labelcolor": theme.ink,
        "ytick.labelcolor": theme.ink,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "xtick.major.width": 0.7,
        "ytick.major.width": 0.7,
        "xtick.minor.size": 0.0,
        "ytick.minor.size": 0.0,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "legend.labelcolor": theme.ink,
    }


def png_bytes(picture: Figure | np.ndarray) -> bytes:
    """A picture as PNG; the same picture gives the same bytes (no date, no version inside).

    Args:
        picture: a figure, or 8-bit pixels `(height, width, 3 or 4)`, which are stored as they are.
    """
    stream = io.BytesIO()
    metadata: dict[str, Any] = {"Software": None}
    if isinstance(picture, Figure):
        with style(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # drawn as a box
            picture.savefig(stream, format="png", dpi=_DPI, metadata=metadata)
    else:
        matplotlib.image.imsave(stream, picture, format="png", metadata=metadata)
    return stream.getvalue()


def save_png(picture: Figure | np.ndarray, path: Path | str) -> Path:
    """Write a picture as a PNG file, whole or not at all, and return its path.

    Raises:
        InputError: the file cannot be written.
    """
    data = png_bytes(picture)
    with atomic_write(path) as stream:
        stream.write(data)
    return Path(path)
