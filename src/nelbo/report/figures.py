"""Figures: bounds against examples seen, latent spaces, vectors. Each returns a Figure that stands alone."""

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.patheffects as effects
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter

from nelbo.core import InputError
from nelbo.report.json_values import column, numeric_keys
from nelbo.report.style import LIGHT, Theme, style

Curve = tuple[str, Any, Any]
Reference = tuple[str, float | int]

_BOUND = "bound (nats per example)"
_X_LABELS = {"examples": "training examples seen", "epoch": "epochs", "step": "optimizer steps"}
_CURVE_NAMES = {"train_bound": "train", "valid_bound": "validation", "test_bound": "test"}
_DASHES = ("-", (0, (5, 2)), (0, (1.2, 1.6)), (0, (5, 2, 1.2, 2)))
_FEW = 25  # points of a curve below which each is marked
_CLASSES_NAMED = 10
_DIMENSIONS_NAMED = 40
_MANY = 7  # curves above which the legend leaves the axes
_LONGEST_LABEL = 48  # letters


def curves_figure(
    curves: Iterable[Curve],
    *,
    references: Iterable[Reference] = (),
    x_label: str = "training examples seen",
    y_label: str = _BOUND,
    title: str = "",
    log_x: bool = False,
    focus: bool = False,
    theme: Theme = LIGHT,
) -> Figure:
    """Compare curves, with published numbers as dashed lines across.

    Args:
        curves: (label, x, y) triples; entries of y that are not finite leave a gap.
        references: (label, y) pairs, in the unit of `y_label`.
        x_label: what x is, with its unit.
        y_label: what y is, with its unit.
        title: a line above the figure.
        log_x: logarithmic x axis without the points at x <= 0; it stays linear with fewer than two x above 0.
        focus: cut off a low start of the curves, so that what follows can be read; a later fall stays in view.
        theme: the colours.

    Raises:
        InputError: there is nothing finite to draw, or an x and a y differ in length.
    """
    cleaned = [_clean(*curve) for curve in curves]
    log_x = log_x and len({value for _, x, y in cleaned for value in x[np.isfinite(y)] if value > 0}) > 1
    if log_x:
        cleaned = [(label, x[x > 0], y[x > 0]) for label, x, y in cleaned]
    lines = [(label, float(y)) for label, y in references]
    if not any(np.isfinite(y).any() for _, _, y in cleaned):
        raise InputError("curves_figure needs at least one curve with a finite point.")
    if not all(math.isfinite(y) for _, y in lines):
        raise InputError("curves_figure: every reference line must be a finite number.")
    with style(theme):
        figure = Figure()
        axes = figure.subplots()
        for index, (label, x, y) in enumerate(cleaned):
            _draw_curve(axes, (label, x, y), index, theme)
        _ticks(axes, cleaned, log_x=log_x)
        if focus and (limits := _focus(cleaned, lines, log_x=log_x)):
            axes.set_ylim(limits)
        for label, y in lines:
            _draw_reference(axes, label, y, theme)
        axes.margins(x=0.02)
        axes.set(xlabel=x_label, ylabel=y_label, title=title)
        if len(cleaned) > 1 or cleaned[0][0]:
            _legend(figure, axes, len(cleaned))
    return figure


