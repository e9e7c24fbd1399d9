"""Reading series: a table in long form (a row for each series and time), or arrays with their times."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nelbo.core import InputError, choice
from nelbo.data.columns import Column, Content
from nelbo.data.formats import read_npz
from nelbo.data.reading import ReadTable, read_csv, read_parquet, require
from nelbo.data.roles import shown_names
from nelbo.data.tables import UserTable

PARTS = ("id", "time")
_MOST_AXES = 3  # of `values`: series x time x channels; what has more is films
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
        places: for each row of the file its row here; -1 where it was left out.
        blank: `(rows of the file, channels)`, where it holds no number.
        dated: whether stamps are dates.
        zone: see `Series`.
        notes: what was assumed or left out.
        table: the user's table; None of arrays.
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


def read_series(
    path: Path | str, names: Sequence[str] = (), *, ignore: Sequence[str] = (), header: bool | None = None
) -> LongSeries:
    """Read series; rows without a time are left out, and it is said.

    Args:
        path: a table (.csv, .tsv, .parquet), or a `.npz` file of `values` and maybe `times` (see `_from_arrays`).
        names: see `named_parts`; without channels every column of numbers is one.
        ignore: columns that are no channels.
        header: whether the first line of a CSV file names its columns; None finds out.

    Raises:
        InputError: no such file or column, stamps that are no times, or no channel.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    parts, channels = named_parts(names)
    if not path.exists():
        raise InputError(f"There is no file {path}: correct the path; a table of series was expected.")
    if suffix == ".npz":
        return _from_arrays(path, read_npz(path), parts, channels)
    if suffix not in {".csv", ".tsv", ".parquet"}:
        raise InputError(f"{path} is no table of series: a .csv, .tsv, .parquet or .npz file was expected.")
    known = [*parts.values(), *channels]
    reading = read_parquet(path) if suffix == ".parquet" else read_csv(path, header=header, known=known)
    return _from_table(reading, parts, channels, ignore)


def holds_frames(path: Path) -> bool:
    """Whether a file holds arrays of frames, such as films, and no series of channels: `.npy`, and `.npz` whose
    `values` have more than three axes, or that has none.
    """
    suffix = path.suffix.lower()
    if suffix not in {".npz", ".npy"} or not path.is_file():
        return False
    if suffix == ".npy":
        return True
    arrays = read_npz(path)
    return "values" not in arrays or arrays["values"].ndim > _MOST_AXES


def _from_table(
    reading: ReadTable, parts: Mapping[str, str], wanted: Sequence[str], ignore: Sequence[str]
) -> LongSeries:
    table = reading.table
    if len(table) == 0:
        raise InputError(f"{table.where} has no rows; a table with at least one row was expected.")
    shown = shown_names(table.names)
    for name in (*parts.values(), *wanted, *ignore):
        choice("column", name, shown)
    contents = dict(zip(shown, reading.contents, strict=True))
    taken = {*parts.values(), *ignore}
    left = [n for n in shown if n not in taken and contents[n].kind in {"text", "truth", "empty"} and n not in wanted]
    channels = list(wanted) or [n for n in shown if n not in taken and n not in left]
    if not channels:
        raise InputError(f"{table.where} has no column of numbers beside {', '.join(taken) or 'nothing'}: a series has "
                         "at least one.")  # fmt: skip
    for name in channels:
        content = contents[name]
        if content.kind in {"text", "truth"} or content.fault:
            row, cell = content.odd_cell
            raise InputError(f"{table.where}: column {name!r} is not numeric ({table.place(row)} holds {cell!r}): "
                             "name other columns in --columns, or --ignore it.")  # fmt: skip
    values = np.stack([contents[name].numbers for name in channels], 1)
    if np.isinf(values).any():
        row, column = np.argwhere(np.isinf(values))[0]
        raise InputError(f"{table.where}: {channels[column]!r} in row {row} is infinite; give a finite number or a blank.")  # fmt: skip  # noqa: E501
    notes = list(reading.notes)
    if left:
        notes.append(f"{table.where}: {', '.join(left)} hold no numbers and were left alone.")
    ids, named = np.full(len(table), "", object), np.ones(len(table), bool)
    if "id" in parts:
        content = contents[parts["id"]]
        ids = np.array([*content.texts, ""], object)[content.codes]
        named = content.codes >= 0
    times, dated, zone = table_times(table.where, parts, contents, len(table), notes)
    columns = tuple(Column(name, "feature", contents[name].kind, places=contents[name].places) for name in channels)
    pair = (parts.get("id", ""), parts.get("time", ""))
    whole = LongSeries(table.where, pair, ids, times, values, columns, np.arange(len(table)), np.isnan(values),
                       dated, zone, (), table)  # fmt: skip
    return _ordered(whole, named, notes)


