"""Normals that are independent in every number, and the mean-field posterior among them."""

import abc
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from nelbo.bayes.contracts import Marginals, NoisePosterior, SharedPosterior, normals_like, total

FIRST_LOG_SCALE = -4.0  # of each number: narrow, so that training begins as that of a point does


class IndependentNormals(NoisePosterior):
    """Abstract: N(mean, diag(scale^2)), whatever the scales are made of."""

    in_bound: ClassVar[bool] = True

    @abc.abstractmethod
    def log_scales(self, mean: PyTree) -> PyTree:
        """Log standard deviation of every number, a tree like that of the means."""

    def noise(self, key: Key[Array, ""], mean: PyTree) -> PyTree:
        """A number for each of the mean's."""
        return normals_like(key, mean)

    def from_noise(self, noise: PyTree, mean: PyTree) -> PyTree:
        """Mean + scale * noise."""
        return jax.tree.map(lambda m, s, one: m + jnp.exp(s) * one, mean, self.log_scales(mean), noise)

    def log_prob(self, mean: PyTree, value: PyTree) -> Float[Array, ""]:
        """Sum of normal log densities."""

        def one(m: Array, x: Array, log_scale: Array) -> Array:
            return -0.5 * ((x - m) * jnp.exp(-log_scale)) ** 2 - log_scale - 0.5 * math.log(2.0 * math.pi)

        return total(jax.tree.map(one, mean, value, self.log_scales(mean)))

    def marginals(self, mean: PyTree) -> Marginals:
        """The scales, uncorrelated."""
        return Marginals(self.log_scales(mean))


class MeanFieldNormal(IndependentNormals):
    """N(mean, diag(scale^2)) with a scale of its own for every number.

    Args:
        log_scale: a tree like that of the means.
    """

    log_scale: PyTree

    def log_scales(self, mean: PyTree) -> PyTree:
        """As they are."""
        del mean
        return self.log_scale


def mean_field(mean: PyTree, *, log_scale: float | int = FIRST_LOG_SCALE) -> SharedPosterior:
    """Normals independent in every number, each with a scale of its own.

    Args:
        mean: the means.
        log_scale: initial log standard deviation of the parameters.
    """
    return MeanFieldNormal(jax.tree.map(lambda leaf: jnp.full_like(leaf, log_scale), mean))
