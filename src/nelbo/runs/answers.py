"""Answers in the form of the user's data: a table comes back as that table, an array as an array."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nelbo.core import InputError, atomic_write
from nelbo.data import TABLES, Data, array_bytes, extended_table, filled_table

_ROUNDING = 1e-4  # of a grey level: float32 rounds 255 to within 1.5e-5


def user_scale(values: str, white: float) -> float:
    """How many of the user's units one unit of a model is: 255 where it has 8-bit values as numbers from 0 to 1.

    Args:
        values: what it scores, as in `Data.values`.
        white: what a full pixel is to it, see `Run.white`.
    """
    return 255.0 if values == "uint8" and white == 1.0 else 1.0


def in_user_units(data: Data, values: np.ndarray, white: float) -> np.ndarray:
    """Values of entries, `(..., *shape)`, in the units that the user's numbers have.

    Grey values from 0 to 1 are multiplied by 255 where the user's are 8-bit ones (means are not rounded), and what was
    subtracted comes back, see `Schema.restored`.

    Args:
        data: as they are scored.
        values: as the model has them.
        white: what a full pixel is to the model, see `Run.white`.
    """
    return data.schema.restored(scaled(values, user_scale(data.values, white)))


def scaled(values: np.ndarray, factor: float) -> np.ndarray:
    """The values times the factor, in their own precision; k / 255 becomes k, whatever it was rounded to."""
    values = np.asarray(values)
    if factor == 1.0:
        return values
    found = values * values.dtype.type(factor)
    whole = np.rint(found)
    return np.where(np.abs(found - whole) < _ROUNDING, whole, found)


def write_filled(
    path: Path,
    data: Data,
    values: np.ndarray,
    observed: np.ndarray,
    *,
    white: float,
    beside: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write rows with their missing entries filled in, as a table.

    Where the rows came from a table, the file has its header, order, ids, labels and types, and every cell that was
    known comes back character for character.

    Args:
        path: ends in one of `TABLES`.
        data: the rows that were filled in (`Run.rows`); the first ones, if there are fewer values.
        values: `(rows, features)`, as the model gives them.
        observed: bool, the same shape; entries that are False are written.
        white: what a full pixel is to the model, see `Run.white`.
        beside: more columns for the user's table, `(rows,)` each, by name.

    Raises:
        InputError: the user's table has another form than the file's name says, or the file cannot be written.
    """
    if data.table is not None:
        check_table_name(path, data)
        rows = data.only.rows(slice(0, len(values)))
        content = filled_table(data, rows, values, observed, beside)
    else:
        units, ids = in_user_units(data, values, white), data.only.ids
        content = array_bytes(units, path.suffix, ids=None if ids is None else ids[: len(units)])
    with atomic_write(path) as file:
        file.write(content)


def write_columns(path: Path, data: Data, columns: Mapping[str, np.ndarray], *, everything: bool = False) -> None:
    """Write new columns, such as latent coordinates or scores, with a row for each row of the data.

    Rows of a table keep what tells them apart: ids, index, text and labels; pictures their names. As .npy, the columns
    are written alone.

    Args:
        path: ends in .npy, .npz or one of `TABLES`.
        data: the rows (`Run.rows`); the first ones, if the columns are shorter.
        columns: `(rows,)` each, by name.
        everything: keep all columns of a table; else what tells its rows apart.

    Raises:
        InputError: the user's table has another form than the file's name says, or the file cannot be written.
    """
    numbers = [np.asarray(column) for column in columns.values() if np.asarray(column).dtype.kind != "O"]
    values = np.stack(numbers, axis=1)
    if data.table is not None and path.suffix not in {".npy", ".npz"}:
        check_table_name(path, data)
        rows = data.only.rows(slice(0, len(values)))
        content = extended_table(data, rows, columns, everything=everything)
    else:
        ids = None if data.only.ids is None else data.only.ids[: len(values)]
        named = ids is not None or path.suffix not in {".csv", ".tsv"}
        content = array_bytes(values, path.suffix, ids=ids, names=list(columns) if named else None)
    with atomic_write(path) as file:
        file.write(content)


def table_suffixes(data: Data) -> tuple[str, ...]:
    """How the name of a file may end that holds answers about these rows as a table."""
    return TABLES if data.table is None else (data.table.suffix,)


def check_columns_name(path: Path, data: Data) -> None:
    """Refuse a name that cannot hold new columns of these rows, before anything is computed.

    Raises:
        InputError: so it is.
    """
    suffixes = (".npy", ".npz", *table_suffixes(data))
    if path.suffix not in suffixes or path.is_dir():
        raise InputError(f"Cannot write {path}: choose the name of a file that ends in {' or '.join(suffixes)}.")


def check_table_name(path: Path, data: Data) -> None:
    """Refuse a name that says another form than the user's table has.

    Raises:
        InputError: so it is.
    """
    if data.table is not None and path.suffix in TABLES and path.suffix != data.table.suffix:
        raise InputError(
            f"Cannot write {path}: the table comes back in its own form, so choose a name that ends in "
            f"{data.table.suffix}."
        )
