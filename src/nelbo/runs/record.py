"""The contents of a run folder, read without opening its model, for tables, figures and pages."""

import dataclasses
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.core import InputError, os_error, read_arrays, read_json
from nelbo.models import families, likelihoods
from nelbo.runs.folder import ARRAYS, CONFIG, FILLED, HISTORY, RECORD, TYPICAL, TYPICAL_ARRAYS
from nelbo.runs.objectives import objectives

MAX_HISTORY_BYTES = 2**30
VARIANCE = "variance.json"
_PARTS = (CONFIG, HISTORY, RECORD, ARRAYS)
_DEEPEST = 32  # levels of nested JSON
_OWN_FIELDS = ("name", "results", "versions", "command", "data", "wall_time_seconds")


@dataclasses.dataclass(frozen=True)
class DataRecord:
    """The data that a run was fitted to, as its folder describes them; what it does not describe is empty.

    Attributes:
        name: of the data set, or a path.
        digests: the SHA-256 of each split.
        class_names: the name of label 0, 1, ...
        columns: the name of each entry of an example that is a row of a table.
        table: a row for each column of a table: its name, its contents, how it is modelled or why it is not, and the
            share of its cells that were missing in training.
    """

    name: str = ""
    digests: Mapping[str, str] = dataclasses.field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    table: tuple[Mapping[str, Any], ...] = ()


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """A run as its folder describes it; what is missing on disk is empty here.

    Attributes:
        folder: where it was read from.
        name: the name in `record.json` or `config.json`, else the folder's own.
        config: the settings, nested.
        model: the name of the model.
        objective: the name of the objective.
        history: a row for each evaluation, in order of training; bounds in nats per example.
        history_bound: the bound in the history: "ELBO", "IWAE, 5 samples", or "log p(x)", which is exact.
        results: the final numbers, a row for each; see `result_row`.
        data: the data that it was fitted to.
        values: the kind of values that its likelihood scores; numbers for different kinds cannot be compared.
        command: the shell command that carried it out.
        versions: of packages.
        wall_seconds: wall time [s].
        facts: the rest of `record.json`: seed, hardware, commit, ...
        arrays: named arrays for figures.
        samples_are: "means" (E[x | z]) or "draws" (of x): what the array "samples" holds.
        variance: of gradients, `variance[estimator][layer]["variance"]`.
        filled: a summary of each column from the last imputation, see `nelbo.runs.column_summary`.
        typical: the most and the least typical test rows, see `nelbo.runs.keep_typical`.
    """

    folder: Path
    name: str
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    model: str = ""
    objective: str = ""
    history: tuple[Mapping[str, Any], ...] = ()
    history_bound: str = "ELBO"
    results: tuple[Mapping[str, Any], ...] = ()
    data: DataRecord = DataRecord()
    values: str = ""
    command: str = ""
    versions: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    wall_seconds: float | None = None
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    samples_are: str = "means"
    variance: Mapping[str, Mapping[str, Mapping[str, Any]]] = dataclasses.field(default_factory=dict)
    filled: tuple[Mapping[str, Any], ...] = ()
    typical: tuple[Mapping[str, Any], ...] = ()


def read_run_record(folder: Path | str) -> RunRecord:
    """Read the record of a run from its folder. The model is not opened, and the run need not be finished.

    Args:
        folder: a folder that holds at least one of `config.json`, `history.jsonl`, `record.json`, `arrays.safetensors`.

    Raises:
        InputError: the folder is no run, or one of its files is damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give the folder of a run, such as `nelbo fit --out` made.")
    if not any((folder / part).is_file() for part in _PARTS):
        raise InputError(f"{folder} is no run of nelbo: it holds none of {', '.join(_PARTS)}.")
    config, record = _read_object(folder / CONFIG), _read_object(folder / RECORD)
    results = record.get("results") or []
    if not isinstance(results, list):
        raise InputError(f"{folder / RECORD}: 'results' must be a list of objects.")
    model, objective = _object(config.get("model")), _object(config.get("objective"))
    arrays, notes = _read_figure_arrays(folder / ARRAYS)
    wall = record.get("wall_time_seconds")
    return RunRecord(
        folder=folder,
        name=_text(record.get("name")) or _text(config.get("name")) or folder.resolve().name or "run",
        config=config,
        model=_text(model.get("name")) or _text(config.get("model")),
        objective=_text(objective.get("name")),
        history=read_history(folder / HISTORY) if (folder / HISTORY).is_file() else (),
        history_bound=_history_bound(objective),
        results=tuple(row for row in results if isinstance(row, dict)),
        data=_data_record(_object(record.get("data")), config),
        values=_values(model),
        command=_command(record.get("command") or config.get("command")),
        versions=_object(record.get("versions")),
        wall_seconds=float(wall) if isinstance(wall, int | float) else None,
        facts={name: value for name, value in record.items() if name not in _OWN_FIELDS},
        arrays=arrays | _read_figure_arrays(folder / TYPICAL_ARRAYS)[0],
        samples_are=_text(notes.get("samples")) or ("means" if "reconstructions" in arrays else "draws"),
        variance=_read_variance(folder / VARIANCE),
        filled=_rows_of(_read_object(folder / FILLED).get("columns")),
        typical=_rows_of(_read_object(folder / TYPICAL).get("rows")),
    )


def read_history(path: Path | str) -> tuple[Mapping[str, Any], ...]:
    """Read the rows of a `history.jsonl`.

    A last line that has no line end and is not valid JSON was cut off when the run was killed, and is left out. If a
    run was resumed from a checkpoint, rows of repeated steps replace earlier ones; rows of the same step are merged.

    Raises:
        InputError: the file cannot be read, or any other line is not a JSON object.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_HISTORY_BYTES:
            raise InputError(f"{path} is larger than {MAX_HISTORY_BYTES} bytes: this is no history that nelbo wrote.")
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise os_error("read", path, error) from error
    rows: list[Mapping[str, Any]] = []
    for line_number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            if line_number == len(lines):
                break
            raise InputError(f"{path}, line {line_number} is not valid JSON: restore the file or remove it.") from error
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {line_number} must be a JSON object, not a {type(row).__name__}.")
        _append(rows, row)
    return tuple(rows)


