"""Reading a table: its cells as text through pandas, then each column as what it is."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.core import InputError
from nelbo.data.columns import MISSING, Content, Dialect, content_of, text_of
from nelbo.data.dialects import SAMPLE, check_widths, decimal_of, decoded, delimiter_note, delimiter_of, names_columns
from nelbo.data.formats import damaged, unreadable
from nelbo.data.notation import is_number
from nelbo.data.tables import ParquetTable, TextTable, UserTable


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


@dataclass(frozen=True)
class ReadTable:
    """A table that was read.

    Args:
        table: as it was given.
        contents: of each column.
        notes: what was assumed.
        index: the levels of a data frame's index, by name, where they are read too.
    """

    table: UserTable
    contents: tuple[Content, ...]
    notes: tuple[str, ...]
    index: Mapping[str, Content] = field(default_factory=dict)


def read_csv(path: Path, *, header: bool | None = None, known: Sequence[str] = ()) -> ReadTable:
    """Read a table of text; its dialect is found out and said where it is not commas, UTF-8 and decimal points.

    Args:
        path: of the file.
        header: whether the first line names the columns; None finds out.
        known: names that a first line of names has.

    Raises:
        InputError: unreadable, no text, empty, or rows of different lengths.
    """
    pandas = require("pandas", f"Reading {path.suffix}")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise unreadable(path, "CSV table", error) from error
    text, encoding, mark, notes = decoded(raw, path)
    if not text.strip():
        raise InputError(f"{path} is empty; a table with a header and at least one row was expected.")
    delimiter = delimiter_of(text)
    narrow, width = check_widths(text, delimiter, path)
    try:
        frame = pandas.read_csv(
            io.StringIO(text), sep=delimiter, header=None, names=list(range(width)), dtype=object, index_col=False,
            keep_default_na=False, na_filter=False, skipinitialspace=True,
        )  # fmt: skip
    except (ValueError, pandas.errors.ParserError) as error:
        raise damaged(path, "CSV table", error) from error
    first = [cell.strip() for cell in frame.iloc[0].tolist()]
    body = [[cell.strip() for cell in row] for row in frame.iloc[1 : SAMPLE + 1].to_numpy().tolist()]
    decimal = decimal_of([sorted(set(cells)) for cells in zip(*body, strict=True)], delimiter)
    row_names = narrow < width and not all(row[-1] == "" for row in body)
    if row_names:
        first = ["", *first[:-1]]
    named, said = _header(path, header, first, body, decimal, known, must=narrow < width)
    form = Dialect(delimiter, encoding, decimal, named, mark, _line_end(text), row_names)
    columns = [_factorized(pandas, frame[i].iloc[int(named) :]) for i in range(width)]
    names = tuple(first) if named else ("",) * width
    if width == 1 and (blank := _blank_lines(text)):
        notes += (f"{path}: {blank} blank lines were passed over; write NA where the only cell of a row is missing.",)
    notes = (*notes, *delimiter_note(delimiter, path), *said)
    if decimal == ",":
        notes += (f"{path}: its numbers are written with a decimal comma.",)
    contents = tuple(content_of(codes, distinct, decimal) for codes, distinct in columns)
    return ReadTable(TextTable(str(path), names, text, form, len(frame) - int(named)), contents, notes)


def _header(
    path: Path,
    asked: bool | None,  # noqa: FBT001 (a choice of three)
    first: list[str],
    body: list[list[str]],
    decimal: str,
    known: Sequence[str],
    *,
    must: bool,
) -> tuple[bool, tuple[str, ...]]:
    """Whether the first line names the columns, and what to say about it."""
    if asked is not None:
        return asked, ()
    if must or (known and set(known) <= set(first)):
        return True, ()
    named = names_columns(first, body, decimal)
    numeric = [cell for cell in first if is_number(cell, decimal)]
    if named and numeric and len(numeric) == sum(cell != "" for cell in first):
        shown = ", ".join(numeric[:3]) + (", ..." if len(numeric) > 3 else "")
        note = f"{path}: its first line ({shown}) was read as names of the columns; --no-header reads it as a row."
        return True, (note,)
    if not named and len(numeric) < len([cell for cell in first if cell not in MISSING]):
        note = f"{path}: its first line was read as a row, for its text stands below again; --header reads it as names."
        return False, (note,)
    return named, ()


def _blank_lines(text: str) -> int:
    """Lines without a cell, but for those at the end."""
    return sum(not line.strip() for line in text.rstrip().splitlines())


def _line_end(text: str) -> str:
    place = min((i for i in (text.find("\n"), text.find("\r")) if i >= 0), default=-1)
    if place < 0:
        return "\n"
    return "\r\n" if text[place : place + 2] == "\r\n" else text[place]


def _factorized(pandas: Any, column: Any) -> tuple[np.ndarray, list[str]]:
    codes, distinct = pandas.factorize(column)
    return np.asarray(codes, np.int64), [str(text) for text in np.asarray(distinct, object).tolist()]


def read_parquet(path: Path) -> ReadTable:
    """Read a Parquet table.

    Raises:
        InputError: unreadable, or no Parquet file.
    """
    pandas = require("pandas", "Reading .parquet")
    require("pyarrow", "Reading .parquet")
    try:
        frame = pandas.read_parquet(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, "Parquet table", error) from error
    except Exception as error:
        # pyarrow's own errors share no public base with the above
        if type(error).__module__.startswith("pyarrow"):
            raise damaged(path, "Parquet table", error) from error
        raise
    return read_frame(frame, str(path))


def read_feather(path: Path) -> ReadTable:
    """Read a Feather table.

    Raises:
        InputError: unreadable, or no Feather file.
    """
    pandas = require("pandas", "Reading .feather")
    require("pyarrow", "Reading .feather")
    try:
        return read_frame(pandas.read_feather(path), str(path))
    except OSError as error:
        raise unreadable(path, "Feather table", error) from error
    except Exception as error:
        if isinstance(error, ValueError) or type(error).__module__.startswith("pyarrow"):
            raise damaged(path, "Feather table", error) from error
        raise


def read_excel(path: Path) -> ReadTable:
    """Read the first sheet of an Excel file, whose first row names the columns.

    Raises:
        InputError: unreadable, or no Excel file.
    """
    pandas = require("pandas", "Reading .xlsx")
    require("openpyxl", "Reading .xlsx")
    try:
        with pandas.ExcelFile(path, engine="openpyxl") as book:
            sheets, frame = book.sheet_names, pandas.read_excel(book)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise unreadable(path, "Excel file", error) from error
    found = read_frame(frame, str(path))
    if len(sheets) == 1:
        return found
    return replace(
        found, notes=(*found.notes, f"{path}: of its {len(sheets)} sheets the first, {sheets[0]!r}, was read.")
    )


def read_frame(frame: Any, where: str) -> ReadTable:
    """Read a pandas data frame.

    Args:
        frame: whose columns have types already.
        where: what to call it in messages.
    """
    pandas = require("pandas", "Reading a data frame")
    names = tuple("" if name is None else str(name) for name in frame.columns)
    contents = tuple(_typed(pandas, frame.iloc[:, i]) for i in range(len(names)))
    return ReadTable(ParquetTable(where, names, frame), contents, ())


def _typed(pandas: Any, column: Any) -> Content:
    """A column that has a type already."""
    types = pandas.api.types
    codes, distinct = _distinct(pandas, column)
    empty = np.full(len(column), np.nan)
    if column.isna().all():
        return Content("empty", empty, codes, ())
    if types.is_datetime64_any_dtype(column.dtype):
        moments = column.dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
        days = (moments - np.datetime64("1970-01-01", "us")) / np.timedelta64(1, "D")
        return Content("date", np.asarray(days, float), codes, tuple(distinct))
    if types.is_bool_dtype(column.dtype) or set(map(type, column.dropna())) == {bool}:
        numbers = column.astype(object).map(float, na_action="ignore").to_numpy(dtype=float, na_value=np.nan)
        return Content("truth", numbers, codes, tuple(distinct), words=("False", "True"))
    if not types.is_numeric_dtype(column.dtype) or types.is_complex_dtype(column.dtype):
        return _of_words(pandas, column, codes, distinct)
    numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
    found = numbers[np.isfinite(numbers)]
    whole = len(found) and (found == np.rint(found)).all() and not np.isinf(numbers).any()
    kind = "real" if not whole else "binary" if np.isin(found, (0.0, 1.0)).all() else "whole"
    content = Content(kind, numbers, codes, tuple(distinct))
    return content if types.is_integer_dtype(column.dtype) or not whole else replace(content, places=1)


def _distinct(pandas: Any, column: Any) -> tuple[np.ndarray, list[str]]:
    """The place of each cell among the distinct ones, and their text; of lists and their kind no two are the same."""
    try:
        return _factorized(pandas, column.astype(object))
    except TypeError:
        places = np.where(column.isna().to_numpy(), -1, np.arange(len(column)))
        return places, [f"{i}: {cell}" for i, cell in enumerate(column)]


def _of_words(pandas: Any, column: Any, codes: np.ndarray, distinct: list[str]) -> Content:
    """A column of categories, text, Python's own dates and exact numbers, or a mixture of text and numbers."""
    plain = Content("text", np.full(len(column), np.nan), codes, tuple(distinct))
    if isinstance(column.dtype, pandas.CategoricalDtype):
        return replace(plain, order=tuple(map(str, column.dtype.categories)) if column.dtype.ordered else ())
    if column.dtype.kind == "c":
        return plain
    if any(issubclass(kind, Number) and kind is not bool for kind in set(map(type, column.dropna()))):
        return content_of(np.where(codes < 0, len(distinct), codes), [*distinct, ""], ".")
    return text_of(codes, distinct)
