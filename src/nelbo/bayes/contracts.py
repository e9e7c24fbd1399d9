"""The contracts of a prior and of a posterior over a tree of arrays."""

import abc
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key, PyTree

from nelbo.core import random_normals

if TYPE_CHECKING:
    # a checker takes Equinox's marker for a field, and asks every subclass's __init__ for it
    from typing import ClassVar as AbstractVar
else:
    from equinox import AbstractVar


class SharedPrior(eqx.Module):
    """Abstract: a prior over a tree of arrays. Its own arrays, such as a scale, train with the model.

    A prior may have random scales of its own. Their posterior is then part of this object, what they cost is part of
    `log_prob` and of `kl`, and both are bounds.
    """

    # whether it is fitted to the spread of a posterior, so that a point, which has none, would pull it to zero
    needs_spread: ClassVar[bool] = False

    @abc.abstractmethod
    def log_prob(self, key: Key[Array, ""], value: PyTree) -> Float[Array, ""]:
        """Log density of a tree; with random scales, an unbiased estimate of a lower bound on it [nats].

        Args:
            key: for the scales, where they are drawn.
            value: the tree.
        """

    def kl(self, key: Key[Array, ""], mean: PyTree, log_scale: PyTree) -> Float[Array, ""] | None:
        """KL(N(mean, exp(log_scale)^2) || prior) for independent normals [nats]; None: no closed form in the tree.

        With random scales, an unbiased estimate of an upper bound on it. A prior that has one must be independent in
        every number, given its scales: the posteriors that are correlated rely on it.
        """
        del key, mean, log_scale
        return None

    def penalty(self, key: Key[Array, ""], value: PyTree) -> Float[Array, ""]:
        """-log density of a point; constants may be left out [nats]."""
        return -self.log_prob(key, value)


class Marginals(eqx.Module):
    """What a joint normal looks like one number at a time.

    Args:
        log_scale: log standard deviation of each number, a tree like that of the means.
        correlation: sum of the numbers' entropies minus the joint entropy, zero where they are independent [nats].
    """

    log_scale: PyTree
    correlation: Float[Array, ""] | float = 0.0


class SharedPosterior(eqx.Module):
    """Abstract: a posterior over a tree of arrays. Where it has means, they are the arrays of the model itself.

    One of a user's own has `sample` and `log_prob`, and if it is normal `marginals`, which gives it closed-form
    divergences; a function that makes it from the means and keyword options is its row in `POSTERIORS`, or in
    `nelbo.Registry(posteriors=...)`.
    """

    # whether its cost is a divergence, which belongs to a bound on the evidence
    in_bound: AbstractVar[bool]

    @abc.abstractmethod
    def sample(self, key: Key[Array, ""], mean: PyTree) -> PyTree:
        """A draw, reparameterized."""

    @abc.abstractmethod
    def log_prob(self, mean: PyTree, value: PyTree) -> Float[Array, ""]:
        """Log density of a draw [nats]."""

    def noise(self, key: Key[Array, ""], mean: PyTree) -> PyTree:
        """Independent standard normal numbers that `from_noise` makes a draw of; None: draws are not made so."""
        del key, mean

    def from_noise(self, noise: PyTree, mean: PyTree) -> PyTree:
        """The draw that standard normal numbers stand for.

        Raises:
            TypeError: there is none, see `noise`.
        """
        del noise, mean
        raise TypeError(f"{type(self).__name__} does not make its draws of normal noise.")

    def marginals(self, mean: PyTree) -> Marginals | None:
        """Its marginals where it is jointly normal around the means; else None."""
        del mean
        return None

    def cost(self, key: Key[Array, ""], mean: PyTree, prior: SharedPrior) -> Float[Array, ""]:
        """KL(posterior || prior): in closed form where there is one, else log q - log p of the draw of `key` [nats].

        For a prior that is independent in every number, KL(q || p) = sum_i KL(q_i || p_i) + sum_i H(q_i) - H(q).
        """
        marginals = self.marginals(mean)
        if marginals is not None:
            independent = prior.kl(jr.clone(key), mean, marginals.log_scale)
            if independent is not None:
                return independent + marginals.correlation
        drawn = self.sample(key, mean)
        return self.log_prob(mean, drawn) - prior.log_prob(jr.clone(key), drawn)


class NoisePosterior(SharedPosterior):
    """Abstract: a posterior whose draws are made of standard normal noise, from a key or from points spread evenly."""

    @abc.abstractmethod
    def noise(self, key: Key[Array, ""], mean: PyTree) -> PyTree:
        """As in `SharedPosterior`."""

    @abc.abstractmethod
    def from_noise(self, noise: PyTree, mean: PyTree) -> PyTree:
        """As in `SharedPosterior`."""

    def sample(self, key: Key[Array, ""], mean: PyTree) -> PyTree:
        """A draw, reparameterized."""
        return self.from_noise(self.noise(key, mean), mean)


def normals_like(key: Key[Array, ""], tree: PyTree) -> PyTree:
    """Standard normal numbers in the shapes of a tree."""
    return jax.tree.map(lambda k, leaf: random_normals(k, leaf.shape, leaf.dtype), keys_like(key, tree), tree)


def total(tree: PyTree) -> Float[Array, ""]:
    """The sum of all numbers of a tree."""
    return sum((jnp.sum(leaf) for leaf in jax.tree.leaves(tree)), jnp.zeros((), jnp.float32))


def keys_like(key: Key[Array, ""], tree: PyTree) -> Any:
    """A key for each leaf of a tree."""
    leaves, structure = jax.tree.flatten(tree)
    return jax.tree.unflatten(structure, list(jr.split(key, len(leaves))))
