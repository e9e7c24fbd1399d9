"""What a supervised model says of targets: a mixture over draws of its weights, its density, moments and quantiles.

Densities and probabilities are averaged over draws, never logits or log densities:

    p(y | x, data) = (1/S) sum_s p(y | x, theta_s),   theta_s drawn from the posterior over the weights.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.core import Example, InputError, compiled, log_mean_exp
from nelbo.data import Source
from nelbo.distributions import Distribution, class_count, total_log_prob
from nelbo.models import Model, check_source, without_globals
from nelbo.training import examples, padded_batches

ROWS = 500  # examples at once
DRAWS = 100  # of the weights, unless told otherwise
_DOUBLINGS, _HALVINGS = 40, 40


@dataclasses.dataclass(frozen=True)
class Predictive:
    """The predictive distribution of each example's target.

    Args:
        log_score: log p(y | x, data) [nats], in the target's units; NaN where the target is not there.
        target: the targets, NaN where one is not there.
        draws: of the weights that it is a mixture over; 1 where they are a point.
        probabilities: `(n, classes)` of a classification, else None.
        mean: of a regression, else None.
        std: of its predictive distribution: noise and the weights' uncertainty.
        quantiles: `(n, levels)`, those asked for.
        cdf: of a regression, P(y' <= y) at the target; for counts, of y less half the probability of y itself.
    """

    log_score: Float[np.ndarray, " n"]
    target: Float[np.ndarray, " n"]
    draws: int
    probabilities: Float[np.ndarray, "n classes"] | None = None
    mean: Float[np.ndarray, " n"] | None = None
    std: Float[np.ndarray, " n"] | None = None
    quantiles: Float[np.ndarray, "n levels"] | None = None
    cdf: Float[np.ndarray, " n"] | None = None


def drawn_models(key: Key[Array, ""], model: Model, count: int) -> tuple[Model, int]:
    """The model with every array stacked over draws of its weights, and how many; no more than there are."""
    shared = model.globals
    if shared is None:
        point = without_globals(model)
        return jax.tree.map(lambda leaf: leaf[None] if eqx.is_array(leaf) else leaf, point), 1
    count = min(count, shared.distinct_draws or count)
    return shared.draws(key, model, count), count


def _distributions(models: Model, batch: Example) -> Distribution:
    """p(y | x, theta) for each draw and example, their axes first."""
    arrays, static = eqx.partition(models, eqx.is_array)

    def of_draw(one: Any) -> Distribution:
        model = eqx.combine(one, static)
        return jax.vmap(lambda x: model.generative.likelihood((), x.context))(batch)

    # one draw after the other: what grows with their number is a few numbers for each example, no hidden units
    return jax.lax.map(of_draw, arrays)


def _over_draws(function: Any, parts: Distribution) -> Array:
    """The mean over draws of a function of one example's distribution."""
    return jax.vmap(function)(parts).mean(0)


def mixture_quantile(parts: Distribution, level: Array) -> Float[Array, ""]:
    """The quantile of an equal mixture, by bisection of its cumulative distribution function.

    Args:
        parts: the mixture's components along the first axis, of a target of shape (1,).
        level: 0 to 1.

    Returns:
        The smallest y with P(y' <= y) >= level: a whole number for counts.
    """

    def below(y: Array) -> Array:
        return _over_draws(lambda part: part.cdf(y), parts)[0] >= level

    means = jax.vmap(lambda part: part.mean)(parts)
    scale = jnp.sqrt(jax.vmap(lambda part: part.variance)(parts))
    scale = jnp.where(jnp.isfinite(scale), scale, jnp.ones_like(scale)).max()
    low, high = jnp.min(means)[None], jnp.max(means)[None]

    def widen(i: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        step = scale * 2.0 ** i.astype(low.dtype)
        return jnp.where(below(ends[0]), ends[0] - step, ends[0]), jnp.where(below(ends[1]), ends[1], ends[1] + step)

    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        middle = 0.5 * (ends[0] + ends[1])
        inside = below(middle)
        return jnp.where(inside, ends[0], middle), jnp.where(inside, middle, ends[1])

    ends = jax.lax.fori_loop(0, _DOUBLINGS, widen, (low, high))
    _, found = jax.lax.fori_loop(0, _HALVINGS, halve, ends)
    return (jnp.rint(found) if parts.is_discrete else found)[0]


@compiled
def _numbers(models: Model, data: Source, raw: Any, levels: Array) -> dict[str, Array]:
    batch = examples(jr.key(0), data, raw)
    parts = _distributions(models, batch)

    def one(parts: Distribution, x: Example) -> dict[str, Array]:
        y = x.values
        logs = jax.vmap(lambda part: total_log_prob(part, y))(parts)
        means = jax.vmap(lambda part: part.mean)(parts)
        mean = means.mean(0)
        variance = _over_draws(lambda part: part.variance, parts) + ((means - mean[None]) ** 2).mean(0)
        below = _over_draws(lambda part: part.cdf(y), parts)
        if parts.is_discrete:
            below = below - 0.5 * _over_draws(lambda part: jnp.exp(part.log_prob(y)), parts)
        quantiles = jax.vmap(lambda level: mixture_quantile(parts, level))(levels)
        found = {"mean": mean[0], "std": jnp.sqrt(variance)[0], "cdf": below[0], "quantiles": quantiles}
        return {"log_score": log_mean_exp(logs, 0), **found}

    return jax.vmap(one, in_axes=(1, 0))(parts, batch)


@compiled
def _classes(models: Model, data: Source, raw: Any, count: int) -> dict[str, Array]:
    batch = examples(jr.key(0), data, raw)
    parts = _distributions(models, batch)

    def one(parts: Distribution, x: Example) -> dict[str, Array]:
        logs = jax.vmap(lambda part: total_log_prob(part, x.values))(parts)
        every = jnp.arange(count, dtype=x.values.dtype)
        of_class = lambda number: _over_draws(lambda part: jnp.exp(part.log_prob(number[None])), parts)[0]  # noqa: E731
        return {"log_score": log_mean_exp(logs, 0), "probabilities": jax.vmap(of_class)(every)}

    return jax.vmap(one, in_axes=(1, 0))(parts, batch)


def predictive(
    key: Key[Array, ""], model: Model, data: Source, *, draws: int = DRAWS, levels: Sequence[float] = ()
) -> Predictive:
    """The predictive distribution of every example's target.

    Args:
        key: for the draws of the weights; the same weights serve all examples.
        model: a supervised one, with a posterior over its weights (`Model.globals`) or a point.
        data: examples with their features as the context; targets may be missing.
        draws: of the weights.
        levels: of the quantiles of a regression, from 0 to 1.

    Raises:
        InputError: a model that predicts nothing, no draws, or no examples.
    """
    if not model.is_supervised:
        raise InputError("This model predicts nothing from features: use one that `nelbo fit regression` or "
                         "`nelbo fit classification` made.")  # fmt: skip
    if draws < 1:
        raise InputError(f"A prediction needs at least one draw of the weights, got {draws}.")
    if len(data) == 0:
        raise InputError("There are no rows to predict.")
    check_source(model, data)
    classes = class_count(model.generative.shapes()[0])
    models, count = drawn_models(key, model, draws)
    indices, real = padded_batches(len(data), min(ROWS, len(data)))
    reader = dataclasses.replace(data, arrays=Example(None))  # so that one program serves data of any length
    parts: list[dict[str, np.ndarray]] = []
    for rows, mask in zip(indices, real, strict=True):
        raw = data.take(rows)
        if classes is None:
            found = _numbers(models, reader, raw, jnp.asarray(levels, jnp.float32))
        else:
            found = _classes(models, reader, raw, classes)
        parts.append({name: np.asarray(value, np.float64)[mask] for name, value in found.items()})
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    target = np.asarray(data.arrays.values, np.float64)[:, 0]
    if data.arrays.observed is not None:
        there = np.asarray(data.arrays.observed)[:, 0]
        target = np.where(there, target, np.nan)
        for name in ("log_score", "cdf"):
            if name in joined:
                joined[name] = np.where(there, joined[name], np.nan)
    return Predictive(target=target, draws=count, **joined)
