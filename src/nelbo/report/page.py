"""One HTML page about one run or several."""

import dataclasses
import html
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nelbo.core import InputError, atomic_write
from nelbo.report.figures import bound_curves, curves_figure
from nelbo.report.markup import code, document, figure, section
from nelbo.report.pictures import Picture, pictures
from nelbo.report.records import Run, flatten, number, numeric_keys, read_run
from nelbo.report.tables import MISSING, NOT_STATED, bound_name, cell_text, fixed, html_table, nats_texts, result_rows

_HISTORY_UNITS = {
    "examples": "training examples seen",
    "train_bound": "train bound (nats)",
    "valid_bound": "validation bound (nats)",
    "test_bound": "test bound (nats)",
    "seconds": "time (s)",
}
_MINUS = "\u2212"
_GLUE = "\u00a0"


def write_report(runs: Sequence[Path | str], out: Path | str | None = None) -> Path:
    """Write one HTML page, complete in itself, about one run or comparing several.

    Args:
        runs: run folders.
        out: the file, or a folder for `report.html`. If not given: the run folder, or for several runs the deepest
            folder that holds them all.

    Returns:
        The file written.

    Raises:
        InputError: no run is given, one is no run or damaged, or the page cannot be written.
    """
    if not runs:
        raise InputError("A report needs at least one run folder.")
    records = _told_apart([read_run(folder) for folder in runs])
    folders = [run.folder.resolve() for run in records]
    if out is None:
        out = folders[0] if len(folders) == 1 else Path(os.path.commonpath([path.parent for path in folders]))
    path = Path(out)
    if path.is_dir():
        path = path / "report.html"
    page = _single(records[0]) if len(records) == 1 else _comparison(records)
    # a name on disk may hold bytes that are no text
    with atomic_write(path) as stream:
        stream.write(page.encode("utf-8", "replace"))
    return path


def headline(run: Run) -> Mapping[str, Any] | None:
    """The result a run is known by: on test data if there is any, with the most samples; None if there is none."""
    scored = [row for row in run.results if number(row.get("nats")) is not None]
    tested = [row for row in scored if row.get("split") == "test"] or scored
    return max(tested, key=lambda row: number(row.get("samples")) or 0.0, default=None)


def _single(run: Run) -> str:
    """The page of one run."""
    drawn = {item.stem: item for item in pictures(run)}
    body = [
        f"<header>\n<h1>{html.escape(run.name)}</h1>\n{_lead(run)}\n</header>",
        _headline_box(run),
        section("Learning curves", *(figure(drawn[stem]) for stem in ["learning_curves"] if stem in drawn)),
        *(section(item.heading, figure(item)) for stem, item in drawn.items() if stem != "learning_curves"),
        section("Results", html_table(result_rows(run.results))),
        section("Configuration", *_configuration(run)),
        section("Training history", html_table(_history_rows(run))),
        section("How to reproduce", *_reproduction(run)),
        section("Versions", _pairs(_mapping(run.record.get("versions")), "package", "version")),
        "<footer>Made by nelbo from the records in the run folder.</footer>",
    ]
    return document(run.name, "\n".join(part for part in body if part))


def _comparison(runs: Sequence[Run]) -> str:
    """The page of several runs."""
    names = ", ".join(run.name for run in runs)
    title = f"Comparison of {len(runs)} runs"
    every = [row for run in runs for row in result_rows(run.results, run=run.name)]
    more = html_table(every, caption="All results") if any(len(run.results) > 1 for run in runs) else ""
    body = [
        f'<header>\n<h1>{title}</h1>\n<p class="lead">{html.escape(names)}</p>\n</header>',
        section("Results", html_table([_comparison_row(run) for run in runs]), more),
        section("Learning curves", *map(figure, _comparison_curves(runs))),
        section("Settings that differ", html_table(_differences(runs))),
        section("Each run", *map(_details, runs)),
        "<footer>Made by nelbo from the records in the run folders.</footer>",
    ]
    return document(title, "\n".join(part for part in body if part))


def _details(run: Run) -> str:
    """The pictures and provenance of one run of several, folded away."""
    drawn = [figure(item) for item in pictures(run) if item.stem != "learning_curves"]
    parts = [f'<div class="pair">{"".join(drawn)}</div>' if drawn else "", *_reproduction(run)]
    inside = "\n".join(part for part in parts if part)
    return f"<details><summary>{html.escape(run.name)}</summary>\n{inside}\n</details>" if inside else ""


def _lead(run: Run) -> str:
    """Model and data in one line."""
    entries = {key: run.config.get(key) for key in ("model", "data")}
    names = {key: entry.get("name") if isinstance(entry, Mapping) else entry for key, entry in entries.items()}
    words = [f"{key} {name}" for key, name in names.items() if isinstance(name, str) and name]
    text = ", ".join(words)
    return f'<p class="lead">{html.escape(text[:1].upper() + text[1:])}</p>' if text else ""


def _headline_box(run: Run) -> str:
    """The number first, then what it is."""
    result = headline(run)
    if result is None:
        return ""
    nats, error = nats_texts(result)
    value = f"{nats.replace('-', _MINUS)} ± {error}" if error != MISSING else nats.replace("-", _MINUS)
    what = f"{cell_text(result.get('split'))} {bound_name(result.get('bound'))}".replace(MISSING, "").strip() or "bound"
    samples = result.get("samples")
    facts = ["" if samples is None else f"{cell_text(samples)} {'sample' if samples == 1 else 'samples'}"]
    if number(result.get("bits_per_dim")) is not None:
        facts.append(f"{result['bits_per_dim']:.3f} bits per dim")
    facts += [f"binarization: {result.get('binarization') or NOT_STATED}"]
    facts += ["± one standard error"] if error != MISSING else []
    details = " · ".join(fact for fact in facts if fact)
    return (
        f'<div class="headline">\n<p>{html.escape(what[:1].upper() + what[1:])}</p>\n'
        f'<p class="value">{html.escape(value)} <small>nats per example</small></p>\n'
        f"<p>{html.escape(details)}</p>\n</div>"
    )


