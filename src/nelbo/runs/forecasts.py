"""Time series of a run: imputation, forecasts, and scores of forecasts of held-out futures."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Array, Key

from nelbo.core import InputError
from nelbo.data import LongSeries, Series, Windows, cut_windows, longest_series, read_like, trailing_windows
from nelbo.runs.folder import Run
from nelbo.tasks import SERIES_DRAWS, FramePrediction, predict_frames, series_errors

FARTHEST = 100_000  # frames ahead


@dataclasses.dataclass(frozen=True)
class FilledSeries:
    """The model's predictions of every row of series.

    Args:
        series: the rows.
        mean: `(rows, channels)`.
        std: standard deviation, the same shape.
        low: lower end of the interval.
        high: upper end.
        draws: `(draws, rows, channels)`; each is joint within a window.
    """

    series: LongSeries
    mean: np.ndarray
    std: np.ndarray
    low: np.ndarray
    high: np.ndarray
    draws: np.ndarray


def series_of(run: Run) -> Series:
    """The description of a run's series.

    Raises:
        InputError: the run is on other data.
    """
    schema = run.fitted_data.schema
    if schema is None or schema.series is None:
        raise InputError(f"{run.folder} was not fitted to series: forecasts are by models of series (gp-vae, "
                         "state-space).")  # fmt: skip
    return schema.series


def series_rows(run: Run, data: Any = None) -> LongSeries:
    """Series like those of a run, or the run's own if none are given.

    Args:
        run: a run on series.
        data: see `nelbo.data.read_series`.
    """
    settings = run.experiment.data
    return read_like(settings["name"] if data is None else data, series_of(run), header=settings.get("header"))


def fill_rows(
    key: Key[Array, ""],
    run: Run,
    rows: LongSeries,
    *,
    draws: int = SERIES_DRAWS,
    level: float = 0.9,
    progress: Callable[[int], None] | None = None,
) -> FilledSeries:
    """Predict every row of series; windows overlap by half, and each row is taken from where it is most central.

    Args:
        key: for the draws.
        run: on series.
        rows: the series.
        draws: number of draws from the posterior.
        level: probability of the intervals.
        progress: called with the number of windows done.

    Raises:
        InputError: see `nelbo.tasks.predict_frames`.
    """
    series = series_of(run)
    windows = cut_windows(rows, series, stride=max(1, series.window // 2), every=True)
    context = None if series.regular else windows.context(series.step)
    found = predict_frames(
        key, run.model, windows.x, windows.observed, context, draws=draws, level=level, progress=progress
    )
    where = most_central(windows, len(rows.ids))
    parts = (part[where] for part in (found.mean, found.std, found.low, found.high))
    return FilledSeries(rows, *parts, draws=np.moveaxis(found.draws, 1, 0)[:, where[0], where[1]])


def most_central(windows: Windows, count: int) -> tuple[np.ndarray, np.ndarray]:
    """For each row the window and the frame that it is taken from."""
    length = windows.rows.shape[1]
    depth = np.minimum(np.arange(length), np.arange(length)[::-1])
    window, frame = np.nonzero(windows.rows >= 0)
    order = np.argsort(depth[frame], kind="stable")  # the deepest is written last
    found = np.zeros((2, count), int)
    places = windows.rows[window, frame][order]
    found[0, places], found[1, places] = window[order], frame[order]
    return found[0], found[1]


@dataclasses.dataclass(frozen=True)
class Forecast:
    """Forecasts of series.

    Args:
        ids: of the series.
        times: `(series, horizon)`, as in `LongSeries`.
        found: the predictions of these frames.
        past: the windows that they are conditioned on.
    """

    ids: tuple[str, ...]
    times: np.ndarray
    found: FramePrediction
    past: Windows


def forecast_series(
    key: Key[Array, ""],
    run: Run,
    rows: LongSeries,
    horizon: int,
    *,
    history: int | None = None,
    draws: int = SERIES_DRAWS,
    level: float = 0.9,
    progress: Callable[[int], None] | None = None,
) -> Forecast:
    """The frames after the last one of each series.

    Args:
        key: for the draws.
        run: on series.
        rows: the series.
        horizon: number of frames.
        history: number of past frames of each series that forecasts are conditioned on; None: the model's window.
        draws: number of sampled futures, joint in time and channels.
        level: probability of the intervals.
        progress: called with the number of series done.

    Raises:
        InputError: a horizon that is zero or too long, an empty history, or see `nelbo.tasks.predict_frames`.
    """
    series, frames = series_of(run), checked_frames(run, horizon, history)
    if history is not None:
        frames = min(frames, longest_series(rows, series))
    series = dataclasses.replace(series, window=frames)
    past = last_windows(rows, series)
    steps = np.arange(1, horizon + 1)
    times = past.times[:, -1:] + series.step * steps
    context = None if series.regular else past.context(series.step)
    further = None if context is None else (context[:, -1:] + steps).astype(np.float32)
    found = predict_frames(
        key, run.model, past.x, past.observed, context, further=further, horizon=horizon, draws=draws, level=level,
        progress=progress,
    )  # fmt: skip
    names = [name for name, _ in rows.bounds()]
    return Forecast(tuple(names[i] for i in past.series), times, found, past)


def checked_frames(run: Run, horizon: int, history: int | None) -> int:
    """The number of past frames that forecasts are conditioned on.

    Raises:
        InputError: a horizon or a history that makes no sense.
    """
    series = series_of(run)
    checked_horizon(horizon, f"steps ({series.described_step()} each)")
    if history is not None and history < 1:
        raise InputError(f"A history has at least one frame, got {history}.")
    return history or series.window


def checked_horizon(horizon: Any, what: str) -> int:
    """The number of frames ahead.

    Raises:
        InputError: none is given, or it makes no sense.
    """
    if horizon is None:
        raise InputError(f"Say how many {what} ahead to look: --horizon N.")
    if not isinstance(horizon, int | np.integer) or not 1 <= horizon <= FARTHEST:
        raise InputError(f"The horizon is a number of {what} from 1 to {FARTHEST}, got {horizon!r}.")
    return int(horizon)


def last_windows(rows: LongSeries, series: Series) -> Windows:
    """The last window of each series; a short one has its missing frames before its beginning."""
    return trailing_windows(rows, series, np.array([part.stop - 1 for _, part in rows.bounds()]))


def score_futures(
    key: Key[Array, ""],
    run: Run,
    horizon: int,
    *,
    path: str | None = None,
    history: int | None = None,
    draws: int = SERIES_DRAWS,
    level: float = 0.9,
    most: int = 200,
    progress: Callable[[int], None] | None = None,
) -> list[dict[str, Any]]:
    """Score forecasts of the held-out part of a run's series, made every `horizon` frames, beside simple baselines.

    If series were split by time, every scored future lies after all training frames; if whole series were held out, the
    futures are theirs. The history may reach back before the cut, since it is known when a forecast is made. The
    parameters are those of `forecast_series`, and:

    Args:
        key: for the draws.
        run: a run on series at regular times.
        horizon: number of frames.
        path: of other series, all of which are then scored; None: the run's own.
        history: see `forecast_series`.
        draws: see `forecast_series`.
        level: probability of the intervals.
        most: largest number of forecasts, evenly spaced.
        progress: called with the number of forecasts done.

    Returns:
        A row for the model, one for the last value, and, if the model has a period, one for the value a period before.
        CRPS, RMSE and MAE are in standard deviations of each channel over the training frames.

    Raises:
        InputError: irregular times, or no future of that length.
    """
    series = series_of(run)
    if not series.regular:
        raise InputError(
            "Futures are scored for series at regular times alone: the times of others are not known ahead."
        )
    back = checked_frames(run, horizon, history)
    rows = series_rows(run, path)
    whole = cut_windows(rows, dataclasses.replace(series, window=back + horizon), stride=horizon, every=True)
    whole = _held_out(whole, rows, series, horizon, everything=path is not None)
    if not len(whole.x):
        raise InputError(f"No held-out series goes on for {horizon} frames: give a shorter horizon.")
    if len(whole.x) > most:
        whole = _taken(whole, np.linspace(0, len(whole.x) - 1, most).astype(int))
    x, observed = whole.x[:, :back], whole.observed[:, :back]
    truth, known = whole.x[:, back:], whole.observed[:, back:]
    found = predict_frames(
        key, run.model, x, observed, horizon=horizon, truth=truth, draws=draws, level=level, progress=progress
    )
    spread = _spreads(rows, series)
    about = {"horizon": horizon, "origins": len(x)}
    table = [about | _row("model", found, truth, known, spread)]
    table.append(about | _simple("last value", _last(x, observed), truth, known, spread))
    period = run.experiment.model["arguments"].get("period")
    if period is not None and round(period) <= back:
        lag = round(period)
        places = back - lag + np.arange(horizon) % lag
        table.append(about | _simple("a period before", (x[:, places], observed[:, places]), truth, known, spread))
    return table


def _held_out(whole: Windows, rows: LongSeries, series: Series, horizon: int, *, everything: bool) -> Windows:
    """The windows whose last frames may be scored: complete futures after the last cut, or of test series."""
    last = whole.rows[:, -horizon:]
    keep = (last >= 0).any(1) & (whole.rows[:, -1] >= 0)
    if everything:
        return _taken(whole, np.flatnonzero(keep))
    if series.by_series:
        names = [name for name, _ in rows.bounds()]
        keep &= np.isin(np.array([names[i] for i in whole.series], object), list(series.held[1]))
    else:
        keep &= whole.times[:, -horizon] > series.until[1]
    return _taken(whole, np.flatnonzero(keep))


def _taken(windows: Windows, places: np.ndarray) -> Windows:
    return Windows(*(vars(windows)[field.name][places] for field in dataclasses.fields(Windows)))


def _spreads(rows: LongSeries, series: Series) -> np.ndarray:
    """The standard deviation of each channel over the training frames."""
    held = {name for ids in series.held for name in ids}
    until = series.until[0] if series.until else np.inf
    early = rows.values[(rows.times <= until) & ~np.isin(rows.ids, list(held))]
    early = early if len(early) else rows.values
    spread = np.sqrt(np.nanmean((early - np.nanmean(early, axis=0)) ** 2, axis=0))
    return np.where(np.isfinite(spread) & (spread > 0), spread, 1.0).astype(np.float32)


def _row(name: str, found: FramePrediction, truth: np.ndarray, known: np.ndarray, spread: np.ndarray) -> dict[str, Any]:
    in_spreads = dataclasses.replace(
        found, mean=found.mean / spread, low=found.low / spread, high=found.high / spread, draws=found.draws / spread
    )
    return {"forecast": name, **dataclasses.asdict(series_errors(in_spreads, truth / spread, known))}


def _simple(
    name: str, guess: tuple[np.ndarray, np.ndarray], truth: np.ndarray, known: np.ndarray, spread: np.ndarray
) -> dict[str, Any]:
    """A point forecast, which has neither a density nor an interval, and whose CRPS is its absolute error."""
    values, there = np.broadcast_to(guess[0], truth.shape), np.broadcast_to(guess[1], truth.shape)
    found = FramePrediction(values, values, values, values, values[:, None])
    return _row(name, found, truth, known & there, spread) | {"log_score": None, "coverage": None}


def _last(x: np.ndarray, observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The last known value of each channel, and whether there is one, `(n, 1, channels)`."""
    length = x.shape[1]
    place = length - 1 - observed[:, ::-1].argmax(1)
    return np.take_along_axis(x, place[:, None], 1), np.asarray(observed.any(1))[:, None]


