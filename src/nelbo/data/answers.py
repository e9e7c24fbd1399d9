"""Answers in the form of what was given: the user's own table with cells filled in, or with new columns."""

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nelbo.core import InputError
from nelbo.data.columns import Column, Dialect
from nelbo.data.schema import Schema
from nelbo.data.splits import Data, Split
from nelbo.data.tables import ParquetTable, UserTable
from nelbo.data.written import frame_bytes


def filled_table(
    data: Data,
    split: Split,
    values: np.ndarray,
    observed: np.ndarray,
    beside: Mapping[str, np.ndarray] | None = None,
) -> bytes:
    """The user's table with missing cells written anew; all others come back as they were, character for character.

    Header, order, ids, labels, dialect and types stay. New cells are written in the form of their column: whole numbers
    where the column holds such, its decimal places and decimal mark, its words for true and false; of a column of words
    the word with the largest entry.

    Args:
        data: read from a table, see `Data.table`.
        split: the rows to give back; those of `data.only` are all rows in the order of the file.
        values: `(rows, entries)`, as the model gives them.
        observed: bool, the same shape; cells that are False are written, where their value is a finite number.
        beside: more columns after those of the table, `(rows,)` each, by name.

    Returns:
        The bytes of a file whose suffix is `data.table.suffix`.

    Raises:
        InputError: the data are no table, or one that cannot be written back cell by cell.
    """
    table, columns, cells = _cells_to_write(data, split, values, observed)
    content = table.filled(columns, cells.values, cells.missing, rows=cells.rows, exact=cells.exact)
    if not beside:
        return content
    return table.reread(content, len(cells.values)).extended(range(len(table.names)), beside, None)


def filled_frame(data: Data, split: Split, values: np.ndarray, observed: np.ndarray) -> Any:
    """The same of a data frame in memory, see `nelbo.data.load_frame`: a data frame with its types.

    Args:
        data: read from a frame.
        split: the rows to give back.
        values: `(rows, entries)`, as the model gives them.
        observed: bool, the same shape; cells that are False are written.
    """
    table, columns, cells = _cells_to_write(data, split, values, observed)
    assert isinstance(table, ParquetTable)  # read from a frame
    return table.filled_frame(columns, cells.values, cells.missing, rows=cells.rows)


def made_frame(schema: Schema, values: np.ndarray) -> Any:
    """Rows that no table holds yet as a data frame of the modelled columns.

    Args:
        schema: of a table.
        values: `(rows, entries)`, in the user's units.
    """
    import pandas as pd

    cells = np.asarray(schema.by_column(values), float).T
    columns = {}
    for name, column, new in zip(schema.modelled_names, schema.features, cells, strict=True):
        if column.levels is not None:
            columns[name] = _typed_levels(column)[new.astype(int)]
        elif column.kind == "truth":
            columns[name] = new >= 0.5
        elif column.kind == "date":
            columns[name] = pd.to_datetime(new, unit="D")
        else:
            rounded = new if column.places is None else np.round(new, column.places)
            columns[name] = np.rint(new).astype(int) if column.kind in {"whole", "binary"} else rounded
    return pd.DataFrame(columns)


def _typed_levels(column: Column) -> np.ndarray:
    """The levels of a column as cells of a data frame: numbers where all are, such as 1 and 2, but no 007."""
    levels = column.levels or ()
    if all(re.fullmatch(r"0|-?[1-9]\d{0,17}", level) for level in levels):
        return np.array([int(level) for level in levels], np.int64)
    if column.kind == "text":
        return np.array(levels, object)
    return np.array([float(level.replace(",", ".")) for level in levels])


@dataclass(frozen=True)
class _Cells:
    """The cells to write: their values by column, which of them are gaps, and the places of their rows."""

    values: np.ndarray
    missing: np.ndarray
    rows: np.ndarray | None
    exact: list[bool] | None


