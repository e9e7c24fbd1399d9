"""Intervals of gaps as wide as they must be: known values are hidden in gaps of the same kind, and looked up."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from nelbo.data import LongSeries, rows_by_split
from nelbo.runs.folder import Run
from nelbo.runs.forecasts import FilledSeries, fill_rows, series_of
from nelbo.tasks import SERIES_DRAWS

_HIDDEN = 1000  # values
_ENOUGH_KNOWN = 50  # of them; with fewer the model's own intervals stand
_PASSES, _SHIFTS = 4, 100
_SHARE = 0.1  # of the known values are hidden at once, or as many as one shift of the gaps hides


def interval_scale(
    mean: Float[np.ndarray, " n"], low: Float[np.ndarray, " n"], high: Float[np.ndarray, " n"],
    truth: Float[np.ndarray, " n"], level: float,
) -> float:  # fmt: skip
    """By how much intervals are to be stretched about their means for a share `level` of them to hold the truth.

    That is the quantile of |truth - mean| in units of the half-width on that side, as of split-conformal prediction
    (Lei et al. 2018, with the scale as in their section 5.2): exact, were the values exchangeable with those to come.

    Args:
        mean: of what was predicted.
        low: lower ends.
        high: upper ends.
        truth: the values.
        level: the share.
    """
    half = np.maximum(np.where(truth >= mean, high - mean, mean - low), np.finfo(np.float32).tiny)
    count = len(truth)
    return float(np.quantile(np.abs(truth - mean) / half, min(1.0, level * (count + 1) / count)))


def calibrated(
    key: Key[Array, ""],
    run: Run,
    rows: LongSeries,
    filled: FilledSeries,
    *,
    draws: int = SERIES_DRAWS,
    level: float = 0.9,
    progress: Callable[[int], None] | None = None,
) -> tuple[FilledSeries, float | None]:
    """Filled series whose draws and intervals are stretched about their means, and by what factor.

    The pattern of what is missing is moved along the rows by random shifts and hides known values there, so that these
    lie in gaps of the same lengths and channels. They are of rows that training did not see, where there are enough,
    else of all, and then intervals are not made narrower. So the factor follows a file that differs from what was
    trained on. Values in one gap depend on each other, which costs precision.

    Args:
        key: for shifts and draws.
        run: on series.
        rows: the series with what is missing.
        filled: what the model says of them.
        draws: from the posterior.
        level: of the intervals.
        progress: told how many windows are done.

    Returns:
        What was given, and None, where nothing is missing, where values are no real numbers, and where fewer than
        fifty known values can be hidden so.
    """
    schema, gaps = run.fitted_data.schema, np.isnan(rows.values)
    if schema is None or schema.values != "real" or not gaps.any() or len(gaps) < 2:
        return filled, None
    parts = rows_by_split(rows, series_of(run))
    unseen = np.any([part for name, part in parts.items() if name != "train"] or [np.zeros(len(gaps), bool)], axis=0)
    said = {"draws": draws, "level": level, "progress": progress}
    for region, least in ((unseen, 0.0), (np.ones_like(unseen), 1.0)):
        found = _predicted_in_gaps(key, run, rows, region, **said)
        if len(found) >= _ENOUGH_KNOWN:
            mean, low, high, truth = found.T
            factor = max(least, interval_scale(mean, low, high, truth, level))
            return stretched(filled, factor), factor
    return filled, None


def _predicted_in_gaps(
    key: Key[Array, ""], run: Run, rows: LongSeries, region: np.ndarray, **said: Any
) -> Float[np.ndarray, "n 4"]:
    """Mean, low, high and truth of known values of a region, as they are predicted when they are hidden."""
    random = np.random.default_rng(np.asarray(jr.key_data(key)))
    gaps, here = np.isnan(rows.values), rows.rows(region)
    free = np.logical_not(gaps) & region[:, None]
    found, count = [np.zeros((0, 4))], 0
    for number in range(_PASSES):
        if count >= _HIDDEN or not free.any():
            break
        hidden = _moved(random, gaps, free, min(_HIDDEN, _SHARE * free.sum()))[region]
        if not hidden.any():
            break
        made = fill_rows(jr.fold_in(key, number), run, here.hiding(hidden), **said)
        found.append(np.stack([part[hidden] for part in (made.mean, made.low, made.high, here.values)], 1))
        count += len(found[-1])
    return np.concatenate(found)


def _moved(
    random: np.random.Generator, gaps: Bool[np.ndarray, "n channels"], free: Bool[np.ndarray, "n channels"],
    wanted: float,
) -> Bool[np.ndarray, "n channels"]:  # fmt: skip
    """The gaps at other times, where values are free to be hidden, shift upon shift until so many are."""
    hidden = np.zeros_like(gaps)
    for _ in range(_SHIFTS):
        hidden |= np.roll(gaps, int(random.integers(1, len(gaps))), axis=0) & free
        if hidden.sum() >= wanted:
            break
    return hidden


def stretched(filled: FilledSeries, factor: float) -> FilledSeries:
    """Filled series with all but their means stretched about these."""
    around = {name: filled.mean + factor * (vars(filled)[name] - filled.mean) for name in ("low", "high", "draws")}
    return dataclasses.replace(filled, std=factor * filled.std, **around)