def _append(rows: list[Mapping[str, Any]], row: Mapping[str, Any]) -> None:
    """Append a row to a history: rows of later steps are dropped, and a row of the same step is merged with it."""
    step = row.get("step")
    earlier: Mapping[str, Any] = {}
    if isinstance(step, int):
        while rows and isinstance(previous := rows[-1].get("step"), int) and previous >= step:
            dropped = rows.pop()
            earlier = dropped if previous == step else {}
    rows.append({**earlier, **row})


def _read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty if there is no file."""
    if not path.is_file():
        return {}
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(f"{path} must hold a JSON object with named entries, not a {type(value).__name__}.")
    layer: list[Any] = [value]
    for _ in range(_DEEPEST):
        layer = [e for v in layer if isinstance(v, dict | list) for e in (v.values() if isinstance(v, dict) else v)]
    if layer:
        raise InputError(f"{path} is nested more than {_DEEPEST} levels deep: this is no record that nelbo wrote.")
    return value


def _read_figure_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays for figures and notes about them; empty if there is no file."""
    if not path.is_file():
        return {}, {}
    arrays, notes = read_arrays(path, "figure data")
    for name, value in arrays.items():
        if value.dtype.kind not in "fiub":
            raise InputError(f"{path}: the array {name!r} holds no real numbers ({value.dtype}).")
    return arrays, _object(notes)


def _read_variance(path: Path) -> Mapping[str, Any]:
    """The rows that `nelbo variance` wrote; empty if there is no file."""
    rows = _read_object(path).get("rows", {})
    sound = isinstance(rows, dict) and all(isinstance(row, dict) for row in rows.values())
    if not sound or not all(isinstance(cell, dict) for row in rows.values() for cell in row.values()):
        raise InputError(f"{path} is damaged: make it again with `nelbo variance {path.parent}`.")
    return rows


def _history_bound(objective: Mapping[str, Any]) -> str:
    """The bound that an objective reports while it trains."""
    named = objectives().get(_text(objective.get("name")))
    if named is None:
        return "ELBO"
    if named.reports == "exact":
        return "log p(x)"
    if named.reports == "pseudo":
        return "pseudo-log-likelihood"
    if named.reports == "score":
        return "minus the score"
    if named.reports == "perturbative":
        return "perturbative bound"
    samples = _object(objective.get("arguments")).get("samples", 1)
    return f"IWAE, {samples} samples" if named.reports == "iwae" and samples != 1 else "ELBO"


def _data_record(record: Mapping[str, Any], config: Mapping[str, Any]) -> DataRecord:
    """The data's description in `record.json`, or in `config.json` for an unfinished run."""
    asked = config.get("data")
    return DataRecord(
        name=_text(record.get("name")) or _text(_object(asked).get("name")) or _text(asked),
        digests=_object(record.get("sha256")) or _object(config.get("sha256")),
        class_names=_texts(record.get("labels")),
        columns=_texts(record.get("columns")),
        table=_table(record, _object(config.get("schema"))),
    )


def _rows_of(value: Any) -> tuple[Mapping[str, Any], ...]:
    return tuple(row for row in value if isinstance(row, dict)) if isinstance(value, list) else ()


def _table(record: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """A row for each column that a schema describes, whatever else the file may hold."""
    missing, kinds = _object(record.get("missing_by_column")), _object(record.get("kinds"))
    rows = []
    for column in _rows_of(schema.get("columns")):
        name = _text(column.get("name"))
        aside = column.get("role") == "set aside"
        share, kind = missing.get(name), _kind_in_words(_text(kinds.get(name)))
        rows.append(
            {
                "column": name,
                "holds": _text(column.get("kind")),
                "modelled as": f"not: {_text(column.get('reason'))}" if aside else kind or None,
                "missing": f"{share:.1%}" if isinstance(share, int | float) else None,
            }
        )
    return tuple(rows)


def _kind_in_words(kind: str) -> str:
    """How a column is modelled, as a reader says it: "one of 3 words" for `words:3`."""
    name, _, count = kind.partition(":")
    return {"words": f"one of {count} words", "ordinal": f"one of {count} ordered levels"}.get(name, kind)


def _values(model: Mapping[str, Any]) -> str:
    """The kind of values that a model's likelihood scores; empty if the likelihood is unknown."""
    family = families().get(_text(model.get("name")))
    of_family = None if family is None else family.likelihood
    asked = _text(_object(model.get("arguments")).get("likelihood"))
    likelihood = likelihoods().get(asked or of_family or "")
    if likelihood is None:
        return ""
    # densities compare with each other, whatever limits their means have
    return "real" if likelihood.values[0] == "unit" else likelihood.values[0]


def _command(value: Any) -> str:
    """A shell command from a text, or from a list of its words."""
    return shlex.join(map(str, value)) if isinstance(value, list) else _text(value)


def _object(value: Any) -> dict[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    """The value if it is text, else nothing."""
    return value if isinstance(value, str) else ""


def _texts(value: Sequence[Any] | None) -> tuple[str, ...]:
    """The entries of a JSON list as texts; none of anything else."""
    return tuple(map(str, value)) if isinstance(value, list) else ()
