"""The HTML page of several runs: like is compared with like."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from nelbo.report.figures import Curve, bound_curves, curves_figure
from nelbo.report.json_values import flatten, number
from nelbo.report.markup import columns, figure, folded, page, paragraph, section
from nelbo.report.picture import Picture
from nelbo.report.results import (
    BITS,
    MONTE_CARLO,
    NATS,
    OVER_EXAMPLES,
    bound_kind,
    result_rows,
    samples_text,
    shared_facts,
)
from nelbo.report.run_pictures import bound_caption, pictures_of
from nelbo.report.single_run import duration, reproduction
from nelbo.report.tables import cell_text, html_table
from nelbo.runs import RunRecord

_ALONE = (
    "No other run has a number of the same bound, draws, split, data and binarization, so these are not to be compared "
    "with each other or with the numbers above."
)


_ALONE_COLUMNS = ("run", "split", "bound", "kind", "samples", NATS, MONTE_CARLO, OVER_EXAMPLES, BITS, "binarization",
                  "examples", "data")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Comparable:
    """What a number is of. Only numbers that agree in all of this compare.

    Attributes:
        split: "train", "valid" or "test".
        bound: its name.
        kind: "lower bound", "exact", ...
        samples: draws of z for each example.
        data: the name of the data set.
        digest: the SHA-256 of the split, where the run wrote it down.
        binarization: of the data.
        values: what the likelihood is a distribution of.
        examples: how many were scored.
    """

    split: str
    bound: str
    kind: str
    samples: str
    data: str
    digest: str
    binarization: str
    values: str
    examples: str


def comparison_page(runs: Sequence[RunRecord]) -> str:
    """The page of several runs as HTML.

    Args:
        runs: under names that differ.

    Raises:
        InputError: an array has a shape that cannot be drawn.
    """
    return page(
        f"Comparison of {len(runs)} runs",
        ", ".join(run.name for run in runs),
        section("Results", *_result_tables(runs)),
        section("Learning curves", *map(figure, _curve_pictures(runs))),
        section("Settings that differ", html_table(_differences(runs), kind="texts")),
        section("Each run", *(folded(run.name, *_details(run)) for run in runs)),
    )


def told_apart(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Runs under names that differ: their own, with the folder's where names are the same, then with a number."""
    names = [run.name for run in runs]
    taken: set[str] = set()
    result = []
    for run in runs:
        base = run.name if names.count(run.name) == 1 else f"{run.name} ({run.folder.resolve().name})"
        name, count = base, 1
        while name in taken:
            count += 1
            name = f"{base} {count}"
        taken.add(name)
        result.append(dataclasses.replace(run, name=name))
    return result


def measure(run: RunRecord, result: Mapping[str, Any]) -> Comparable:
    """What a result of a run is of."""
    split, data = cell_text(result.get("split")), cell_text(result.get("data") or run.data.name)
    own = data == run.data.name
    return Comparable(
        split=split,
        bound=cell_text(result.get("bound")),
        kind=bound_kind(result),
        samples=cell_text(result.get("samples")),
        data=data,
        digest=cell_text(run.data.digests.get(split)) if own else "",
        binarization=cell_text(result.get("binarization")),
        values=run.values,
        examples=cell_text(result.get("examples")),
    )


def _result_tables(runs: Sequence[RunRecord]) -> list[str]:
    """A table for each measure that two runs share, the best on top, and one of what stands alone."""
    groups: dict[Comparable, list[tuple[RunRecord, Mapping[str, Any]]]] = {}
    for run in runs:
        for result in run.results:
            groups.setdefault(measure(run, result), []).append((run, result))
    shared = {what: rows for what, rows in groups.items() if len({run.name for run, _ in rows}) > 1}
    alone = [row for what, rows in groups.items() if what not in shared for row in rows]
    order = sorted(shared, key=lambda what: (what.split != "test", -len(shared[what])))
    tables = [section(_title(shared[what][0][1], what), _shared_table(shared[what]), level=3) for what in order]
    if alone:
        rows = [row for run, result in alone for row in result_rows([result], run=run.name)]
        facts, rows = shared_facts([{key: row.get(key) for key in _ALONE_COLUMNS} for row in rows])
        text = f"{_ALONE} {f'{facts[:1].upper()}{facts[1:]}.' if facts else ''}".strip()
        tables.append(section("Numbers that stand alone", paragraph(text), html_table(rows), level=3))
    return tables


