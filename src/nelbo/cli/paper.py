"""The page of a reproduced paper, from its result and its run folders."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.papers import PROVENANCE, measured_arrays
from nelbo.report import (
    GRID_WIDTH,
    Block,
    Code,
    Heading,
    Picture,
    Table,
    Text,
    curves_figure,
    embedding_scatter,
    image_grid,
    manifold_grid,
    published_figure,
    write_document,
)
from nelbo.runs import read_run_record

SHOWN = 64  # samples of each run
WIDE = 1000  # pixels of a picture of several runs
_CHAIN = ("chain", "film")  # what figures and arrays of a chain are called: now, and in results of earlier versions
HOLDS = {True: "yes", False: "no", None: "cannot tell"}


def show_page(folder: Path | str, result: Mapping[str, Any]) -> list[Path]:
    """Write the page of a paper.

    Args:
        folder: where `Page.reproduce` kept its runs.
        result: what it gave.

    Returns:
        The files written.

    Raises:
        InputError: a run is missing or damaged, or a file cannot be written.
    """
    folder, seed = Path(folder), f" --seed {result['seed']}" if result["seed"] else ""
    command = f"nelbo reproduce {result['paper']} --budget {result['budget']}{seed}"
    blocks: list[Block] = [
        Text((f"Budget {result['budget']}: {result['size']}. Bounds are in nats per example; higher is better.",)),
        Code(command, "sh"),
        *([Heading("Results"), Table(_rows(result["parts"]))] if result["parts"] else []),
        *_measures(result["parts"]),
        *_studies(result.get("studies", {})),
        Heading("Claims of the paper"),
        Table([_claim(claim) for claim in result["claims"]]),
    ]
    blocks.append(Heading("Figures"))
    for figure in result["figures"]:
        blocks += _pictures(figure, result["parts"] | result.get("studies", {}), folder)
    environment = {name: result["environment"][name] for name in ("commit", "hardware", "versions")}
    blocks += [
        Heading("Published numbers"),
        Table([row | {"provenance": PROVENANCE[row["provenance"]]} for row in result["published"]]),
        Heading("Notes"),
        Text(tuple(result["notes"]), points=True),
        Heading("Where this was run"),
        Table([{"what": name, "value": value} for name, value in environment.items()]),
        Code(result["bibtex"], "bibtex"),
    ]
    return write_document(f"{result['title']} ({result['paper']})", blocks, folder)


def _rows(parts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each part; columns in which no part has anything are left out."""
    rows = [_row(part) for part in parts.values()]
    return [{name: row[name] for name in row if any(other[name] is not None for other in rows)} for row in rows]


def _row(part: Mapping[str, Any]) -> dict[str, Any]:
    weighted = next((row for row in part["results"] if row["bound"] == "iwae"), None)
    measured = [row for measure in part["measures"].values() for row in measure["rows"]]
    score, curve, experiment = (part["results"] or measured)[0], part["curve"], part["experiment"]
    return {
        "run": part["label"],
        "data": part["data"]["name"],
        "binarization": score["binarization"],
        "latents": part["latents"],
        "active": sum(part["active_units"]) if part["active_units"] else None,
        "objective": experiment["objective"]["name"],
        "optimizer": experiment["training"].get("optimizer"),
        "learning rate": part["learning_rate"],
        "examples seen": curve["examples"][-1],
        "train bound": _nats(curve["train_bound"][-1]),
        "test bound": _nats(score["nats"]),
        "importance-weighted": f"{weighted['nats']:.2f} ({weighted['samples']} samples)" if weighted else None,
        "published": part["published"],
        "standard error": _fixed(score["standard_error"], 4),
        "accuracy": _fixed(score.get("accuracy"), 4),
        "perplexity": _fixed(score.get("perplexity"), 1),
        "KL": _fixed(score.get("kl"), 2),
        "seconds": f"{part['training_seconds']:.0f}",
    }


def _nats(value: float) -> str:
    """Two decimals, and four of the small numbers that labels have."""
    return f"{value:.2f}" if abs(value) >= 10.0 else f"{value:.4f}"


def _fixed(value: float | None, decimals: int) -> str | None:
    return None if value is None else f"{value:.{decimals}f}"


