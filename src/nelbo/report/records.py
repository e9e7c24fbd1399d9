"""Reading a run folder: whatever of it is there, checked at the door."""

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from nelbo.core import InputError, os_error, read_arrays, read_json

MAX_HISTORY_BYTES = 1 * 2**30
_DEEPEST = 32  # levels of nested JSON
_PARTS = ("config.json", "history.jsonl", "record.json", "arrays.safetensors")


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run folder says; a part that is missing on disk is empty here.

    Attributes:
        folder: where it was read from.
        name: the name in `record.json` or `config.json`, else the folder's own.
        config: the settings, nested.
        history: a row per evaluation, in order of training.
        record: the final numbers and where they came from.
        arrays: named arrays for figures.
        variance: of gradients, `variance[estimator][layer]["variance"]`, as `nelbo variance` kept it.
    """

    folder: Path
    name: str
    config: Mapping[str, Any]
    history: tuple[Mapping[str, Any], ...]
    record: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    variance: Mapping[str, Mapping[str, Mapping[str, Any]]] = dataclasses.field(default_factory=dict)

    @property
    def results(self) -> tuple[Mapping[str, Any], ...]:
        """The rows under "results" in `record.json`."""
        return tuple(row for row in self.record.get("results") or () if isinstance(row, Mapping))


def read_run(folder: Path | str) -> Run:
    """Read a run folder.

    Args:
        folder: a folder that holds at least one of `config.json`, `history.jsonl`, `record.json`, `arrays.safetensors`.

    Raises:
        InputError: the folder is no run, or one of its files is damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give the folder of a run, such as `nelbo fit --out` made.")
    config_path, history_path, record_path, arrays_path = (folder / part for part in _PARTS)
    if not any(path.is_file() for path in (config_path, history_path, record_path, arrays_path)):
        raise InputError(f"{folder} is no run of nelbo: it holds none of {', '.join(_PARTS)}.")
    config, record = _read_object(config_path), _read_object(record_path)
    if not isinstance(record.get("results") or [], list):
        raise InputError(f"{record_path}: 'results' must be a list of objects.")
    arrays = read_arrays(arrays_path, "figure data")[0] if arrays_path.is_file() else {}
    history = read_history(history_path) if history_path.is_file() else ()
    names = (source["name"] for source in (record, config) if isinstance(source.get("name"), str) and source["name"])
    name = next(names, folder.resolve().name or "run")
    return Run(folder, name, config, history, record, arrays, _variance(folder / "variance.json"))


def _variance(path: Path) -> Mapping[str, Any]:
    """The rows that `nelbo variance` wrote; empty if there is no file."""
    rows = _read_object(path).get("rows", {})
    sound = isinstance(rows, dict) and all(isinstance(row, dict) for row in rows.values())
    if not sound or not all(isinstance(cell, dict) for row in rows.values() for cell in row.values()):
        raise InputError(f"{path} is damaged: make it again with `nelbo variance {path.parent}`.")
    return {
        name: {layer: {"variance": number(cell.get("variance")) or math.nan} for layer, cell in row.items()}
        for name, row in rows.items()
    }


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


def read_history(path: Path | str) -> tuple[Mapping[str, Any], ...]:
    """Read the rows of a `history.jsonl`.

    A last line without its line end that is not valid JSON was cut off when the run was killed: it is left out. Where a
    run was resumed from a checkpoint, steps that were done again replace what was there; rows of one step become one.

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
        step = number(row.get("step"))
        earlier: Mapping[str, Any] = {}
        while rows and step is not None and (previous := number(rows[-1].get("step"))) is not None and previous >= step:
            dropped = rows.pop()
            earlier = dropped if previous == step else {}
        rows.append({**earlier, **row})
    return tuple(rows)


def number(value: Any) -> float | None:
    """A finite float from a JSON value; None for anything else (a missing entry, text, a boolean, NaN, infinity)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def column(history: Sequence[Mapping[str, Any]], key: str) -> Float64[np.ndarray, " rows"]:
    """One quantity of a history, with NaN where it is missing or not finite."""
    values = (number(row.get(key)) for row in history)
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def numeric_keys(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of a history's quantities that hold a finite number in at least one row, in order of appearance."""
    return list(dict.fromkeys(key for row in history for key, value in row.items() if number(value) is not None))


def flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested JSON objects as (dotted name, value); lists and empty objects count as leaves."""
    for key, entry in value.items():
        name = f"{prefix}{key}"
        if isinstance(entry, Mapping) and entry:
            yield from flatten(entry, f"{name}.")
        else:
            yield name, entry