def learning_curves(
    history: Sequence[Mapping[str, Any]],
    *,
    references: Iterable[Reference] = (),
    title: str = "",
    log_x: bool = True,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw the training and validation bound against the training examples seen.

    Args:
        history: rows of a `history.jsonl`; bounds in nats per example.
        references: (label, bound) pairs to compare with, in nats per example.
        title: a line above the figure.
        log_x: logarithmic x axis.
        theme: the colours.

    Raises:
        InputError: the history holds no finite bound.
    """
    curves, x_label = bound_curves(history)
    if not curves:
        raise InputError("This history holds no bound to draw: its rows need 'train_bound' or 'valid_bound' in nats.")
    return curves_figure(
        curves, references=references, x_label=x_label, title=title, log_x=log_x, focus=True, theme=theme
    )


def bound_curves(history: Sequence[Mapping[str, Any]]) -> tuple[list[Curve], str]:
    """The bounds in a history as curves for `curves_figure`, and the label of their x axis.

    Args:
        history: rows; x is the first of "examples", "epoch", "step" that they hold, else the number of the row.
    """
    keys = numeric_keys(history)
    bounds = sorted((key for key in keys if key.endswith("_bound")), key=_bound_order)
    axis = next((key for key in _X_LABELS if key in keys), None)
    x = column(history, axis) if axis else np.arange(1.0, len(history) + 1.0)
    curves: list[Curve] = [(_CURVE_NAMES.get(key, key), x, column(history, key)) for key in bounds]
    return [curve for curve in curves if np.isfinite(curve[1] + curve[2]).any()], _X_LABELS[
        axis
    ] if axis else "evaluations"


def embedding_scatter(
    points: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    class_names: Sequence[str] | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Scatter two-dimensional latent means, coloured and named by class.

    Args:
        points: `(count, 2)`.
        labels: `(count,)` integers; up to ten classes get a colour and a name each, more a colour bar.
        class_names: names of the classes in increasing order of label; the labels themselves if not given.
        theme: the colours.

    Raises:
        InputError: a wrong shape, or no finite point.
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise InputError(f"embedding: expected points of shape (count, 2), got {points.shape}.")
    if labels is not None and labels.shape != points.shape[:1]:
        raise InputError(f"embedding: {len(points)} points need as many labels, got shape {labels.shape}.")
    keep = np.isfinite(points).all(axis=1)
    if not keep.any():
        raise InputError("embedding: no point is finite.")
    points, labels = points[keep], None if labels is None else labels[keep]
    size = float(np.clip(6000.0 / len(points), 2.5, 22.0))
    with style(theme):
        figure = Figure(figsize=(6.6, 5.4))
        axes = figure.subplots()
        options: dict[str, Any] = {"s": size, "linewidths": 0.0, "alpha": 0.75}
        if labels is None:
            axes.scatter(*points.T, color=theme.curves[0], **options)
        elif len(np.unique(labels)) <= _CLASSES_NAMED:
            _scatter_classes(axes, points, labels, names=class_names, options=options, theme=theme)
        else:
            drawn = axes.scatter(*points.T, c=labels, cmap="viridis", **options)
            _scale(figure, axes, drawn, "class")
        axes.set_aspect("equal", adjustable="datalim")
        axes.set(xlabel="latent 1", ylabel="latent 2")
    return figure


def vector_rows(
    vectors: np.ndarray, *, signed: bool = False, columns: Sequence[str] = (), theme: Theme = LIGHT
) -> Figure:
    """Draw vectors as the rows of a heat map with its scale beside it.

    Args:
        vectors: `(count, dimensions)`; entries that are not finite are left blank.
        signed: centre the colours on zero.
        columns: names of the dimensions, if they have any.
        theme: the colours.

    Raises:
        InputError: a wrong shape.
    """
    vectors = np.asarray(vectors, np.float64)
    if vectors.ndim != 2 or not vectors.size:
        raise InputError(f"expected vectors of shape (count, dimensions), got {vectors.shape}.")
    finite = np.ma.masked_invalid(vectors)
    limit = float(np.ma.filled(np.abs(finite).max(), 1.0)) or 1.0
    options: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit} if signed else {"cmap": "viridis"}
    with style(theme):
        figure = Figure(figsize=(6.6, float(np.clip(0.11 * len(vectors) + 1.2, 2.2, 5.5))))
        axes = figure.subplots()
        drawn = axes.imshow(finite, aspect="auto", interpolation="nearest", **options)
        axes.grid(visible=False)
        axes.set(xlabel="dimension", ylabel="vector")
        _name_dimensions(axes, columns, vectors.shape[1])
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        _scale(figure, axes, drawn, "value")
    return figure


def vector_pairs(
    originals: np.ndarray, reconstructions: np.ndarray, *, columns: Sequence[str] = (), theme: Theme = LIGHT
) -> Figure:
    """Draw up to eight vectors as points, each with its reconstruction as a line.

    Args:
        originals: `(count, dimensions)`.
        reconstructions: of the same shape.
        columns: names of the dimensions, if they have any.
        theme: the colours.

    Raises:
        InputError: the shapes differ or are no vectors.
    """
    if originals.shape != reconstructions.shape or originals.ndim != 2 or not originals.size:
        raise InputError(
            f"originals have shape {originals.shape} and reconstructions {reconstructions.shape}: "
            "both must be (count, dimensions)."
        )
    count = min(8, len(originals))
    rows = -(-count // 2)
    with style(theme):
        figure = Figure(figsize=(6.6, 0.8 + 1.15 * rows))
        panels = figure.subplots(rows, 2, sharex=True, sharey=True, squeeze=False)
        handles: list[Line2D] = []
        for axes, original, reconstruction in zip(panels.flat, originals[:count], reconstructions, strict=False):
            handles = axes.plot(original, "o", ms=2.5, mew=0, color=theme.soft, label="original")
            handles += axes.plot(reconstruction, color=theme.curves[0], lw=1.3, label="reconstruction")
        for axes in panels.flat[count:]:
            axes.set_visible(False)
        if count % 2 and rows > 1:
            panels[-2, 1].tick_params(labelbottom=True)  # nothing is drawn below it
        for axes in panels[-1]:
            _name_dimensions(axes, columns, originals.shape[1])
        figure.supxlabel("" if _can_name(columns, originals.shape[1]) else "dimension", fontsize=9.5)
        figure.supylabel("value", fontsize=9.5)
        figure.legend(handles=handles, loc="outside upper right", ncols=2)
    return figure


def _can_name(columns: Sequence[str], count: int) -> bool:
    """Whether each of `count` dimensions has a name that can be read on an axis."""
    return len(columns) == count <= _DIMENSIONS_NAMED


def _name_dimensions(axes: Axes, columns: Sequence[str], count: int) -> None:
    """Names along the x axis where there is room for them, else whole numbers."""
    if _can_name(columns, count):
        axes.set_xticks(
            range(count), [_plain(name) for name in columns], rotation=40, ha="right", rotation_mode="anchor"
        )
        axes.set_xlabel("")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _bound_order(key: str) -> tuple[int, str]:
    """Train, validation, test, then the others by name."""
    known = list(_CURVE_NAMES)
    return (known.index(key) if key in known else len(known), key)


def _clean(label: str, x: Any, y: Any) -> tuple[str, np.ndarray, np.ndarray]:
    """A curve as float arrays: sorted by x, without points whose x is not finite; infinite y become gaps."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise InputError(f"The curve {label!r} needs x and y of one length, got shapes {x.shape} and {y.shape}.")
    order = np.argsort(x, kind="stable")
    order = order[np.isfinite(x[order])]
    x, y = x[order], y[order]
    return label, x, np.where(np.isfinite(y), y, np.nan)


def _ticks(axes: Axes, curves: Sequence[Curve], *, log_x: bool) -> None:
    """Numbers along the x axis: thousands as 20k, but no 200m for 0.2."""
    if log_x:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if _decades(curves) < 2 else (1.0,)))
        axes.xaxis.set_major_formatter("{x:g}")
    if np.concatenate([x for _, x, _ in curves]).max(initial=0.0) >= 1000.0:
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _draw_curve(axes: Axes, curve: Curve, index: int, theme: Theme) -> None:
    """One line, told apart by colour first and dashes next; missing evaluations do not break it."""
    label, x, y = curve
    # rows without this quantity (validation runs less often) are bridged; a curve of few points shows them
    x, y = x[np.isfinite(y)], y[np.isfinite(y)]
    marks = {"marker": "o", "markersize": 3.6, "markeredgewidth": 0.0} if len(y) <= _FEW else {}
    dash = _DASHES[index // len(theme.curves) % len(_DASHES)]
    # a label that starts with "_" would be left out of the legend
    axes.plot(x, y, label=_plain(label), linestyle=dash, color=theme.curves[index % len(theme.curves)], **marks)


def _draw_reference(axes: Axes, label: str, y: float, theme: Theme) -> None:
    """A dashed line across with its name above its left end."""
    axes.axhline(y, color=theme.soft, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1.5)
    outline = [effects.withStroke(linewidth=2.5, foreground=theme.paper)]
    place = {"xytext": (4, 3), "textcoords": "offset points", "xycoords": ("axes fraction", "data")}
    text = axes.annotate(_plain(label), (0.0, y), fontsize=8, color=theme.soft, path_effects=outline, **place)
    text.set_in_layout(False)


def _legend(figure: Figure, axes: Axes, count: int) -> None:
    """Names of the curves: inside where they hide none of them; else, and many of them, beside the axes."""
    if count <= _MANY:
        inside = axes.legend(loc="best", frameon=True, facecolor=axes.get_facecolor(), edgecolor="none", framealpha=0.8)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # see png_bytes
            figure.draw_without_rendering()
            box = inside.get_window_extent()
        paths = [line.get_transform().transform_path(line.get_path()) for line in axes.get_lines()]
        if not any(len(path) and path.intersects_bbox(box, filled=False) for path in paths):
            return
        inside.remove()
    figure.legend(loc="outside right upper")


def _plain(label: str) -> str:
    """A label as it is: no mathematics by dollar signs, not hidden by a leading underscore, of bearable length."""
    # JSON allows halves of surrogate pairs, which no font can show
    label = label.encode("utf-8", "replace").decode("utf-8")
    label = label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"
    return "\u200a" * label.startswith("_") + label.replace("$", r"\$")


def _decades(curves: Sequence[Curve]) -> float:
    """How many powers of ten the x of the curves span."""
    x = np.concatenate([x for _, x, _ in curves])
    return math.log10(x.max() / x.min())


def _focus(curves: Sequence[Curve], references: Sequence[Reference], *, log_x: bool) -> tuple[float, float] | None:
    """Limits of y below which only the start of the curves lies; None if that would hide little or something else."""
    lows, highs = [], [y for _, y in references]
    for _, x, y in curves:
        x, y = x[np.isfinite(y)], y[np.isfinite(y)]
        if len(y) < 3:
            return None
        grid = np.geomspace(x[0], x[-1], 200) if log_x else np.linspace(x[0], x[-1], 200)
        lows.append(float(np.quantile(np.interp(grid, x, y), 0.2)))
        highs.append(float(y.max()))
    bottom = min(lows) - 0.1 * (max(highs) - min(lows))
    if references:
        bottom = min(bottom, min(y for _, y in references) - 0.05 * (max(highs) - bottom))
    lowest = min(float(np.nanmin(y)) for _, _, y in curves)
    if lowest > bottom - 0.5 * (max(highs) - bottom):
        return None
    for _, _, y in curves:
        above = y[np.isfinite(y)] >= bottom
        if not above[int(np.argmax(above)) :].all():
            return None
    return bottom, max(highs) + 0.06 * (max(highs) - bottom)


def _scale(figure: Figure, axes: Axes, drawn: ScalarMappable, label: str) -> None:
    """A colour bar without a frame."""
    bar = figure.colorbar(drawn, ax=axes, label=label, pad=0.02)
    bar.ax.spines[:].set_visible(False)


def _scatter_classes(
    axes: Axes,
    points: np.ndarray,
    labels: np.ndarray,
    *,
    names: Sequence[str] | None,
    options: Mapping[str, Any],
    theme: Theme,
) -> None:
    """Points in the order given, so that no class lies on top; each class is also named at its median."""
    values, indices = np.unique(labels, return_inverse=True)
    names = [str(name) for name in (values if names is None else names)]
    if len(names) != len(values):
        raise InputError(f"embedding: {len(values)} classes need as many names, got {len(names)}.")
    axes.scatter(*points.T, c=np.array(theme.classes)[indices], **options)
    outline = [effects.withStroke(linewidth=3.0, foreground=theme.paper)]
    place: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 10.5, "fontweight": "bold"}
    dots = []
    for index, (name, colour) in enumerate(zip(names, theme.classes, strict=False)):
        x, y = np.median(points[indices == index], axis=0)
        axes.text(x, y, _plain(name), color=theme.ink, path_effects=outline, **place)
        dots.append(Line2D([], [], marker="o", linestyle="", markersize=6, color=colour, label=_plain(name)))
    axes.legend(handles=dots, title="class", loc="center left", bbox_to_anchor=(1.0, 0.5), handletextpad=0.2)
