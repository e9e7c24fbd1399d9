"""Steps along natural gradients, with the statistics of several batches averaged."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, PyTree

from nelbo.core import InputError


class NaturalState(NamedTuple):
    """What the optimizer keeps.

    Args:
        count: steps done.
        targets: where the last steps' batches alone would lead, window first; None with a window of one.
    """

    count: Int[Array, ""]
    targets: PyTree


def natural_gradient(rate: optax.ScalarOrSchedule, window: int = 1) -> optax.GradientTransformation:
    """Stochastic variational inference with smoothed gradients (Mandt and Blei 2014, algorithm 1).

    The gradient is natural - target, where target = eta + N s is the prior and the batch's statistics (`bayes.Svi`).
    The parameters go towards the mean of the last targets, natural + rate (mean target - natural): statistics are
    averaged, the parameters themselves are not, so nothing like momentum builds up. The first steps average what there
    is. A window of one is stochastic variational inference itself.

    Args:
        rate: of the steps, at most 1; a number, or a function of the count of steps.
        window: how many batches are averaged.

    Raises:
        InputError: a window below one, or a constant rate beyond (0, 1].
    """
    if window < 1:
        raise InputError(f"The window of averaged statistics must be at least 1, got {window}.")
    if not callable(rate) and not 0 < rate <= 1:
        raise InputError(f"A step along a natural gradient has a rate above 0 and at most 1, got {rate}.")

    def init(params: PyTree) -> NaturalState:
        kept = None if window == 1 else jax.tree.map(lambda p: jnp.zeros((window, *p.shape), p.dtype), params)
        return NaturalState(jnp.zeros((), jnp.int32), kept)

    def update(updates: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, Any]:
        step = jnp.asarray(rate(state.count) if callable(rate) else rate, jnp.float32)
        later: Any = optax.safe_increment(state.count)
        if window == 1:
            return jax.tree.map(lambda g: -step * g, updates), NaturalState(later, None)
        place, held = state.count % window, jnp.minimum(later, window).astype(jnp.float32)
        kept = jax.tree.map(lambda old, p, g: old.at[place].set(p - g), state.targets, params, updates)
        # the sum is taken anew: a running one would drift, and natural parameters may touch the edge of what they mean
        moves = jax.tree.map(lambda targets, p: step * (targets.sum(0) / held - p), kept, params)
        return moves, NaturalState(later, kept)

    return optax.GradientTransformation(init, update)


def robbins_monro(scale: float, delay: float, forgetting: float) -> optax.Schedule:
    """Scale (delay + t)^-forgetting (Hoffman et al. 2013, eq. 26).

    Args:
        scale: of the rates.
        delay: at least 1; the larger, the smaller are the first steps.
        forgetting: in (0.5, 1] the steps converge.
    """

    def rate(count: Any) -> Any:
        return scale * (delay + jnp.asarray(count, jnp.float32)) ** -forgetting

    return rate