def _measures(parts: Mapping[str, Any]) -> list[Block]:
    """A table for each kind of measure, over all runs that have it."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for part in parts.values():
        for measure in part.get("measures", {}).values():
            rows = [{"run": part["label"], **_measure_row(row)} for row in measure["rows"]]
            tables.setdefault(measure["title"], []).extend(rows)
    return [block for title, rows in tables.items() for block in (Heading(title), Table(rows))]


def _studies(studies: Mapping[str, Any]) -> list[Block]:
    """A table for each study."""
    tables = ((study["title"], Table([_measure_row(row) for row in study["rows"]])) for study in studies.values())
    return [block for title, table in tables for block in (Heading(title), table)]


def _measure_row(row: Mapping[str, Any]) -> dict[str, Any]:
    if row.get("bound") == "iwae":
        return {
            "data": row["data"],
            "binarization": row["binarization"],
            "samples": row["samples"],
            "test rows": row["examples"],
            "nats per example": f"{row['nats']:.2f}",
            "standard error": f"{row['standard_error']:.3f}",
        }
    plain = {name.replace("_", " "): value for name, value in row.items()}
    return {name: f"{value:.4f}" if isinstance(value, float) else value for name, value in plain.items()}


def _claim(claim: Mapping[str, Any]) -> dict[str, str]:
    return {
        "claim": claim["text"],
        "known": PROVENANCE[claim["provenance"]],
        "what is compared": claim["test"],
        "numbers": claim["numbers"],
        "holds": HOLDS[claim["holds"]],
    }


def _pictures(figure: Mapping[str, Any], parts: Mapping[str, Any], folder: Path) -> list[Picture]:
    """The pictures of one figure: test and train curves, or the samples of each run side by side, or a manifold."""
    if figure["kind"] in _OF_ROWS:
        return [_OF_ROWS[figure["kind"]](figure, parts[figure["parts"][0]]["rows"])]
    title, name = figure["title"], figure["name"]
    labels = ", ".join(parts[part]["label"] for part in figure["parts"])
    if figure["kind"] == "curves":
        ends = [parts[part]["curve"] for part in figure["parts"]]
        watched = all(curve["test_bound"][-1] is not None for curve in ends)
        kinds = ["valid" if kind == "test" and not watched else kind for kind in figure["curves"]]
        return [_curves(figure, parts, kind) for kind in kinds]
    if figure["kind"] in {*_CHAIN, "errors"}:
        return [_errors(figure, folder) if figure["kind"] == "errors" else _chain(figure, parts, folder)]
    records = [read_run_record(folder / part) for part in figure["parts"]]
    arrays = [record.arrays for record in records]
    if figure["kind"] == "embedding":
        caption = f"Posterior means of the test set, coloured by class; {labels}."
        points, classes = arrays[0]["embedding"], arrays[0].get("labels")
        scatter = lambda theme: embedding_scatter(points, classes, theme=theme)  # noqa: E731
        return [Picture(name, title, caption, f"{title}: a scatter plot.", scatter, themed=True)]
    if figure["kind"] == "manifold":
        caption = f"Decoder means on a grid of Gaussian quantiles of z, {labels}."
        values = arrays[0]["manifold"]
        draw = lambda _: manifold_grid(values, width=GRID_WIDTH)  # noqa: E731
        return [Picture(name, title, caption, f"{title}: a grid of decoded images.", draw, themed=False)]
    shown = [image_grid(run["samples"][:SHOWN], width=WIDE // len(arrays)) for run in arrays]
    gap = np.zeros((shown[0].shape[0], 24, 4), np.uint8)
    joined = np.concatenate([piece for picture in shown for piece in (picture, gap)][:-1], axis=1)
    means = all(record.samples_are == "means" for record in records)
    what = "E[x | z] with z drawn from the prior" if means else "Draws of x from the model"
    caption = f"{what}; from left to right {labels}."
    return [Picture(name, title, caption, f"{title}: grids of samples.", lambda _: joined, themed=False)]


def _study(figure: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Picture:
    """One column of a study against another, a line for each kind of row."""
    axes = figure["axes"]
    lines: dict[str, tuple[list[float], list[float]]] = {}
    for row in rows:
        if all(row[column] == value for column, value in axes["where"].items()):
            xs, ys = lines.setdefault(", ".join(str(row[column]) for column in axes["lines"]), ([], []))
            xs.append(row[axes["x"]])
            ys.append(math.log10(row[axes["y"]]) if axes["log_y"] else row[axes["y"]])
    curves = [(label, *points) for label, points in lines.items()]
    title, y_label = figure["title"], axes["y_label"]
    where = "".join(f"; {column} {value}" for column, value in axes["where"].items())
    return Picture(
        figure["name"],
        title,
        f"{y_label} against {axes['x_label']}{where}.",
        f"{title}: " + ", ".join(f"{label} ends at {values[-1]:.2f}" for label, _, values in curves),
        lambda theme: curves_figure(curves, x_label=axes["x_label"], y_label=y_label, log_x=True, theme=theme),
        themed=True,
    )


def _published(figure: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Picture:
    """The numbers of a study's rows beside those of the papers."""
    name, ours, theirs = (figure["axes"][column] for column in ("lines", "y", "x"))
    labels = [str(row[name[0]]) for row in rows]
    own = [None if row[ours] is None else float(row[ours]) for row in rows]
    published = [float(row[theirs]) for row in rows]
    pairs = (
        f"{n}: {o:.1f}, published {p:.1f}" for n, o, p in zip(labels, own, published, strict=True) if o is not None
    )
    title, x_label = figure["title"], figure["axes"]["x_label"]
    return Picture(
        figure["name"],
        title,
        f"{x_label}: ours (points) beside the published numbers (circles).",
        f"{title}. {'; '.join(pairs)}.",
        lambda theme: published_figure(labels, own, published, x_label=x_label, theme=theme),
        themed=True,
    )