def _cells_to_write(
    data: Data, split: Split, values: np.ndarray, observed: np.ndarray
) -> tuple[UserTable, dict[int, Column], _Cells]:
    table = table_of(data)
    places = feature_places(data.schema, table)
    restored = data.schema.by_column(data.schema.restored(np.asarray(values)))
    first = data.schema.first_entries
    exact = [data.schema.offset[i] != 0 for i in first] if data.schema.offset is not None else None
    columns = dict(zip(places, data.schema.features, strict=True))
    # what no number was found for stays as it is: blank
    missing = ~np.asarray(observed, bool)[:, first] & np.isfinite(np.asarray(values, float)[:, first])
    return table, columns, _Cells(restored, missing, _rows(split, table), exact)


def _made_table(schema: Schema, values: np.ndarray) -> bytes:
    """Rows that no table holds yet (draws, reconstructions) as a CSV file of the modelled columns, in their own forms.

    Args:
        schema: of a table.
        values: `(rows, entries)`, in the user's units.
    """
    form = schema.dialect or Dialect()
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=form.delimiter, lineterminator=form.line_end)
    if any(column.name for column in schema.features):
        writer.writerow([column.name for column in schema.features])
    columns = list(zip(schema.features, np.asarray(schema.by_column(values), float).T.tolist(), strict=True))
    written = [[column.written(value, form.decimal) for value in row] for column, row in columns]
    writer.writerows(zip(*written, strict=True))
    return (("\ufeff" if form.mark else "") + stream.getvalue()).encode(form.encoding, errors="replace")


def made_file(schema: Schema, values: np.ndarray, suffix: str) -> bytes:
    """Rows that no table holds yet as a file of the modelled columns.

    Args:
        schema: of a table.
        values: `(rows, entries)`, in the user's units.
        suffix: one of `TABLES`; text is in the dialect of the user's table.
    """
    if suffix in {".csv", ".tsv"}:
        return _made_table(schema, values)
    return frame_bytes(made_frame(schema, values), suffix)


def extended_table(data: Data, split: Split, new: Mapping[str, np.ndarray], *, everything: bool = False) -> bytes:
    """New columns (embeddings, scores) for each row, beside what tells the rows apart.

    Args:
        data: read from a table.
        split: the rows that the new columns are about.
        new: `(rows,)` each, by name, in the order to write.
        everything: keep all columns of the table; else those that were not modelled (ids, index, text, labels).

    Returns:
        The bytes of a file in the form of the user's table.

    Raises:
        InputError: as for `filled_table`.
    """
    table = table_of(data)
    modelled = set() if everything else set(feature_places(data.schema, table))
    kept = [i for i in range(len(table.names)) if i not in modelled]
    arrays = {name: np.asarray(column) for name, column in new.items()}
    for name, column in arrays.items():
        if column.shape != (len(split),):
            raise InputError(f"Column {name!r} has shape {column.shape}; one value for each of {len(split)} rows was "
                             "expected.")  # fmt: skip
    return table.extended(kept, arrays, _rows(split, table))


def table_of(data: Data) -> UserTable:
    """The user's table.

    Raises:
        InputError: the data were not read from one.
    """
    if data.table is None:
        raise InputError(f"{data.name} was not read from a table: write the result as .npz or .npy.")
    return data.table


def feature_places(schema: Schema, table: UserTable) -> tuple[int, ...]:
    """The place in a table of each modelled column; none of pairs, which tell the rows apart."""
    return () if schema.pairs is not None else schema.matched(table)[0]


def _rows(split: Split, table: UserTable) -> np.ndarray | None:
    """The places of the rows; None where they are all, in their order."""
    if split.index is None:
        if len(split) != len(table):
            raise InputError(f"{len(split)} rows do not belong to the {len(table)} of {table.where}: give all of them.")
        return None
    return None if np.array_equal(split.index, np.arange(len(table))) else split.index
