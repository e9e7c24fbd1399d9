"""The evidence lower bound and the importance-weighted bound of a data set, in bounded memory."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.core import NATS_PER_BIT, Example, InputError
from nelbo.data import Source
from nelbo.models import Model
from nelbo.training import examples, padded_batches

ROWS = 2000  # latent draws decoded at once: large enough for full matrix products, small enough for the cache


class Terms(eqx.Module):
    """What K draws of each example's log w come to [nats]."""

    importance: Float[Array, " batch"]
    importance_variance: Float[Array, " batch"]
    elbo: Float[Array, " batch"]
    elbo_variance: Float[Array, " batch"]
    reconstruction: Float[Array, " batch"]


def importance_terms(key: Key[Array, ""], model: Model, batch: Example, *, num_samples: int, block: int) -> Terms:
    """Reduce K = `num_samples` draws of each example of a batch, `block` at a time.

    The importance-weighted bound is log (1/K) sum_k w_k (Burda et al. 2016, eq. 8); its variance is the delta
    method's, sum_k wt_k^2 - 1/K with wt the normalized weights. The last block is cut short by a mask.
    """
    size = jax.tree.leaves(batch)[0].shape[0]

    def one(keys: Key[Array, " block"], x: Example, sums: tuple[Array, ...], start: Array) -> tuple[Array, ...]:
        draws = jax.vmap(lambda k: model.draw(k, x))(keys)
        used = start + jnp.arange(block) < num_samples
        log_w = draws.log_w
        hidden = jnp.where(used, log_w, -jnp.inf)
        lse, lse_squared, shift, total, squares, visible = sums
        # deviations from the first draw keep the variance exact in float32
        shift = jnp.where(start == 0, log_w[0], shift)
        deviation = jnp.where(used, log_w - shift, 0.0)
        lse = jnp.logaddexp(lse, jax.nn.logsumexp(hidden))
        lse_squared = jnp.logaddexp(lse_squared, jax.nn.logsumexp(2.0 * hidden))
        visible = visible + jnp.where(used, draws.log_p[:, 0], 0.0).sum()
        return lse, lse_squared, shift, total + deviation.sum(), squares + (deviation**2).sum(), visible

    def body(sums: tuple[Array, ...], start: Array) -> tuple[tuple[Array, ...], None]:
        # one long row of keys: XLA takes five times as long to compile a split into rows of a few
        keys = jr.split(jr.fold_in(key, start), size * block).reshape(size, block)
        return jax.vmap(one, (0, 0, 0, None))(keys, batch, sums, start), None

    empty, zero = jnp.full(size, -jnp.inf), jnp.zeros(size)
    starts = jnp.arange(-(-num_samples // block)) * block
    sums, _ = jax.lax.scan(body, (empty, empty, zero, zero, zero, zero), starts)
    lse, lse_squared, shift, total, squares, visible = sums
    mean = total / num_samples
    spread = jnp.maximum(squares / num_samples - mean**2, 0.0) / max(num_samples - 1, 1)
    variance = jnp.maximum(jnp.exp(lse_squared - 2.0 * lse) - 1.0 / num_samples, 0.0)
    return Terms(lse - np.log(num_samples), variance, shift + mean, spread, visible / num_samples)


@dataclasses.dataclass(frozen=True)
class Score:
    """How well a model accounts for a data set.

    Args:
        nats: mean bound per example [nats].
        standard_error: Monte Carlo standard error of `nats` from the draws of z [nats]; None for a single draw, zero
            for a model without latents.
        spread: standard error of `nats` over the examples, as a sample of a population [nats].
        bits_per_dim: -nats / (log 2 * dimensions), observed entries only.
        reconstruction: mean of E_q log p(x|z) [nats].
        kl: mean of E_q[log q(z|x) - log p(z)] [nats].
        num_samples: draws of z for each example.
        num_examples: how many.
        per_example: bound of each [nats].
    """

    nats: float
    standard_error: float | None
    spread: float
    bits_per_dim: float
    reconstruction: float
    kl: float
    num_samples: int
    num_examples: int
    per_example: np.ndarray


@eqx.filter_jit
def _batch(
    key: Key[Array, ""], model: Model, data: Source, raw: Any, count: int, block: int
) -> tuple[Terms, Float[Array, " batch"]]:
    data_key, draw_key = jr.split(key)
    batch = examples(data_key, data, raw)
    terms = importance_terms(draw_key, model, batch, num_samples=count, block=block)
    return terms, jax.vmap(_dimensions)(batch)


def _dimensions(x: Example) -> Float[Array, ""]:
    count = jnp.asarray(x.values.size) if x.observed is None else x.observed.sum()
    return count.astype(jnp.float32)


def _all_terms(
    key: Key[Array, ""], model: Model, data: Source, num_samples: int, progress: Callable[[int, float], None] | None
) -> tuple[dict[str, np.ndarray], float]:
    if len(data) == 0:
        raise InputError("There is no example to score.")
    block = min(num_samples, 50)
    batch = max(1, min(ROWS // block, len(data)))
    indices, real = padded_batches(len(data), batch)
    parts: list[dict[str, np.ndarray]] = []
    dimensions = 0.0
    done = 0
    for i, (rows, mask) in enumerate(zip(indices, real, strict=True)):
        terms, dims = _batch(jr.fold_in(key, i), model, data, data.take(rows), num_samples, block)
        parts.append({f.name: np.asarray(getattr(terms, f.name), np.float64)[mask] for f in dataclasses.fields(terms)})
        dimensions += float(np.asarray(dims, np.float64)[mask].sum())
        done += int(mask.sum())
        if progress is not None:
            progress(done, float(np.mean(parts[-1]["importance"])))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, dimensions


def _bound(
    key: Key[Array, ""],
    model: Model,
    data: Source,
    num_samples: int,
    progress: Callable[[int, float], None] | None,
    *,
    name: str,
) -> Score:
    if num_samples < 1:
        raise InputError(f"A bound needs at least one sample for each example, got {num_samples}.")
    if model.depth:
        return _score(*_all_terms(key, model, data, num_samples, progress), name, num_samples)
    # every draw of no latents gives log p(x)
    exact = _score(*_all_terms(key, model, data, 1, progress), name, 1)
    return dataclasses.replace(exact, standard_error=0.0)


def _score(terms: dict[str, np.ndarray], dimensions: float, name: str, num_samples: int) -> Score:
    values, variances = terms[name], terms[f"{name}_variance"]
    count = len(values)
    elbo, reconstruction = float(terms["elbo"].mean()), float(terms["reconstruction"].mean())
    return Score(
        nats=float(values.mean()),
        standard_error=float(np.sqrt(variances.sum()) / count) if num_samples > 1 else None,
        spread=float(values.std(ddof=1) / np.sqrt(count)) if count > 1 else 0.0,
        bits_per_dim=-float(values.sum()) / (NATS_PER_BIT * max(dimensions, 1.0)),
        reconstruction=reconstruction,
        kl=reconstruction - elbo,
        num_samples=num_samples,
        num_examples=count,
        per_example=values,
    )


def elbo(
    key: Key[Array, ""],
    model: Model,
    data: Source,
    *,
    num_samples: int = 10,
    progress: Callable[[int, float], None] | None = None,
) -> Score:
    """Evidence lower bound of a data set: the mean over examples and draws of log w [nats].

    For a model without latents it is log p(x), taken once for each example whatever the number of samples.

    Args:
        key: for the draws.
        model: with its recognition model.
        data: the examples.
        num_samples: draws of z for each example.
        progress: called with the number of examples done and the latest batch's bound.

    Raises:
        InputError: no example, or no sample.
    """
    return _bound(key, model, data, num_samples, progress, name="elbo")


def importance_bound(
    key: Key[Array, ""],
    model: Model,
    data: Source,
    *,
    num_samples: int = 5000,
    progress: Callable[[int, float], None] | None = None,
) -> Score:
    """Importance-weighted bound of a data set, log (1/K) sum_k w_k (Burda et al. 2016) [nats].

    It rises with K towards log p(x). Memory does not grow with K nor with the number of examples. Arguments and
    errors are those of `elbo`.
    """
    return _bound(key, model, data, num_samples, progress, name="importance")
