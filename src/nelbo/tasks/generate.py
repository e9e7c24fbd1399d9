"""Answers for a user: samples, reconstructions, the manifold of a 2-D latent space."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key
from scipy.special import ndtri

from nelbo.core import Example, InputError
from nelbo.data import Source
from nelbo.models import Context, Model
from nelbo.training import examples

_AT_ONCE = 1000  # samples in one compiled call


@eqx.filter_jit
def _samples(keys: Key[Array, " n"], model: Model, context: Context, *, mean: bool) -> Float[Array, "n ..."]:
    def one(key: Key[Array, ""]) -> Array:
        x, z = model.generative.sample(key, context)
        return model.generative.likelihood(z, context).mean if mean else x

    return jax.vmap(one)(keys)


def sample(
    key: Key[Array, ""], model: Model, count: int, *, mean: bool = False, context: Context = None
) -> Float[np.ndarray, "n ..."]:
    """Draw examples from p(x, z).

    Args:
        key: for the draws.
        model: the model.
        count: how many.
        mean: give E[x | z] instead of a draw of x.
        context: what the model is conditioned on, the same for all; None where it is not.

    Raises:
        InputError: fewer than one; a conditional model without its context; a mean given the latents of a model
            without any.
    """
    if count < 1:
        raise InputError(f"The number of samples must be at least 1, got {count}.")
    if mean:
        model.require_latents("E[x | z]")
    if model.generative.context_size and context is None:
        raise InputError("This model is conditioned on a context: say on which its samples shall be.")
    sizes = {start: min(_AT_ONCE, count - start) for start in range(0, count, _AT_ONCE)}
    chunks = [jr.split(jr.fold_in(key, start), size) for start, size in sizes.items()]
    return np.concatenate([np.asarray(_samples(keys, model, context, mean=mean)) for keys in chunks])


@eqx.filter_jit
def _reconstructions(key: Key[Array, ""], model: Model, data: Source, raw: Example) -> tuple[Example, Array]:
    data_key, draw_key = jr.split(key)
    batch = examples(data_key, data, raw)

    def one(k: Key[Array, ""], x: Example) -> Array:
        z, _ = model.recognition(x).sample(k)
        return model.generative.likelihood(z, x.context).mean

    keys = jr.split(draw_key, jax.tree.leaves(batch)[0].shape[0])
    return batch, jax.vmap(one)(keys, batch)


def reconstruct(
    key: Key[Array, ""], model: Model, data: Source, indices: np.ndarray
) -> tuple[Example, Float[np.ndarray, "n ..."]]:
    """The examples at `indices` as the model sees them, and E[x | z] with one draw z ~ q(z | x) for each.

    Raises:
        InputError: a model without latents.
    """
    model.require_latents("A reconstruction")
    originals, means = _reconstructions(key, model, data, data.take(indices))
    return jax.tree.map(np.asarray, originals), np.asarray(means)


def manifold(model: Model, side: int = 20) -> Float[np.ndarray, "side side ..."]:
    """E[x | z] over a grid of Gaussian quantiles of a 2-D latent space (Kingma and Welling 2014, figure 4).

    The first axis runs down, from large to small values of the second latent; the second runs to the right.

    Raises:
        InputError: the model has not exactly one layer of two latents.
    """
    layers = model.generative.layers
    root = model.generative.root(1) if len(layers) == 2 else None
    if root is None or root.batch_shape != (2,):
        raise InputError("A manifold needs a model with one layer of two latents: fit with --latents 2.")
    quantiles = ndtri((np.arange(side) + 0.5) / side)
    grid = jnp.asarray(np.stack(np.meshgrid(quantiles, quantiles[::-1]), -1).reshape(-1, 2), jnp.float32)
    means = _decoded(model, grid)
    return np.asarray(means).reshape(side, side, *means.shape[1:])


@eqx.filter_jit
def _decoded(model: Model, grid: Float[Array, "n two"]) -> Float[Array, "n ..."]:
    return jax.vmap(lambda z: model.generative.likelihood((z,)).mean)(grid)
