"""Log p(x) with all latents summed or integrated out, where that can be done exactly."""

import itertools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import logsumexp
from jaxtyping import Array, Float

from nelbo.core import Example, InputError
from nelbo.distributions import BinaryUnits, Distribution, OneHot, example_shape
from nelbo.models.layers import Latents, Layer

MOST_BINARY = 16  # binary latents in all: 2^16 states of each example


def log_marginal(
    layers: tuple[Layer, ...], log_joint: Callable[[Example, Latents], Float[Array, " nodes"]], x: Example
) -> Float[Array, ""]:
    """Log p(x) of the observed entries of one example [nats].

    Args:
        layers: of the generative model, that of the data first.
        log_joint: log p of each node.
        x: the example.

    Raises:
        InputError: the latents can neither be integrated out in closed form nor enumerated.
    """
    if len(layers) == 1:
        return log_joint(x, ()).sum()
    if all(layer.is_linear_gaussian for layer in layers):
        return _linear_gaussian(layers, x)
    states = _states(layers, x)
    return logsumexp(jax.lax.map(lambda z: log_joint(x, z).sum(), states, batch_size=1024))


def _linear_gaussian(layers: tuple[Layer, ...], x: Example) -> Float[Array, ""]:
    """N(x; m, C) with m and C carried down the chain z_L, ..., z_1, x."""
    top = layers[-1](())
    mean, covariance = jnp.ravel(top.mean), jnp.diag(jnp.ravel(top.variance))
    for layer in reversed(layers[:-1]):
        weight = jax.jacfwd(lambda z, layer=layer: jnp.ravel(layer((z,), x.context).mean))(mean)
        given = layer((mean,), x.context)
        mean = jnp.ravel(given.mean)
        covariance = weight @ covariance @ weight.T + jnp.diag(jnp.ravel(given.variance))
    difference = jnp.ravel(x.values) - mean
    seen = jnp.ones(mean.shape, bool) if x.observed is None else jnp.ravel(x.observed)
    # a missing entry becomes a standard normal of its own at its mean: it adds log N(0; 0, 1) and touches no other
    difference = jnp.where(seen, difference, 0.0)
    covariance = jnp.where(seen[:, None] & seen[None, :], covariance, jnp.eye(mean.size, dtype=mean.dtype))
    lower = jnp.linalg.cholesky(covariance)
    whitened = jax.scipy.linalg.solve_triangular(lower, difference, lower=True)
    count = seen.sum().astype(mean.dtype)
    log_det = 2.0 * jnp.log(jnp.diagonal(lower)).sum()
    return -0.5 * ((whitened**2).sum() + log_det + count * math.log(2.0 * math.pi))


def _states(layers: tuple[Layer, ...], x: Example) -> Latents:
    """Every state of all latents: one array for each layer, states first."""
    if len(layers) == 2:
        top = jax.eval_shape(lambda: layers[1]((), x.context))
        if isinstance(top, OneHot):
            return (jnp.eye(*top.event_shape, dtype=jnp.float32),)
    shapes: list[tuple[int, ...]] = []

    def node(above: Latents, i: int) -> Distribution:
        return layers[i](above, x.context)

    above: tuple[jax.ShapeDtypeStruct, ...] = ()
    for i in reversed(range(1, len(layers))):
        found = jax.eval_shape(lambda nodes, i=i: node(nodes, i), above)
        if not isinstance(found, BinaryUnits):
            raise InputError(
                "log p(x) has no closed form for this model: its latents can be neither integrated out nor enumerated; "
                "estimate it by importance_bound."
            )
        shapes.insert(0, example_shape(found))
        above = (jax.ShapeDtypeStruct(shapes[0], jnp.float32), *above)
    sizes = [math.prod(shape) for shape in shapes]
    if sum(sizes) > MOST_BINARY:
        raise InputError(
            f"log p(x) by enumeration is for at most {MOST_BINARY} binary latents, this model has {sum(sizes)}: "
            "estimate it by importance_bound."
        )
    bits = (np.arange(2 ** sum(sizes))[:, None] >> np.arange(sum(sizes))) & 1
    starts = [0, *itertools.accumulate(sizes)]
    return tuple(
        jnp.asarray(bits[:, start : start + size].reshape(-1, *shape), jnp.float32)
        for start, size, shape in zip(starts, sizes, shapes, strict=False)
    )
