"""How much of the latent space a model uses."""

import dataclasses

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample, Example, compiled
from nelbo.data import Source
from nelbo.evaluation.rows import BATCH
from nelbo.models import Model, check_source
from nelbo.training import padded_batches

ACTIVE = 0.01


def posterior_mean(key: Key[Array, ""], model: Model, x: AnyExample) -> tuple[Float[Array, " latents"], ...]:
    """Per layer E[z_l | z_below] under q, flat; layers below are drawn [Burda et al. 2016 use this for deeper ones]."""
    _, parts = model.posterior(x).sample(key)
    return tuple(jnp.ravel(part.mean) for part in parts)


def means_of_batch(
    key: Key[Array, ""], model: Model, data: Source, raw: Example
) -> tuple[Float[Array, "batch latents"], ...]:
    """Posterior means of rows as they are stored; every row has the same draws of noise."""
    data_key, draw_key = jr.split(key)
    return jax.vmap(lambda row: posterior_mean(draw_key, model, data.example(data_key, row)))(raw)


_means_of_batch = compiled(means_of_batch)


def posterior_means(key: Key[Array, ""], model: Model, data: Source) -> tuple[np.ndarray, ...]:
    """Posterior means of a data set: one array of shape (examples, latents) for each layer.

    A row's means do not depend on its place or on the rows beside it.

    Raises:
        InputError: values that the likelihood cannot give.
    """
    check_source(model, data)
    indices, real = padded_batches(len(data), BATCH)
    reader = dataclasses.replace(data, arrays=Example(None))  # one program serves data of any length
    rows = []
    for i, batch in enumerate(indices):
        raw = jax.tree.map(jnp.asarray, data.take(batch))
        means = _means_of_batch(jr.clone(key), model, reader, raw)
        rows.append([np.asarray(layer)[real[i]] for layer in means])
    return tuple(np.concatenate(layer) for layer in zip(*rows, strict=True))


def active_units(key: Key[Array, ""], model: Model, data: Source) -> tuple[int, ...]:
    """Per layer, how many latents have Var_x(E_q[z]) > 0.01 (Burda et al. 2016, section 5.3)."""
    return tuple(int((layer.var(0) > ACTIVE).sum()) for layer in posterior_means(key, model, data))
