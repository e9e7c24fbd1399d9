"""The evidence lower bound and the importance-weighted bound of a data set, in bounded memory."""

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample, Example, InputError, as_example, compiled, log_mean_exp
from nelbo.data import Source
from nelbo.evaluation.normalizers import PUBLISHED, Normalizer, normalized
from nelbo.evaluation.score import Progress, Score, dimensions, over_batches, scored
from nelbo.models import Model
from nelbo.training import examples

HEAVY = 0.7  # Pareto k above which nothing can be trusted
FEWEST_FOR_TAILS = 200  # draws of an example, of which the 40 largest make a tail
# where there are fewer, compiling in full takes longer than it saves: the short program runs half as long again
_FEW_DRAWS = 50_000
ROWS = 1000  # latent draws decoded at once: large enough for full matrix products, small enough for the cache


class Terms(eqx.Module):
    """What K draws of each example's log w come to [nats].

    Args:
        importance: log (1/K) sum_k w_k.
        importance_variance: the jackknife's estimate of its variance over draws [nats^2]; zero for one draw, which
            cannot tell.
        elbo: (1/K) sum_k log w_k.
        elbo_variance: estimate of its variance over draws [nats^2]; zero for one draw.
        reconstruction: mean of log p(x|z_k).
        pareto_k: shape of the tail of w, see `tail_shape`; None of too few draws.
    """

    importance: Float[Array, " batch"]
    importance_variance: Float[Array, " batch"]
    elbo: Float[Array, " batch"]
    elbo_variance: Float[Array, " batch"]
    reconstruction: Float[Array, " batch"]
    pareto_k: Float[Array, " batch"] | None = None