def _chain(figure: Mapping[str, Any], parts: Mapping[str, Any], folder: Path) -> Picture:
    """One test image a row: what was given, the chain from its start, the truth."""
    (part,) = figure["parts"]
    arrays = measured_arrays(folder / part, figure["measure"])
    strip = next(arrays[name] for name in _CHAIN if name in arrays)
    picture = image_grid(strip.reshape(-1, *strip.shape[2:]), columns=strip.shape[1], width=WIDE, name="chain")
    caption = (
        "A test image a row. From left to right: what was given (missing pixels coloured), a draw from the prior in "
        f"their place, E[x | z] after each step of the chain, the truth; {parts[part]['label']}."
    )
    title = figure["title"]
    return Picture(figure["name"], title, caption, f"{title}: rows of images.", lambda _: picture, themed=False)


def _errors(figure: Mapping[str, Any], folder: Path) -> Picture:
    """The share of values that each method predicts within an error."""
    (part,) = figure["parts"]
    found = {name: np.sort(error) for name, error in measured_arrays(folder / part, figure["measure"]).items()}
    ends = np.quantile(np.concatenate(list(found.values())), 0.95)
    at = np.linspace(0.0, float(ends), 60)
    lines = [(name, at, np.searchsorted(error, at) / len(error)) for name, error in found.items()]
    middles = ", ".join(f"{name} {np.median(error):.3f}" for name, error in found.items())
    axes = ("absolute error, in units of the data", "share of the common pairs")
    return Picture(
        figure["name"],
        figure["title"],
        f"Share of the pairs that all methods predict whose error is at most so large. Median errors: {middles}.",
        f"{figure['title']}: a rising curve for each method; median errors {middles}.",
        lambda theme: curves_figure(lines, x_label=axes[0], y_label=axes[1], theme=theme),
        themed=True,
    )


def _curves(figure: Mapping[str, Any], parts: Mapping[str, Any], kind: str) -> Picture:
    chosen = [parts[part] for part in figure["parts"]]
    lines = [(part["label"], part["curve"]["examples"], part["curve"][f"{kind}_bound"]) for part in chosen]
    y_label = f"{kind} bound (nats per example)"
    ends = ", ".join(f"{label} ends at {y[-1]:.2f}" for label, _, y in lines)
    return Picture(
        f"{figure['name']}-{kind}",
        f"{figure['title']}, {kind} bound",
        "Lower bound against training examples seen.",
        f"{figure['title']}, {kind} bound: {ends}.",
        lambda theme: curves_figure(lines, y_label=y_label, log_x=True, focus=True, theme=theme),
        themed=True,
    )


_OF_ROWS = {"study": _study, "published": _published}
