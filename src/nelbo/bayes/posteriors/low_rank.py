"""A normal with covariance of low rank plus a diagonal (Ong, Nott and Smith 2018)."""

import math
from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key, PyTree

from nelbo.bayes.contracts import Marginals, NoisePosterior, SharedPosterior, keys_like, normals_like, total
from nelbo.bayes.posteriors.independent import FIRST_LOG_SCALE
from nelbo.core import InputError

FIRST_SHARE = 0.1  # of the first standard deviation that each number owes to the factor: at zero its gradient vanishes


class LowRankNormal(NoisePosterior):
    """N(mean, D^2 + W W') over all numbers of the tree together, W having `rank` columns.

    One W goes through all arrays, so that numbers of different layers can be correlated (the weights into a unit with
    those out of it); a W for each array would have as many numbers for each rank and could not say that.

    Args:
        log_scale: log D, a tree like that of the means.
        factor: W, the same tree, each array with a last axis of `rank` more.
        rank: columns of W.
    """

    log_scale: PyTree
    factor: PyTree
    rank: int = eqx.field(static=True)
    in_bound: ClassVar[bool] = True

    def noise(self, key: Key[Array, ""], mean: PyTree) -> tuple[PyTree, Float[Array, " rank"]]:
        """A number for each of the mean's, and z, one for each column of W."""
        noise_key, shared_key = jr.split(key)
        leaves = jax.tree.leaves(self.factor)
        z = jr.normal(shared_key, (self.rank,), leaves[0].dtype if leaves else jnp.float32)
        return normals_like(noise_key, mean), z

    def from_noise(self, noise: tuple[PyTree, Float[Array, " rank"]], mean: PyTree) -> PyTree:
        """Mean + D noise + W z, with one z for the whole tree."""
        own, z = noise
        return jax.tree.map(lambda m, s, w, one: m + jnp.exp(s) * one + w @ z, mean, self.log_scale, self.factor, own)

    def log_prob(self, mean: PyTree, value: PyTree) -> Float[Array, ""]:
        """By the identities of Woodbury and of the determinant, in time linear in the numbers."""
        scaled = jax.tree.map(lambda x, m, s: (x - m) * jnp.exp(-s), value, mean, self.log_scale)
        inner = self._over(lambda w, r: w.T @ r, scaled)
        factor = jnp.linalg.cholesky(self._capacity())
        solved = jax.scipy.linalg.solve_triangular(factor, inner, lower=True)
        squares = total(jax.tree.map(jnp.square, scaled)) - jnp.sum(solved**2)
        count = sum(leaf.size for leaf in jax.tree.leaves(mean))
        return -0.5 * (squares + count * math.log(2.0 * math.pi)) - self._half_log_det(factor)

    def marginals(self, mean: PyTree) -> Marginals:
        """Scales sqrt(D^2 + row norms of W), and what the correlations take away from their entropies."""
        del mean
        scales = jax.tree.map(
            lambda s, w: 0.5 * jnp.log(jnp.exp(2.0 * s) + jnp.sum(w**2, -1)), self.log_scale, self.factor
        )
        return Marginals(scales, total(scales) - self._half_log_det(jnp.linalg.cholesky(self._capacity())))

    def _capacity(self) -> Float[Array, "rank rank"]:
        """I + W' D^-2 W."""
        return jnp.eye(self.rank) + self._over(lambda w, _: w.T @ w, self.log_scale)

    def _over(self, term: Callable[[Array, Array], Array], vector: PyTree) -> Array:
        """The sum over arrays of a function of D^-1 W, one row a number, and of a vector's part."""

        def one(s: Array, w: Array, part: Array) -> Array:
            return term((w * jnp.exp(-s)[..., None]).reshape(-1, self.rank), part.reshape(-1))

        return sum(jax.tree.leaves(jax.tree.map(one, self.log_scale, self.factor, vector)), jnp.zeros(()))

    def _half_log_det(self, factor: Float[Array, "rank rank"]) -> Float[Array, ""]:
        """Half the log determinant of the covariance, from the Cholesky factor of the capacity matrix."""
        return total(self.log_scale) + jnp.sum(jnp.log(jnp.diagonal(factor)))


def low_rank(mean: PyTree, *, log_scale: float | int = FIRST_LOG_SCALE, rank: int = 2) -> SharedPosterior:
    """A normal over all arrays together, with a covariance of low rank plus a diagonal.

    Args:
        mean: the means.
        log_scale: as of mean_field; of the diagonal.
        rank: of the low-rank part of the covariance, which is added to a diagonal.

    Raises:
        InputError: a rank that is not positive.
    """
    if rank < 1:
        raise InputError(f"The rank of a low-rank posterior must be at least 1, got {rank}.")
    size = FIRST_SHARE * math.exp(log_scale) / math.sqrt(rank)
    # the same for every seed of a run: the columns must differ, how does not matter
    factor = jax.tree.map(
        lambda k, leaf: size * jr.normal(k, (*leaf.shape, rank), leaf.dtype), keys_like(jr.key(0), mean), mean
    )
    return LowRankNormal(jax.tree.map(lambda leaf: jnp.full_like(leaf, log_scale), mean), factor, rank)
