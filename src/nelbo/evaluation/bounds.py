"""The evidence lower bound and the importance-weighted bound of a data set, in bounded memory."""

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from nelbo.core import AnyExample, Example, InputError, as_example, choice, compiled, log_mean_exp
from nelbo.data import Source
from nelbo.evaluation.normalizers import PUBLISHED, Normalizer, normalized
from nelbo.evaluation.score import Progress, Score, dimensions, over_batches, scored
from nelbo.models import Draw, Model
from nelbo.training import examples

HEAVY = 0.7  # Pareto k above which nothing can be trusted
FEWEST_FOR_TAILS = 200  # draws of an example, of which the 40 largest make a tail
# where there are fewer, compiling in full takes longer than it saves: the short program runs half as long again
_FEW_DRAWS = 50_000
PRECISIONS = ("float32", "bfloat16")
MOST_MOVED = 2e-3  # nats that bfloat16 may move a bound by before the score says so
_PER_EXACT = 25  # draws in bfloat16 for one in float32 too
ROWS = 1000  # latent draws decoded at once: large enough for full matrix products, small enough for the cache


class Terms(eqx.Module):
    """Statistics of K draws of each example's log w [nats].

    Args:
        importance: log (1/K) sum_k w_k.
        importance_variance: jackknife estimate of its variance over draws [nats^2]; zero for a single draw, which has
            no such estimate.
        elbo: (1/K) sum_k log w_k.
        elbo_variance: estimate of its variance over draws [nats^2]; zero for one draw.
        reconstruction: mean of log p(x|z_k).
        pareto_k: shape of the tail of w, see `tail_shape`; None for too few draws.
        rounding: log w of a draw in float32 minus that in bfloat16: its mean over draws, and the variance of the mean;
            None if all is float32.
    """

    importance: Float[Array, " batch"]
    importance_variance: Float[Array, " batch"]
    elbo: Float[Array, " batch"]
    elbo_variance: Float[Array, " batch"]
    reconstruction: Float[Array, " batch"]
    pareto_k: Float[Array, " batch"] | None = None
    rounding: tuple[Float[Array, " batch"], Float[Array, " batch"]] | None = None


