"""Normals with a random scale for each array."""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro.distributions as nd
from jaxtyping import Array, Float, Key, PyTree

from nelbo.bayes.contracts import SharedPrior, total
from nelbo.bayes.priors.normal import checked_scale, scaled_kl, scaled_log_prob

FIRST_SPREAD = -1.0  # log standard deviation, under the posterior, of a log scale


class HierarchicalPrior(SharedPrior):
    """N(0, scale^2) with a scale for each array, whose logarithm has the prior N(log prior_scale, 1).

    The scales are learned at a point (the mode of their logarithm) or have normal posteriors for their logarithms, in
    which case everything stays in closed form.

    Args:
        log_scale: the logarithms, or their means: a tree of single numbers.
        spread: log standard deviations of the logarithms, the same tree; None: a point.
        centre: log prior_scale.
    """

    log_scale: PyTree
    spread: PyTree
    centre: float = eqx.field(static=True, default=0.0)
    needs_spread: ClassVar[bool] = True

    def log_prob(self, key: Key[Array, ""], value: PyTree) -> Float[Array, ""]:
        """Log density given the scales, on average over them, minus what they cost."""
        del key
        return total(jax.tree.map(scaled_log_prob, value, self.log_scale, self._variances())) - self._cost()

    def kl(self, key: Key[Array, ""], mean: PyTree, log_scale: PyTree) -> Float[Array, ""]:
        """The divergence given the scales, on average over them, plus what they cost."""
        del key
        return total(jax.tree.map(scaled_kl, mean, log_scale, self.log_scale, self._variances())) + self._cost()

    def _variances(self) -> PyTree:
        """Of the log scales."""
        if self.spread is None:
            return jax.tree.map(jnp.zeros_like, self.log_scale)
        return jax.tree.map(lambda spread: jnp.exp(2.0 * spread), self.spread)

    def _cost(self) -> Float[Array, ""]:
        """KL(posterior || prior) of the log scales, or -log density of their point."""
        if self.spread is None:
            return -total(jax.tree.map(nd.Normal(self.centre, 1.0).log_prob, self.log_scale))
        centred = jax.tree.map(lambda mean: mean - self.centre, self.log_scale)
        return total(jax.tree.map(lambda mean, s: scaled_kl(mean, s, jnp.zeros_like(mean)), centred, self.spread))


def hierarchical(mean: PyTree, *, prior_scale: float | int = 1.0, draw_scales: bool = True) -> SharedPrior:
    """Normals around zero, each array with a random scale of its own.

    Args:
        mean: of the posterior.
        prior_scale: as of normal.
        draw_scales: give the scales of the hierarchical prior a posterior of their own in place of a point estimate.

    Raises:
        InputError: a scale that is not positive.
    """
    centre = math.log(checked_scale(prior_scale))
    scales = jax.tree.map(lambda leaf: jnp.asarray(centre, leaf.dtype), mean)
    spread = jax.tree.map(lambda leaf: jnp.asarray(FIRST_SPREAD, leaf.dtype), mean) if draw_scales else None
    return HierarchicalPrior(scales, spread, centre)
