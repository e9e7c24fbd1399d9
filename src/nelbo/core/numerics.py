"""Safe numerics."""

import math

import jax
import jax.numpy as jnp
from jax.nn import logsumexp
from jaxtyping import Array, Float

NATS_PER_BIT = math.log(2.0)


def log_mean_exp(values: Float[Array, "..."], axis: int = 0) -> Float[Array, "..."]:
    """Log of the mean of exp(values) along `axis`, without overflow."""
    return logsumexp(values, axis=axis) - math.log(values.shape[axis])


@jax.custom_jvp
def softplus(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Elementwise log(1 + exp(x)), without overflow.

    Its derivative is written by hand: differentiating the formula costs 5 % more of a whole training step of an MNIST
    auto-encoder.
    """
    return jnp.maximum(x, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


softplus.defjvps(lambda tangent, _, x: tangent * jax.nn.sigmoid(x))
