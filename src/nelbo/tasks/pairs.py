"""Predictions of a factorization for pairs with their uncertainty, and their errors on held-out values."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.core import NATS_PER_BIT, InputError, compiled, log_mean_exp
from nelbo.data import Source
from nelbo.evaluation import DRAWS, Score, jackknife_variance
from nelbo.models import DrawnFactors, FactorLayer, FactorPosterior, Model, layer_of

_CHUNK = 16384  # pairs at once


@dataclasses.dataclass(frozen=True)
class Answers:
    """Predictions in the units of the values that the model was fitted to.

    Args:
        mean: `(n,)`, the predictive mean; for a Cauchy likelihood, which has none, the mean of its location.
        std: `(n,)`, the predictive standard deviation; for a Cauchy likelihood, that of its location.
        low: `(n,)`, the lower end of the predictive interval.
        high: `(n,)`, the upper end.
    """

    mean: np.ndarray
    std: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclasses.dataclass(frozen=True)
class Errors:
    """How far predictions are from held-out values.

    Args:
        rmse: root mean squared error.
        mae: mean absolute error.
        coverage: share of values inside the interval.
        pairs: number of pairs.
    """

    rmse: float
    mae: float
    coverage: float
    pairs: int


def posterior_of(model: Model) -> FactorPosterior:
    """The posterior over a factorization's factors.

    Raises:
        InputError: another model.
    """
    layer_of(model)
    if not isinstance(model.globals, FactorPosterior):
        raise InputError("This factorization has lost the posterior of its factors: fit it again.")
    return model.globals


def _predictors(key: Key[Array, ""], model: Model, pairs: Array, draws: int) -> Float[Array, "draws n"]:
    """The bilinear predictor of each pair under each draw of the factors."""
    posterior = posterior_of(model)

    def one(draw_key: Key[Array, ""]) -> Float[Array, " n"]:
        layer = layer_of(posterior.drawn(draw_key, model))
        u, v = (_rows(side)[pairs[:, i].astype(jnp.int32)] for i, side in enumerate((layer.rows, layer.columns)))
        mean = layer.intercept + (u[:, :-1] * v[:, :-1]).sum(1) + u[:, -1] + v[:, -1]
        return mean + pairs[:, 2] / layer.head.unit if pairs.shape[1] == 3 else mean

    return jax.lax.map(one, jr.split(key, draws))


def _rows(side: Any) -> Float[Array, "more entries"]:
    """All rows, and behind them that of -1, as NumPy's indices have it."""
    if isinstance(side, DrawnFactors):
        return side.whole()
    return jnp.concatenate([side.mean, jnp.zeros_like(side.mean[:1])])


def _answers(
    key: Key[Array, ""], model: Model, pairs: Float[Array, "n numbers"], level: Float[Array, ""], *, draws: int
) -> tuple[Array, Array, Array, Array]:
    layer: FactorLayer = layer_of(posterior_of(model).averaged(model))
    predictors = _predictors(key, model, pairs, draws)
    if layer.head.is_linear:
        mean, variance = jax.vmap(layer.moments)(pairs)
        centre, noise = layer.head.summary(layer.head(mean))
        whole = noise + layer.head.unit**2 * variance
    else:
        centres, noises = layer.head.summary(layer.head(predictors))
        centre, whole = centres.mean(0), noises.mean(0) + centres.var(0)
    ends = jnp.stack([0.5 - 0.5 * level, 0.5 + 0.5 * level])
    low, high = jax.vmap(lambda probability: layer.head.quantile(predictors, probability))(ends)
    return centre, jnp.sqrt(whole), low, high


_run_answers = compiled(_answers)