def forecast_columns(forecast: Forecast, series: Series, parts: tuple[str, ...]) -> dict[str, list[Any]]:
    """A forecast as the columns of a table in the layout of the series.

    In long form these are id, time, and the parts of each channel; with a column for each series, time and the parts of
    each series; with a row for each series, id and the parts of each time.

    Args:
        forecast: of all series.
        series: their description.
        parts: fields of `FramePrediction`.
    """
    horizon = forecast.times.shape[1]
    stamps = [series.stamp(time) for time in forecast.times[0].tolist()]
    columns: dict[str, list[Any]] = {}
    if series.layout == "columns":
        columns[series.time or "step"] = stamps
        found = {(n, p): vars(forecast.found)[p][i, :, 0] for i, n in enumerate(forecast.ids) for p in parts}
        return columns | {f"{name}_{part}": values.tolist() for (name, part), values in found.items()}
    if series.layout == "rows":
        columns |= {series.id: list(forecast.ids)} if series.id else {}
        found = {(s, p): vars(forecast.found)[p][:, i, 0] for i, s in enumerate(stamps) for p in parts}
        return columns | {f"{stamp}_{part}": values.tolist() for (stamp, part), values in found.items()}
    if series.id:
        columns[series.id] = [name for name in forecast.ids for _ in range(horizon)]
    columns[series.time or "step"] = [series.stamp(time) for time in forecast.times.ravel().tolist()]
    for i, name in enumerate(series.names):
        for part in parts:
            columns[f"{name}_{part}"] = vars(forecast.found)[part][..., i].ravel().tolist()
    return columns


