"""Independent Laplace distributions: sparse in a point estimate."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro.distributions as nd
from jax.scipy.special import erf
from jaxtyping import Array, Float, Key, PyTree

from nelbo.bayes.contracts import SharedPrior, total
from nelbo.bayes.priors.normal import checked_scale


class LaplacePrior(SharedPrior):
    """Independent Laplace distributions around zero on every number.

    Args:
        scale: b in exp(-|x| / b) / 2b; the standard deviation is b sqrt(2).
    """

    scale: float = eqx.field(static=True, default=1.0)

    def log_prob(self, key: Key[Array, ""], value: PyTree) -> Float[Array, ""]:
        """Log density."""
        del key
        return total(jax.tree.map(nd.Laplace(0.0, self.scale).log_prob, value))

    def kl(self, key: Key[Array, ""], mean: PyTree, log_scale: PyTree) -> Float[Array, ""]:
        """In closed form: E|x| of a normal is that of the folded normal."""
        del key

        def one(m: Array, log_s: Array) -> Array:
            s = jnp.exp(log_s)
            folded = s * math.sqrt(2.0 / math.pi) * jnp.exp(-0.5 * (m / s) ** 2) + m * erf(m / (s * math.sqrt(2.0)))
            entropy = log_s + 0.5 * math.log(2.0 * math.pi * math.e)
            return folded / self.scale + math.log(2.0 * self.scale) - entropy

        return total(jax.tree.map(one, mean, log_scale))


def laplace(mean: PyTree, *, prior_scale: float | int = 1.0) -> SharedPrior:
    """Laplace distributions around zero.

    Args:
        mean: of the posterior.
        prior_scale: as of normal.

    Raises:
        InputError: a scale that is not positive.
    """
    del mean
    return LaplacePrior(checked_scale(prior_scale))
