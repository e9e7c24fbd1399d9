"""Log p(x) of models with few latents from Hamiltonian chains alone: reciprocal importance sampling."""

from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, Key

from nelbo.bayes import split_r_hat
from nelbo.core import Example, InputError, compiled, log_mean_exp
from nelbo.data import Source
from nelbo.distributions import CholeskyNormal
from nelbo.evaluation.annealing import require_real_latents
from nelbo.evaluation.bounds import jackknife_variance
from nelbo.evaluation.score import Progress, Score, dimensions, over_batches, scored
from nelbo.models import Latents, Model
from nelbo.samplers import Hamiltonian, run_chain
from nelbo.training import examples

SAMPLES = 5000
MOST_LATENTS = 10  # in all: with more, no normal fits where the posterior has its mass
_CHAINS = 50
_WARMUP = 100
_LEAPFROGS = 10
_SHRINKAGE = 0.9  # of the fitted covariance: tails of q must be lighter than those of the posterior
_MIXED = 1.05  # split R-hat above which chains have not met
ROWS = 400  # chains at once


def _example(key: Key[Array, ""], model: Model, x: Example, each: int) -> dict[str, Array]:
    """The estimate of one example, from `each` draws of every chain for the fit and as many after them."""
    posterior = model.posterior(x)
    start_key, chain_key = jr.split(key)

    def log_joint(z: Latents) -> Float[Array, ""]:
        return model.generative.log_prob(x, z).sum()

    starts = jax.vmap(lambda k: posterior.sample(k)[0])(jr.split(start_key, _CHAINS))
    size = sum(leaf[0].size for leaf in jax.tree.leaves(starts))
    kernel = Hamiltonian(log_joint, warmup=_WARMUP, leapfrogs=_LEAPFROGS, target=0.8)

    def keep(kept: tuple[Array, Array], i: Int[Array, ""], z: Latents) -> tuple[Array, Array]:
        draws, log_p = kept
        place = jnp.maximum(i - _WARMUP, 0)  # what is visited before is written over
        return draws.at[place].set(ravel_pytree(z)[0]), log_p.at[place].set(log_joint(z))

    def chain(k: Key[Array, ""], z: Latents) -> tuple[Array, Array, Array]:
        empty = (jnp.zeros((2 * each, size), jnp.float32), jnp.zeros(2 * each, jnp.float32))
        _, accepted, (draws, log_p) = run_chain(k, kernel, z, _WARMUP + 2 * each, keep, empty)
        return draws, log_p, accepted[_WARMUP:].mean()

    draws, log_p, accepted = jax.vmap(chain)(jr.split(chain_key, _CHAINS), starts)
    log_ratio = _log_normal(draws[:, :each].reshape(-1, size), draws[:, each:]) - log_p[:, each:]
    by_chain = log_mean_exp(log_ratio, 1)
    return {
        "nats": -log_mean_exp(by_chain),
        "variance": jackknife_variance(by_chain),
        "accepted": accepted.mean(),
        "draws": draws,
    }


def _log_normal(
    fitted: Float[Array, "draws size"], at: Float[Array, "chains each size"]
) -> Float[Array, "chains each"]:
    """Log density of the normal with the moments of some draws, its covariance shrunk [nats]."""
    mean = fitted.mean(0)
    centred = fitted - mean[None]
    size = mean.shape[0]
    covariance = _SHRINKAGE * (centred.T @ centred) / fitted.shape[0] + 1e-8 * jnp.eye(size, dtype=jnp.float32)
    density = CholeskyNormal(mean, jnp.linalg.cholesky(covariance))
    return jax.vmap(jax.vmap(density.log_prob))(at)


@compiled
def _batch(key: Key[Array, ""], model: Model, data: Source, raw: Any, each: int) -> dict[str, Array]:
    data_key, draw_key = jr.split(key)
    batch = examples(data_key, data, raw)
    keys = jr.split(draw_key, batch.values.shape[0])
    found = jax.vmap(lambda k, x: _example(k, model, x, each))(keys, batch)
    return found | {"observed": dimensions(batch)}


def reciprocal_importance(
    key: Key[Array, ""],
    model: Model,
    data: Source,
    *,
    num_samples: int = SAMPLES,
    progress: Progress | None = None,
) -> Score:
    """Log p(x) from draws of the posterior: -log (1/L) sum_l q(z_l) / p(x, z_l), q a normal that was fitted to others.

    Fifty Hamiltonian chains from q(z|x) learn their step sizes, then give L draws for the fit and L fresh ones for the
    mean. It is an estimate: neither bound, as good as the chains mix and as a normal suits the posterior. The score
    warns where split R-hat says that the chains have not met.

    Source: Kingma and Welling, Auto-Encoding Variational Bayes (2014), appendix D.

    Args:
        key: for the chains.
        model: with at most ten latents, all real-valued.
        data: the examples.
        num_samples: L for each example, shared out among the chains.
        progress: called with the number of examples done and their mean so far [nats].

    Raises:
        InputError: latents are many or not real-valued, too few samples, or no example.
    """
    require_real_latents(model, "The estimator by Hamiltonian chains")
    latents = sum(int(np.prod(layer.batch_shape + layer.event_shape)) for layer in model.generative.shapes()[1:])
    if latents > MOST_LATENTS:
        raise InputError(
            f"The estimator by Hamiltonian chains is for at most {MOST_LATENTS} latents, this model has {latents}: "
            "use ais or iwae."
        )
    if num_samples < 4 * _CHAINS:
        raise InputError(f"The estimator by Hamiltonian chains needs {4 * _CHAINS} samples, got {num_samples}.")

    def number(batch_key: Key[Array, ""], raw: Any) -> dict[str, Array]:
        found = _batch(batch_key, model, data, raw, -(-num_samples // _CHAINS))
        draws = np.asarray(found.pop("draws"))
        return found | {"r_hat": np.array([split_r_hat(one).max() for one in draws])}  # pyright: ignore

    found = over_batches(key, model, data, ROWS // _CHAINS, number, "nats", progress)
    worst = float(found["r_hat"].max())
    share = float((found["r_hat"] > _MIXED).mean())
    sentence = (
        f"The chains of {share:.0%} of the examples have not met (split R-hat up to {worst:.2f}): do not trust the "
        "estimate for them; use more samples, or ais."
    )
    return scored(
        found["nats"],
        found["variance"],
        found["observed"],
        num_samples,
        details={"acceptance": float(found["accepted"].mean()), "r_hat": worst},
        warning=sentence if share else None,
    )
