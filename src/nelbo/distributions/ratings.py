"""Distributions of one rating: ordered levels by cumulative logits, and a normal averaged over its location."""

from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpyro.distributions as nd
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

from nelbo.core import softplus
from nelbo.distributions.normal import Normal


class Ordinal(nd.Distribution):
    """Ordered levels, P(y <= level k) = sigmoid(cut_k - f) (McCullagh, Regression models for ordinal data, 1980).

    Args:
        predictor: f, `(*shape)`.
        cuts: increasing, one fewer than there are levels.
        levels: the values that y can have, increasing.
    """

    arg_constraints: Any = {}
    support: Any = constraints.real
    pytree_data_fields = ("predictor", "cuts", "levels")

    def __init__(
        self, predictor: Float[Array, "*shape"], cuts: Float[Array, " cuts"], levels: Float[Array, " levels"]
    ) -> None:
        self.predictor, self.cuts, self.levels = predictor, cuts, levels
        super().__init__(batch_shape=jnp.shape(predictor), event_shape=())

    @property
    def log_probs(self) -> Float[Array, "*shape levels"]:
        """Log probability of each level [nats]."""
        logits = _along(self.cuts, self.predictor) - self.predictor[..., None]
        # log(sigmoid(b) - sigmoid(a)) for a < b, with no difference of nearly equal numbers
        low, high = logits[..., :-1], logits[..., 1:]
        between = -softplus(-high) - softplus(low) + jnp.log1p(-jnp.exp(low - high))
        first, last = -softplus(-logits[..., :1]), -softplus(logits[..., -1:])
        return jnp.concatenate([first, between, last], -1)

    @property
    def probs(self) -> Float[Array, "*shape levels"]:
        """Probability of each level."""
        return jnp.exp(self.log_probs)

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "*shape"]:  # pyright: ignore
        """Log probability of a level, -inf of what is none [nats]."""
        value = jnp.broadcast_to(value, jnp.shape(self.predictor))
        place = jnp.argmin(jnp.abs(value[..., None] - _along(self.levels, value)), -1)
        log_prob = jnp.take_along_axis(self.log_probs, place[..., None], -1)[..., 0]
        there = jnp.abs(value - self.levels[place]) <= 1e-5 * (1.0 + jnp.abs(value))
        return jnp.where(there, log_prob, jnp.full_like(log_prob, -jnp.inf))

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw levels."""
        return self.levels[jr.categorical(key, self.log_probs, shape=(*sample_shape, *self.batch_shape))]

    def cdf(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """P(y <= value)."""
        value = jnp.broadcast_to(value, jnp.shape(self.predictor))
        below = (_along(self.levels, value) <= value[..., None]).astype(self.predictor.dtype)
        return (self.probs * below).sum(-1)

    @property
    def mean(self) -> Float[Array, "*shape"]:
        """Mean of the levels."""
        return self.probs @ self.levels

    @property
    def variance(self) -> Float[Array, "*shape"]:
        """Variance of the levels."""
        return (self.probs * (_along(self.levels, self.mean) - self.mean[..., None]) ** 2).sum(-1)


def _along(values: Float[Array, " k"], like: Float[Array, "*shape"]) -> Float[Array, "*ones k"]:
    """Values along an axis behind those of an array."""
    return values.reshape(*(1 for _ in jnp.shape(like)), -1)


class AveragedNormal(Normal):
    """A normal likelihood whose log density is averaged over an uncertain location, in closed form.

    E log N(y; loc + e, scale^2) over e of mean zero and the given variance is log N(y; loc, scale^2) minus
    variance / (2 scale^2) [nats]. It is what a variational bound needs, and no density of y.

    Args:
        loc: mean of the location.
        scale: standard deviation of the noise.
        location_variance: of the location, whatever its distribution.
    """

    pytree_data_fields = ("location_variance",)

    def __init__(self, loc: Array, scale: Array, location_variance: Array) -> None:
        self.location_variance = location_variance
        super().__init__(loc, scale)

    def log_prob(self, value: Array) -> Array:  # pyright: ignore
        """The average [nats]."""
        return super().log_prob(value) - 0.5 * self.location_variance / jax.lax.square(self.scale)
