"""Answers in the form of the user's data: a table comes back as that table, an array as an array."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nelbo.core import InputError, atomic_write
from nelbo.data import Data, extended_table, filled_table


def in_user_units(data: Data, values: np.ndarray) -> np.ndarray:
    """Values of entries, `(..., *shape)`, in the units that the user's numbers have; see `Schema.restored`."""
    return data.schema.restored(values)


def write_filled(path: Path, data: Data, values: np.ndarray, observed: np.ndarray) -> None:
    """Write rows with their missing entries filled in, as a table.

    Where the rows came from a table, the file has its header, order, ids, labels and types, and every cell that was
    known comes back character for character.

    Args:
        path: ends in .csv, .tsv or .parquet.
        data: the rows that were filled in (`Run.rows`); the first ones, if there are fewer values.
        values: `(rows, features)`, as the model gives them.
        observed: bool, the same shape; entries that are False are written.

    Raises:
        InputError: the user's table has another form than the file's name says, or the file cannot be written.
    """
    if data.table is not None:
        check_table_name(path, data)
        rows = data.only.rows(slice(0, len(values)))
        content = filled_table(data, rows, values, observed)
    else:
        stream = io.BytesIO()
        # sixteen digits where small differences stand on a large offset
        restored = in_user_units(data, values)
        np.savetxt(stream, restored, delimiter=",", fmt="%.8g" if restored.dtype == np.float32 else "%.16g")
        content = stream.getvalue()
    with atomic_write(path) as file:
        file.write(content)


def write_columns(path: Path, data: Data, columns: Mapping[str, np.ndarray], *, everything: bool = False) -> None:
    """Write new columns, such as latent coordinates or scores, with a row for each row of the data.

    Rows of a table keep what tells them apart: ids, index, text and labels. Of other data, or as .npy, the columns
    are written alone.

    Args:
        path: ends in .npy, .csv, .tsv or .parquet.
        data: the rows (`Run.rows`); the first ones, if the columns are shorter.
        columns: `(rows,)` each, by name.
        everything: keep all columns of a table; else what tells its rows apart.

    Raises:
        InputError: the user's table has another form than the file's name says, or the file cannot be written.
    """
    numbers = [np.asarray(column) for column in columns.values() if np.asarray(column).dtype.kind != "O"]
    values = np.stack(numbers, axis=1)
    stream = io.BytesIO()
    if path.suffix == ".npy":
        np.save(stream, values, allow_pickle=False)
        content = stream.getvalue()
    elif data.table is not None:
        check_table_name(path, data)
        rows = data.only.rows(slice(0, len(values)))
        content = extended_table(data, rows, columns, everything=everything)
    else:
        np.savetxt(stream, values, delimiter=",", fmt="%.8g")
        content = stream.getvalue()
    with atomic_write(path) as file:
        file.write(content)


def table_suffixes(data: Data) -> tuple[str, ...]:
    """How the name of a file may end that holds answers about these rows as a table."""
    return (".csv",) if data.table is None else (data.table.suffix,)


def check_columns_name(path: Path, data: Data) -> None:
    """Refuse a name that cannot hold new columns of these rows, before anything is computed.

    Raises:
        InputError: so it is.
    """
    suffixes = (".npy", *table_suffixes(data))
    if path.suffix not in suffixes or path.is_dir():
        raise InputError(f"Cannot write {path}: choose the name of a file that ends in {' or '.join(suffixes)}.")


def check_table_name(path: Path, data: Data) -> None:
    """Refuse a name that says another form than the user's table has.

    Raises:
        InputError: so it is.
    """
    if data.table is not None and path.suffix in {".csv", ".tsv", ".parquet"} and path.suffix != data.table.suffix:
        raise InputError(
            f"Cannot write {path}: the table comes back in its own form, so choose a name that ends in "
            f"{data.table.suffix}."
        )
