"""A normal whose numbers depend on their neighbours along an axis: bidiagonal factor of the precision.

Source: Bamler and Mandt, Dynamic word embeddings (2017), where the axis is time.
"""

import math
from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax import lax
from jaxtyping import Array, Float, Key, PyTree

from nelbo.bayes.contracts import Marginals, NoisePosterior, SharedPosterior, keys_like, total
from nelbo.bayes.posteriors.independent import FIRST_LOG_SCALE

Step = Callable[[Array, tuple[Array, Array, Array]], tuple[Array, Array]]


class Chain(eqx.Module):
    """Precision B' B along the first axis of an array, B having `exp(log_diagonal)` and `above` it; other axes apart.

    B x = noise is solved from the last row up: x_t = (noise_t - above_t x_{t+1}) / diagonal_t.

    Args:
        log_diagonal: log of B_tt.
        above: B_t,t+1.
    """

    log_diagonal: Float[Array, "t *rest"]
    above: Float[Array, "before *rest"]

    def whiten(self, x: Float[Array, "t *rest"]) -> Float[Array, "t *rest"]:
        """B x."""
        return (jnp.exp(self.log_diagonal) * x).at[:-1].add(self.above * x[1:])

    def solve(self, noise: Float[Array, "t *rest"]) -> Float[Array, "t *rest"]:
        """B^-1 noise, by back-substitution in time linear in t."""

        def up(below: Array, row: tuple[Array, Array, Array]) -> tuple[Array, Array]:
            log_diagonal, above, noise = row
            x = (noise - above * below) * jnp.exp(-log_diagonal)
            return x, x

        return self._scan(up, noise)

    def log_scale(self) -> Float[Array, "t *rest"]:
        """Log standard deviation of each entry: their variances follow a recursion from the last row up."""

        def up(below: Array, row: tuple[Array, Array, Array]) -> tuple[Array, Array]:
            log_diagonal, above, one = row
            variance = (one + above**2 * below) * jnp.exp(-2.0 * log_diagonal)
            return variance, variance

        return 0.5 * jnp.log(self._scan(up, jnp.ones_like(self.log_diagonal)))

    def _scan(self, up: Step, rows: Array) -> Array:
        last = jnp.zeros_like(self.log_diagonal[:1])  # nothing stands above the last row
        above = jnp.concatenate([self.above, last])
        return lax.scan(up, last[0], (self.log_diagonal, above, rows), reverse=True)[1]


class ChainNormal(NoisePosterior):
    """N(mean, (B' B)^-1) along an axis of every array, the positions on its other axes independent of each other.

    Args:
        chains: a tree like that of the means, with a `Chain` in place of each array.
        axis: of the chain; an array that has no such axis is independent in all its numbers.
    """

    chains: PyTree
    axis: int = eqx.field(static=True, default=0)
    in_bound: ClassVar[bool] = True

    def noise(self, key: Key[Array, ""], mean: PyTree) -> PyTree:
        """A number for each of the mean's, in the shape of its chain."""

        def one(k: Array, m: Array, chain: Chain) -> Array:
            return jr.normal(k, chain.log_diagonal.shape, m.dtype)

        return jax.tree.map(one, keys_like(key, mean), mean, self.chains)

    def from_noise(self, noise: PyTree, mean: PyTree) -> PyTree:
        """Mean + B^-1 noise."""

        def one(m: Array, chain: Chain, white: Array) -> Array:
            return m + _back(chain.solve(white), m, self.axis)

        return jax.tree.map(one, mean, self.chains, noise)

    def log_prob(self, mean: PyTree, value: PyTree) -> Float[Array, ""]:
        """The determinant is that of the diagonal."""

        def one(m: Array, x: Array, chain: Chain) -> Array:
            noise = chain.whiten(_forth(x - m, self.axis))
            return -0.5 * (noise**2 + math.log(2.0 * math.pi)) + chain.log_diagonal

        return total(jax.tree.map(one, mean, value, self.chains))

    def marginals(self, mean: PyTree) -> Marginals:
        """Scales by a recursion, and what the correlations take away from their entropies."""
        scales = jax.tree.map(lambda m, chain: _back(chain.log_scale(), m, self.axis), mean, self.chains)
        half = total(jax.tree.map(lambda _, chain: chain.log_diagonal, mean, self.chains))
        return Marginals(scales, total(scales) + half)


def _has(leaf: Array, axis: int) -> bool:
    return -leaf.ndim <= axis < leaf.ndim


def _forth(x: Array, axis: int) -> Array:
    """The chain's axis first; one of length one in front of an array that lacks it."""
    return jnp.moveaxis(x, axis, 0) if _has(x, axis) else x[None]


def _back(x: Array, like: Array, axis: int) -> Array:
    return jnp.moveaxis(x, 0, axis) if _has(like, axis) else x[0]


def chain(mean: PyTree, *, log_scale: float | int = FIRST_LOG_SCALE, axis: int = 0) -> SharedPosterior:
    """A normal in which every number depends on its neighbours along an axis of its array.

    Args:
        mean: the means.
        log_scale: as of mean_field; the chains start independent.
        axis: axis of every array along which its numbers form a chain.
    """

    def one(leaf: Array) -> Chain:
        shape = jax.eval_shape(lambda x: _forth(x, axis), leaf).shape
        return Chain(jnp.full(shape, -log_scale, leaf.dtype), jnp.zeros((shape[0] - 1, *shape[1:]), leaf.dtype))

    return ChainNormal(jax.tree.map(one, mean), axis)