def predict_pairs(
    key: Key[Array, ""],
    model: Model,
    pairs: Float[np.ndarray, "n numbers"],
    *,
    draws: int = DRAWS,
    level: float = 0.9,
    progress: Callable[[int], None] | None = None,
) -> Answers:
    """The value of each pair, with its uncertainty.

    Mean and standard deviation are exact for gaussian and cauchy likelihoods (independent factors), else over draws.
    Intervals are those of the mixture over draws of the factors.

    Args:
        key: for the draws.
        model: a factorization.
        pairs: as `nelbo.data.pair_context` gives them: numbers of row and column, -1 for one never seen.
        draws: number of draws of the factors.
        level: probability of the interval.
        progress: called with the number of pairs done.

    Raises:
        InputError: another model, no draws, or a level outside of (0, 1).
    """
    if draws < 1 or not 0.0 < level < 1.0:
        raise InputError(f"draws must be at least 1 and the interval's level inside (0, 1), got {draws} and {level}.")
    found = []
    for part, real in _chunks(pairs):
        parts = _run_answers(key, model, part, jnp.asarray(level, jnp.float32), draws=draws)
        found.append([np.asarray(value)[:real] for value in parts])
        if progress is not None:
            progress(sum(len(done[0]) for done in found))
    return Answers(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _chunks(pairs: np.ndarray) -> Any:
    """Pieces of one length, and how much of each is real."""
    size = min(_CHUNK, max(1, len(pairs)))
    for start in range(0, max(1, len(pairs)), size):
        part = pairs[start : start + size]
        filled = np.zeros((size, pairs.shape[1]), np.float32)
        filled[: len(part)] = part
        yield jnp.asarray(filled), len(part)


def _log_scores(
    key: Key[Array, ""], model: Model, pairs: Float[Array, "n numbers"], values: Float[Array, " n"], *, draws: int
) -> tuple[Array, Array, Array]:
    head = layer_of(model).head
    log_prob = jnp.asarray(head(_predictors(key, model, pairs, draws)).log_prob(values[None]))
    return log_mean_exp(log_prob, 0), jackknife_variance(log_prob.T), log_prob.mean(0)


_run_log_scores = compiled(_log_scores)


def predictive_score(
    key: Key[Array, ""],
    model: Model,
    data: Source,
    *,
    num_samples: int = DRAWS,
    progress: Callable[[int, float], None] | None = None,
) -> Score:
    """Log predictive density of held-out values, log E_q p(y | factors), by draws of the factors [nats].

    The log of a mean over draws is biased downwards, and less so with more draws.

    Args:
        key: for the draws.
        model: a factorization.
        data: values and pairs.
        num_samples: draws of the factors.
        progress: called with the number of pairs done and their mean.

    Raises:
        InputError: another model, data that are no pairs, or values that are no levels of it.
    """
    posterior_of(model)
    pairs, values = pairs_in(data)
    found: list[list[np.ndarray]] = []
    for (part, real), (wanted, _) in zip(_chunks(pairs), _chunks(values[:, None]), strict=True):
        terms = _run_log_scores(key, model, part, wanted[:, 0], draws=num_samples)
        found.append([np.asarray(term, np.float64)[:real] for term in terms])
        if progress is not None:
            done = np.concatenate([terms[0] for terms in found])
            progress(len(done), float(done.mean()))
    score, variance, plain = (np.concatenate(parts) for parts in zip(*found, strict=True))
    count, never = len(score), np.flatnonzero(np.isneginf(score))
    if len(never):
        raise InputError(
            f"{len(never)} of {count} values have no probability (the first is {values[never[0]]:g}): they are no "
            "levels that the model was fitted to, so leave them out, or fit it to data that have them."
        )
    nats = float(score.mean())
    return Score(
        nats=nats,
        # draws are shared by all pairs: their errors add up, at worst
        standard_error=float(np.sqrt(variance).mean()) if num_samples > 1 else None,
        spread=float(score.std(ddof=1) / np.sqrt(count)) if count > 1 else 0.0,
        bits_per_dim=-nats / NATS_PER_BIT,
        reconstruction=float(plain.mean()),
        kl=0.0,
        num_samples=num_samples,
        num_examples=count,
        per_example=score,
    )


def pairs_in(data: Source) -> tuple[np.ndarray, np.ndarray]:
    """Pairs and values of a source.

    Raises:
        InputError: it holds none.
    """
    if data.arrays.context is None or data.shape != (1,):
        raise InputError("These data are no values of pairs: give a table of row, column and value.")
    return np.asarray(data.arrays.context, np.float32), np.asarray(data.arrays.values, np.float32)[:, 0]


def pair_errors(answers: Answers, values: np.ndarray) -> Errors:
    """How far answers are from the values.

    Args:
        answers: of the pairs.
        values: `(n,)`, what they turned out to be.
    """
    error = np.asarray(answers.mean, np.float64) - values
    inside = (answers.low <= values) & (values <= answers.high)
    return Errors(float(np.sqrt((error**2).mean())), float(np.abs(error).mean()), float(inside.mean()), len(values))
