"""Samples, reconstructions, and the manifold of a 2-D latent space."""

import math

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key
from scipy.special import ndtri

from nelbo.core import Example, InputError, compiled
from nelbo.data import Source
from nelbo.distributions import example_shape
from nelbo.models import Context, Model, check_source
from nelbo.tasks.rows import in_shape_of, reader, stored_rows
from nelbo.training import examples, padded_batches

_AT_ONCE = 1000  # samples in one compiled call
_DECODED = 256  # rows


def _context_for(model: Model, context: Context) -> Context:
    """The context as arrays.

    Raises:
        InputError: it is missing, of another size, or given to a model that has none.
    """
    context = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), context)
    size, wanted = sum(leaf.size for leaf in jax.tree.leaves(context)), model.generative.context_size
    if model.is_supervised:
        raise InputError("This model predicts a target from features and has no samples of them: use `nelbo predict`.")
    if model.is_of_pairs and not size:
        raise InputError("This model gives the values of pairs that are named: use `nelbo predict`.")
    if wanted and not size:
        raise InputError(f"This model is conditioned on a context of {wanted} numbers: give it.")
    if size != wanted:
        had = f"one of {wanted} numbers" if wanted else "none"
        raise InputError(f"A context of {size} numbers was given, but this model has {had}.")
    return context


def sample_batch(model: Model, keys: Key[Array, " n"], context: Context, *, mean: bool) -> Float[Array, "n ..."]:
    """One example, or E[x | z], for each key."""

    def one(key: Key[Array, ""]) -> Array:
        x, z = model.generative.sample(key, context)
        return model.generative.likelihood(z, context).mean if mean else x

    return jax.vmap(one)(keys)


_sample_batch = compiled(sample_batch)


def sample(
    key: Key[Array, ""], model: Model, count: int, *, mean: bool = False, context: Context = None
) -> Float[np.ndarray, "n ..."]:
    """Draw examples from p(x, z).

    Args:
        key: for the draws.
        model: the model.
        count: number of samples.
        mean: give E[x | z] instead of a draw of x.
        context: what the model is conditioned on, the same for all samples; None for an unconditional model.

    Raises:
        InputError: a count below one, a conditional model without its context, or `mean` for a model without latents.
    """
    if count < 1:
        raise InputError(f"The number of samples must be at least 1, got {count}.")
    if mean:
        model.require_latents("E[x | z]")
    context = _context_for(model, context)
    sizes = {start: min(_AT_ONCE, count - start) for start in range(0, count, _AT_ONCE)}
    chunks = [jr.split(jr.fold_in(key, start), size) for start, size in sizes.items()]
    return np.concatenate([np.asarray(_sample_batch(model, keys, context, mean=mean)) for keys in chunks])


def reconstruct_batch(model: Model, key: Key[Array, ""], data: Source, raw: Example) -> tuple[Example, Array]:
    """Rows as the model sees them, from rows as they are stored, and E[x | z] with one draw of z for each."""
    data_key, draw_key = jr.split(key)
    batch = examples(data_key, data, raw)

    def one(k: Key[Array, ""], x: Example) -> Array:
        z, _ = model.posterior(x).sample(k)
        return model.generative.likelihood(z, x.context).mean

    keys = jr.split(draw_key, jax.tree.leaves(batch)[0].shape[0])
    return batch, jax.vmap(one)(keys, batch)


_reconstruct_batch = compiled(reconstruct_batch)


def reconstruct(
    key: Key[Array, ""], model: Model, data: Source, indices: np.ndarray
) -> tuple[Example, Float[np.ndarray, "n ..."]]:
    """The examples at `indices` as the model sees them, and E[x | z] with one draw z ~ q(z | x) for each.

    Raises:
        InputError: a model without latents, examples of another shape, or values that the likelihood cannot give.
    """
    model.require_latents("A reconstruction")
    data = in_shape_of(model, data)
    check_source(model, data)
    originals, means = _reconstruct_batch(model, key, reader(data), stored_rows(data, indices))
    return jax.tree.map(np.asarray, originals), np.asarray(means)


def decode_grid(model: Model, grid: Float[Array, "n two"], context: Context) -> Float[Array, "n ..."]:
    """E[x | z] at each z."""
    return jax.vmap(lambda z: model.generative.likelihood((z,), context).mean)(grid)


_decode_grid = compiled(decode_grid)


def decode_batch(model: Model, codes: Float[Array, "n latents"]) -> Float[Array, "n ..."]:
    """E[x | z] of rows of latents, the layers side by side."""
    sizes = [math.prod(example_shape(node)) for node in model.generative.shapes()[1:]]
    ends = np.cumsum(sizes)[:-1].tolist()

    def one(row: Float[Array, " latents"]) -> Array:
        parts = jnp.split(row, ends)
        shaped = [
            part.reshape(example_shape(node)) for part, node in zip(parts, model.generative.shapes()[1:], strict=True)
        ]
        return model.generative.likelihood(tuple(shaped)).mean

    return jax.vmap(one)(codes)


_decode_batch = compiled(decode_batch)


def decode(model: Model, codes: Float[np.ndarray, "n latents"]) -> Float[np.ndarray, "n ..."]:
    """E[x | z] at the coordinates that `embed` gives.

    Args:
        model: with latents and without a context.
        codes: `(n, latents)`, the layers side by side, the one next to the data first.

    Raises:
        InputError: a model without latents or with a context, or another number of latents.
    """
    model.require_latents("A reconstruction")
    if model.generative.context_size:
        raise InputError("This model is conditioned on a context: coordinates alone do not say what to decode.")
    size = sum(math.prod(example_shape(node)) for node in model.generative.shapes()[1:])
    codes = np.asarray(codes, np.float32)
    if codes.ndim != 2 or codes.shape[1] != size:
        raise InputError(f"Coordinates have shape {list(codes.shape)}; {size} of them for each row were expected.")
    parts = []
    for rows, real in zip(*padded_batches(len(codes), _DECODED), strict=True):
        parts.append(np.asarray(_decode_batch(model, jnp.asarray(codes[rows])))[real])
    return np.concatenate(parts)


def manifold(model: Model, side: int = 20, *, context: Context = None) -> Float[np.ndarray, "side side ..."]:
    """E[x | z] over a grid of Gaussian quantiles of a 2-D latent space (Kingma and Welling 2014, figure 4).

    The first axis runs down, from large to small values of the second latent; the second runs to the right.

    Args:
        model: with one layer of two latents.
        side: points along each axis.
        context: what the model is conditioned on; None for an unconditional model.

    Raises:
        InputError: the model has not exactly one layer of two latents, or lacks its context.
    """
    context = _context_for(model, context)
    layers = model.generative.layers
    root = model.generative.root(1, context) if len(layers) == 2 else None
    if root is None or root.batch_shape != (2,):
        raise InputError("A manifold needs a model with one layer of two latents: fit with --latents 2.")
    quantiles = ndtri((np.arange(side) + 0.5) / side)
    grid = jnp.asarray(np.stack(np.meshgrid(quantiles, quantiles[::-1]), -1).reshape(-1, 2), jnp.float32)
    means = np.asarray(_decode_grid(model, grid, context))
    return means.reshape(side, side, *means.shape[1:])