def table_times(
    where: str, parts: Mapping[str, str], contents: Mapping[str, Content], count: int, notes: list[str]
) -> tuple[np.ndarray, bool, str]:
    """Times of all rows (NaN where there is none), whether they are dates, and their time zone."""
    if "time" not in parts:
        notes.append(f"{where}: no column of times was named (--columns time=NAME), so rows are steps in their order.")
        return np.arange(count, dtype=float), False, ""
    content = contents[parts["time"]]
    if content.kind == "date" and content.form is None:  # dates that a file holds as such, in days
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
    texts = [text.strip() for text in content.texts]
    used = np.unique(content.codes[content.codes >= 0])
    offsets = {match[1] if (match := _CLOCK.search(texts[i]) and _OFFSET.search(texts[i])) else "" for i in used}
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


def _from_arrays(
    path: Path, arrays: Mapping[str, np.ndarray], parts: Mapping[str, str], wanted: Sequence[str]
) -> LongSeries:
    """Series of a `.npz` file: `values` is (time,), (time, channels) or (series, time, channels).

    `times` (or the array named by time=) has the times of all series, or of each; `names` the channels' names, `ids`
    (or the array named by id=) those of the series.
    """
    if "values" not in arrays:
        raise InputError(f"{path} has no array `values` (it has {', '.join(arrays)}): name the numbers so.")
    values = arrays["values"]
    if values.dtype.kind not in "buif" or values.ndim not in range(1, _MOST_AXES + 1) or not values.size:
        raise InputError(
            f"{path}: `values` must be numbers of shape time, time x channels or series x time x channels."
        )
    whole = values.astype(float).reshape(1, len(values), -1) if values.ndim < 3 else values.astype(float)
    count, length, channels = whole.shape
    for name in parts.values():
        choice("array", name, arrays)
    times = arrays.get(parts.get("time", "times"))
    dated = times is not None and times.dtype.kind == "M"
    if dated and times is not None:
        times = np.where(np.isnat(times), np.nan, times.astype("datetime64[us]").astype(np.int64) / 1e6)
    times = np.arange(length, dtype=float) if times is None else np.asarray(times)
    if times.shape not in {(length,), (count, length)} or times.dtype.kind not in "buif":
        raise InputError(f"{path}: the times have shape {list(times.shape)}; {length} numbers, or as many for each of "
                         f"{count} series were expected.")  # fmt: skip
    names = [str(name) for name in arrays["names"]] if "names" in arrays else [f"channel {i}" for i in range(channels)]
    if len(names) != channels:
        raise InputError(f"{path}: `names` holds {len(names)} names for {channels} channels: give one for each.")
    for name in wanted:
        choice("channel", name, names)
    chosen = [names.index(name) for name in wanted] if wanted else list(range(channels))
    ids = arrays.get(parts.get("id", "ids"), np.arange(count))
    if ids.shape != (count,):
        raise InputError(f"{path}: the ids have shape {list(ids.shape)}; one for each of {count} series was expected.")
    width = len(str(count - 1)) if ids.dtype.kind in "ui" else 0
    flat = np.repeat(np.array([str(one).rjust(width, "0") for one in ids.tolist()], object), length)
    stamps = np.broadcast_to(times, (count, length)).ravel().astype(float)
    kind = "binary" if values.dtype.kind in "bu" and set(np.unique(values).tolist()) <= {0, 1} else "real"
    columns = tuple(Column(names[i], "feature", kind) for i in chosen)
    pair = ("id" if count > 1 else "", parts.get("time", "times"))
    found = whole[..., chosen].reshape(-1, len(chosen))
    return _ordered(
        LongSeries(str(path), pair, flat, stamps, found, columns, np.arange(len(flat)), np.isnan(found), dated),
        np.ones(len(flat), bool), [],
    )  # fmt: skip


def _ordered(found: LongSeries, named: np.ndarray, notes: list[str]) -> LongSeries:
    """The rows sorted by series and time, each time once; what has no id or time is left out."""
    keep = named & ~np.isnan(found.times)
    if not keep.any():
        raise InputError(f"{found.where}: no row has a time{' and an id' if found.parts[0] else ''}: at least one was "
                         "expected.")  # fmt: skip
    if not keep.all():
        notes.append(f"{found.where}: {int((~keep).sum())} rows without a time or an id were left out.")
    rows = np.flatnonzero(keep)
    _, first, codes = np.unique(found.ids[rows].astype(str), return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))[codes]  # series in the order in which they first appear
    order = np.lexsort((found.times[rows], rank))
    if (np.diff(order) < 0).any() and (np.diff(found.times[rows])[rank[1:] == rank[:-1]] < 0).any():
        notes.append(f"{found.where}: rows are not in the order of time; they were sorted, and come back as they were.")
    rows, rank = rows[order], rank[order]
    again = np.concatenate([[False], (rank[1:] == rank[:-1]) & (found.times[rows][1:] == found.times[rows][:-1])])
    places = np.full(len(keep), -1)
    cell = np.cumsum(~again) - 1
    places[rows] = cell
    values = found.values[rows]
    if again.any():
        values = _averaged(values, cell)
        notes.append(f"{found.where}: {int(again.sum())} rows repeat the time of another of their series; their mean "
                     "counts.")  # fmt: skip
    rows = rows[~again]
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