def _configuration(run: Run) -> list[str]:
    """A table for each nested part of the settings, and one for the plain entries."""
    plain = {key: value for key, value in run.config.items() if not isinstance(value, Mapping)}
    parts = [section("General", _pairs(plain, "setting", "value"), level=3)]
    for key, value in run.config.items():
        if isinstance(value, Mapping) and value:
            parts.append(section(key.capitalize(), _pairs(value, "setting", "value"), level=3))
    return parts


def _history_rows(run: Run) -> list[dict[str, Any]]:
    """The first, the best and the last evaluation, every quantity with its unit."""
    if not run.history:
        return []
    moments = {"first": run.history[0]}
    key = "valid_bound" if "valid_bound" in numeric_keys(run.history) else "train_bound"
    scored = [row for row in run.history if number(row.get(key)) is not None]
    if scored:
        name = "validation" if key == "valid_bound" else "train"
        moments[f"best {name} bound"] = max(scored, key=lambda row: row[key])
    moments["last"] = run.history[-1]
    keys = numeric_keys(run.history)
    first = f"of {len(run.history)} evaluations"
    return [
        {first: moment, **{_HISTORY_UNITS.get(key, key): _history_cell(key, row.get(key)) for key in keys}}
        for moment, row in moments.items()
    ]


def _history_cell(key: str, value: Any) -> str:
    """Bounds with two decimals, seconds with one, other quantities as they are."""
    if key.endswith("_bound"):
        return fixed(value, 2)
    return fixed(value, 1) if key == "seconds" else cell_text(value)


def _reproduction(run: Run) -> list[str]:
    """The command, then where and how the numbers came to be."""
    command = run.record.get("command")
    text = shlex.join(map(str, command)) if isinstance(command, list) else command
    facts = {key: run.record[key] for key in ("commit", "seed", "hardware") if key in run.record}
    if "seed" not in facts and "seed" in run.config:
        facts["seed"] = run.config["seed"]
    wall = number(run.record.get("wall_time_seconds"))
    if wall is not None:
        facts["wall time"] = duration(wall)
    known = {"name", "results", "command", "versions", "wall_time_seconds", *facts}
    facts.update((key, value) for key, value in run.record.items() if key not in known)
    table = _pairs(facts, "fact", "value")
    return [code(text) if isinstance(text, str) and text else "", table]


def _comparison_row(run: Run) -> dict[str, Any]:
    """One row of the results of several runs."""
    row = result_rows([headline(run) or {}], run=run.name)[0]
    wall = number(run.record.get("wall_time_seconds"))
    return {**row, "wall time": None if wall is None else duration(wall)}


def _comparison_curves(runs: Sequence[Run]) -> list[Picture]:
    """One figure with a curve per run: validation bounds if all runs have them, else training bounds."""
    found = [(run.name, *bound_curves(run.history)) for run in runs]
    found = [(name, {label: (x, y) for label, x, y in curves}, axis) for name, curves, axis in found if curves]
    if not found:
        return []
    kind = next((k for k in ("validation", "train") if all(k in curves for _, curves, _ in found)), None)
    lines = [(name, *(curves[kind] if kind else next(iter(curves.values())))) for name, curves, _ in found]
    axes = {axis for *_, axis in found}
    x_label = axes.pop() if len(axes) == 1 else "training progress (units differ between runs)"
    y_label = f"{kind} bound (nats per example)" if kind else "bound (nats per example)"
    caption = "Lower bound on log p(x), mean over examples; higher is better."
    words = f"Learning curves of {len(lines)} runs: {', '.join(name for name, *_ in lines)}."
    return [
        Picture(
            "learning_curves",
            "Learning curves",
            caption,
            words,
            lambda theme: curves_figure(lines, x_label=x_label, y_label=y_label, log_x=True, focus=True, theme=theme),
            themed=True,
        )
    ]


def _differences(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Settings that are not the same in all runs, a column per run."""
    flat = [dict(flatten(run.config)) for run in runs]
    keys = list(dict.fromkeys(key for settings in flat for key in settings if key != "name"))
    rows = []
    for key in keys:
        texts = [cell_text(settings.get(key)) for settings in flat]
        if len(set(texts)) > 1:
            rows.append({"setting": key, **{run.name: text for run, text in zip(runs, texts, strict=True)}})
    return rows


def _pairs(value: Mapping[str, Any], key: str, entry: str) -> str:
    """Nested settings as a table of two columns."""
    rows = [{key: name, entry: cell_text(leaf)} for name, leaf in flatten(value)]
    return html_table(rows, kind="settings")


def _mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def _told_apart(runs: Sequence[Run]) -> list[Run]:
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


def duration(seconds: float | int) -> str:
    """Seconds as a person says them: "42.3 s", "3 min 05 s", "2 h 10 min"; the spaces do not break."""
    if seconds < 60:
        return f"{seconds:.1f}{_GLUE}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{_GLUE}min{_GLUE}{rest:02d}{_GLUE}s"
    return f"{minutes // 60}{_GLUE}h{_GLUE}{minutes % 60:02d}{_GLUE}min"
