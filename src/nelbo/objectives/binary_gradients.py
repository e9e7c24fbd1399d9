"""What gradients may see of a binary draw in place of nothing: biased, but of low variance. For `Sgvb(through=...)`."""

import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float

from nelbo.core import InputError
from nelbo.distributions import BinaryUnits, Distribution


def _probabilities(part: Distribution, value: Array) -> Float[Array, "*d"]:
    """P(h_j = 1), given the earlier units of the layer where they matter."""
    if not isinstance(part, BinaryUnits):
        raise InputError(f"This gradient is for binary latents, but these are {type(part).__name__}: use sgvb.")
    return part.conditional(stop_gradient(value)).mean


def half(part: Distribution, value: Array) -> Array:
    """DARN's estimator: dh_j = dP(h_j = 1) / (2 q(h_j)), with q(h_j) the probability of the value drawn.

    Its mean over h_j is the mean of the slopes at both ends, (f'(0) + f'(1)) / 2, which is f(1) - f(0) where f is
    quadratic in h_j, and an approximation elsewhere. Source: Gregor et al. (2014), section 4.3.
    """
    on = _probabilities(part, value)
    drawn = stop_gradient(value * on + (1.0 - value) * (1.0 - on))
    return _carry(value, on, 0.5 / drawn)


def straight_through(part: Distribution, value: Array) -> Array:
    """The straight-through estimator: dh_j = dP(h_j = 1). Source: Bengio et al. (2013), section 4."""
    return _carry(value, _probabilities(part, value), jnp.ones_like(value))


def _carry(value: Float[Array, "*d"], on: Float[Array, "*d"], slope: Float[Array, "*d"]) -> Float[Array, "*d"]:
    """The value, with the tangent `slope` times that of `on`."""
    return stop_gradient(value) + slope * (on - stop_gradient(on))
