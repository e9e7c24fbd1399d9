"""What targets of a regression follow beside a normal: with float samples, and a cumulative distribution function."""

import jax.numpy as jnp
import jax.random as jr
import numpyro.distributions as nd
from jax.scipy.special import betainc, gammaincc, gammaln
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints


class StudentT(nd.StudentT):
    """NumPyro's Student-t, whose draws and answers are of its parameters' precision."""

    df: Array
    loc: Array
    scale: Array

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw loc + scale * t."""
        shape = (*sample_shape, *self.batch_shape)
        loc, scale, df = (jnp.broadcast_to(value, shape) for value in (self.loc, self.scale, self.df))
        return loc + scale * jr.t(key, df, shape, jnp.result_type(loc, scale))

    def cdf(self, value: Float[Array, "*d"]) -> Float[Array, "*d"]:  # pyright: ignore
        """P(x <= value): half an incomplete beta function in each tail (Abramowitz and Stegun 26.7.1)."""
        t = (value - self.loc) / self.scale
        tail = 0.5 * betainc(0.5 * self.df, jnp.full_like(self.df, 0.5), self.df / (self.df + t * t))
        return jnp.where(t > 0.0, 1.0 - tail, tail)


class Poisson(nd.Distribution):
    """Poisson on the logarithm of its rate, with float counts.

    Args:
        log_rate: of each unit.
    """

    arg_constraints = {"log_rate": constraints.real}
    support = constraints.nonnegative_integer  # pyright: ignore

    def __init__(self, log_rate: Float[Array, "*d"]) -> None:
        self.log_rate = log_rate
        super().__init__(batch_shape=jnp.shape(log_rate), validate_args=False)

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw counts, as numbers like the rate."""
        shape = (*sample_shape, *self.batch_shape)
        return jr.poisson(key, jnp.broadcast_to(self.mean, shape), shape).astype(self.log_rate.dtype)

    def log_prob(self, value: Float[Array, "*d"]) -> Float[Array, "*d"]:  # pyright: ignore
        """Elementwise log probability mass [nats]."""
        return value * self.log_rate - jnp.exp(self.log_rate) - gammaln(value + 1.0)

    def cdf(self, value: Float[Array, "*d"]) -> Float[Array, "*d"]:  # pyright: ignore
        """P(x <= value), by the regularized incomplete gamma function."""
        count = jnp.floor(value)
        return jnp.where(count < 0.0, 0.0, gammaincc(jnp.maximum(count, 0.0) + 1.0, jnp.exp(self.log_rate)))

    @property
    def mean(self) -> Float[Array, "..."]:
        """The rate."""
        return jnp.exp(self.log_rate)

    @property
    def variance(self) -> Float[Array, "..."]:
        """The rate."""
        return jnp.exp(self.log_rate)