def importance_terms(key: Key[Array, ""], model: Model, batch: AnyExample, *, num_samples: int, block: int) -> Terms:
    """Reduce K = `num_samples` draws of each example of a batch, `block` at a time.

    The importance-weighted bound is log (1/K) sum_k w_k (Burda et al. 2016, eq. 8). Latents are kept for one block
    only; what stays is log w, K numbers for each example, from which the variances come.
    """
    batch = as_example(batch)
    size = batch.values.shape[0]

    def example(row: Array, x: Example) -> tuple[Float[Array, " k"], Float[Array, ""]]:
        posterior = model.posterior(x)  # once for all blocks: it may take many steps

        def body(_: None, start: Array) -> tuple[None, tuple[Float[Array, " block"], Float[Array, ""]]]:
            # one long row of keys: XLA takes five times as long to compile a split into rows of a few
            keys = jr.split(jr.fold_in(key, start), size * block).reshape(size, block)[row]
            draws = jax.vmap(lambda one: model.draw(one, x, posterior=posterior))(keys)
            used = start + jnp.arange(block) < num_samples  # the last block is cut short
            of_x = draws.log_p[:, 0]
            return None, (draws.log_w, jnp.where(used, of_x, jnp.zeros_like(of_x)).sum())

        _, (blocks, visible) = jax.lax.scan(body, None, starts)
        return blocks.reshape(-1)[:num_samples], visible.sum()

    starts = jnp.arange(-(-num_samples // block)) * block
    log_w, visible = jax.vmap(example)(jnp.arange(size), batch)
    deviation = log_w - log_w[:, :1]  # their sum keeps the digits that a sum of large log w loses in float32
    return Terms(
        importance=log_mean_exp(log_w, 1),
        importance_variance=jackknife_variance(log_w),
        elbo=log_w[:, 0] + deviation.mean(1),
        elbo_variance=deviation.var(1) / max(num_samples - 1, 1),
        reconstruction=visible / num_samples,
        pareto_k=tail_shape(log_w) if num_samples >= FEWEST_FOR_TAILS else None,
    )


_EQUAL = 1e-3  # nats, between weights that float32 alone tells apart


def tail_shape(log_w: Float[Array, "batch k"]) -> Float[Array, " batch"]:
    """Shape k of the generalized Pareto law of the largest weights: their moments exist up to the order 1 / k.

    Above 1/2 their variance is infinite; above 0.7 neither the mean of the weights nor its error can be trusted for any
    practical number of draws. blackjax fits it as Zhang and Stephens (2009) do.

    Source: Vehtari, Simpson, Gelman, Yao and Gabry, Pareto smoothed importance sampling (2024).

    Args:
        log_w: at least 25 draws of each example [nats].
    """
    from blackjax.diagnostics import psis_weights  # imports slowly, and only this needs it

    # the tail is the 3 sqrt(K) largest, at most a fifth of the draws. blackjax sorts all that it is given, which is
    # slow: it gets five times the tail, and `r_eff` makes it take a fifth of that
    tail = min(int(3.0 * log_w.shape[-1] ** 0.5), log_w.shape[-1] // 5)
    largest = jax.lax.top_k(log_w, 5 * tail)[0]
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        k = jax.vmap(lambda row: psis_weights(row, r_eff=1e-9)[1])(largest).astype(jnp.float32)
    # the weights of an exact posterior are equal, and have no tail to fit; nor have those of a few states, of which the
    # largest are one value many times: the fit divides zero by zero there
    no_tail = (log_w.max(-1) - log_w.min(-1) < _EQUAL) | (jnp.isnan(k) & ~jnp.isnan(log_w).any(-1))
    return jnp.where(no_tail, 0.0, k)


def jackknife_variance(log_w: Float[Array, "... k"]) -> Float[Array, "..."]:
    """Variance over draws of log (1/K) sum_k w_k, estimated by leaving out each draw in turn; zero for K = 1.

    With L_k the bound without draw k it is (K - 1) / K sum_k (L_k - mean L)^2. The delta method's
    sum_k (w_k / sum_j w_j)^2 - 1/K is its limit for large K, but claims too little for few draws or uneven weights:
    normalized weights are bounded and hide how far log w spreads.

    Source: Efron and Stein, The jackknife estimate of variance (1981).
    """
    count = log_w.shape[-1]
    if count == 1:
        return jnp.zeros_like(log_w[..., 0])
    log_w = log_w - log_w.max(-1, keepdims=True)  # exact in float32 for those that matter; their total is not
    total = jax.nn.logsumexp(log_w, axis=-1, keepdims=True)
    largest = jax.nn.one_hot(jnp.argmax(log_w, axis=-1), count, dtype=bool)
    # 1 - w_k / sum_j w_j has no digits left where one draw outweighs all the others: those are summed without it
    without_largest = jax.nn.logsumexp(jnp.where(largest, -jnp.inf, log_w), axis=-1, keepdims=True) - total
    share = jnp.exp(jnp.where(largest, -jnp.inf, log_w - total))
    left = jnp.where(largest, without_largest, jnp.log1p(-share))
    return (count - 1) * left.var(-1)


def _batch_terms(
    key: Key[Array, ""], model: Model, data: Source, raw: Any, count: int, block: int
) -> tuple[Terms, Float[Array, " batch"]]:
    data_key, draw_key = jr.split(key)
    batch = examples(data_key, data, raw)
    terms = importance_terms(draw_key, model, batch, num_samples=count, block=block)
    return terms, dimensions(batch)


_batch, _short_batch = compiled(_batch_terms), compiled(_batch_terms, seldom=True)


def _all_terms(
    key: Key[Array, ""], model: Model, data: Source, num_samples: int, progress: Progress | None, name: str
) -> dict[str, np.ndarray]:
    block = min(num_samples, 50)
    batch = _short_batch if num_samples * len(data) < _FEW_DRAWS else _batch
    reader = dataclasses.replace(data, arrays=Example(None))  # one program serves data of any length

    def number(batch_key: Key[Array, ""], raw: Any) -> dict[str, Array]:
        terms, observed = batch(batch_key, model, reader, jax.tree.map(jnp.asarray, raw), num_samples, block)
        found = {field.name: getattr(terms, field.name) for field in dataclasses.fields(terms)}
        return {name: value for name, value in found.items() if value is not None} | {"observed": observed}

    return over_batches(key, model, data, ROWS // block, number, name, progress)


def _bound(
    key: Key[Array, ""],
    model: Model,
    data: Source,
    num_samples: int,
    progress: Progress | None,
    *,
    name: str,
    temperatures: int,
) -> Score:
    if num_samples < 1:
        raise InputError(f"A bound needs at least one sample for each example, got {num_samples}.")
    model, normalizer = normalized(jr.fold_in(key, 1), model, temperatures=temperatures)
    if model.depth:
        score = _score(_all_terms(key, model, data, num_samples, progress, name), name, num_samples)
    else:
        # every draw of no latents gives log p(x)
        exact = _score(_all_terms(key, model, data, 1, progress, name), name, 1)
        score = dataclasses.replace(exact, standard_error=0.0)
    return score if normalizer is None else _with_normalizer(score, normalizer)


def _with_normalizer(score: Score, normalizer: Normalizer) -> Score:
    """The score with the error of log Z, which is the same for all examples."""
    error = None if score.standard_error is None else math.hypot(score.standard_error, normalizer.standard_error)
    details = {**score.details, "normalizer": normalizer.record()}
    warning = normalizer.warning or score.warning
    return dataclasses.replace(score, standard_error=error, details=details, warning=warning)


def _score(terms: dict[str, np.ndarray], name: str, num_samples: int) -> Score:
    reconstruction = float(terms["reconstruction"].mean())
    variances = terms[f"{name}_variance"] if num_samples > 1 else None
    parts = (reconstruction, reconstruction - float(terms["elbo"].mean()))
    found = _tails(terms["pareto_k"]) if name == "importance" and "pareto_k" in terms else {}
    return scored(terms[name], variances, terms["observed"], num_samples, parts=parts, **found)


def _tails(k: Float[np.ndarray, " examples"]) -> dict[str, Any]:
    """What the tails of the weights say about a bound and its error."""
    bad = float((k > HEAVY).mean())
    sentence = (
        f"The importance weights of {bad:.0%} of the examples are heavy-tailed (Pareto k > {HEAVY}): the bound may be "
        "far below log p(x) for them, and its error too small; use more samples, ais, or a better q (--refine)."
    )
    return {
        "details": {"pareto_k": float(np.median(k)), "heavy_tailed": bad},
        "warning": sentence if bad else None,
    }


def elbo(
    key: Key[Array, ""],
    model: Model,
    data: Source,
    *,
    num_samples: int = 10,
    progress: Progress | None = None,
    temperatures: int = PUBLISHED,
) -> Score:
    """Evidence lower bound of a data set: the mean over examples and draws of log w [nats].

    For a model without latents it is log p(x), taken once for each example whatever the number of samples.

    Args:
        key: for the draws.
        model: with its recognition model.
        data: the examples.
        num_samples: draws of z for each example.
        progress: called with the number of examples done and their mean bound so far [nats].
        temperatures: of the annealing that estimates log Z of a Boltzmann machine too large to be enumerated; then the
            score is an estimate, see `Normalizer`.

    Raises:
        InputError: no example, no sample, or values that the likelihood cannot give.
    """
    return _bound(key, model, data, num_samples, progress, name="elbo", temperatures=temperatures)


def importance_bound(
    key: Key[Array, ""],
    model: Model,
    data: Source,
    *,
    num_samples: int = 5000,
    progress: Progress | None = None,
    temperatures: int = PUBLISHED,
) -> Score:
    """Importance-weighted bound of a data set, log (1/K) sum_k w_k (Burda et al. 2016) [nats].

    It rises with K towards log p(x). The score warns where the weights are heavy-tailed (`tail_shape`). Latents are
    decoded a few at a time: what grows with K is one number for each draw and example of a batch. Arguments and errors
    are those of `elbo`.
    """
    return _bound(key, model, data, num_samples, progress, name="importance", temperatures=temperatures)
