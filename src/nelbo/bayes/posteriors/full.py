"""A normal with any covariance, by its Cholesky factor: for small trees."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import jax.random as jr
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key, PyTree

from nelbo.bayes.contracts import Marginals, NoisePosterior, SharedPosterior
from nelbo.bayes.posteriors.independent import FIRST_LOG_SCALE
from nelbo.core import InputError

MOST_NUMBERS = 4096  # the factor has their square: 64 MiB, and an optimizer keeps three of it


class FullNormal(NoisePosterior):
    """N(mean, L L') over all numbers of the tree together.

    Args:
        log_diagonal: log of the diagonal of L.
        below: L below its diagonal; what stands elsewhere in this matrix is not read.
    """

    log_diagonal: Float[Array, " n"]
    below: Float[Array, "n n"]
    in_bound: ClassVar[bool] = True

    def factor(self) -> Float[Array, "n n"]:
        """L, lower triangular, the numbers in the order of `jax.flatten_util.ravel_pytree`."""
        return jnp.tril(self.below, -1) + jnp.diag(jnp.exp(self.log_diagonal))

    def noise(self, key: Key[Array, ""], mean: PyTree) -> Float[Array, " n"]:
        """A number for each of the mean's, flat."""
        del mean
        return jr.normal(key, self.log_diagonal.shape, self.log_diagonal.dtype)

    def from_noise(self, noise: Float[Array, " n"], mean: PyTree) -> PyTree:
        """Mean + L noise."""
        flat, rebuilt = ravel_pytree(mean)
        return rebuilt(flat + self.factor() @ noise)

    def log_prob(self, mean: PyTree, value: PyTree) -> Float[Array, ""]:
        """By a triangular solve."""
        difference = ravel_pytree(value)[0] - ravel_pytree(mean)[0]
        noise = jax.scipy.linalg.solve_triangular(self.factor(), difference, lower=True)
        return -0.5 * (noise**2 + math.log(2.0 * math.pi)).sum() - self.log_diagonal.sum()

    def marginals(self, mean: PyTree) -> Marginals:
        """Norms of the rows of L, and what the correlations take away from their entropies."""
        scales = 0.5 * jnp.log((self.factor() ** 2).sum(1))
        return Marginals(ravel_pytree(mean)[1](scales), scales.sum() - self.log_diagonal.sum())


def full(mean: PyTree, *, log_scale: float | int = FIRST_LOG_SCALE) -> SharedPosterior:
    """A normal over all arrays together, with any covariance.

    Args:
        mean: the means.
        log_scale: as of mean_field.

    Raises:
        InputError: more than `MOST_NUMBERS` numbers.
    """
    count = sum(leaf.size for leaf in jax.tree.leaves(mean))
    if count > MOST_NUMBERS:
        raise InputError(
            f"A full posterior over {count} numbers would need {count**2} for its covariance, and at most "
            f"{MOST_NUMBERS} numbers are taken: use low-rank, k-tied or mean-field."
        )
    return FullNormal(jnp.full(count, log_scale, jnp.float32), jnp.zeros((count, count), jnp.float32))
