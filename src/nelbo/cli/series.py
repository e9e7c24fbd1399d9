"""`nelbo impute` and `nelbo forecast` of series: answers in the form of the user's table."""

import argparse
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax.random as jr
import numpy as np

from nelbo.cli.output import Line, note, print_json
from nelbo.core import InputError, atomic_write
from nelbo.data import LongSeries, frame_bytes
from nelbo.report import text_table
from nelbo.runs import FilledSeries, Run, calibrated, fill_errors, fill_rows, series_rows
from nelbo.tasks import SERIES_DRAWS

# options of `impute` that are about rows
_OF_ROWS = ("mask", "method", "proposals", "noise", "chain_picture", "split", "limit", "refine")


def impute_series(options: argparse.Namespace, run: Run) -> None:
    """Fill in what is missing in series and write it down.

    Raises:
        InputError: an option that is about rows, or a name that says another form.
    """
    for name in _OF_ROWS:
        if vars(options).get(name) is not None:
            raise InputError(f"--{name.replace('_', '-')} is about single rows, and {run.folder} is a run on series: "
                             "leave it out.")  # fmt: skip
    rows = series_rows(run, options.data)
    for text in rows.notes:
        note(options, text)
    path = target(options, run, rows, "imputed")
    if options.intervals and path.suffix == ".npz":
        raise InputError("--intervals adds columns to a table: choose the name of a file that ends as the table does.")
    draws = SERIES_DRAWS if options.draws is None else options.draws
    hidden = _hidden(options.hide, rows, options.seed)
    shown = rows.hiding(hidden)
    said = {"draws": draws, "progress": counter(options, "windows")}
    fill_key, scale_key = jr.split(jr.key(options.seed))
    filled, scale = fill_rows(fill_key, run, shown, **said), None
    with_ends = options.intervals or options.hide is not None or path.suffix == ".npz"
    if with_ends and np.isnan(shown.values).any():
        filled, scale = calibrated(scale_key, run, shown, filled, **said)
        note(options, _said_of_scale(scale))
    blank, count = rows.unknown, len(rows.places) if rows.table is None else len(rows.table)
    record: dict[str, Any] = {"file": str(path), "rows": count, "missing_entries": int(blank.sum()),
                              "draws": draws, **({} if scale is None else {"interval_scale": scale})}  # fmt: skip
    with atomic_write(path) as file:
        file.write(_npz(rows, filled) if path.suffix == ".npz" else filled_series(rows, filled, options.intervals))
    if options.hide is not None:
        record["hidden"] = fill_errors(filled, rows, hidden)
    if options.json:
        print_json(record)
        return
    note(options, f"Wrote {path}: {int(blank.sum())} missing values of {count} rows filled in")
    if "hidden" in record:
        print(text_table(record["hidden"]), end="")


def _said_of_scale(scale: float | None) -> str:
    if scale is None:
        return "Intervals are the model's own: too few numbers are known to calibrate them by."
    return (f"Intervals are {scale:.2f} times the model's own, so wide that 90 % of known values hidden in such gaps "
            "lie inside.")  # fmt: skip


def target(options: argparse.Namespace, run: Run, rows: LongSeries, usual: str) -> Path:
    """Where to write; checked before anything is computed.

    Raises:
        InputError: a name that says another form.
    """
    own = rows.table.suffix if rows.table is not None else ".npz"
    path = Path(options.output or run.folder / f"{usual}{own}")
    forms = (own, ".npz") if own != ".npz" else (".npz",)
    if path.suffix not in forms or path.is_dir():
        raise InputError(f"Cannot write {path}: choose the name of a file that ends in {' or '.join(forms)}.")
    return path


def counter(options: argparse.Namespace, what: str) -> Callable[[int], None] | None:
    """Tells how much is done."""
    if options.quiet:
        return None
    line = Line()
    return lambda done: line.show(f"{done} {what}", done=False)


