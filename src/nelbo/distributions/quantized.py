"""Latents on a grid of whole numbers: what q draws, and the masses that p gives to the numbers.

A lossy codec is a model whose q(z | x) is uniform with width one (Balle et al. 2017, 2018): with density one, log q is
zero, and -log p(z) of a noisy latent is the number of nats that its rounded value will take, about.
"""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import jax.random as jr
import numpyro.distributions as nd
from jax.nn import log_sigmoid, sigmoid
from jax.scipy.special import ndtr
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

from nelbo.core import choice

DENSITY_SHAPES = ("normal", "logistic")
LEAST_MASS = 1e-9  # of any number, as in the published codecs: float32 has no logs of smaller differences
_ROUNDOFF = 1e-5  # of the width: a sum of a large centre and noise is rounded


def _shaped(centre: Array) -> tuple[int, ...]:
    return tuple(jnp.shape(centre))


class UnitUniform(nd.Distribution):
    """Independent uniforms of width one, U(centre - 1/2, centre + 1/2), whose density is one.

    Args:
        centre: of each entry.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"centre": constraints.real}
    support: ClassVar[Any] = constraints.real  # pyright: ignore[reportIncompatibleMethodOverride]
    reparametrized_params: ClassVar[list[str]] = ["centre"]
    pytree_data_fields: ClassVar[tuple[str, ...]] = ("centre",)

    def __init__(self, centre: Float[Array, "*d"]) -> None:
        self.centre = centre
        super().__init__(batch_shape=_shaped(centre), validate_args=False)

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """The centre plus noise."""
        shape = sample_shape + self.batch_shape
        return self.centre + jr.uniform(key, shape, self.centre.dtype, -0.5, 0.5)

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:  # pyright: ignore
        """Zero within half a unit of the centre, else minus infinity [nats]."""
        reach = 0.5 + _ROUNDOFF * (1.0 + jnp.abs(self.centre))
        return jnp.where(jnp.abs(value - self.centre) <= reach, 0.0, -jnp.inf).astype(value.dtype)

    @property
    def mean(self) -> Float[Array, "*d"]:
        """The centre."""
        return self.centre


class Rounded(UnitUniform):
    """A point mass at the whole number nearest to the centre: what the codec itself makes of its latents.

    Gradients pass through the rounding as if it were not there (the straight-through estimator).

    Args:
        centre: of each entry.
        dead_zone: numbers so close beyond half way to the next greater magnitude keep the lesser one, 0 to 1/2.
    """

    pytree_aux_fields: ClassVar[tuple[str, ...]] = ("dead_zone",)

    def __init__(self, centre: Float[Array, "*d"], dead_zone: float = 0.0) -> None:
        self.dead_zone = dead_zone
        super().__init__(centre)

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """The nearest whole number."""
        del key
        nearest = jnp.sign(self.centre) * jnp.floor(jnp.abs(self.centre) + (0.5 - self.dead_zone))
        whole = self.centre + jax.lax.stop_gradient(nearest - self.centre)
        return jnp.broadcast_to(whole, sample_shape + self.batch_shape)

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:  # pyright: ignore
        """Zero, the log of the only mass there is, at the number that is drawn, else minus infinity [nats]."""
        reach = 0.5 + self.dead_zone + _ROUNDOFF * (1.0 + jnp.abs(self.centre))
        return jnp.where(jnp.abs(value - self.centre) <= reach, 0.0, -jnp.inf).astype(value.dtype)


class UnitMass(nd.Distribution):
    """A location-scale density with uniform noise of width one added: F(x + 1/2) - F(x - 1/2).

    At whole numbers these are masses that sum to one, which the coder uses; in between it is the density of a noisy
    latent (Balle et al. 2018, appendix 6.2).

    Args:
        loc: location of each entry.
        scale: of each entry.
        shape: "normal" or "logistic".
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"loc": constraints.real, "scale": constraints.positive}
    support: ClassVar[Any] = constraints.real  # pyright: ignore[reportIncompatibleMethodOverride]
    pytree_data_fields: ClassVar[tuple[str, ...]] = ("loc", "scale")
    pytree_aux_fields: ClassVar[tuple[str, ...]] = ("form",)

    def __init__(self, loc: Float[Array, "*d"], scale: Float[Array, "*d"], shape: str = "normal") -> None:
        self.loc, self.scale = loc, scale
        self.form = choice("shape of a density", shape, DENSITY_SHAPES)
        super().__init__(batch_shape=_shaped(loc), validate_args=False)

    def cdf(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """F of the density before the noise."""
        argument = (value - self.loc) / self.scale
        return ndtr(argument) if self.form == "normal" else sigmoid(argument)

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:  # pyright: ignore
        """Log of the mass of the unit interval around each value [nats]; of normals at least log 1e-9.

        Of logistic densities it is exact in the tails too, so that numbers which a model thinks impossible move it.
        """
        # on the lower side of the location, where differences of F are exact in floating point
        away = jnp.abs(value - self.loc)
        upper, lower = (0.5 - away) / self.scale, (-0.5 - away) / self.scale
        if self.form == "logistic":  # F(a) - F(b) = F(a) F(-b) (1 - exp(b - a))
            return log_sigmoid(upper) + log_sigmoid(-lower) + jnp.log(-jnp.expm1(-1.0 / self.scale))
        return jnp.log(jnp.maximum(ndtr(upper) - ndtr(lower), LEAST_MASS))

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """A draw of the density, plus noise."""
        shape = sample_shape + self.batch_shape
        own, noise = jr.split(key)
        drawn = jr.normal(own, shape) if self.form == "normal" else jr.logistic(own, shape)
        return self.loc + self.scale * drawn + jr.uniform(noise, shape, jnp.float32, -0.5, 0.5)

    @property
    def mean(self) -> Float[Array, "*d"]:
        """The location."""
        return self.loc

    @property
    def variance(self) -> Float[Array, "*d"]:
        """Of the density and the noise."""
        own = 1.0 if self.form == "normal" else math.pi**2 / 3.0
        return own * self.scale**2 + 1.0 / 12.0
