"""What all stochastic-gradient samplers share: their state, their noise, their temperatures.

A sampler is an optax transformation. It takes the gradient g of the mean loss L per example, the prior's share
(-log prior) / N included, so that the posterior is proportional to exp(-N L); the posterior of temperature T to
exp(-N L / T). Its state is a `SamplerState`, which the collector and the diagnostics read.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from nelbo.core import InputError, random_normals


class Temperatures(NamedTuple):
    """What the temperature of the sampled density is, as two quantities of one step see it.

    Under exp(-U / T), U = N L, the mean of each is T. See Leimkuhler and Matthews (2015), section 6.1.5; Wenzel et al.
    (2020), appendix I.

    Args:
        kinetic: m' M^-1 m / d; None of a sampler without momentum.
        configurational: <theta, grad U> / d, with the gradient of a minibatch in the place of grad U.
    """

    kinetic: Float[Array, ""] | None
    configurational: Float[Array, ""]


class SamplerState(NamedTuple):
    """Where a sampler is.

    Args:
        count: steps done.
        key: for the noise of the steps to come, which `fit` makes from its own; None where nothing is injected.
        momentum: a tree like the parameters, or None.
        adaptation: what is estimated on the way (noise, preconditioner), or None.
        temperatures: of the last step.
    """

    count: Int[Array, ""]
    key: Key[Array, ""] | None
    momentum: PyTree
    adaptation: Any
    temperatures: Temperatures


def size(tree: PyTree) -> int:
    """How many numbers a tree of arrays holds: d."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def total(tree: PyTree) -> Float[Array, ""]:
    """The sum of all numbers of a tree."""
    return sum((leaf.sum() for leaf in jax.tree.leaves(tree)), jnp.zeros((), jnp.float32))


def configurational(gradient: PyTree, params: PyTree, num_data: int) -> Float[Array, ""]:
    """<theta, grad U> / d with U = N L."""
    return total(jax.tree.map(lambda g, p: g * p, gradient, params)) * (num_data / size(params))


def noise_like(key: Key[Array, ""] | None, tree: PyTree) -> tuple[PyTree, Key[Array, ""] | None]:
    """Standard normal noise in the form of a tree, and the key for the next; zeros without a key."""
    if key is None:
        return jax.tree.map(jnp.zeros_like, tree), None
    now, later = jr.split(key)
    return optax.tree.random_like(now, tree, random_normals), later  # pyright: ignore[reportArgumentType]


def first_state(seed: int | None, momentum: PyTree, adaptation: Any, *, kinetic: bool) -> SamplerState:
    """The state before the first step; without a seed nothing is injected."""
    zero, count = jnp.zeros((), jnp.float32), jnp.zeros((), jnp.int32)
    key = None if seed is None else jr.key(seed)
    return SamplerState(count, key, momentum, adaptation, Temperatures(zero if kinetic else None, zero))


def check_common(num_data: int, temperature: float, learning_rate: float) -> None:
    """Refuse settings that no sampler can take.

    Raises:
        InputError: a number out of its range.
    """
    if num_data < 1:
        raise InputError(f"A sampler needs the number of training examples, at least 1, got {num_data}.")
    if not 0 <= temperature < math.inf:
        raise InputError(f"The temperature must be zero or a positive number, got {temperature}.")
    if not 0 < learning_rate < math.inf:
        raise InputError(f"The learning rate must be a positive number, got {learning_rate}.")


def check_momentum(momentum: float) -> None:
    """Refuse a decay of the momentum that is none.

    Raises:
        InputError: not in [0, 1).
    """
    if not 0 <= momentum < 1:
        raise InputError(f"momentum is the share of the velocity that a step keeps, from 0 to under 1, got {momentum}.")
