"""Series as examples: a clock, windows of one length, and splits by series or by time with no leak across the cut."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.core import InputError, choice
from nelbo.data.cuts import DEFAULT_FRACTION, Cuts
from nelbo.data.long import LongSeries, named_parts
from nelbo.data.schema import Schema, Values
from nelbo.data.series_files import read_series
from nelbo.data.series_schema import Series
from nelbo.data.splits import Data, Split
from nelbo.data.streams import Stream
from nelbo.data.xarrays import is_xarray

SPLITS_BY = ("auto", "series", "time")
MANY_SERIES = 20  # from so many on whole series are held out
USUAL_WINDOW = 64
LONGEST_WHOLE = 100  # series up to this length are one window each
_MOST_MISSING = 20  # frames of a grid for each row that is there; beyond it the times are taken as irregular
_NEAR = 1e-3  # of a step: stamps that are so close to whole steps are on them
_MOST_FRAMES = 50_000_000


@dataclass(frozen=True)
class Windows:
    """Windows of series.

    Args:
        x: `(n, window, channels)` float32, zero where missing.
        observed: the same shape.
        times: `(n, window)` float64, in the user's numbers or seconds; beyond the end of a series they go on.
        rows: `(n, window)` the row of `LongSeries` that each frame is; -1 where there is none.
        series: `(n,)` the number of the series.
    """

    x: np.ndarray
    observed: np.ndarray
    times: np.ndarray
    rows: np.ndarray
    series: np.ndarray

    def context(self, step: float) -> np.ndarray:
        """The times in steps from the beginning of each window, float32."""
        return ((self.times - self.times[:, :1]) / step).astype(np.float32)

    def split(self, schema: Series) -> Split:
        """As a split of data."""
        context = None if schema.regular else self.context(schema.step)
        return Split(self.x, observed=self.observed, context=context)


def load_series(
    data: Any,
    names: Sequence[str],
    *,
    cuts: Cuts,
    window: int | None = None,
    split_by: str = "auto",
    like: Schema | None = None,
    **reading: Any,
) -> Data:
    """Windows of series in splits.

    Split by series, whole series are held out, chosen at random. Split by time, all series are cut at the same two
    times, so that what is validated and tested on lies after everything that was trained on. No window crosses a cut.

    Args:
        data: see `read_series`.
        names: of the columns, see `nelbo.data.long.named_parts`.
        cuts: how much to hold out.
        window: frames in a window; None: the longest series up to 100 frames, else 64.
        split_by: "series", "time", or "auto": by series where there are 20 or more.
        like: the schema of data that a model was fitted to: its columns, clock, window and cuts are used.
        reading: `ignore`, `header` and `layout` of `read_series`.

    Raises:
        InputError: see `read_series`; a window longer than every series, or nothing left to learn from.
    """
    if like is not None and like.series is not None:
        return series_data(read_like(data, like.series, header=reading.get("header")), like)
    found = read_series(data, names, **reading)
    series = described(found, window, choice("way to split series", split_by, SPLITS_BY), cuts)
    if found.layout != "long" and (named_parts(names)[1] or reading.get("ignore")):
        series = replace(series, chosen=tuple(column.name for column in found.written))
    return series_data(found, Schema((series.window, len(series.channels)), _kind(found), series=series))


def series_data(found: LongSeries, schema: Schema, *, stride: int | None = None, every: bool = False) -> Data:
    """Windows of series in the splits of a schema.

    Args:
        found: the series.
        schema: of series.
        stride: frames from one training window to the next; None: half a window.
        every: keep windows in which nothing is observed.

    Raises:
        InputError: nothing is left to train on.
    """
    series = schema.series
    if series is None:
        raise InputError(f"{found.where} holds series, and other data were expected.")
    parts = rows_by_split(found, series)
    splits = {}
    for name, rows in parts.items():
        further = (stride or max(1, series.window // 2)) if name == "train" else None
        windows = cut_windows(found.rows(rows), series, stride=further, every=every)
        if len(windows.x):
            splits[name] = windows.split(series)
    if "train" not in splits:
        raise InputError(f"{found.where} has nothing to train on: no window of {series.window} frames before the cut "
                         "has a value; hold out less (--valid-fraction, --test-fraction).")  # fmt: skip
    notes = (*found.notes, _said(found, series, splits))
    return Data(Path(found.where).stem, splits, schema, source=found.where, table=found.table, notes=notes)


def read_like(data: Any, series: Series, *, header: bool | None = None) -> LongSeries:
    """Read series whose columns are those that a model was fitted to.

    Raises:
        InputError: a column is missing, or stamps are of another kind.
    """
    parts = [f"{part}={name}" for part, name in (("id", series.id), ("time", series.time)) if name]
    is_file = isinstance(data, str | Path)
    arrays = is_xarray(data) or (is_file and Path(data).suffix.lower() == ".npz")
    path = data if is_file else "The data"
    if arrays:
        parts = [f"time={series.time}"] if series.time not in {"", "times"} else []
        found = read_series(data, [*parts, *series.names])
    elif series.layout == "long":
        found = read_series(data, [*parts, *series.names], header=header, layout="long")
    else:
        found = read_series(data, [*parts, *series.chosen], header=header, layout=series.layout)
    if found.dated != series.dated:
        kinds = ("numbers", "dates")
        raise InputError(f"{path} has times that are {kinds[found.dated]}, but the model was fitted to series whose "
                         f"times are {kinds[series.dated]}: give times of that kind.")  # fmt: skip
    return found


def described(found: LongSeries, window: int | None, split_by: str, cuts: Cuts) -> Series:
    """What the series of a file are, and where they are cut.

    Raises:
        InputError: a window longer than every series, nothing observed, or fractions that leave nothing.
    """
    if not (~np.isnan(found.values)).any():
        names = ", ".join(column.name for column in found.channels)
        raise InputError(f"{found.where}: nothing is observed in {names}: at least one number was expected.")
    step, regular = clock(found)
    frames = [_frames(found, rows, step, regular=regular) for _, rows in found.bounds()]
    longest = max(frames)
    if window is None:
        window = longest if longest <= LONGEST_WHOLE else USUAL_WINDOW
    if window < 1:
        raise InputError(f"A window has at least one frame, got {window}.")
    if window > longest:
        raise InputError(f"A window of {window} frames is longer than the longest series of {found.where} ({longest} "
                         "frames): give a shorter one.")  # fmt: skip
    by_series = split_by == "series" or (split_by == "auto" and len(frames) >= MANY_SERIES)
    shares = [DEFAULT_FRACTION if part is None else part for part in (cuts.valid, cuts.test)]
    if any(not 0.0 <= share < 1.0 for share in shares) or sum(shares) >= 1.0:
        raise InputError(
            f"Fractions {shares} leave nothing to train on: give numbers from 0 to 1 whose sum is below 1."
        )
    until: tuple[float, ...] = ()
    held: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    if by_series:
        names = [name for name, _ in found.bounds()]
        counts = [max(1, round(share * len(names))) if share > 0 else 0 for share in shares]
        if len(names) <= sum(counts):
            raise InputError(
                f"{found.where} has {len(names)} series, too few to hold {sum(counts)} out: split by time."
            )
        order = Stream("split", cuts.seed).permutation(len(names))
        chosen = [names[i] for i in order]
        held = (tuple(chosen[: counts[0]]), tuple(chosen[counts[0] : sum(counts)]))
    else:
        ends = np.quantile(found.times, [1.0 - sum(shares), 1.0 - shares[1]])
        until = (float(ends[0]), float(ends[1]))
    return Series(
        *found.parts, found.channels, step, found.dated, found.zone, regular, window, until, held, found.layout
    )


def clock(found: LongSeries) -> tuple[float, bool]:
    """The step of time, and whether all stamps are whole steps apart."""
    gaps = np.concatenate([np.diff(found.times[rows]) for _, rows in found.bounds()])
    gaps = gaps[gaps > 0]
    if not len(gaps):
        return 1.0, True
    values, counts = np.unique(gaps, return_counts=True)
    step = float(values[np.argmax(counts)]) if counts.max() > len(gaps) / 2 else float(np.median(gaps))
    ratio = gaps / step
    whole = (np.abs(ratio - np.rint(ratio)) < _NEAR).all() and ratio.min() > 0.5
    total = sum(_frames(found, rows, step, regular=True) for _, rows in found.bounds())
    return step, bool(whole and total <= _MOST_MISSING * len(found.times))


def longest_series(found: LongSeries, series: Series) -> int:
    """Frames of the longest series of a file.

    Args:
        found: the series.
        series: what they are.

    Raises:
        InputError: there are too many.
    """
    return max(_frames(found, rows, series.step, regular=series.regular) for _, rows in found.bounds())


def _frames(found: LongSeries, rows: slice, step: float, *, regular: bool) -> int:
    """How many frames a series has."""
    times = found.times[rows]
    if not regular:
        return len(times)
    count = (times[-1] - times[0]) / step + 1
    if count > _MOST_FRAMES:
        raise InputError(f"{found.where}: a series is {count:.3g} steps long: give fewer, or stamps that are closer.")
    return round(count)


def rows_by_split(found: LongSeries, series: Series) -> dict[str, np.ndarray]:
    """Which rows are of each split, by the cuts of `series`.

    Args:
        found: the rows.
        series: what they are.
    """
    if series.by_series:
        place = {name: i for i, ids in enumerate(series.held, 1) for name in ids}
        code = np.array([place.get(str(one), 0) for one in found.ids.tolist()])
    else:
        code = np.searchsorted(np.asarray(series.until), found.times, side="left")
    return {name: code == i for i, name in enumerate(("train", "valid", "test")) if (code == i).any()}


def cut_windows(found: LongSeries, series: Series, *, stride: int | None = None, every: bool = False) -> Windows:
    """Cut series into windows; the last one of a series is moved back to its end, or padded where it is short.

    Args:
        found: the series.
        series: what they are.
        stride: frames from one window to the next; None: a whole window.
        every: keep windows in which nothing is observed.
    """
    length, stride = series.window, stride or series.window
    parts: list[tuple[np.ndarray, np.ndarray, int]] = []
    for number, (_, rows) in enumerate(found.bounds()):
        places, times = _laid_out(found, rows, series)
        last = max(0, len(places) - length)
        starts = sorted({*range(0, last + 1, stride), last})
        parts += [(*_padded(places, times, start, length, series.step), number) for start in starts]
    if not parts:
        channels = len(series.channels)
        empty = np.zeros((0, length, channels), np.float32)
        return Windows(empty, empty.astype(bool), empty[..., 0].astype(float), empty[..., 0].astype(int), empty[:, 0, 0].astype(int))  # fmt: skip  # noqa: E501
    rows, times = (np.stack([part[i] for part in parts]) for i in (0, 1))
    made = _windows(found, rows, times, np.array([part[2] for part in parts]))
    if every:
        return made
    some = made.observed.any((1, 2))
    return Windows(made.x[some], made.observed[some], made.times[some], made.rows[some], made.series[some])


def trailing_windows(found: LongSeries, series: Series, ends: np.ndarray) -> Windows:
    """The windows that end at some of the rows; frames before the beginning of a series are not observed.

    Args:
        found: the series.
        series: what they are.
        ends: `(n,)` numbers of rows, rising.
    """
    length, parts = series.window, []
    for number, (_, rows) in enumerate(found.bounds()):
        places, times = _laid_out(found, rows, series)
        before = np.full(length - 1, -1), times[0] - series.step * np.arange(length - 1, 0, -1)
        at = np.flatnonzero(np.isin(places, ends))
        laid = (np.concatenate(pair) for pair in zip(before, (places, times), strict=True))
        parts.append((*(np.lib.stride_tricks.sliding_window_view(one, length)[at] for one in laid), at * 0 + number))
    return _windows(found, *(np.concatenate(part) for part in zip(*parts, strict=True)))


def _windows(found: LongSeries, rows: np.ndarray, times: np.ndarray, numbers: np.ndarray) -> Windows:
    """Windows by the row of each frame, -1 where there is none."""
    values = np.concatenate([found.values, np.full((1, found.values.shape[1]), np.nan)])[rows]
    observed = ~np.isnan(values)
    return Windows(np.where(observed, values, 0.0).astype(np.float32), observed, times, rows, numbers)


def _laid_out(found: LongSeries, rows: slice, series: Series) -> tuple[np.ndarray, np.ndarray]:
    """The row and the time of each frame of a series."""
    times = found.times[rows]
    places = np.arange(rows.start, rows.stop)
    if not series.regular:
        return places, times
    at = np.rint((times - times[0]) / series.step).astype(int)
    grid = np.full(at[-1] + 1, -1)
    grid[at] = places
    return grid, times[0] + series.step * np.arange(len(grid))


def _padded(
    places: np.ndarray, times: np.ndarray, start: int, length: int, step: float
) -> tuple[np.ndarray, np.ndarray]:
    places, times = places[start : start + length], times[start : start + length]
    more = length - len(places)
    if not more:
        return places, times
    return np.append(places, np.full(more, -1)), np.append(times, times[-1] + step * np.arange(1, more + 1))


def _kind(found: LongSeries) -> Values:
    """What the values are, as in `Schema.values`."""
    return "binary" if all(column.kind == "binary" for column in found.channels) else "real"


def _said(found: LongSeries, series: Series, splits: dict[str, Split]) -> str:
    """One sentence on how the series were taken."""
    count = len(found.bounds())
    clock = f"every {series.described_step()}" if series.regular else f"at irregular times (a step is {series.described_step()})"  # fmt: skip  # noqa: E501
    windows = ", ".join(f"{name} {len(split)}" for name, split in splits.items())
    ends = ", ".join(series.stamp(time) for time in series.until)
    how = "by series" if series.by_series else f"by time, at {ends}"
    return (f"{found.where}: {count} series of {len(series.channels)} channels {clock}, in windows of {series.window} "
            f"frames ({windows}), split {how}.")  # fmt: skip
