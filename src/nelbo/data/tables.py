"""Tables: numeric columns become examples, blanks become missing entries, a label column becomes labels."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.core import InputError
from nelbo.data.dataset import Split
from nelbo.data.formats import damaged, unreadable

LABEL_COLUMNS = ("label", "y")


def require(module: str, purpose: str) -> Any:
    """Import an optional module.

    Raises:
        InputError: it is not installed; the sentence says what to install.
    """
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(f'{purpose} needs {module}, which is not installed: run pip install "nelbo[data]".') from error


def read_table(path: Path) -> tuple[Split, tuple[str, ...] | None]:
    """Read a `.csv` or `.parquet` file: one row an example, one numeric column a feature.

    Blank cells and NaN are missing. A column `label` or `y` holds labels: integers, or text, whose sorted values are
    numbered. A CSV file whose first line is all numbers has no header. A first column without a name that counts the
    rows (a saved pandas index) is left out.

    Returns:
        The rows, and the label names where labels were text.

    Raises:
        InputError: unreadable, rows of different lengths, or a column that is not numeric.
    """
    pandas = require("pandas", f"Reading {path.suffix}")
    if path.suffix.lower() == ".parquet":
        require("pyarrow", "Reading .parquet")
    frame = _frame(pandas, path)
    frame.columns = [str(name) for name in frame.columns]
    if len(frame.columns) and _is_saved_index(frame):
        frame = frame.iloc[:, 1:]
    label = next((name for name in LABEL_COLUMNS if name in frame.columns), None)
    y, label_names = (None, None) if label is None else _labels(pandas, frame[label], path)
    features = frame.drop(columns=[] if label is None else [label])
    if len(features.columns) == 0:
        raise InputError(f"{path} has no columns of numbers besides its labels; at least one was expected.")
    columns = [_numbers(pandas, features.iloc[:, i], name, path) for i, name in enumerate(features.columns)]
    return Split(np.stack(columns, axis=1), y), label_names


def _frame(pandas: Any, path: Path) -> Any:
    expected = "CSV table" if path.suffix.lower() == ".csv" else "Parquet table"
    try:
        if expected == "Parquet table":
            return pandas.read_parquet(path)
        header = _header(path)
        return pandas.read_csv(path, header=header, skipinitialspace=True, low_memory=False, encoding="utf-8-sig")
    except pandas.errors.EmptyDataError as error:
        raise InputError(f"{path} is empty; a table with a header and at least one row was expected.") from error
    except InputError:
        raise
    except (OSError, ValueError, pandas.errors.ParserError, csv.Error) as error:
        raise unreadable(path, expected, error) from error
    except Exception as error:
        # pyarrow's own errors share no public base with the above
        if type(error).__module__.startswith("pyarrow"):
            raise damaged(path, expected, error) from error
        raise


def _header(path: Path) -> int | None:
    """0 where the first line names columns, None where it holds numbers already. Rows must be of one length."""
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream, skipinitialspace=True)
        first = next((row for row in reader if row), [])
        odd = next((row for row in reader if row and len(row) != len(first)), None)
        if odd is not None:
            raise InputError(
                f"{path}: line {reader.line_num} has {len(odd)} cells, the first has {len(first)}; rows of one length, "
                "cells parted by commas, were expected: leave a missing cell blank, but keep its comma."
            )
    try:
        numbers = [float(cell) for cell in first if cell.strip()]
    except ValueError:
        return 0
    return None if numbers else 0


def _is_saved_index(frame: Any) -> bool:
    first = frame.iloc[:, 0].to_numpy()
    return frame.columns[0] == "Unnamed: 0" and first.dtype.kind in "iu" and np.array_equal(first, range(len(first)))


def _numbers(pandas: Any, column: Any, name: str, path: Path) -> np.ndarray:
    types = pandas.api.types
    if not types.is_numeric_dtype(column.dtype) or types.is_complex_dtype(column.dtype):
        if column.isna().all():
            return np.full(len(column), np.nan)
        row = _first_text(pandas, column)
        raise InputError(
            f"{path}: column {name!r} is not numeric (row {row} holds {column.iloc[row]!r}); numbers or blanks were "
            "expected: remove the column, encode it as numbers, or call it 'label' if it is one."
        )
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _first_text(pandas: Any, column: Any) -> int:
    texts = column.astype("string")
    bad = pandas.to_numeric(texts, errors="coerce").isna() & column.notna()
    return int(np.argmax(bad.to_numpy(dtype=bool))) if bad.any() else 0


def _labels(pandas: Any, column: Any, path: Path) -> tuple[np.ndarray, tuple[str, ...] | None]:
    if column.isna().any():
        row = int(np.argmax(column.isna().to_numpy()))
        raise InputError(f"{path}: the label in row {row} is blank; give every row a label, or remove the column.")
    if pandas.api.types.is_integer_dtype(column.dtype):
        return column.to_numpy(dtype=np.int64), None
    if pandas.api.types.is_float_dtype(column.dtype):
        raise InputError(f"{path}: the labels in {column.name!r} are fractions; integers or text were expected.")
    texts = column.astype(str)
    label_names = tuple(sorted(set(texts)))
    number = {name: index for index, name in enumerate(label_names)}
    return texts.map(number).to_numpy(dtype=np.int64), label_names