def importance_terms(
    key: Key[Array, ""],
    model: Model,
    batch: AnyExample,
    *,
    num_samples: int,
    block: int,
    precision: str = "float32",
) -> Terms:
    """Reduce K = `num_samples` draws of each example of a batch, `block` at a time.

    The importance-weighted bound is log (1/K) sum_k w_k (Burda et al. 2016, eq. 8). Latents are kept for one block
    only; what is kept is log w, K numbers for each example, from which the variances are computed.

    In bfloat16 the error of log w is mostly the same for all draws of an example, since the weights of the networks are
    rounded once. So the largest weights of each block are computed in float32 too and replaced, and the others are
    shifted by the mean difference of those.
    """
    batch = as_example(batch)
    size = batch.values.shape[0]
    exact = 0 if precision == "float32" else -(-block // _PER_EXACT)

    def example(row: Array, x: Example) -> tuple[Array, Array, tuple[Array, Array] | None]:
        posterior = model.posterior(x)  # once for all blocks: it may take many steps

        def draws_of(keys: Key[Array, " some"]) -> Draw:
            return jax.vmap(lambda one: model.draw(one, x, posterior=posterior))(keys)

        def body(_: None, start: Array) -> tuple[None, tuple[Array, Array, tuple[Array, Array] | None]]:
            # one long row of keys: XLA takes five times as long to compile a split into rows of a few
            keys = jr.split(jr.fold_in(key, start), size * block).reshape(size, block)[row]
            with jax.default_matmul_precision(precision if exact else None):
                draws = draws_of(keys)
            used = start + jnp.arange(block) < num_samples  # the last block is cut short
            of_x, log_w = draws.log_p[:, 0], draws.log_w
            both = None
            if exact:
                largest = jax.lax.top_k(jnp.where(used, log_w, -jnp.inf), exact)[1]
                both = largest, draws_of(jr.clone(keys)[largest]).log_w - log_w[largest]
            return None, (log_w, jnp.where(used, of_x, jnp.zeros_like(of_x)).sum(), both)

        _, (blocks, visible, both) = jax.lax.scan(body, None, starts)
        rounding = None
        if both is not None:
            there = starts[:, None] + both[0] < num_samples
            blocks, rounding = _corrected(blocks, *both, there)
        return blocks.reshape(-1)[:num_samples], visible.sum(), rounding

    starts = jnp.arange(-(-num_samples // block)) * block
    log_w, visible, rounding = jax.vmap(example)(jnp.arange(size), batch)
    deviation = log_w - log_w[:, :1]  # their sum keeps the digits that a sum of large log w loses in float32
    return Terms(
        importance=log_mean_exp(log_w, 1),
        importance_variance=jackknife_variance(log_w),
        elbo=log_w[:, 0] + deviation.mean(1),
        elbo_variance=deviation.var(1) / max(num_samples - 1, 1),
        reconstruction=visible / num_samples,
        pareto_k=tail_shape(log_w) if num_samples >= FEWEST_FOR_TAILS else None,
        rounding=rounding,
    )


def _corrected(
    log_w: Float[Array, "blocks block"],
    which: Int[Array, "blocks some"],
    more: Float[Array, "blocks some"],
    there: Bool[Array, "blocks some"],
) -> tuple[Float[Array, "blocks block"], tuple[Float[Array, ""], Float[Array, ""]]]:
    """Coarse log w: exact for the draws `which` that are `there`, shifted by their mean difference for the others."""
    count = there.sum(dtype=log_w.dtype)
    mean = jnp.where(there, more, 0.0).sum() / count
    off = jnp.where(there, more - mean, 0.0)
    moved = jax.vmap(lambda one, at, by: (one + mean).at[at].add(by))(log_w, which, off)
    return moved, (mean, (off**2).sum() / count**2)


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
    key: Key[Array, ""], model: Model, data: Source, raw: Any, count: int, block: int, precision: str
) -> tuple[Terms, Float[Array, " batch"]]:
    data_key, draw_key = jr.split(key)
    batch = examples(data_key, data, raw)
    terms = importance_terms(draw_key, model, batch, num_samples=count, block=block, precision=precision)
    return terms, dimensions(batch)


_batch, _short_batch = compiled(_batch_terms), compiled(_batch_terms, seldom=True)


def _all_terms(
    key: Key[Array, ""],
    model: Model,
    data: Source,
    num_samples: int,
    progress: Progress | None,
    name: str,
    precision: str = "float32",
) -> dict[str, np.ndarray]:
    block = min(num_samples, 50)
    batch = _short_batch if num_samples * len(data) < _FEW_DRAWS else _batch
    reader = dataclasses.replace(data, arrays=Example(None))  # one program serves data of any length

    def number(batch_key: Key[Array, ""], raw: Any) -> dict[str, Array]:
        terms, observed = batch(batch_key, model, reader, jax.tree.map(jnp.asarray, raw), num_samples, block, precision)
        found = {field.name: getattr(terms, field.name) for field in dataclasses.fields(terms)}
        rounding = found.pop("rounding")
        found |= {} if rounding is None else dict(zip(("moved", "moved_variance"), rounding, strict=True))
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
    precision: str = "float32",
) -> Score:
    if num_samples < 1:
        raise InputError(f"A bound needs at least one sample for each example, got {num_samples}.")
    model, normalizer = normalized(jr.fold_in(key, 1), model, temperatures=temperatures)
    if model.depth:
        terms = _all_terms(key, model, data, num_samples, progress, name, precision)
        score = _score(terms, name, num_samples)
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
    found = found if "moved" not in terms else _with_rounding(found, terms["moved"], terms["moved_variance"])
    return scored(terms[name], variances, terms["observed"], num_samples, parts=parts, **found)


def _with_rounding(found: dict[str, Any], moved: np.ndarray, variance: np.ndarray) -> dict[str, Any]:
    """The score with notes on the error of bfloat16 and the uncertainty of its correction [nats]."""
    error = float(variance.sum() ** 0.5 / len(variance))
    details = {"precision": "bfloat16", "corrected_by": float(moved.mean()), "correction_error": error}
    sentence = (
        f"Products in bfloat16 may have moved the bound by {3 * error:.4f} nats (three standard errors): "
        f"more than {MOST_MOVED} is too much; leave --precision bfloat16 out."
    )
    warnings = [text for text in (found.get("warning"), sentence if 3 * error > MOST_MOVED else None) if text]
    return {"details": found.get("details", {}) | details, "warning": " ".join(warnings) or None}


def _tails(k: Float[np.ndarray, " examples"]) -> dict[str, Any]:
    """What the tails of the weights imply for a bound and its error."""
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
        temperatures: number of temperatures of the annealing that estimates log Z of a Boltzmann machine that is too
            large to be enumerated; the score is then an estimate, see `Normalizer`.

    Raises:
        InputError: no examples, no samples, or values outside of the likelihood's support.
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
    precision: str = "float32",
) -> Score:
    """Importance-weighted bound of a data set, log (1/K) sum_k w_k (Burda et al. 2016) [nats].

    It rises with K towards log p(x). The score warns if the weights are heavy-tailed (`tail_shape`). Latents are
    decoded a few at a time, so memory grows with K by only one number for each draw and example of a batch. Other
    arguments are those of `elbo`.

    `precision` is that of the products of dense layers, "float32" or "bfloat16", which takes half the time on
    processors that multiply such numbers. The rounding error is measured and corrected (see `importance_terms`); the
    score reports the correction, and warns if three of its standard errors exceed 0.002
    nats.

    Raises:
        InputError: an unknown precision, or see `elbo`.
    """
    choice("precision", precision, PRECISIONS)
    return _bound(
        key, model, data, num_samples, progress, name="importance", temperatures=temperatures, precision=precision
    )
