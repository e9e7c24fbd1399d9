"""Series in a run: how they are read, and what they decide about a model."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from nelbo.core import InputError, choice
from nelbo.data import LAYOUTS, MADE, SPLITS_BY, Cuts, Data, Schema, holds_frames, load_made, load_series, names
from nelbo.models import family_options

FILM_AXES = 4  # time x height x width x channels


def series_settings(
    *, window: int | None = None, split_by: str | None = None, layout: str | None = None
) -> dict[str, Any]:
    """Settings of the data of models of series.

    Args:
        window: frames in a window of a series; by default the length of the longest series if that is at most 100,
            else 64.
        split_by: what is held out: "series" (whole series), "time" (all that comes after a point in time), or "auto"
            (whole series if there are at least 20).
        layout: of a table of series: "long" (a row for each series and time), "columns" (a row for each time, a column
            for each series) or "rows" (a row for each series, columns named by times).

    Raises:
        InputError: another way to split, or no frame.
    """
    if window is not None and window < 1:
        raise InputError(f"A window has at least one frame, got {window}.")
    if split_by is not None:
        choice("way to split series", split_by, SPLITS_BY)
    if layout is not None:
        choice("layout of series", layout, LAYOUTS)
    return {"window": window, "split_by": split_by, "layout": layout}


def names_series(settings: Mapping[str, Any]) -> bool:
    """Whether data settings say that a table holds series, to models that take rows of tables too."""
    named = any(str(name).startswith(("id=", "time=")) for name in settings.get("columns") or ())
    return named or any(settings.get(name) is not None for name in ("window", "split_by", "layout", "series"))


def read_series_data(settings: Mapping[str, Any], schema: Schema | None = None, *, whole: bool = False) -> Data:
    """The data of a run on series.

    Args:
        settings: of the data.
        schema: of the data that a model was fitted to.
        whole: all windows of the file as one split "rows".

    Raises:
        InputError: see `nelbo.data.load_series`; settings that are about other data.
    """
    if settings["name"] in MADE:
        data = load_made(settings["name"], data_dir=settings.get("data_dir"))
        if data.schema.series is None:
            raise InputError(f"{settings['name']} holds no series: use svgp-vae.")
        return data
    asked = {name for name, value in settings.items() if value is not None}
    if odd := asked & {"context", "data_dir"} - ({"data_dir"} if whole else set()):
        raise InputError(f"Series are read from a file of theirs, so leave {', '.join(sorted(odd))} out.")
    given = series_settings(**{name: settings.get(name) for name in ("window", "split_by", "layout")})
    parts = (settings.get("split_seed") or 0, settings.get("valid_fraction"), settings.get("test_fraction"))
    if whole and schema is not None and schema.series is not None:
        # no cut: every series from its beginning to its end
        schema = dataclasses.replace(schema, series=dataclasses.replace(schema.series, until=(), held=((), ())))
    data = load_series(
        Path(settings["name"]).expanduser(),
        settings.get("columns") or (),
        cuts=Cuts(*((0, 0.0, 0.0) if whole else parts)),
        window=given["window"],
        split_by=given["split_by"] or "auto",
        ignore=settings.get("ignore") or (),
        header=settings.get("header"),
        layout=given["layout"],
        like=schema,
    )
    return dataclasses.replace(data, splits={"rows": data.train}) if whole else data


def holds_films(settings: Mapping[str, Any]) -> bool:
    """Whether what data settings name is read as films, or other arrays of frames, and not as a table of series."""
    name = str(settings["name"])
    return name in names() or holds_frames(Path(name).expanduser())


def film_arguments(data: Data, arguments: Mapping[str, Any], scale: float) -> dict[str, Any]:
    """What the data decide about a model of films: the mean of a frame, and one standard deviation for all pixels; of
    frames of channels one for each.

    Args:
        data: films, or other arrays of frames.
        arguments: of the model.
        scale: what a full pixel is in the data.
    """
    train = data.train
    observed = np.ones(train.x.shape, bool) if train.observed is None else train.observed
    values = np.where(observed, train.x / scale, 0.0)
    counts = np.maximum(observed.sum((0, 1)), 1)
    centre = values.sum((0, 1)) / counts
    squares = np.where(observed, (values - centre) ** 2, 0.0).sum((0, 1))
    spread = np.sqrt(squares / counts)
    if len(data.shape) == FILM_AXES:
        spread = np.full_like(spread, np.sqrt(squares.sum() / counts.sum()))
    moments = {"centre": centre, "spread": np.where(spread > 0.0, spread, 1.0)}
    return {key: jnp.asarray(moments[key], jnp.float32) if arguments.get(key) else False for key in moments}


def is_of_frames(data: Data) -> bool:
    """Whether examples are films, time x height x width x 1 or 3 channels, or windows of time x channels."""
    shape = data.shape
    return len(shape) == 2 or (len(shape) == FILM_AXES and shape[-1] in {1, 3})


def series_arguments(name: str, data: Data, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What the data decide about a model of series: mean and standard deviation of each channel over training frames.

    Args:
        name: of the model.
        data: windows of series.
        arguments: of the model.

    Raises:
        InputError: other data.
    """
    series, train = data.schema.series, data.train
    if series is None:
        raise InputError(f"{data.name} holds no series.")
    observed = np.ones(train.x.shape, bool) if train.observed is None else train.observed
    count = np.maximum(observed.sum((0, 1)), 1)
    centre = train.x.sum((0, 1), dtype=float) / count
    spread = np.sqrt((np.where(observed, train.x - centre, 0.0) ** 2).sum((0, 1), dtype=float) / count)
    moments = {"centre": centre, "spread": np.where(spread > 0.0, spread, 1.0)}
    found = {
        part: jnp.asarray(moments[part], jnp.float32) if arguments.get(part) and data.values == "real" else False
        for part in moments
    }
    return found | ({"irregular": not series.regular} if "irregular" in family_options(name) else {})
