"""Posteriors over a small tree with made-up parameters, and the same as dense normals by NumPy."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.flatten_util import ravel_pytree

from nelbo.bayes import POSTERIORS, PRIORS

MEANS = {
    "bias": jnp.array([0.3, -1.0, 2.0, 0.1]),
    "matrix": jnp.linspace(-1.0, 1.5, 12).reshape(3, 4),
    "one": jnp.array(0.7),
}
NORMAL = ("mean-field", "k-tied", "low-rank", "full", "chain")


def shaken(tree, key, size=0.4):
    """The tree with normal noise on all its arrays."""
    arrays, rest = eqx.partition(tree, eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(arrays)
    moved = [leaf + size * jr.normal(k, leaf.shape) for k, leaf in zip(jr.split(key, len(leaves)), leaves, strict=True)]
    return eqx.combine(jax.tree.unflatten(structure, moved), rest)


@functools.cache
def posterior(name, **options):
    more = {} if name == "delta" else {"log_scale": -0.5}
    return shaken(POSTERIORS[name](MEANS, **more, **options), jr.key(1))


@functools.cache
def prior(name):
    return shaken(PRIORS[name](MEANS, prior_scale=0.8), jr.key(2), 0.2)


def flat(tree):
    """All numbers of a tree."""
    return np.asarray(ravel_pytree(tree)[0], np.float64)


def covariance(name, found):
    """The dense covariance, in the order of `flat`."""
    return DENSE[name](found)


def _diagonal(found):
    return np.diag(np.exp(2 * flat(found.log_scale)))


def _tied(found):
    matrix = found.scales["matrix"]
    scales = np.exp(np.asarray(matrix.log_u, np.float64)) @ np.exp(np.asarray(matrix.log_v, np.float64)).T
    free = [np.exp(flat(found.scales[name].log_scale)) for name in ("bias", "one")]
    return np.diag(np.concatenate([free[0], scales.ravel(), free[1]]) ** 2)


def _low_rank(found):
    factor = np.concatenate([np.asarray(w, np.float64).reshape(-1, found.rank) for w in jax.tree.leaves(found.factor)])
    return _diagonal(found) + factor @ factor.T


def _full(found):
    factor = np.tril(np.asarray(found.below, np.float64), -1) + np.diag(np.exp(flat(found.log_diagonal)))
    return factor @ factor.T


def bidiagonal(log_diagonal, above):
    return np.diag(np.exp(np.asarray(log_diagonal, np.float64))) + np.diag(np.asarray(above, np.float64), 1)


def _chain(found):
    """Each column of the matrix is a chain of its own if the axis is 0, each row if it is 1."""
    size = sum(leaf.size for leaf in jax.tree.leaves(MEANS))
    cov, start = np.zeros((size, size)), 0
    for name, mean in MEANS.items():
        chain, places = found.chains[name], start + np.arange(mean.size).reshape(mean.shape)
        axis = found.axis if found.axis < mean.ndim else None
        # every number of an array without the axis is a line of its own
        lines = places.reshape(-1, 1) if axis is None else np.moveaxis(places, axis, 0).reshape(mean.shape[axis], -1).T
        diagonals = np.asarray(chain.log_diagonal).reshape(chain.log_diagonal.shape[0], -1).T
        aboves = np.asarray(chain.above).reshape(chain.above.shape[0], len(diagonals)).T
        for line, diagonal, above in zip(lines, diagonals, aboves, strict=True):
            factor = bidiagonal(diagonal, above)
            cov[np.ix_(line, line)] = np.linalg.inv(factor.T @ factor)
        start += mean.size
    return cov


DENSE = {"mean-field": _diagonal, "k-tied": _tied, "low-rank": _low_rank, "full": _full, "chain": _chain}
