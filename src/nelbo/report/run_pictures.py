"""Which pictures a run's record allows, with captions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nelbo.report.figures import bound_curves, embedding_scatter, learning_curves, vector_pairs, vector_rows
from nelbo.report.gradient_noise import variance_figure
from nelbo.report.json_values import number
from nelbo.report.ladder import ladder_figure, ladders
from nelbo.report.picture import Picture
from nelbo.report.pixels import GRID_WIDTH, image_grid, manifold_grid, pair_grid, signed_images
from nelbo.report.reliability import RELIABILITY, reliability_diagram
from nelbo.report.results import bound_kind, bound_name, headline, nats_and_errors
from nelbo.runs import LOG_SCORE, RunRecord

_MOST_IMAGES = 100
_MOST_PAIRS = 40
_SAMPLES = {
    "means": "E[x | z] with z drawn from the prior: means, without the noise of p(x | z).",
    "draws": "Draws of x from the model.",
}


def pictures_of(run: RunRecord) -> list[Picture]:
    """The pictures of a run, in the order of a report.

    Raises:
        InputError: an array has a shape that cannot be drawn.
    """
    arrays = {name: value for name, value in run.arrays.items() if value.size}
    found = [_learning(run)] if bound_curves(run.history)[0] else []
    found += [_evidence(rows, place) for place, rows in enumerate(ladders(run.results))]
    if "samples" in arrays:
        caption = _SAMPLES[run.samples_are if run.samples_are in _SAMPLES else "draws"]
        found.append(_set_of("samples", "Samples", caption, arrays["samples"], run.data.columns))
    if "originals" in arrays and "reconstructions" in arrays:
        found.append(_reconstructions(arrays["originals"], arrays["reconstructions"], run.data.columns))
    if "manifold" in arrays and arrays["manifold"].ndim != 3:  # decoded vectors make no picture
        found.append(_manifold(arrays["manifold"]))
    if "embedding" in arrays:
        found.append(_embedding(arrays["embedding"], arrays.get("labels"), run.data.class_names))
    found += [_reliability(kind, arrays[kind]) for kind in RELIABILITY if kind in arrays]
    if "receptive_fields" in arrays:
        found.append(_receptive_fields(arrays["receptive_fields"], run.data.columns))
    for which, order in (("most", "nearest to"), ("least", "farthest from")):
        if f"{which}_typical" in arrays:
            stem, heading = f"{which}_typical", f"{which.capitalize()} typical examples"
            caption = f"Test examples whose code lengths are {order} the mean, in this order."
            found.append(_set_of(stem, heading, caption, arrays[stem], run.data.columns))
    return [*found, *_gradients(run.variance)]


def bound_caption(bound: str, *, exact: bool = False) -> str:
    """How to read curves of a bound.

    Args:
        bound: "ELBO", "IWAE, 5 samples", or "log p(x)".
        exact: the model has no latents, so that any bound is log p(x) itself.
    """
    if exact or bound == "log p(x)":
        return "log p(x), mean over examples; higher is better."
    if bound in {"pseudo-log-likelihood", "minus the score"}:
        return f"{bound[:1].upper()}{bound[1:]}, mean over examples, no bound on log p(x); higher is better."
    return f"{bound}: a lower bound on log p(x), mean over examples; higher is better."


def _learning(run: RunRecord) -> Picture:
    """Bounds against training examples seen."""
    curves, _ = bound_curves(run.history)
    parts = []
    for label, _, values in curves:
        finite = values[np.isfinite(values)]
        parts.append(f"the {label} bound goes from {finite[0]:.2f} to {finite[-1]:.2f} nats per example")
    result = headline(run.results, run.data.name)
    caption = bound_caption(run.history_bound, exact=result is not None and bound_kind(result) == "exact")
    if result is not None and result.get("bound") == LOG_SCORE:
        caption = caption.replace("log p(x)", "log p(y | x), y the target")
    return Picture(
        "learning_curves",
        "Learning curves",
        caption,
        f"Learning curves: {'; '.join(parts)}.",
        lambda theme: learning_curves(run.history, theme=theme),
        themed=True,
    )


def _evidence(rows: Sequence[Mapping[str, Any]], place: int) -> Picture:
    """What is known of log p(x) of the same examples."""
    first = rows[0]
    caption = (
        f"{first.get('examples')} examples of {first.get('split')}: estimates of log p(x), two Monte Carlo errors to "
        "each side. An arrow starts at a bound and points to where log p(x) lies; squares are exact."
    )
    words = "; ".join(f"{bound_name(row.get('bound'))} {nats_and_errors(row)[0]}" for row in rows)
    stem = f"evidence{f'_{place + 1}' if place else ''}"
    draw = lambda theme: ladder_figure(rows, theme=theme)  # noqa: E731
    return Picture(stem, "Evidence", caption, f"Estimates of log p(x) in nats per example: {words}.", draw, themed=True)


def _set_of(
    stem: str, heading: str, caption: str, values: np.ndarray, columns: Sequence[str], *, signed: bool = False
) -> Picture:
    """Images as a grid, vectors as a heat map; of many, the first hundred."""
    count, shown = len(values), values[:_MOST_IMAGES]
    if values.ndim <= 2:
        caption = f"{caption} A row for each, a column for each {'variable' if columns else 'dimension'}."
    if count > len(shown):
        caption = f"{caption} The first {len(shown)} of {count}."
    if values.ndim <= 2:
        words = f"{heading}: {len(shown)} vectors as the rows of a heat map."
        draw = lambda theme: vector_rows(_rows(shown), signed=signed, columns=columns, theme=theme)  # noqa: E731
        return Picture(stem, heading, caption, words, draw, themed=True)
    words = f"{heading}: {len(shown)} images in a grid."
    draw = lambda _: image_grid(shown, width=GRID_WIDTH, name=stem)  # noqa: E731
    return Picture(stem, heading, caption, words, draw, themed=False)


def _reconstructions(originals: np.ndarray, reconstructions: np.ndarray, columns: Sequence[str]) -> Picture:
    """Originals with their reconstructions."""
    upper, lower = originals[:_MOST_PAIRS], reconstructions[:_MOST_PAIRS]
    what = "E[x | z] with one z drawn from q(z | x)"
    missing = not np.isfinite(upper).all()
    if upper.ndim <= 2:
        caption = f"Points: test examples. Lines: their reconstructions, {what}."
        caption += " A missing entry has no point." if missing else ""
        words = "Small panels, each with an original vector and the line of its reconstruction."
        draw = lambda theme: vector_pairs(_rows(upper), _rows(lower), columns=columns, theme=theme)  # noqa: E731
    else:
        caption = f"Above: test examples. Below each: its reconstruction, {what}."
        caption += " Missing pixels are orange." if missing else ""
        words = f"{len(upper)} pairs of an original image and its reconstruction."
        draw = lambda _: pair_grid(upper, lower, width=GRID_WIDTH)  # noqa: E731
    return Picture("reconstructions", "Reconstructions", caption, words, draw, themed=upper.ndim <= 2)


def _manifold(manifold: np.ndarray) -> Picture:
    """Decoded images over the plane of two latents."""
    caption = (
        "E[x | z] for z on a grid: from left to right the first latent grows, from bottom to top the second, both at "
        "equal steps of probability under the prior."
    )
    words = f"A grid of {' by '.join(map(str, manifold.shape[:2]))} decoded images that change smoothly with z."
    draw = lambda _: manifold_grid(manifold, width=GRID_WIDTH)  # noqa: E731
    return Picture("manifold", "Latent manifold", caption, words, draw, themed=False)


def _embedding(points: np.ndarray, labels: np.ndarray | None, class_names: Sequence[str]) -> Picture:
    """Latent means in the plane."""
    caption = "Each point is a test example at its mean under q(z | x)"
    words = f"Scatter plot of {len(points)} examples in two latent dimensions"
    names = None
    if labels is not None:
        classes = np.unique(labels)
        caption, words = f"{caption}, coloured by class", f"{words}, coloured by {len(classes)} classes"
        if classes[0] >= 0 and classes[-1] < len(class_names):
            names = [class_names[int(label)] for label in classes]
    draw = lambda theme: embedding_scatter(points, labels, class_names=names, theme=theme)  # noqa: E731
    return Picture("embedding", "Embedding", f"{caption}.", f"{words}.", draw, themed=True)


def _reliability(kind: str, points: np.ndarray) -> Picture:
    """Observed shares against predicted probabilities."""
    words = ", ".join(f"{seen:.2f} at {said:.2f}" for said, seen, _ in points.tolist())
    return Picture(
        "reliability",
        "Reliability",
        RELIABILITY[kind][2],
        f"Observed share at each predicted probability: {words}.",
        lambda theme: reliability_diagram(kind, points, theme),
        themed=True,
    )


def _receptive_fields(fields: np.ndarray, columns: Sequence[str]) -> Picture:
    """The generative weights of single units."""
    caption = "Weights from each unit of the first latent layer to x."
    if fields.ndim <= 2:
        return _set_of("receptive_fields", "Receptive fields", caption, fields, columns, signed=True)
    caption = f"{caption} Zero is mid grey, positive is lighter; each unit is scaled by its largest weight."
    return _set_of("receptive_fields", "Receptive fields", caption, signed_images(fields), columns)


def _gradients(variance: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Iterator[Picture]:
    """The noise of gradients, where any was measured."""
    totals = {
        name: sum(number(cell.get("variance")) or 0.0 for cell in layers.values()) for name, layers in variance.items()
    }
    if not any(total > 0 for total in totals.values()):
        return
    words = ", ".join(f"{name} {total:.3g}" for name, total in totals.items())
    caption = "Variance of the batch gradient, summed over the parameters of each layer of p and q."
    yield Picture(
        "variance",
        "Noise of gradients",
        f"{caption} Lower is better, for estimators without bias.",
        f"Variance of each estimator's gradient, summed over all layers: {words}.",
        lambda theme: variance_figure(variance, theme=theme),
        themed=True,
    )


def _rows(values: np.ndarray) -> np.ndarray:
    """Numbers as vectors of one dimension, vectors as they are."""
    return values[:, None] if values.ndim == 1 else values
