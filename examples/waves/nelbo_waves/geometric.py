"""A likelihood of counts: the geometric distribution, cut off at 255."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpyro.distributions as nd
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

from nelbo.models import Head

LEVELS = 256


class Geometric(nd.Distribution):
    """P(k) proportional to exp(-rate k) for k = 0 .. 255; `log_prob` is elementwise [nats]."""

    arg_constraints = {"rate": constraints.real}
    support: Any = constraints.integer_interval(0, LEVELS - 1)

    def __init__(self, rate: Float[Array, "*d"]) -> None:
        self.rate = rate
        super().__init__(batch_shape=jnp.shape(rate), validate_args=False)

    def _log_weights(self) -> Float[Array, "*d levels"]:
        return jax.nn.log_softmax(-self.rate[..., None] * jnp.arange(LEVELS, dtype=self.rate.dtype))

    def log_prob(self, value: Float[Array, "*d"]) -> Float[Array, "*d"]:
        """Log probability of each count [nats]."""
        normalizer = jax.nn.logsumexp(-self.rate[..., None] * jnp.arange(LEVELS, dtype=self.rate.dtype), axis=-1)
        return -self.rate * value - normalizer

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """Counts, as floats."""
        drawn = jr.categorical(key, self._log_weights(), shape=sample_shape + self.batch_shape)
        return drawn.astype(self.rate.dtype)

    @property
    def mean(self) -> Float[Array, "*d"]:
        """Expected counts."""
        return jnp.exp(self._log_weights()) @ jnp.arange(LEVELS, dtype=self.rate.dtype)

    @property
    def variance(self) -> Float[Array, "*d"]:
        """Variance of the counts."""
        squares = jnp.exp(self._log_weights()) @ jnp.arange(LEVELS, dtype=self.rate.dtype) ** 2
        return squares - self.mean**2


class GeometricHead(Head):
    """One rate for each entry; a network fresh from its initialization gives means of about 20."""

    shape: tuple[int, ...] = eqx.field(static=True)
    planes: ClassVar[int] = 1
    is_homoscedastic: ClassVar[bool] = False

    def __call__(self, raw: Float[Array, " raw"]) -> Geometric:
        """The distribution of one example."""
        return Geometric(jnp.exp(jnp.clip(self._split(raw)[0], -6.0, 4.0) - 3.0))
