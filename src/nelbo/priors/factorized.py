"""A non-parametric factorized density, by its distribution function (Balle et al. 2018, appendix 6.1).

Each channel has F(x) = sigmoid(f_K(... f_1(x))), f_k(x) = g_k(H_k x + b_k), g_k(x) = x + a_k tanh(x), with H_k positive
by softplus and a_k between -1 and 1 by tanh, so that F rises from zero to one.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as nd
from jax.nn import sigmoid
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

from nelbo.core import softplus
from nelbo.distributions import LEAST_MASS

_BISECTIONS = 40


class FactorizedDensity(eqx.Module):
    """A density of its own for each channel.

    Args:
        key: for the first values of the biases.
        channels: how many.
        widths: of the layers inside.
        spread: about how far the density reaches at first, all or each of them.
    """

    matrices: tuple[Float[Array, "channels out in"], ...]
    biases: tuple[Float[Array, "channels out 1"], ...]
    factors: tuple[Float[Array, "channels out 1"], ...]

    def __init__(
        self,
        key: Key[Array, ""],
        channels: int,
        *,
        widths: Sequence[int] = (3, 3, 3),
        spread: float | np.ndarray = 10.0,
    ) -> None:
        sizes = (1, *widths, 1)
        slope = np.broadcast_to(spread, channels)[:, None, None] ** (1.0 / (len(widths) + 1))
        keys = jr.split(key, len(sizes) - 1)
        self.matrices = tuple(
            jnp.full((channels, after, before), np.log(np.expm1(1.0 / slope / after)), jnp.float32)
            for before, after in pairwise(sizes)
        )
        self.biases = tuple(
            jr.uniform(one, (channels, after, 1), jnp.float32, -0.5, 0.5)
            for one, after in zip(keys, sizes[1:], strict=True)
        )
        self.factors = tuple(jnp.zeros((channels, after, 1), jnp.float32) for after in widths)

    def logits(self, x: Float[Array, "*d channels"]) -> Float[Array, "*d channels"]:
        """The log odds of F(x)."""
        shape = x.shape
        y = x.reshape(-1, shape[-1]).T[:, None, :]
        for i, (matrix, bias) in enumerate(zip(self.matrices, self.biases, strict=True)):
            y = softplus(matrix) @ y + bias
            if i < len(self.factors):
                y = y + jnp.tanh(self.factors[i]) * jnp.tanh(y)
        return y[:, 0, :].T.reshape(shape)

    def cdf(self, x: Float[Array, "*d channels"]) -> Float[Array, "*d channels"]:
        """F(x)."""
        return sigmoid(self.logits(x))

    def log_mass(self, x: Float[Array, "*d channels"], width: float | Array = 1.0) -> Float[Array, "*d channels"]:
        """Log of F(x + width / 2) - F(x - width / 2), at least log 1e-9 [nats]."""
        upper, lower = self.logits(x + 0.5 * width), self.logits(x - 0.5 * width)
        # on the side where F is small, where differences are exact in floating point
        sign = -jnp.sign(jax.lax.stop_gradient(upper + lower))
        return jnp.log(jnp.maximum(jnp.abs(sigmoid(sign * upper) - sigmoid(sign * lower)), LEAST_MASS))

    def quantile(self, probability: Float[Array, "*d channels"], reach: float = 1e4) -> Float[Array, "*d channels"]:
        """The x at which F reaches a probability, by bisection within +-reach."""

        def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = ends
            middle = 0.5 * (low + high)
            below = self.cdf(middle) < probability
            return jnp.where(below, middle, low), jnp.where(below, high, middle)

        ends = jnp.full(probability.shape, -reach), jnp.full(probability.shape, reach)
        low, high = jax.lax.fori_loop(0, _BISECTIONS, halve, ends)
        return 0.5 * (low + high)


class FactorizedMass(nd.Distribution):
    """A factorized density with uniform noise of width one added; at whole numbers its masses sum to one.

    Args:
        density: of the channels, the last axis.
        shape: of one example.
        unit: how much of each channel of the density is one here, `(channels,)`.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support: ClassVar[Any] = constraints.real  # pyright: ignore[reportIncompatibleMethodOverride]
    pytree_data_fields: ClassVar[tuple[str, ...]] = ("density", "unit")

    def __init__(
        self, density: FactorizedDensity, shape: tuple[int, ...], unit: Float[Array, " channels"] | None = None
    ) -> None:
        self.density = density
        self.unit = jnp.ones(shape[-1], jnp.float32) if unit is None else unit
        super().__init__(batch_shape=shape, validate_args=False)

    def log_prob(self, value: Float[Array, "*d channels"]) -> Float[Array, "*d channels"]:  # pyright: ignore
        """Log of the mass of the unit interval around each value [nats]."""
        unit = jnp.broadcast_to(self.unit, value.shape)
        return self.density.log_mass(value * unit, unit)

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """A draw of the density, plus noise."""
        own, noise = jr.split(key)
        shape = sample_shape + self.batch_shape
        drawn = self.density.quantile(jr.uniform(own, shape, jnp.float32, 1e-6, 1.0 - 1e-6))
        return drawn / jnp.broadcast_to(self.unit, shape) + jr.uniform(noise, shape, jnp.float32, -0.5, 0.5)

    @property
    def mean(self) -> Float[Array, "*d channels"]:
        """The median, which lies near it."""
        return self.density.quantile(jnp.full(self.batch_shape, 0.5)) / jnp.broadcast_to(self.unit, self.batch_shape)
