"""Time series: imputation and forecasts, by draws from the posterior over whole windows."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from nelbo.core import Example, InputError, compiled, log_mean_exp
from nelbo.models import FrameLayer, Latents, Model, OverTime

SERIES_DRAWS = 100
_MOST_NUMBERS = 4_000_000  # of draws that are held at once


@dataclasses.dataclass(frozen=True)
class FramePrediction:
    """Predictions of the frames of windows, in the units of the values that the model was fitted to.

    Args:
        mean: `(n, time, channels)`, mean over draws.
        std: standard deviation of the predictive distribution, the same shape.
        low: lower end of the predictive interval.
        high: upper end.
        draws: `(n, draws, time, channels)`; joint in time and channels.
        log_score: log predictive density of each known value, the same shape [nats]; None where none are known.
    """

    mean: np.ndarray
    std: np.ndarray
    low: np.ndarray
    high: np.ndarray
    draws: np.ndarray
    log_score: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class SeriesErrors:
    """How well values were predicted.

    Args:
        log_score: mean log predictive density [nats a value].
        crps: mean continuous ranked probability score, in the units of the values.
        rmse: of the means.
        mae: of the means.
        coverage: share of values inside the interval.
        values: number of values.
    """

    log_score: float
    crps: float
    rmse: float
    mae: float
    coverage: float
    values: int


def _frames_of(model: Model) -> FrameLayer:
    frames = model.generative.layers[0]
    if not isinstance(frames, FrameLayer):
        raise InputError("This model is of single rows: forecasts are by models of series (gp-vae, state-space, dsae, "
                         "sequence-flow).")  # fmt: skip
    return frames


def follows_past(model: Model) -> bool:
    """Whether each frame depends on those before it, given the latents.

    Raises:
        InputError: a model of single rows.
    """
    return _frames_of(model).follows_past


def _drawn(
    key: Key[Array, ""], model: Model, x: Example, further: Float[Array, " horizon"] | None, horizon: int
) -> Latents:
    """Latents from the posterior of one window; with a horizon, those over time are of this many frames after it."""
    if not model.depth:
        return ()
    z_key, further_key = jr.split(key)
    (*static, z), parts = model.posterior(x).sample(z_key)
    prior = model.generative.layers[-1]
    if not horizon or not isinstance(prior, OverTime):
        return (*static, z)
    times = None if x.context is None or further is None else jnp.concatenate([x.context, further])
    return (*static, prior.continued(further_key, z, horizon, times, parts[-1]))


def _answers(
    key: Key[Array, ""], model: Model, x: Example, further: Array | None, truth: Array | None, level: Array,
    *, draws: int, horizon: int,
) -> tuple[Array, ...]:  # fmt: skip
    """Predictions for a batch of windows; with a horizon, for the frames after them only."""
    frames = _frames_of(model)

    def window(window_key: Key[Array, ""], x: Example, further: Array | None, truth: Array | None) -> tuple[Array, ...]:
        def one(draw_key: Key[Array, ""]) -> tuple[Array, Array, Array, Array]:
            z_key, x_key = jr.split(draw_key)
            z = _drawn(z_key, model, x, further, horizon)
            if horizon:
                drawn, found = frames.forecast(x_key, z, x, horizon)
            else:
                found = frames(z, x.context)
                drawn = jnp.asarray(found.sample(x_key))
            score = jnp.zeros_like(drawn[:, :1]) if truth is None else jnp.asarray(found.log_prob(truth))
            return drawn, jnp.asarray(found.mean), jnp.asarray(found.variance), score

        sampled, means, variances, scores = jax.vmap(one)(jr.split(window_key, draws))
        std = jnp.sqrt(variances.mean(0) + means.var(0))
        ends = jnp.quantile(sampled, jnp.stack([0.5 - 0.5 * level, 0.5 + 0.5 * level]), axis=0)
        return means.mean(0), std, ends[0], ends[1], sampled, log_mean_exp(scores, 0)

    return jax.vmap(window)(jr.split(key, len(x.values)), x, further, truth)


_run_answers = compiled(_answers)


def predict_frames(
    key: Key[Array, ""],
    model: Model,
    x: Float[np.ndarray, "n time *frame"],
    observed: Bool[np.ndarray, "n time *frame"],
    context: Float[np.ndarray, "n time"] | None = None,
    *,
    further: Float[np.ndarray, "n horizon"] | None = None,
    horizon: int = 0,
    truth: Float[np.ndarray, "n frames *frame"] | None = None,
    draws: int = SERIES_DRAWS,
    level: float = 0.9,
    progress: Callable[[int], None] | None = None,
) -> FramePrediction:
    """Predict the frames of windows: all their own frames or, with a horizon, the frames after them.

    The parameters are the windows and how to predict:

    Args:
        key: for the draws.
        model: a model of series.
        x: values, zero where they are missing.
        observed: where values are observed.
        context: times of each window in steps from its beginning, for models of irregular times.
        further: times of the frames after it, in the same form.
        horizon: number of frames after each window; 0: its own frames are predicted.
        truth: values of the predicted frames, to score them by.
        draws: number of draws from the posterior.
        level: probability of the intervals.
        progress: called with the number of windows done.

    Raises:
        InputError: another model, no draws, or a level outside of (0, 1).
    """
    frames, irregular = _frames_of(model), model.generative.context_size > 0
    if frames.follows_past and not horizon:
        raise InputError("In a flow every frame depends on those before it, so what the others say of it has no "
                         "closed form: score rows given the past (--given past), and fill in by gp-vae, dsae or "
                         "state-space.")  # fmt: skip
    if draws < 1 or not 0.0 < level < 1.0:
        raise InputError(f"draws must be at least 1 and the interval's level inside (0, 1), got {draws} and {level}.")
    if horizon and irregular and further is None:
        raise InputError("This model is of series at irregular times: say at which times to forecast.")
    numbers = draws * (x.shape[1] + horizon) * (math.prod(x.shape[2:]) + 8)
    size = int(min(len(x), max(1, _MOST_NUMBERS // numbers)))
    found: list[list[np.ndarray]] = []
    for start in range(0, len(x), size):
        part = slice(start, start + size)
        real = len(x[part])

        def cut(array: np.ndarray | None, part: slice = part, real: int = real) -> Array | None:
            if array is None:
                return None
            padding = [(0, size - real), *[(0, 0)] * (array.ndim - 1)]
            return jnp.asarray(np.pad(array[part], padding, mode="edge"))

        example = Example(cut(x), cut(observed), context=cut(context) if irregular else None)
        parts = _run_answers(
            jr.fold_in(key, start), model, example, cut(further), cut(truth), jnp.asarray(level, jnp.float32),
            draws=draws, horizon=horizon,
        )  # fmt: skip
        found.append([np.asarray(value)[:real] for value in parts])
        if progress is not None:
            progress(min(start + size, len(x)))
    *answers, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return FramePrediction(*answers, log_score=None if truth is None else scores)


def crps(draws: Float[np.ndarray, "n draws ..."], truth: Float[np.ndarray, "n ..."]) -> Float[np.ndarray, "n ..."]:
    """The continuous ranked probability score by draws, unbiased: E|X - y| - E|X - X'| / 2 (Gneiting and Raftery 2007).

    Args:
        draws: draws from the predictive distribution.
        truth: the observed values.
    """
    count = draws.shape[1]
    ordered = np.sort(np.asarray(draws, np.float64), axis=1)
    near = np.abs(ordered - truth[:, None]).mean(1)
    if count == 1:
        return near
    # the sum over pairs of sorted draws: the i-th is the larger one i times and the smaller one count - 1 - i times
    weight = (2 * np.arange(count) - count + 1).reshape(1, -1, *[1] * (draws.ndim - 2))
    return near - (weight * ordered).sum(1) / (count * (count - 1))


def series_errors(
    found: FramePrediction, truth: Float[np.ndarray, "n time *frame"], known: Bool[np.ndarray, "n time *frame"]
) -> SeriesErrors:
    """How well known values were predicted.

    Args:
        found: the predictions.
        truth: the true values; those that are not known are not read.
        known: which values are counted.

    Raises:
        InputError: none are.
    """
    if not known.any():
        raise InputError("None of these frames has a known value, so there is nothing to score.")
    error = (np.asarray(found.mean, np.float64) - truth)[known]
    inside = ((found.low <= truth) & (truth <= found.high))[known]
    score = np.nan if found.log_score is None else float(found.log_score[known].mean(dtype=float))
    return SeriesErrors(
        score,
        float(crps(found.draws, truth)[known].mean()),
        float(np.sqrt((error**2).mean())),
        float(np.abs(error).mean()),
        float(inside.mean()),
        int(known.sum()),
    )
