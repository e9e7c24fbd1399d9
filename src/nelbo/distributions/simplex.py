"""Distributions of proportions, and of one choice among several."""

from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpyro.distributions as nd
from jax.scipy.special import digamma, gammaln
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

LEAST = 1e-37  # above the smallest float32 that processors do not round to zero


def log_beta(concentration: Float[Array, "*n k"]) -> Float[Array, "*n"]:
    """Log of the Dirichlet distribution's normalizer, prod Gamma(a_k) / Gamma(sum a_k)."""
    return gammaln(concentration).sum(-1) - gammaln(concentration.sum(-1))


def expected_log(concentration: Float[Array, "*n k"]) -> Float[Array, "*n k"]:
    """E log of each proportion under a Dirichlet distribution."""
    return digamma(concentration) - digamma(concentration.sum(-1, keepdims=True))


def log_proportions(
    key: Key[Array, ""], concentration: Float[Array, "*n k"], shape: tuple[int, ...] | None = None
) -> Float[Array, "..."]:
    """Logs of a draw from a Dirichlet distribution: small concentrations lose no small proportion to underflow."""
    logs = jr.loggamma(key, concentration, shape=shape, dtype=concentration.dtype)
    return jax.nn.log_softmax(logs)


class Dirichlet(nd.Distribution):
    """Dirichlet distribution whose draws keep away from zero, where the density of a small concentration is infinite.

    Draws are at least 1e-37; with a concentration of 0.1 one proportion in 5000 is moved there.

    Args:
        concentration: of each proportion.
    """

    arg_constraints = {"concentration": constraints.positive}
    support: Any = constraints.simplex

    def __init__(self, concentration: Float[Array, "*n k"]) -> None:
        self.concentration = concentration
        shape = jnp.shape(concentration)
        super().__init__(batch_shape=shape[:-1], event_shape=shape[-1:], validate_args=False)

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw proportions."""
        shape = (*sample_shape, *jnp.shape(self.concentration))
        return jnp.maximum(jnp.exp(log_proportions(key, self.concentration, shape)), LEAST)

    def log_prob(self, value: Float[Array, "*n k"]) -> Float[Array, "*n"]:  # pyright: ignore
        """Log density of all but the last proportion [nats]."""
        return ((self.concentration - 1.0) * jnp.log(value)).sum(-1) - log_beta(self.concentration)

    @property
    def mean(self) -> Float[Array, "*n k"]:
        """Expected proportions."""
        return self.concentration / self.concentration.sum(-1, keepdims=True)

    def kl(self, other: "Dirichlet") -> Float[Array, "*n"]:
        """KL(self || other) [nats]."""
        a, b = self.concentration, other.concentration
        return ((a - b) * expected_log(a)).sum(-1) - log_beta(a) + log_beta(b)


class OneHot(nd.Distribution):
    """One of K by the softmax of a logit for each, as a float vector with a one in its place.

    Args:
        logits: one for each.
    """

    arg_constraints = {"logits": constraints.real_vector}
    support: Any = constraints.independent(constraints.boolean, 1)

    def __init__(self, logits: Float[Array, "*n k"]) -> None:
        self.logits = logits
        shape = jnp.shape(logits)
        super().__init__(batch_shape=shape[:-1], event_shape=shape[-1:], validate_args=False)

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw vectors, as numbers like the logits."""
        drawn = jr.categorical(key, self.logits, shape=(*sample_shape, *self.batch_shape))
        return jax.nn.one_hot(drawn, self.logits.shape[-1], dtype=self.logits.dtype)

    def log_prob(self, value: Float[Array, "*n k"]) -> Float[Array, "*n"]:  # pyright: ignore
        """Log probability [nats]."""
        return (value * jax.nn.log_softmax(self.logits)).sum(-1)

    @property
    def mean(self) -> Float[Array, "*n k"]:
        """The probability of each."""
        return jax.nn.softmax(self.logits)

    def kl(self, other: "OneHot") -> Float[Array, "*n"]:
        """KL(self || other) [nats]."""
        a, b = jax.nn.log_softmax(self.logits), jax.nn.log_softmax(other.logits)
        return (jnp.exp(a) * (a - b)).sum(-1)