def _title(result: Mapping[str, Any], what: Comparable) -> str:
    """A measure in words."""
    (row,) = result_rows([result])
    draws = samples_text(result.get("samples"))
    number_of = f"{what.split.capitalize()} {row['bound']}{f' of {draws}' if draws else ''} ({what.kind})"
    return f"{number_of}: {what.data}, binarization {row['binarization']}, {what.examples} examples"


def _shared_table(rows: Sequence[tuple[RunRecord, Mapping[str, Any]]]) -> str:
    """Numbers of one measure, the highest first."""
    ordered = sorted(rows, key=lambda pair: -(number(pair[1].get("nats")) or -float("inf")))
    table = []
    for run, result in ordered:
        (row,) = result_rows([result], run=run.name)
        wall = None if run.wall_seconds is None else duration(run.wall_seconds)
        table.append({key: row[key] for key in ("run", NATS, MONTE_CARLO, OVER_EXAMPLES, BITS)} | {"wall time": wall})
    return html_table(table)


def _curve_pictures(runs: Sequence[RunRecord]) -> list[Picture]:
    """A figure for each bound on each data set, with a curve for each run."""
    groups: dict[tuple[str, ...], list[RunRecord]] = {}
    for run in runs:
        if bound_curves(run.history)[0]:
            settings = run.config.get("data")
            seen = cell_text(settings) if run.config else ""
            digests = cell_text(run.data.digests)
            groups.setdefault((run.history_bound, run.data.name, digests, seen, run.values), []).append(run)
    return [
        _curve_picture(group, "" if len(groups) == 1 else f"_{place}")
        for place, group in enumerate(groups.values(), start=1)
    ]


def _curve_picture(runs: Sequence[RunRecord], suffix: str) -> Picture:
    """Validation bounds if all runs have them, else training bounds."""
    found: list[tuple[str, dict[str, Curve], str]] = []
    for run in runs:
        curves, axis = bound_curves(run.history)
        found.append((run.name, {curve[0]: curve for curve in curves}, axis))
    split = next((s for s in ("validation", "train") if all(s in curves for _, curves, _ in found)), None)
    chosen = [(name, curves[split] if split else next(iter(curves.values()))) for name, curves, _ in found]
    lines: list[Curve] = [(name, x, y) for name, (_, x, y) in chosen]
    axes = {axis for *_, axis in found}
    x_label = axes.pop() if len(axes) == 1 else "training progress (units differ between runs)"
    y_label = f"{split} bound (nats per example)" if split else "bound (nats per example)"
    data = f" Data: {runs[0].data.name}." if runs[0].data.name else ""
    return Picture(
        f"learning_curves{suffix}",
        "Learning curves",
        f"{bound_caption(runs[0].history_bound)}{data}",
        f"Learning curves of {len(lines)} runs: {', '.join(name for name, *_ in lines)}.",
        lambda theme: curves_figure(lines, x_label=x_label, y_label=y_label, log_x=True, focus=True, theme=theme),
        themed=True,
    )


def _details(run: RunRecord) -> list[str]:
    """The pictures and provenance of one run of several."""
    drawn = (figure(item) for item in pictures_of(run) if item.stem != "learning_curves")
    return [columns(*drawn), *reproduction(run)]


def _differences(runs: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """Settings that are not the same in all runs, a column per run."""
    flat = [dict(flatten(run.config)) for run in runs]
    keys = list(dict.fromkeys(key for settings in flat for key in settings if key != "name"))
    rows = []
    for key in keys:
        texts = [cell_text(settings.get(key)) for settings in flat]
        if len(set(texts)) > 1:
            rows.append({"setting": key, **{run.name: text for run, text in zip(runs, texts, strict=True)}})
    return rows
