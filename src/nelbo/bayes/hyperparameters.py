"""Variational EM for the scale of a normal prior, on top of a sampler."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from nelbo.bayes.sampler import size, total
from nelbo.core import InputError


class LearnedPrecision(NamedTuple):
    """A sampler's state and the precision so far.

    Args:
        inner: state of the sampler.
        square: running mean of ||theta||^2, which starts with the D of a standard normal.
        steps: of which it is the mean.
    """

    inner: Any
    square: Float[Array, ""]
    steps: Float[Array, ""]

    def precision(self, numbers: int) -> Float[Array, ""]:
        """Lambda = D / E ||theta||^2."""
        return numbers / self.square


def learned_precision(
    sampler: optax.GradientTransformation, num_data: int, *, memory: int = 1000, weight: float = 1.0
) -> optax.GradientTransformation:
    """A prior N(0, 1 / lambda) on every parameter, whose lambda is learned while the sampler draws the parameters.

    The sampler's draws stand for the E step; the M step, lambda = D / E ||theta||^2, maximizes E log p(theta | lambda).
    Both alternate in every step, with the mean over about the last `memory` iterates in the place of the expectation.
    The prior's share lambda theta / N is added to the gradient of the mean loss, which therefore comes without it:
    weight decay whose strength is learned.

    Source: Mandt, Hoffman, Blei (2017), section 6.1.

    Args:
        sampler: of `nelbo.bayes`, a collector around it included.
        num_data: N, the number of training examples.
        memory: iterates in the running mean.
        weight: of the prior; the temperature for a tempered likelihood.

    Raises:
        InputError: a number under 1.
    """
    if num_data < 1 or memory < 1:
        raise InputError(f"num_data and memory must be at least 1, got {num_data} and {memory}.")

    def init(params: PyTree) -> Any:
        # parameters that start at zero would have an infinite precision, and never leave
        first = jnp.asarray(float(size(params)), jnp.float32)
        return LearnedPrecision(sampler.init(params), first, jnp.ones((), jnp.float32))

    def update(updates: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, Any]:
        steps = state.steps + 1.0
        square = total(jax.tree.map(jnp.square, params))
        recent = jnp.maximum(1.0 / steps, 1.0 / memory)
        learned = state._replace(square=state.square + recent * (square - state.square), steps=steps)
        share = learned.precision(size(params)) * (weight / num_data)
        whole = jax.tree.map(lambda g, p: g + share * p, updates, params)
        change, inner = sampler.update(whole, state.inner, params)
        return change, learned._replace(inner=inner)

    return optax.GradientTransformation(init, update)


def precision_found(state: Any, params: PyTree) -> float:
    """The precision that was learned.

    Args:
        state: of an optimizer with `learned_precision` in it.
        params: its parameters.

    Raises:
        InputError: it learns none.
    """
    parts = jax.tree.leaves(state, is_leaf=lambda part: isinstance(part, LearnedPrecision))
    for part in parts:
        if isinstance(part, LearnedPrecision):
            return float(part.precision(size(params)))
    raise InputError("This optimizer learns no precision of a prior: wrap it in nelbo.bayes.learned_precision.")
