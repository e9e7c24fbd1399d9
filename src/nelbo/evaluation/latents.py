"""How much of the latent space a model uses."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample, Example
from nelbo.data import Source
from nelbo.models import Model, check_source
from nelbo.training import examples, padded_batches

ACTIVE = 0.01


def posterior_mean(key: Key[Array, ""], model: Model, x: AnyExample) -> tuple[Float[Array, " latents"], ...]:
    """Per layer E[z_l | z_below] under q, flat; layers below are drawn [Burda et al. 2016 use this for deeper ones]."""
    _, parts = model.posterior(x).sample(key)
    return tuple(jnp.ravel(part.mean) for part in parts)


@eqx.filter_jit
def _means(key: Key[Array, ""], model: Model, data: Source, raw: Example) -> tuple[Float[Array, "batch latents"], ...]:
    data_key, draw_key = jr.split(key)
    batch = examples(data_key, data, raw)
    keys = jr.split(draw_key, jax.tree.leaves(batch)[0].shape[0])
    return jax.vmap(lambda k, x: posterior_mean(k, model, x))(keys, batch)


def posterior_means(key: Key[Array, ""], model: Model, data: Source) -> tuple[np.ndarray, ...]:
    """Posterior means of a data set: one array of shape (examples, latents) for each layer.

    Raises:
        InputError: values that the likelihood cannot give.
    """
    check_source(model, data)
    indices, real = padded_batches(len(data), min(1000, len(data)))
    rows = []
    for i, batch in enumerate(indices):
        means = _means(jr.fold_in(key, i), model, data, data.take(batch))
        rows.append([np.asarray(layer)[real[i]] for layer in means])
    return tuple(np.concatenate(layer) for layer in zip(*rows, strict=True))


def active_units(key: Key[Array, ""], model: Model, data: Source) -> tuple[int, ...]:
    """Per layer, how many latents have Var_x(E_q[z]) > 0.01 (Burda et al. 2016, section 5.3)."""
    return tuple(int((layer.var(0) > ACTIVE).sum()) for layer in posterior_means(key, model, data))
