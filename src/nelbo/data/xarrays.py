"""Series in xarray: a data array or a data set of which one dimension is time."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nelbo.core import InputError, choice
from nelbo.data.long import LongSeries, stacked

TIME = "time"
_WHERE = "these data"


def is_xarray(data: Any) -> bool:
    """Whether it is a data array or a data set of xarray."""
    xarray = sys.modules.get("xarray")  # not imported: then nothing is of it
    return xarray is not None and isinstance(data, xarray.DataArray | xarray.Dataset)


def xarray_series(data: Any, parts: Mapping[str, str], wanted: Sequence[str]) -> LongSeries:
    """The series of an xarray object: variables are channels, all dimensions but time tell series apart.

    The dimension of time is the one that is named by time=, or called time, or the only one of dates.

    Raises:
        InputError: no dimension of time, or variables that are not over the same dimensions.
    """
    whole = _dataset(data)
    dims = {name: tuple(map(str, variable.dims)) for name, variable in whole.data_vars.items()}
    if not dims:
        raise InputError("The xarray data set has no variables: at least one over time was expected.")
    if len({frozenset(names) for names in dims.values()}) > 1:
        raise InputError(f"The variables of the xarray data set have different dimensions ({dims}): select those of "
                         "one shape.")  # fmt: skip
    own = next(iter(dims.values()))
    dated = [name for name in own if name in whole.coords and whole.coords[name].dtype.kind == "M"]
    time = parts.get("time", TIME if TIME in own or len(dated) != 1 else dated[0])
    choice("dimension of time", time, own)
    others = tuple(name for name in own if name != time)
    arrays = [whole[name].transpose(*others, time).to_numpy() for name in whole.data_vars]
    values = np.stack(arrays, -1)
    flat = values.reshape(-1, *values.shape[len(others) :])
    grid = [[str(one) for one in whole[name].to_numpy().tolist()] for name in others]
    mesh = np.meshgrid(*[np.arange(len(one)) for one in grid], indexing="ij") if others else []
    places = np.stack([one.ravel() for one in mesh], 1) if others else np.zeros((1, 0), int)
    ids = np.array([", ".join(grid[j][i] for j, i in enumerate(row)) for row in places.tolist()])
    times = whole.coords[time].to_numpy() if time in whole.coords else None
    if flat.dtype.kind not in "buif":
        raise InputError("The xarray data hold no numbers: select variables that do.")
    names = [str(name) for name in whole.data_vars]
    found = stacked(_WHERE, flat, times, ids, names, time, wanted)
    return replace(found, shape=(*values.shape[:-1], len(found.channels)))


def _dataset(data: Any) -> Any:
    """A data array as a data set of one variable."""
    import xarray

    return data if isinstance(data, xarray.Dataset) else data.to_dataset(name=data.name or "value")


def filled_xarray(data: Any, rows: LongSeries, values: np.ndarray) -> Any:
    """The object with its missing entries filled in; all others, coordinates and attributes stay.

    Args:
        data: what `rows` was read from.
        rows: its series.
        values: `(rows, channels)`, of every row.
    """
    import xarray

    whole = _dataset(data)
    time = rows.parts[1]
    found = rows.in_file(values)
    filled = whole.copy()
    for i, column in enumerate(rows.channels):
        variable = whole[column.name]
        others = [name for name in variable.dims if name != time]
        new = xarray.DataArray(found[..., i], dims=[*others, time]).transpose(*variable.dims)
        old = variable.to_numpy()
        filled[column.name] = variable.copy(data=np.where(np.isnan(old), new.to_numpy(), old).astype(old.dtype))
    return filled if isinstance(data, xarray.Dataset) else filled[data.name or "value"].rename(data.name)


def future_xarray(data: Any, rows: LongSeries, times: np.ndarray, parts: Mapping[str, np.ndarray]) -> Any:
    """A data set of what comes after an object: for each channel and part a variable NAME_PART.

    Args:
        data: what `rows` was read from.
        rows: its series.
        times: `(horizon,)` of all series, as in `LongSeries`.
        parts: `(series, horizon, channels)` each, in the order of the series of the object.
    """
    import xarray

    whole, time = _dataset(data), rows.parts[1]
    first = whole[rows.channels[0].name]
    others = [str(name) for name in first.dims if name != time]
    stamps = times
    if rows.dated:
        stamps = (times * 1e6).round().astype("datetime64[us]").astype(whole.coords[time].dtype)
    coords = {name: whole.coords[name] for name in others if name in whole.coords} | {time: stamps}
    sizes = [whole.sizes[name] for name in others]
    variables = {
        f"{column.name}_{part}": ([*others, time], array[..., i].reshape(*sizes, len(times)))
        for i, column in enumerate(rows.channels)
        for part, array in parts.items()
    }
    return xarray.Dataset(variables, coords)
