"""Independent normals of one scale, fixed or learned."""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from nelbo.bayes.contracts import SharedPrior
from nelbo.core import InputError


def checked_scale(scale: float | int) -> float:
    """A standard deviation.

    Raises:
        InputError: it is not positive.
    """
    if not scale > 0:
        raise InputError(f"The prior of parameters needs a positive standard deviation, got prior_scale {scale}.")
    return float(scale)


class NormalPrior(SharedPrior):
    """Independent normals N(0, scale^2) on every number.

    Args:
        scale: standard deviation.

    Raises:
        InputError: a scale that is not positive.
    """

    scale: float = eqx.field(static=True, default=1.0)

    def __check_init__(self) -> None:
        """Refuse impossible scales."""
        checked_scale(self.scale)

    def log_prob(self, key: Key[Array, ""], value: PyTree) -> Float[Array, ""]:
        """Log density."""
        count = sum(leaf.size for leaf in jax.tree.leaves(value))
        return -self.penalty(key, value) - count * (math.log(self.scale) + 0.5 * math.log(2.0 * math.pi))

    def penalty(self, key: Key[Array, ""], value: PyTree) -> Float[Array, ""]:
        """-log density, constants left out."""
        del key
        squares = sum((jnp.sum(leaf**2) for leaf in jax.tree.leaves(value)), jnp.zeros((), jnp.float32))
        return squares / (2.0 * self.scale**2)

    def kl(self, key: Key[Array, ""], mean: PyTree, log_scale: PyTree) -> Float[Array, ""]:
        """In closed form (Kingma and Welling 2014, appendix F)."""
        del key

        def one(mean: Array, log_scale: Array) -> Array:
            ratio = jnp.exp(2.0 * log_scale) / self.scale**2
            log_ratio = 2.0 * log_scale - 2.0 * jnp.log(jnp.asarray(self.scale, log_scale.dtype))
            return 0.5 * (ratio + (mean / self.scale) ** 2 - 1.0 - log_ratio).sum()

        return jnp.stack(jax.tree.leaves(jax.tree.map(one, mean, log_scale))).sum()


class LearnedNormalPrior(SharedPrior):
    """Independent normals N(0, scale^2) with one scale that is fitted to the posterior (empirical Bayes).

    At its best, scale^2 is the mean of the posterior's second moments.

    Args:
        log_scale: log standard deviation.
    """

    log_scale: Float[Array, ""]
    needs_spread: ClassVar[bool] = True

    def log_prob(self, key: Key[Array, ""], value: PyTree) -> Float[Array, ""]:
        """Log density under the scale as it is."""
        del key
        return sum(
            (scaled_log_prob(leaf, self.log_scale) for leaf in jax.tree.leaves(value)), jnp.zeros((), jnp.float32)
        )

    def kl(self, key: Key[Array, ""], mean: PyTree, log_scale: PyTree) -> Float[Array, ""]:
        """In closed form."""
        del key
        parts = jax.tree.map(lambda m, s: scaled_kl(m, s, self.log_scale), mean, log_scale)
        return jnp.stack(jax.tree.leaves(parts)).sum()


def scaled_log_prob(
    value: Float[Array, "*n"], log_scale: Float[Array, "*s"], variance: Float[Array, "*s"] | float = 0.0
) -> Float[Array, ""]:
    """E log N(value; 0, scale^2), summed, for a scale with log scale ~ N(log_scale, variance) or fixed [nats].

    Args:
        value: the numbers.
        log_scale: log standard deviation, or the mean of it, broadcast against the numbers.
        variance: of the log standard deviation, zero where it is fixed.
    """
    squares = value**2 * jnp.exp(2.0 * variance - 2.0 * log_scale)
    return -(0.5 * squares + log_scale + 0.5 * math.log(2.0 * math.pi)).sum()


def scaled_kl(
    mean: Float[Array, "*n"],
    log_scale: Float[Array, "*n"],
    prior_log_scale: Float[Array, "*s"],
    variance: Float[Array, "*s"] | float = 0.0,
) -> Float[Array, ""]:
    """E KL(N(mean, exp(log_scale)^2) || N(0, scale^2)), summed, over log scale ~ N(prior_log_scale, variance) [nats].

    It is in closed form, for E scale^-2 = exp(2 variance - 2 prior_log_scale).
    """
    moments = mean**2 + jnp.exp(2.0 * log_scale)
    ratio = moments * jnp.exp(2.0 * variance - 2.0 * prior_log_scale)
    return 0.5 * (ratio - 1.0 - 2.0 * log_scale + 2.0 * prior_log_scale).sum()


def normal(mean: PyTree, *, prior_scale: float | int = 1.0) -> SharedPrior:
    """Normals around zero with a scale that is given.

    Args:
        mean: of the posterior.
        prior_scale: standard deviation of the prior; if it is learned, its initial value.

    Raises:
        InputError: a scale that is not positive.
    """
    del mean
    return NormalPrior(checked_scale(prior_scale))


def learned_normal(mean: PyTree, *, prior_scale: float | int = 1.0) -> SharedPrior:
    """Normals around zero with one scale that is learned.

    Args:
        mean: of the posterior.
        prior_scale: as of normal.

    Raises:
        InputError: a scale that is not positive.
    """
    del mean
    return LearnedNormalPrior(jnp.log(jnp.asarray(checked_scale(prior_scale), jnp.float32)))
