"""Reading series: tables in long and in wide form, arrays with their times, data frames, and xarray objects."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.core import InputError, choice
from nelbo.data.formats import read_npz
from nelbo.data.long import LongSeries, long_series, named_parts, stacked
from nelbo.data.reading import ReadTable, read_csv, read_frame, read_parquet, require
from nelbo.data.tables import ParquetTable
from nelbo.data.wide import LAYOUTS, plain_layout, wide_series
from nelbo.data.xarrays import is_xarray, xarray_series

HERE = "these data"  # what messages call series in memory
_MOST_AXES = 3  # series x time x channels


def read_series(
    data: Any,
    names: Sequence[str] = (),
    *,
    ignore: Sequence[str] = (),
    header: bool | None = None,
    layout: str | None = None,
) -> LongSeries:
    """Read series; rows without a time are left out, and it is said.

    Args:
        data: the path of a table (.csv, .tsv, .parquet), or of a `.npz` file of `values` and maybe `times` (see
            `_from_arrays`); a pandas data frame, whose index holds times where it is one of dates; or a data array or
            data set of xarray, one of whose dimensions is time.
        names: see `named_parts`; without channels every column of numbers is one.
        ignore: columns that are no channels.
        header: whether the first line of a CSV file names its columns; None finds out.
        layout: of a table, see `nelbo.data.wide`; None: "rows" where its columns are named by times, else "long".

    Raises:
        InputError: no such file or column, stamps that are no times, or no channel.
    """
    parts, channels = named_parts(names)
    if layout is not None:
        choice("layout of series", layout, LAYOUTS)
    if isinstance(data, str | Path):
        path = Path(data)
        suffix = path.suffix.lower()
        if not path.exists():
            raise InputError(f"There is no file {path}: correct the path; a table of series was expected.")
        if suffix == ".npz":
            if layout not in {None, "long"}:
                raise InputError(f"{path} holds arrays, whose layout is their shape: leave --layout out.")
            return _from_arrays(str(path), read_npz(path), parts, channels)
        if suffix not in {".csv", ".tsv", ".parquet"}:
            raise InputError(f"{path} is no table of series: a .csv, .tsv, .parquet or .npz file was expected.")
        known = [*parts.values(), *channels]
        reading = read_parquet(path) if suffix == ".parquet" else read_csv(path, header=header, known=known)
        if isinstance(reading.table, ParquetTable):
            reading, parts = _with_index(reading.table.frame, str(path), parts)
    elif is_xarray(data):
        return xarray_series(data, parts, channels)
    else:
        reading, parts = _with_index(data, HERE, parts)
    layout = layout or plain_layout(reading, parts, channels, ignore)
    if layout == "long":
        return long_series(reading, parts, channels, ignore)
    return wide_series(reading, parts, channels, ignore, layout)


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


def _with_index(frame: Any, where: str, parts: Mapping[str, str]) -> tuple[ReadTable, dict[str, str]]:
    """A data frame whose index is read too where it has names or dates: levels of dates are times, others ids.

    Raises:
        InputError: no data frame.
    """
    pandas = require("pandas", "Reading a data frame")
    if not isinstance(frame, pandas.DataFrame):
        raise InputError(f"Series are read from a file, a pandas data frame or xarray, got {type(frame).__name__}.")
    found = dict(parts)
    reading = read_frame(frame, where)
    dated = [isinstance(level, pandas.DatetimeIndex) for level in _levels(frame.index)]
    if not any(dated) and not any(name is not None for name in frame.index.names):
        return reading, found
    names = [("time" if is_date else f"level {i}") if name is None else str(name)
             for i, (name, is_date) in enumerate(zip(frame.index.names, dated, strict=True))]  # fmt: skip
    columns = frame.index.to_frame(index=False, name=names if len(names) > 1 else names[0])
    beside = dict(zip(names, read_frame(columns, where).contents, strict=True))
    if clash := set(names) & {str(name) for name in frame.columns}:
        raise InputError(f"{where}: {', '.join(sorted(clash))} is the name of a column and of the index: rename one.")
    for name, is_date in zip(names, dated, strict=True):
        part = "time" if is_date else "id"
        if part not in found and name not in found.values() and (is_date or len(names) > 1):
            found[part] = name
    return replace(reading, index=beside), found


def _levels(index: Any) -> list[Any]:
    """The levels of an index, each as an index."""
    return list(index.levels) if index.nlevels > 1 else [index]


def _from_arrays(
    where: str, arrays: Mapping[str, np.ndarray], parts: Mapping[str, str], wanted: Sequence[str]
) -> LongSeries:
    """Series of a `.npz` file: `values` is (time,), (time, channels) or (series, time, channels).

    `times` (or the array named by time=) has the times of all series, or of each; `names` the channels' names, `ids`
    (or the array named by id=) those of the series.
    """
    if "values" not in arrays:
        raise InputError(f"{where} has no array `values` (it has {', '.join(arrays)}): name the numbers so.")
    values = arrays["values"]
    if values.dtype.kind not in "buif" or values.ndim not in range(1, _MOST_AXES + 1) or not values.size:
        raise InputError(
            f"{where}: `values` must be numbers of shape time, time x channels or series x time x channels."
        )
    for name in parts.values():
        choice("array", name, arrays)
    whole = values.reshape(1, len(values), -1) if values.ndim < 3 else values
    times, ids = arrays.get(parts.get("time", "times")), arrays.get(parts.get("id", "ids"))
    names = [str(name) for name in arrays["names"]] if "names" in arrays else None
    found = stacked(where, whole, times, ids, names, parts.get("time", "times"), wanted)
    shape = (*values.shape[:-1], len(found.channels)) if values.ndim > 1 else values.shape
    return replace(found, shape=shape)
