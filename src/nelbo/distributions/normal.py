"""Normals whose draws are of their parameters' precision."""

import jax.numpy as jnp
import jax.random as jr
import numpyro.distributions as nd
from jaxtyping import Array, Float, Key


class Normal(nd.Normal):
    """NumPyro's normal, whose draws are float32 where its parameters are: with 64-bit numbers on, too."""

    loc: Array
    scale: Array

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw loc + scale * eps."""
        shape = (*sample_shape, *self.batch_shape)
        loc, scale = (jnp.broadcast_to(value, shape) for value in (self.loc, self.scale))
        return loc + scale * jr.normal(key, shape, jnp.result_type(loc, scale))
