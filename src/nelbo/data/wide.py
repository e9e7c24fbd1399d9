"""Series in wide form: a column of a table for each series, or a row for each."""

from collections.abc import Mapping, Sequence

import numpy as np

from nelbo.core import InputError
from nelbo.data.columns import Column, Content, content_of
from nelbo.data.long import LongSeries, contents_of, ids_of, number_columns, numbers_of, ordered, table_times
from nelbo.data.notation import is_number
from nelbo.data.reading import ReadTable

LAYOUTS = ("long", "columns", "rows")
VALUE = "value"  # what the one channel of series in wide form is called
_FEWEST = 3  # columns named by times from which on a table plainly has a row for each series


def plain_layout(reading: ReadTable, parts: Mapping[str, str], wanted: Sequence[str], ignore: Sequence[str]) -> str:
    """The layout of a table of which nobody said it: "rows" where its columns are named by times and none holds them.

    Names that are numbers are times where another column names the series, each of which has one row.
    """
    if "time" in parts or wanted:
        return "long"
    contents = contents_of(reading, (*parts.values(), *ignore))
    names = [name for name in contents if name not in {*parts.values(), *ignore}]
    header = _header(names)
    if len(names) < _FEWEST or header.kind in {"text", "truth", "empty"} or header.fault:
        return "long"
    if header.kind != "date":
        ids = contents[parts["id"]].codes if "id" in parts else np.zeros(2, int)
        if len(np.unique(ids)) < len(ids) or (np.diff(header.numbers) <= 0).any():
            return "long"
    return "rows"


def wide_series(
    reading: ReadTable, parts: Mapping[str, str], wanted: Sequence[str], ignore: Sequence[str], layout: str
) -> LongSeries:
    """The series of a table in wide form; each has one channel.

    Args:
        reading: the table.
        parts: the column of times, or of ids, see `named_parts`.
        wanted: the columns of values; (): every column of numbers, of those whose names are times.
        ignore: columns that are none.
        layout: "columns" (a row for each time, a column for each series) or "rows" (a row for each series, and columns
            named by times).

    Raises:
        InputError: the wrong part, names that are no times, or see `nelbo.data.read_series`.
    """
    table, notes = reading.table, list(reading.notes)
    contents = contents_of(reading, (*parts.values(), *wanted, *ignore))
    odd, meant = ("id", "time") if layout == "columns" else ("time", "id")
    if odd in parts:
        raise InputError(f"With --layout {layout} a series is one of the {layout} of {table.where}, so --columns may "
                         f"name {meant}=, but not {odd}=.")  # fmt: skip
    names = number_columns(table, contents, {*parts.values(), *ignore}, wanted, notes)
    count = len(table)
    if layout == "columns":
        stamps, dated, zone = table_times(table.where, parts, contents, count, notes)
        ids, times = np.tile(np.array(names, object), count), np.repeat(stamps, len(names))
        named = np.ones(len(ids), bool)
    else:
        names = _named_by_times(table.where, names, wanted, notes)
        header = {"its names": _header(names)}
        stamps, dated, zone = table_times(table.where, {"time": "its names"}, header, len(names), notes)
        own, named = ids_of(parts, contents, count)
        if "id" not in parts:
            own = np.array([f"row {i}" for i in range(count)], object)
        ids, times, named = np.repeat(own, len(names)), np.tile(stamps, count), np.repeat(named, len(names))
    values = numbers_of(table, contents, names)
    written = tuple(Column(name, "feature", contents[name].kind, places=contents[name].places) for name in names)
    kind = "binary" if all(column.kind == "binary" for column in written) else "real"
    flat = values.reshape(-1, 1)
    whole = LongSeries(table.where, (parts.get("id", ""), parts.get("time", "")), ids, times, flat,
                       (Column(VALUE, "feature", kind),), np.arange(len(flat)), np.isnan(flat), dated, zone, (), table,
                       layout, written, values.shape)  # fmt: skip
    return ordered(whole, named, notes)


def _header(names: Sequence[str]) -> Content:
    """The names of columns as the cells of one."""
    return content_of(np.arange(len(names)), list(names), ".")


def _named_by_times(where: str, names: Sequence[str], wanted: Sequence[str], notes: list[str]) -> list[str]:
    """Those columns whose names are times.

    Raises:
        InputError: none is, or one that was asked for is not.
    """
    import pandas as pd

    numbers = [name for name in names if is_number(name, ".")]
    dates = [name for name in names if name not in numbers and pd.notna(pd.to_datetime(name, errors="coerce"))]
    found = numbers if len(numbers) >= len(dates) else dates
    left = [name for name in names if name not in found]
    if not found or (left and wanted):
        raise InputError(f"{where}: with --layout rows columns are named by times (numbers or dates), but {left[0]!r} "
                         "is none: name other columns in --columns, or --ignore it.")  # fmt: skip
    if left:
        notes.append(f"{where}: {', '.join(left)} are no times and were left alone.")
    return found
