"""E f(x) and E f(x)^2 for a normal x, in closed form, for the functions of a non-linear Gaussian belief network.

Source: Frey and Hinton, Variational learning in nonlinear Gaussian belief networks (1999), appendix.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

from nelbo.core import choice

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
Pair = tuple[Array, Array]


def _linear(mu: Array, phi: Array) -> Pair:
    return mu, mu**2 + phi


def _rectified(mu: Array, phi: Array) -> Pair:
    sigma = jnp.sqrt(phi)
    z = mu / sigma
    density = sigma * jnp.exp(-0.5 * z**2) / math.sqrt(2.0 * math.pi)
    return mu * ndtr(z) + density, (mu**2 + phi) * ndtr(z) + mu * density


def _step(mu: Array, phi: Array) -> Pair:
    chance = ndtr(mu / jnp.sqrt(phi))
    return chance, chance


def _probit(mu: Array, phi: Array) -> Pair:
    """F = Phi. E Phi^2 = Phi(a) - 2 T(a, 1 / sqrt(1 + 2 phi)), a = mu / sqrt(1 + phi), T being Owen's function."""
    a, end = mu / jnp.sqrt(1.0 + phi), 1.0 / jnp.sqrt(1.0 + 2.0 * phi)
    shape = (-1, *(1,) * jnp.ndim(mu))
    nodes = 0.5 * (jnp.asarray(_NODES, end.dtype).reshape(shape) + 1.0) * end[None]
    weights = 0.5 * jnp.asarray(_WEIGHTS, end.dtype).reshape(shape) * end[None]
    integrand = jnp.exp(-0.5 * (a**2)[None] * (1.0 + nodes**2)) / (1.0 + nodes**2)
    owen = (weights * integrand).sum(0) / (2.0 * math.pi)
    mean = ndtr(a)
    return mean, mean - 2.0 * owen


MOMENTS: dict[str, Callable[[Array, Array], Pair]] = {
    "linear": _linear,
    "relu": _rectified,
    "step": _step,
    "probit": _probit,
}
FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "relu": jax.nn.relu,
    "step": lambda x: (x > 0).astype(x.dtype),
    "probit": ndtr,
}


def moments(function: str, mu: Float[Array, "*k"], phi: Float[Array, "*k"]) -> tuple[Array, Array]:
    """E f(x) and E f(x)^2 for x ~ N(mu, phi).

    Args:
        function: a name of `MOMENTS`; "probit" is the cumulative normal, Frey and Hinton's sigmoid.
        mu: means.
        phi: variances, positive.

    Raises:
        InputError: no such function.
    """
    return MOMENTS[choice("function of a unit", function, MOMENTS)](mu, phi)