def _hidden(text: str | None, rows: LongSeries, seed: int) -> np.ndarray:
    """Which values `--hide` hides: a share of all, or `gap:LENGTH`, runs of that many rows in a tenth of all.

    Raises:
        InputError: neither, or nothing would be hidden.
    """
    hidden = np.zeros(rows.values.shape, bool)
    if text is None:
        return hidden
    random = np.random.default_rng(seed)
    kind, _, size = text.partition(":")
    try:
        if kind == "gap":
            length = int(size)
            starts = random.random(hidden.shape) < 0.1 / length
            for row, channel in np.argwhere(starts):
                hidden[row : row + length, channel] = True
        else:
            hidden = random.random(hidden.shape) < float(text)
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(f"--hide takes a share of the values of series such as 0.1, or gap:LENGTH, got {text!r}.") from error  # fmt: skip  # noqa: E501
    if not (hidden & ~np.isnan(rows.values)).any():
        raise InputError(f"--hide {text} hides no known value, so there is nothing to score: hide more.")
    return hidden


def filled_series(rows: LongSeries, filled: FilledSeries, intervals: bool) -> bytes:  # noqa: FBT001 (a flag handed on)
    """The user's table with its missing cells written anew, and maybe the ends of their intervals in new columns.

    Rows without a time or an id stay as they are.
    """
    table = rows.table
    if table is None:
        raise InputError(f"{rows.where} is no table: write the result as .npz.")
    # a repeated time may have its value in another row
    values = rows.in_file(np.where(np.isnan(rows.values), filled.mean, rows.values))
    content = table.filled(rows.columns(), values, rows.unknown)
    if not intervals:
        return content
    ends = {name: np.where(rows.unknown, rows.in_file(vars(filled)[name]), np.nan) for name in ("low", "high")}
    beside = {f"{c.name}_{name}": part[:, i] for i, c in enumerate(rows.written) for name, part in ends.items()}
    return table.reread(content, len(table)).extended(range(len(table.names)), beside, None)


def _npz(rows: LongSeries, filled: FilledSeries) -> bytes:
    """Everything, in the places of the file's rows; one without a time or an id is NaN."""
    stream = io.BytesIO()
    known = np.where(np.isnan(rows.values), filled.mean, rows.values)
    parts = {"values": known, **{name: vars(filled)[name] for name in ("mean", "std", "low", "high", "draws")}}
    arrays = {name: rows.in_file(part).astype(np.float32) for name, part in parts.items()}
    names = np.array([column.name for column in rows.channels], dtype=str)
    observed = np.logical_not(rows.blank.reshape(rows.shape) if rows.shape else rows.blank)
    np.savez_compressed(stream, allow_pickle=False, observed=observed, names=names, **arrays)
    return stream.getvalue()


def beside_rows(rows: LongSeries, columns: Mapping[str, np.ndarray]) -> bytes:
    """The user's table with new columns, of a number or a text for each row of the series; in wide form each is one for
    every column of values, and texts are left out.

    Raises:
        InputError: the series are of arrays.
    """
    table = rows.table
    if table is None:
        raise InputError(f"{rows.where} is no table: write the result as .npz.")
    beside: dict[str, np.ndarray] = {}
    for name, values in columns.items():
        if values.dtype.kind == "O":
            texts = np.append(values, "")[rows.places]
            beside |= {name: texts} if rows.layout == "long" else {}
            continue
        laid = rows.in_file(values[:, None].astype(float))
        if rows.layout == "long":
            beside[name] = laid[:, 0]
        else:
            beside |= {f"{column.name} {name}": laid[:, i] for i, column in enumerate(rows.written)}
    return table.extended(range(len(table.names)), beside, None)


def written_table(path: Path, columns: dict[str, list[Any]], rows: LongSeries) -> bytes:
    """A table of its own in the form of the user's: delimiter, decimal mark, Parquet with its dates."""
    import pandas as pd

    frame = pd.DataFrame(columns)
    time = rows.parts[1]
    if rows.dated and time in columns and (rows.table is None or rows.table.dialect is None):
        frame[time] = pd.to_datetime(frame[time])
    return frame_bytes(frame, path.suffix, None if rows.table is None else rows.table.dialect)
