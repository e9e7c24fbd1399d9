"""The HTML page of one run."""

import html
from collections.abc import Mapping
from typing import Any

from nelbo.report.json_values import flatten, number, numeric_keys
from nelbo.report.markup import code, columns, figure, folded, page, paragraph, section
from nelbo.report.results import (
    NOT_STATED,
    bound_kind,
    bound_name,
    headline,
    nats_and_errors,
    result_rows,
    samples_text,
    shared_facts,
    signed,
)
from nelbo.report.run_pictures import pictures_of
from nelbo.report.tables import MISSING, cell_text, fixed, html_table
from nelbo.runs import LOG_SCORE, PAIR_SCORE, RunRecord

_HISTORY_HEADINGS = {
    "examples": "training examples seen",
    "train_bound": "train bound (nats)",
    "valid_bound": "validation bound (nats)",
    "test_bound": "test bound (nats)",
    "seconds": "time (s)",
}
_SHOWN_ELSEWHERE = ("command", "sha256")  # of the settings
_ERRORS = (
    "Both errors are standard errors of the mean: the Monte Carlo error comes from the random draws, the error over "
    "examples from the choice of the examples."
)
_SCORED = {  # what is drawn for a score, and what it is the score of, where that is not log p(x)
    LOG_SCORE: ("the weights", "log p(y | x), y the target"),
    PAIR_SCORE: ("the factors", "log p(y | row, column), y the value"),
}
_UNBROKEN = "\u00a0"


def run_page(run: RunRecord) -> str:
    """The page of one run as HTML.

    Raises:
        InputError: an array has a shape that cannot be drawn.
    """
    drawn = [section(item.heading, figure(item)) for item in pictures_of(run)]
    return page(
        f"{run.name} on {run.data.name}" if run.name == run.model and run.data.name else run.name,
        _lead(run),
        _headline_box(run),
        *drawn,
        section("Results", *_results(run)),
        *_draws(run),
        *_columns(run),
        *_typical(run),
        section("Settings", columns(*_settings(run), style="cards")),
        section("Training history", html_table(_history_rows(run))),
        section("How to reproduce", *reproduction(run)),
    )


def reproduction(run: RunRecord) -> list[str]:
    """The command, then where and how the numbers came to be, as HTML."""
    seed = {"seed": run.config["seed"]} if "seed" in run.config else {}
    facts = {**seed, **{name: value for name, value in run.facts.items() if name != "sampling"}}
    if run.wall_seconds is not None:
        facts["wall time"] = duration(run.wall_seconds)
    digests = [_pairs(run.data.digests, "split", "SHA-256")]
    return [
        code(run.command),
        _pairs(facts, "fact", "value"),
        folded("Versions of packages", _pairs(run.versions, "package", "version")),
        folded("Fingerprints of the data", *digests),
    ]


def duration(seconds: float | int) -> str:
    """Seconds as a person says them: "42.3 s", "3 min 05 s", "2 h 10 min"; the spaces do not break."""
    if seconds < 60:
        return f"{seconds:.1f}{_UNBROKEN}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{_UNBROKEN}min{_UNBROKEN}{rest:02d}{_UNBROKEN}s"
    return f"{minutes // 60}{_UNBROKEN}h{_UNBROKEN}{minutes % 60:02d}{_UNBROKEN}min"


def _lead(run: RunRecord) -> str:
    """Model, data and objective in one line."""
    parts = {"model": run.model, "data": run.data.name, "objective": run.objective}
    text = ", ".join(f"{what} {name}" for what, name in parts.items() if name)
    return text[:1].upper() + text[1:]


def _headline_box(run: RunRecord) -> str:
    """The number first, then its errors and what it is."""
    result = headline(run.results, run.data.name)
    if result is None:
        return ""
    nats, monte_carlo, over_examples = nats_and_errors(result)
    kind, bits = bound_kind(result), number(result.get("bits_per_dim"))
    drawn, quantity = _SCORED.get(str(result.get("bound")), ("z", "log p(x)"))
    split = cell_text(result.get("split")).replace(MISSING, "").capitalize()
    what = f"{split} {bound_name(result.get('bound')).replace(MISSING, 'bound')}".strip()
    entries = {
        "Monte Carlo error": _plus_minus(monte_carlo),
        "error over examples": _plus_minus(over_examples),
        f"draws of {drawn}": samples_text(result.get("samples")),
        "bits per dim": "" if bits is None else f"{bits:.3f}",
        "examples": cell_text(result.get("examples")),
        "binarization": cell_text(result.get("binarization") or NOT_STATED),
    }
    inside = "".join(
        f"<div><dt>{name}</dt><dd>{html.escape(value)}</dd></div>"
        for name, value in entries.items()
        if value not in {"", MISSING}
    )
    about = (
        what if kind == NOT_STATED else f"{what}, {'exact value of' if kind == 'exact' else f'{kind} on'} {quantity}"
    )
    return (
        f'<div class="headline">\n<p>{html.escape(about)}</p>\n'
        f'<p class="value">{html.escape(signed(nats))} <small>nats per example</small></p>\n<dl>{inside}</dl>\n</div>'
    )


def _plus_minus(error: str) -> str:
    """A standard error as it is written beside a number."""
    return f"± {error}{_UNBROKEN}nats" if error != MISSING else ""


