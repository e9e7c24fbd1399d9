"""Normals with a random scale for each number: sparse."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpyro.distributions as nd
from jaxtyping import Array, Float, Key, PyTree

from nelbo.bayes.contracts import SharedPrior, keys_like, total
from nelbo.bayes.priors.normal import checked_scale, scaled_kl, scaled_log_prob

FIRST_SPREAD = -1.0  # log standard deviation, under the posterior, of a log scale
APART = 0x5CA1E5  # what the key of the scales is told from that of the parameters by


class HorseshoePrior(SharedPrior):
    """N(0, scale^2) with a scale for every number, half-Cauchy with scale `width` (Carvalho, Polson and Scott 2010).

    Every scale has a log-normal posterior. That of a number far from zero grows and leaves it alone; the others shrink.

    Args:
        log_scale: means of the log scales, a tree like that of the parameters.
        spread: their log standard deviations, the same tree.
        width: of the half-Cauchy distribution: prior_scale.
    """

    log_scale: PyTree
    spread: PyTree
    width: float = eqx.field(static=True, default=1.0)

    def log_prob(self, key: Key[Array, ""], value: PyTree) -> Float[Array, ""]:
        """Log density given the scales, on average over them, minus what one draw of them costs."""
        return total(jax.tree.map(scaled_log_prob, value, self.log_scale, self._variances())) - self._cost(key)

    def kl(self, key: Key[Array, ""], mean: PyTree, log_scale: PyTree) -> Float[Array, ""]:
        """The divergence given the scales, on average over them, plus what one draw of them costs."""
        return total(jax.tree.map(scaled_kl, mean, log_scale, self.log_scale, self._variances())) + self._cost(key)

    def _variances(self) -> PyTree:
        return jax.tree.map(lambda spread: jnp.exp(2.0 * spread), self.spread)

    def _cost(self, key: Key[Array, ""]) -> Float[Array, ""]:
        """KL of the scales' posterior: entropies in closed form, log densities at a draw."""
        half_cauchy = nd.HalfCauchy(self.width)

        def one(k: Array, mean: Array, spread: Array) -> Array:
            log_scale = mean + jnp.exp(spread) * jr.normal(k, mean.shape, mean.dtype)
            log_density = half_cauchy.log_prob(jnp.exp(log_scale)) + log_scale  # of the logarithm
            return -(spread + 0.5 * math.log(2.0 * math.pi * math.e)) - log_density

        keys = keys_like(jr.fold_in(key, APART), self.log_scale)
        return total(jax.tree.map(one, keys, self.log_scale, self.spread))


def horseshoe(mean: PyTree, *, prior_scale: float | int = 1.0) -> SharedPrior:
    """Normals around zero, each number with a random half-Cauchy scale: sparse.

    Args:
        mean: of the posterior.
        prior_scale: as of normal.

    Raises:
        InputError: a scale that is not positive.
    """
    width = checked_scale(prior_scale)
    scales = jax.tree.map(lambda leaf: jnp.full_like(leaf, math.log(width)), mean)
    return HorseshoePrior(scales, jax.tree.map(lambda leaf: jnp.full_like(leaf, FIRST_SPREAD), mean), width)
