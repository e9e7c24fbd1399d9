"""Series in long form: a row for each series and time."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nelbo.core import InputError, choice
from nelbo.data.columns import Column, Content
from nelbo.data.reading import ReadTable, require
from nelbo.data.roles import shown_names
from nelbo.data.tables import UserTable

PARTS = ("id", "time")
_OFFSET = re.compile(r"(Z|[+-]\d\d:?\d\d)$")
_CLOCK = re.compile(r"\d:\d\d")


@dataclass(frozen=True)
class LongSeries:
    """Rows of series, sorted by series and time, each time once.

    Args:
        where: the file.
        parts: the names of the columns of ids and times; "" where there is none.
        ids: `(n,)` text.
        times: `(n,)` float64, seconds since 1970 where stamps are dates.
        values: `(n, channels)` float64, NaN where missing.
        channels: the columns.
        places: for each row of the file its row here; -1 where it was left out. In wide form a cell is such a row.
        blank: `(rows of the file, channels)`, where it holds no number.
        dated: whether stamps are dates.
        zone: see `Series`.
        notes: what was assumed or left out.
        table: the user's table; None of arrays.
        layout: of the table, see `Series`.
        written: the columns of the table that hold values, in wide form each with one time or of one series.
        shape: of the file's numbers, where they are not `(rows of the file, channels)`.
    """

    where: str
    parts: tuple[str, str]
    ids: np.ndarray
    times: np.ndarray
    values: np.ndarray
    channels: tuple[Column, ...]
    places: np.ndarray
    blank: np.ndarray
    dated: bool = False
    zone: str = ""
    notes: tuple[str, ...] = ()
    table: UserTable | None = None
    layout: str = "long"
    written: tuple[Column, ...] = ()
    shape: tuple[int, ...] = ()

    def bounds(self) -> list[tuple[str, slice]]:
        """Each series with its rows."""
        starts = np.flatnonzero(np.concatenate([[True], self.ids[1:] != self.ids[:-1]])) if len(self.ids) else []
        ends = [*starts[1:], len(self.ids)]
        return [(str(self.ids[a]), slice(int(a), int(b))) for a, b in zip(starts, ends, strict=True)]

    def rows(self, keep: np.ndarray) -> "LongSeries":
        """Some of the rows; the places are those of all."""
        new = np.full(len(self.ids) + 1, -1)
        new[:-1][keep] = np.arange(int(keep.sum()))
        return replace(
            self, ids=self.ids[keep], times=self.times[keep], values=self.values[keep], places=new[self.places]
        )

    def in_file(self, values: np.ndarray) -> np.ndarray:
        """Numbers of the rows, `(..., n, channels)`, in their places in the file; NaN where a row was left out."""
        there = (self.places >= 0)[:, None]
        found = np.where(there, np.asarray(values, np.float64)[..., np.maximum(self.places, 0), :], np.nan)
        return found.reshape(*values.shape[:-2], *self.shape) if self.shape else found

    @property
    def unknown(self) -> np.ndarray:
        """Where the file has a blank that can be filled in, in its own shape."""
        blank = self.blank & (self.places >= 0)[:, None]
        return blank.reshape(self.shape) if self.shape else blank

    def columns(self) -> dict[int, Column]:
        """The columns of the table that hold values, by their places in it."""
        names = [] if self.table is None else list(shown_names(self.table.names))
        return {names.index(column.name): column for column in self.written}

    def hiding(self, hidden: np.ndarray) -> "LongSeries":
        """The same without some of the values, `(n, channels)` bool."""
        return replace(self, values=np.where(hidden, np.nan, self.values))


def named_parts(names: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """What `--columns id=station,time=when,NAME,...` says: the columns of ids and times, and those to model.

    Raises:
        InputError: another part, or a column that has two.
    """
    found: dict[str, str] = {}
    channels = []
    for text in names:
        part, equals, name = text.partition("=")
        if not equals:
            channels.append(text)
        elif choice("part of a series", part, PARTS) in found:
            raise InputError(f"--columns names {part} twice ({','.join(names)}): name it once.")
        else:
            found[part] = name
    said = [*found.values(), *channels]
    if len(set(said)) != len(said):
        raise InputError(f"--columns names one column twice ({','.join(names)}): each has one part.")
    return found, channels


def long_series(
    reading: ReadTable, parts: Mapping[str, str], wanted: Sequence[str], ignore: Sequence[str]
) -> LongSeries:
    """The series of a table in long form.

    Args:
        reading: the table.
        parts: the columns of ids and times, see `named_parts`.
        wanted: the channels; (): every column of numbers.
        ignore: columns that are no channels.

    Raises:
        InputError: see `nelbo.data.read_series`.
    """
    table, notes = reading.table, list(reading.notes)
    contents = contents_of(reading, (*parts.values(), *wanted, *ignore))
    channels = number_columns(table, contents, {*parts.values(), *ignore}, wanted, notes)
    values = numbers_of(table, contents, channels)
    ids, named = ids_of(parts, contents, len(table))
    times, dated, zone = table_times(table.where, parts, contents, len(table), notes)
    columns = tuple(Column(name, "feature", contents[name].kind, places=contents[name].places) for name in channels)
    pair = (parts.get("id", ""), parts.get("time", ""))
    whole = LongSeries(table.where, pair, ids, times, values, columns, np.arange(len(table)), np.isnan(values),
                       dated, zone, (), table, written=columns)  # fmt: skip
    return ordered(whole, named, notes)


def contents_of(reading: ReadTable, asked: Sequence[str]) -> dict[str, Content]:
    """The columns of a table by name.

    Raises:
        InputError: no rows, or no column of a name that was asked for.
    """
    table = reading.table
    if len(table) == 0:
        raise InputError(f"{table.where} has no rows; a table with at least one row was expected.")
    shown = shown_names(table.names)
    for name in asked:
        choice("column", name, [*shown, *reading.index])
    return dict(zip(shown, reading.contents, strict=True)) | dict(reading.index)


def number_columns(
    table: UserTable, contents: Mapping[str, Content], taken: set[str], wanted: Sequence[str], notes: list[str]
) -> list[str]:
    """The columns that hold the values.

    Raises:
        InputError: there is none, or one is the index.
    """
    own = shown_names(table.names)  # without the index of a data frame
    free = [name for name in own if name not in taken and name not in wanted]
    left = [name for name in free if contents[name].kind in {"text", "truth", "empty"}]
    channels = list(wanted) or [name for name in free if name not in left]
    if not channels:
        raise InputError(f"{table.where} has no column of numbers beside {', '.join(taken) or 'nothing'}: a series has "
                         "at least one.")  # fmt: skip
    if left:
        notes.append(f"{table.where}: {', '.join(left)} hold no numbers and were left alone.")
    return channels


def numbers_of(table: UserTable, contents: Mapping[str, Content], names: Sequence[str]) -> np.ndarray:
    """The numbers of some columns, `(rows, names)`.

    Raises:
        InputError: one is not numeric, or infinite.
    """
    for name in names:
        content = contents[name]
        if content.kind in {"text", "truth"} or content.fault:
            row, cell = content.odd_cell
            raise InputError(f"{table.where}: column {name!r} is not numeric ({table.place(row)} holds {cell!r}): "
                             "name other columns in --columns, or --ignore it.")  # fmt: skip
    values = np.stack([contents[name].numbers for name in names], 1)
    if np.isinf(values).any():
        row, column = np.argwhere(np.isinf(values))[0]
        raise InputError(f"{table.where}: {names[column]!r} in row {row} is infinite; give a finite number or a blank.")
    return values


def ids_of(parts: Mapping[str, str], contents: Mapping[str, Content], count: int) -> tuple[np.ndarray, np.ndarray]:
    """The id of each row, and whether it has one."""
    if "id" not in parts:
        return np.full(count, "", object), np.ones(count, bool)
    content = contents[parts["id"]]
    return np.array([*content.texts, ""], object)[content.codes], content.codes >= 0


def table_times(
    where: str, parts: Mapping[str, str], contents: Mapping[str, Content], count: int, notes: list[str]
) -> tuple[np.ndarray, bool, str]:
    """Times of all rows (NaN where there is none), whether they are dates, and their time zone."""
    if "time" not in parts:
        notes.append(f"{where}: no column of times was named (--columns time=NAME), so rows are steps in their order.")
        return np.arange(count, dtype=float), False, ""
    content = contents[parts["time"]]
    texts = [text.strip() for text in content.texts]
    used = np.unique(content.codes[content.codes >= 0])
    offsets = {match[1] if (match := _CLOCK.search(texts[i]) and _OFFSET.search(texts[i])) else "" for i in used}
    if content.kind == "date" and content.form is None and offsets == {""}:  # dates that a file holds as such, in days
        notes.append(f"{where}: the stamps say no time zone and were taken as they stand.")
        return np.rint(content.numbers.astype(float) * 86400e6) / 1e6, True, ""
    if content.kind not in {"text", "truth", "date"}:
        if content.fault:
            raise InputError(f"{where}: column {parts['time']!r} of times mixes numbers and text (such as "
                             f"{content.fault!r}): give numbers or dates.")  # fmt: skip
        times = content.numbers.astype(float)
        if np.isinf(times).any():
            raise InputError(f"{where}: the time in row {int(np.argmax(np.isinf(times)))} is infinite: give a number.")
        return times, False, ""
    pandas = require("pandas", "Reading dates")
    if "" in offsets and len(offsets) > 1:
        raise InputError(f"{where}: some stamps in {parts['time']!r} say a time zone and some do not: write all alike.")
    parsed = pandas.to_datetime(pandas.Series([texts[i] for i in used]), errors="coerce", utc=True, format="mixed")
    if parsed.isna().any():
        odd = texts[used[int(np.argmax(parsed.isna()))]]
        raise InputError(f"{where}: {odd!r} in {parts['time']!r} is no time: give numbers, or dates such as "
                         "2024-05-01 12:30.")  # fmt: skip
    seconds = np.full(len(texts) + 1, np.nan)
    seconds[used] = (parsed - pandas.Timestamp(0, tz="UTC")) / pandas.Timedelta(seconds=1)
    zone = "" if offsets == {""} else ("UTC" if offsets <= {"Z", "+00:00", "+0000"} else "+".join(sorted(offsets)))
    if not zone:
        notes.append(f"{where}: the stamps say no time zone and were taken as they stand.")
    elif zone != "UTC":
        notes.append(f"{where}: stamps with time zones ({', '.join(sorted(offsets))}) were brought to UTC.")
    return seconds[content.codes], True, zone


def stacked(
    where: str,
    values: np.ndarray,
    times: np.ndarray | None,
    ids: np.ndarray | None,
    names: Sequence[str] | None,
    time: str,
    wanted: Sequence[str],
) -> LongSeries:  # fmt: skip
    """The series of arrays.

    Args:
        where: what to call them in messages.
        values: `(series, time, channels)` numbers.
        times: `(time,)` or `(series, time)`, numbers or datetime64; None: rows are steps.
        ids: `(series,)`; None: their numbers.
        names: of the channels; None: their numbers.
        time: the name of the times.
        wanted: names of the channels to take; (): all.

    Raises:
        InputError: shapes that do not go together, or no such channel.
    """
    count, length, channels = values.shape
    dated = times is not None and times.dtype.kind == "M"
    notes = [f"{where}: the stamps say no time zone and were taken as they stand."] if dated else []
    if dated and times is not None:
        times = np.where(np.isnat(times), np.nan, times.astype("datetime64[us]").astype(np.int64) / 1e6)
    times = np.arange(length, dtype=float) if times is None else np.asarray(times)
    if times.shape not in {(length,), (count, length)} or times.dtype.kind not in "buif":
        raise InputError(f"{where}: the times have shape {list(times.shape)}; {length} numbers, or as many for each of "
                         f"{count} series were expected.")  # fmt: skip
    if np.isinf(times).any() or np.isinf(values).any():
        raise InputError(f"{where}: a time or a value is infinite; give finite numbers, or NaN where one is missing.")
    names = [f"channel {i}" for i in range(channels)] if names is None else names
    if len(names) != channels:
        raise InputError(f"{where}: `names` holds {len(names)} names for {channels} channels: give one for each.")
    for name in wanted:
        choice("channel", name, names)
    chosen = [names.index(name) for name in wanted] if wanted else list(range(channels))
    ids = np.arange(count) if ids is None else ids
    if ids.shape != (count,):
        raise InputError(f"{where}: the ids have shape {list(ids.shape)}; one for each of {count} series was expected.")
    width = len(str(count - 1)) if ids.dtype.kind in "ui" else 0
    flat = np.repeat(np.array([str(one).rjust(width, "0") for one in ids.tolist()], object), length)
    stamps = np.broadcast_to(times, (count, length)).ravel().astype(float)
    kind = "binary" if values.dtype.kind in "bu" and set(np.unique(values).tolist()) <= {0, 1} else "real"
    columns = tuple(Column(names[i], "feature", kind) for i in chosen)
    found = values.astype(float)[..., chosen].reshape(-1, len(chosen))
    whole = LongSeries(where, ("id" if count > 1 else "", time), flat, stamps, found, columns, np.arange(len(flat)),
                       np.isnan(found), dated)  # fmt: skip
    return ordered(whole, np.ones(len(flat), bool), notes)


def ordered(found: LongSeries, named: np.ndarray, notes: list[str]) -> LongSeries:
    """The rows sorted by series and time, each time once; what has no id or time is left out, and it is said.

    Args:
        found: the rows as they stand.
        named: which of them have an id.
        notes: what is to be said already.

    Raises:
        InputError: no row has both.
    """
    what = "rows" if found.layout == "long" else "cells"
    keep = named & ~np.isnan(found.times)
    if not keep.any():
        raise InputError(f"{found.where}: no row has a time{' and an id' if found.parts[0] else ''}: at least one was "
                         "expected.")  # fmt: skip
    if not keep.all():
        notes.append(f"{found.where}: {int((~keep).sum())} {what} without a time or an id were left out.")
    rows = np.flatnonzero(keep)
    _, first, codes = np.unique(found.ids[rows].astype(str), return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))[codes]  # series in the order in which they first appear
    order = np.lexsort((found.times[rows], rank))
    as_read = np.argsort(rank, kind="stable")
    same = rank[as_read][1:] == rank[as_read][:-1]
    if (np.diff(found.times[rows][as_read])[same] < 0).any():
        notes.append(
            f"{found.where}: {what} are not in the order of time; they were sorted, and come back as they were."
        )
    rows, rank = rows[order], rank[order]
    again = np.concatenate([[False], (rank[1:] == rank[:-1]) & (found.times[rows][1:] == found.times[rows][:-1])])
    places = np.full(len(keep), -1)
    cell = np.cumsum(~again) - 1
    places[rows] = cell
    values = found.values[rows]
    if again.any():
        values = _averaged(values, cell)
        notes.append(f"{found.where}: {int(again.sum())} {what} repeat the time of another of their series; their mean "
                     "counts.")  # fmt: skip
    rows = rows[~again]
    silent = [name for name, part in replace(found, ids=found.ids[rows]).bounds() if np.isnan(values[part]).all()]
    if silent:
        shown = ", ".join(silent[:3]) + (", ..." if len(silent) > 3 else "") if silent != [""] else "it"
        said = f"{len(silent)} series without a value ({shown}): what is said of them is the prior's."
        notes.append(f"{found.where}: {said}")
    return replace(
        found, ids=found.ids[rows], times=found.times[rows], values=values, places=places, notes=tuple(notes)
    )


def _averaged(values: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """The mean of what is there, for each cell."""
    there = ~np.isnan(values)
    shape = (int(cell[-1]) + 1, values.shape[1])
    total, count = np.zeros(shape), np.zeros(shape)
    np.add.at(total, cell, np.where(there, values, 0.0))
    np.add.at(count, cell, there)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
