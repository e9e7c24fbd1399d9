"""Mean field whose standard deviations of a matrix are a product of rank k (Swiatkowski et al. 2020)."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, PyTree

from nelbo.bayes.contracts import SharedPosterior
from nelbo.bayes.posteriors.independent import FIRST_LOG_SCALE, IndependentNormals
from nelbo.core import InputError

SPREAD = 0.1  # of the first log u around their value, for equal columns would have equal gradients for ever


class TiedScales(eqx.Module):
    """Standard deviations U V' of a matrix.

    Args:
        log_u: log U.
        log_v: log V.
    """

    log_u: Float[Array, "m k"]
    log_v: Float[Array, "n k"]

    def __call__(self) -> Float[Array, "m n"]:
        """Log (U V')."""
        return logsumexp(self.log_u[:, None] + self.log_v[None], axis=-1)


class FreeScales(eqx.Module):
    """A standard deviation for every number of an array that is no matrix.

    Args:
        log_scale: their logarithms.
    """

    log_scale: Float[Array, "..."]

    def __call__(self) -> Float[Array, "..."]:
        """As they are."""
        return self.log_scale


class KTiedNormal(IndependentNormals):
    """N(mean, diag(vec(U V')^2)) for an m x n matrix, with positive U (m x k) and V (n x k): k (m + n) numbers.

    k = 1 is the diagonal matrix normal, k = min(m, n) represents every positive matrix of scales. Arrays that are no
    matrices (biases, convolutions) have a scale for every number.

    Args:
        scales: a tree like that of the means, with `TiedScales` or `FreeScales` in place of each array.
    """

    scales: PyTree

    def log_scales(self, mean: PyTree) -> PyTree:
        """Log (U V') of matrices, and the free scales."""
        return jax.tree.map(lambda _, part: part(), mean, self.scales)


def k_tied(mean: PyTree, *, log_scale: float | int = FIRST_LOG_SCALE, k: int = 2) -> SharedPosterior:
    """Mean field, the scales of each matrix a product of k columns and k rows.

    Args:
        mean: the means.
        log_scale: as of mean_field; the first product is this everywhere, whatever k.
        k: rank of the matrix of scales: it is the product of two factors with k columns.

    Raises:
        InputError: k is not positive.
    """
    if k < 1:
        raise InputError(f"The k of a k-tied posterior must be at least 1, got {k}.")
    leaves, structure = jax.tree.flatten(mean)
    parts = [_first(leaf, i, float(log_scale), k) for i, leaf in enumerate(leaves)]
    return KTiedNormal(jax.tree.unflatten(structure, parts))


def _first(leaf: Array, place: int, log_scale: float, k: int) -> TiedScales | FreeScales:
    if leaf.ndim != 2:
        return FreeScales(jnp.full_like(leaf, log_scale))
    m, n = leaf.shape
    # each factor takes half, and half of log k, for k columns are added up
    half = 0.5 * (log_scale - math.log(k))
    # the same for every seed of a run: the columns must differ, how does not matter
    noise = SPREAD * jr.normal(jr.fold_in(jr.key(0), place), (m, k), leaf.dtype)
    noise = noise - logsumexp(noise, axis=1, keepdims=True) + math.log(k)  # the sum over columns stays as it was
    return TiedScales(half + noise, jnp.full((n, k), half, leaf.dtype))
