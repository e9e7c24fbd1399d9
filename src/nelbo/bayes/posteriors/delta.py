"""A point."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from nelbo.bayes.contracts import SharedPosterior, SharedPrior


class Delta(SharedPosterior):
    """A point: the maximum a posteriori estimate."""

    in_bound: ClassVar[bool] = False

    def sample(self, key: Key[Array, ""], mean: PyTree) -> PyTree:
        """The point itself."""
        del key
        return mean

    def log_prob(self, mean: PyTree, value: PyTree) -> Float[Array, ""]:
        """Zero: a point has no density, and what is not there costs nothing."""
        del mean, value
        return jnp.zeros((), jnp.float32)

    def cost(self, key: Key[Array, ""], mean: PyTree, prior: SharedPrior) -> Float[Array, ""]:
        """-log prior; constants may be left out."""
        return prior.penalty(key, mean)


def delta(mean: PyTree) -> SharedPosterior:
    """A point: the maximum a posteriori estimate.

    Args:
        mean: the point.
    """
    del mean
    return Delta()