def simple_fills(rows: LongSeries, hidden: np.ndarray) -> dict[str, np.ndarray]:
    """Baselines for every value: linear interpolation in time, the last value, and the mean of its channel.

    Args:
        rows: of the series, with the hidden values.
        hidden: `(rows, channels)`, which values must not be read.
    """
    known = np.asarray(~np.isnan(rows.values) & ~hidden)
    shown = np.where(known, rows.values, np.nan)
    mean = np.nanmean(shown, axis=0)
    linear, last = np.broadcast_to(mean, shown.shape).copy(), np.broadcast_to(mean, shown.shape).copy()
    for _, part in rows.bounds():
        times = rows.times[part]
        for channel in np.flatnonzero(known[part].any(0)):
            there = np.flatnonzero(known[part, channel])
            values = shown[part, channel][there]
            linear[part, channel] = np.interp(times, times[there], values)
            last[part, channel] = values[np.maximum(np.searchsorted(there, np.arange(len(times)), side="right") - 1, 0)]
    return {"linear interpolation": linear, "last value": last, "mean": np.broadcast_to(mean, shown.shape)}


def fill_errors(filled: FilledSeries, rows: LongSeries, hidden: np.ndarray) -> list[dict[str, Any]]:
    """Errors of the model and of simple baselines for hidden values, in the user's units.

    Args:
        filled: the predictions of the model, which did not see them.
        rows: with the hidden values.
        hidden: which values were hidden.
    """
    found = FramePrediction(
        filled.mean[None], filled.std[None], filled.low[None], filled.high[None], filled.draws[None]
    )
    truth, counted = np.nan_to_num(rows.values)[None], (hidden & ~np.isnan(rows.values))[None]
    scored = dataclasses.asdict(series_errors(found, truth, counted))
    table: list[dict[str, Any]] = [{"filling": "model", **{k: v for k, v in scored.items() if k != "log_score"}}]
    for name, values in simple_fills(rows, hidden).items():
        error = (values - rows.values)[counted[0]]
        mae = float(np.abs(error).mean())
        table.append({"filling": name, "crps": mae, "rmse": float(np.sqrt((error**2).mean())), "mae": mae,
                      "coverage": None, "values": len(error)})  # fmt: skip
    return table