def _results(run: RunRecord) -> list[str]:
    """All final numbers of a run; what they have in common stands above the table."""
    if not run.results:
        return []
    facts, rows = shared_facts(result_rows(run.results))
    text = f"{facts[:1].upper()}{facts[1:]}. {_ERRORS}" if facts else _ERRORS
    return [paragraph(text), html_table(rows)]


def _draws(run: RunRecord) -> list[str]:
    """What a sampler's draws of the parameters are worth; nothing of a run without a sampler."""
    found = run.facts.get("sampling")
    if not isinstance(found, Mapping):
        return []
    rows = [
        {
            "quantity": f"{name} temperature",
            "mean over draws": fixed(part.get("mean"), 3),
            "standard error": fixed(part.get("standard_error"), 3),
            "99 % band around the target": f"{fixed(part.get('low'), 3)} to {fixed(part.get('high'), 3)}",
            "within": "yes" if part.get("within") else "no",
        }
        for name in ("kinetic", "configurational")
        if isinstance(part := found.get(name), Mapping)
    ]
    facts = {
        "draws": found.get("draws"),
        "parameters": found.get("parameters"),
        "temperature": found.get("temperature"),
    }
    if found.get("prior_scale") is not None:
        facts["standard deviation of the learned prior"] = fixed(found["prior_scale"], 3)
    for name, words, ends in (
        ("effective", "effective sample size", ("least", "median")),
        ("r_hat", "split R-hat", ("greatest", "median")),
    ):
        values = found.get(name)
        if isinstance(values, list | tuple):
            facts |= {f"{words}, {end}": fixed(value, 2) for end, value in zip(ends, values, strict=False)}
    return [section("Draws of the parameters", _pairs(facts, "fact", "value"), html_table(rows) if rows else "")]


def _columns(run: RunRecord) -> list[str]:
    """What the columns of a table are, and how well their hidden cells came back."""
    if not run.data.table or not any(row["modelled as"] for row in run.data.table):
        return []
    parts = [html_table(run.data.table, kind="texts")]
    if run.filled:
        rows = [{name: _filled_cell(name, value) for name, value in row.items()} for row in run.filled]
        parts += [
            paragraph(
                "What the last filling said of each column: how many cells it filled in, and how well known cells of "
                "held-out rows came back when they were hidden, beside the mean or the most frequent word."
            ),
            html_table(rows),
        ]
    return [section("Columns", *parts)]


def _typical(run: RunRecord) -> list[str]:
    """The test rows whose codes are nearest to the mean, and farthest from it."""
    parts = []
    for which in ("most", "least"):
        rows = [
            {name: cell_text(value) for name, value in row.items() if name != "typical"}
            for row in run.typical
            if row.get("typical") == which
        ]
        if rows:
            heading = f"{which.capitalize()} typical"
            parts += [paragraph(f"{heading}:"), html_table(rows)]
    if not parts:
        return []
    words = (
        "Test rows by how far the length of their code, by the bound, is from what their entries take on average "
        "[bits]. Rows with a longer code surprise the model, rows with a shorter one are plainer than the others."
    )
    return [section("Typical rows", paragraph(words), *parts)]


def _filled_cell(name: str, value: Any) -> Any:
    if not isinstance(value, float):
        return value
    share = name in {"error rate", "by most frequent word", "share in 90 % interval"}
    return f"{value:.1%}" if share else fixed(value, 3)


def _settings(run: RunRecord) -> list[str]:
    """A table for each nested part of the settings, and one for the plain entries."""
    nested = {key: value for key, value in run.config.items() if isinstance(value, Mapping)}
    plain = {key: value for key, value in run.config.items() if key not in {*nested, *_SHOWN_ELSEWHERE}}
    parts = {key.capitalize(): value for key, value in nested.items() if value and key not in _SHOWN_ELSEWHERE}
    return [
        section(heading, _pairs(_unwrapped(value), "setting", "value"), level=3)
        for heading, value in {**parts, "General": plain}.items()
    ]


def _unwrapped(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a part, its arguments one level up."""
    arguments = settings.get("arguments")
    if not isinstance(arguments, Mapping) or set(arguments) & set(settings):
        return dict(settings)
    return {key: value for key, value in settings.items() if key != "arguments"} | dict(arguments)


def _history_rows(run: RunRecord) -> list[dict[str, Any]]:
    """The first, the best and the last evaluation, every quantity with its unit."""
    if not run.history:
        return []
    moments = {"first": run.history[0]}
    keys = numeric_keys(run.history)
    key, name = ("valid_bound", "validation") if "valid_bound" in keys else ("train_bound", "train")
    scored = [row for row in run.history if number(row.get(key)) is not None]
    if scored:
        moments[f"best {name} bound"] = max(scored, key=lambda row: row[key])
    moments["last"] = run.history[-1]
    first = f"of {len(run.history)} evaluations"
    return [
        {first: moment, **{_HISTORY_HEADINGS.get(key, key): _history_cell(key, row.get(key)) for key in keys}}
        for moment, row in moments.items()
    ]


def _history_cell(key: str, value: Any) -> str:
    """Bounds with two decimals, or four if they are below a nat; seconds with one, other quantities as they are."""
    if key.endswith("_bound"):
        found = number(value)
        return fixed(value, 4 if found is not None and abs(found) < 1.0 else 2)
    return fixed(value, 1) if key == "seconds" else cell_text(value)


def _pairs(value: Mapping[str, Any], key: str, entry: str) -> str:
    """Nested settings as a table of two columns."""
    rows = [{key: name, entry: cell_text(leaf)} for name, leaf in flatten(value)]
    return html_table(rows, kind="settings")
