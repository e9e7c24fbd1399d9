"""Which pictures a run's records allow, with captions; made for the page and written as PNG files."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from nelbo.core import InputError
from nelbo.report.figures import bound_curves, embedding_scatter, learning_curves, vector_pairs, vector_rows
from nelbo.report.pixels import enlarge, image_grid, manifold_grid, pair_grid, signed_images
from nelbo.report.records import Run, read_run
from nelbo.report.style import LIGHT, Theme, save_png
from nelbo.report.variance import variance_figure

_MOST_IMAGES = 100
_MOST_PAIRS = 40


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


def draw_figures(run: Path | str) -> list[Path]:
    """Write the figures that a run's records allow into its folder `figures/`.

    These are `learning_curves.png`, `samples.png`, `reconstructions.png`, `manifold.png`, `embedding.png`,
    `receptive_fields.png` and `variance.png`; bounds are in nats per example.

    Args:
        run: the run folder.

    Returns:
        The files written.

    Raises:
        InputError: the folder is no run, one of its files is damaged, or a figure cannot be written.
    """
    record = read_run(run)
    return [save_png(item.draw(LIGHT), record.folder / "figures" / f"{item.stem}.png") for item in pictures(record)]


def pictures(run: Run) -> list[Picture]:
    """The pictures of a run, in the order of a report.

    Raises:
        InputError: an array has a shape or type that cannot be drawn.
    """
    found = [_learning(run)] if bound_curves(run.history)[0] else []
    for name, value in run.arrays.items():
        if value.dtype.kind not in "fiub":
            raise InputError(f"{run.folder}: the array {name!r} holds no real numbers ({value.dtype}).")
    found += _from_arrays(run.arrays)
    found += _gradients(run.variance)
    return found


def _gradients(variance: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[Picture]:
    """The noise of gradients, where any was measured."""
    if not any(cell["variance"] > 0 for row in variance.values() for cell in row.values()):
        return []
    totals = {name: sum(cell["variance"] for cell in row.values()) for name, row in variance.items()}
    words = ", ".join(f"{name} {total:.3g}" for name, total in totals.items() if np.isfinite(total))
    caption = "Variance of the batch gradient, summed over the parameters of each layer of p and q."
    return [
        Picture(
            "variance",
            "Noise of gradients",
            f"{caption} Lower is better, for estimators without bias.",
            f"Variance of each estimator's gradient, summed over all layers: {words}.",
            lambda theme: variance_figure(variance, theme=theme),
            themed=True,
        )
    ]


def _from_arrays(arrays: Mapping[str, np.ndarray]) -> Iterator[Picture]:
    """Pictures of the arrays that are there and not empty."""
    arrays = {name: value for name, value in arrays.items() if value.size}
    if "samples" in arrays:
        # a model without latents has no reconstructions
        how = ": z from the prior, then x given z" if "reconstructions" in arrays else ""
        yield _set_of("samples", "Samples", f"Drawn from the model{how}.", arrays["samples"])
    if "originals" in arrays and "reconstructions" in arrays:
        yield _reconstructions(arrays["originals"], arrays["reconstructions"])
    if "manifold" in arrays and arrays["manifold"].ndim != 3:  # decoded vectors make no picture
        manifold = arrays["manifold"]
        caption = "Decoder means on a grid of latent values at equal steps of Gaussian probability."
        words = f"A grid of {' by '.join(map(str, manifold.shape[:2]))} decoded images that change smoothly with z."
        draw = lambda _: enlarge(manifold_grid(manifold))  # noqa: E731
        yield Picture("manifold", "Latent manifold", caption, words, draw, themed=False)
    if "embedding" in arrays:
        yield _embedding(arrays["embedding"], arrays.get("labels"))
    if "receptive_fields" in arrays:
        fields, caption = arrays["receptive_fields"], "Weights of single units, a row each."
        if fields.ndim > 2:
            fields = signed_images(fields)
            caption = "Weights of single units; zero is mid grey, each unit scaled by its largest weight."
        yield _set_of("receptive_fields", "Receptive fields", caption, fields, signed=True)


def _learning(run: Run) -> Picture:
    """Bounds against training examples seen."""
    curves, _ = bound_curves(run.history)
    parts = []
    for label, _, values in curves:
        finite = values[np.isfinite(values)]
        parts.append(f"the {label} bound goes from {finite[0]:.2f} to {finite[-1]:.2f} nats per example")
    caption = "Lower bound on log p(x), mean over examples; higher is better."
    words = f"Learning curves: {'; '.join(parts)}."
    return Picture(
        "learning_curves",
        "Learning curves",
        caption,
        words,
        lambda theme: learning_curves(run.history, theme=theme),
        themed=True,
    )


def _set_of(stem: str, heading: str, caption: str, values: np.ndarray, *, signed: bool = False) -> Picture:
    """Images as a grid, vectors as a heat map; of many, the first hundred."""
    count, shown = len(values), values[:_MOST_IMAGES]
    if count > len(shown):
        caption = f"{caption} The first {len(shown)} of {count}."
    if values.ndim <= 2:
        words = f"{heading}: {len(shown)} vectors as the rows of a heat map."
        return Picture(
            stem, heading, caption, words, lambda t: vector_rows(_rows(shown), signed=signed, theme=t), themed=True
        )
    words = f"{heading}: {len(shown)} images in a grid."
    return Picture(stem, heading, caption, words, lambda _: enlarge(image_grid(shown, name=stem)), themed=False)


def _reconstructions(originals: np.ndarray, reconstructions: np.ndarray) -> Picture:
    """Originals with their reconstructions."""
    upper, lower = originals[:_MOST_PAIRS], reconstructions[:_MOST_PAIRS]
    if upper.ndim <= 2:
        caption = "Originals as points, their reconstructions as lines."
        words = "Small panels, each with an original vector and the line of its reconstruction."
        return Picture(
            "reconstructions",
            "Reconstructions",
            caption,
            words,
            lambda theme: vector_pairs(_rows(upper), _rows(lower), theme=theme),
            themed=True,
        )
    caption = "In each pair the original is above and its reconstruction below."
    words = f"{len(upper)} pairs of an original image and its reconstruction."
    return Picture(
        "reconstructions", "Reconstructions", caption, words, lambda _: enlarge(pair_grid(upper, lower)), themed=False
    )


def _embedding(points: np.ndarray, labels: np.ndarray | None) -> Picture:
    """Latent means in the plane."""
    words = f"Scatter plot of {len(points)} examples in two latent dimensions"
    if labels is not None:
        words += f", coloured by {len(np.unique(labels))} classes"
    return Picture(
        "embedding",
        "Embedding",
        "Each point is an example at its latent mean.",
        f"{words}.",
        lambda theme: embedding_scatter(points, labels, theme=theme),
        themed=True,
    )


def _rows(values: np.ndarray) -> np.ndarray:
    """Numbers as vectors of one dimension, vectors as they are."""
    return values[:, None] if values.ndim == 1 else values
