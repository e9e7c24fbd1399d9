"""Chains: a kernel's steps one after the other, in one loop."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key

from nelbo.samplers.kernel import Kernel, Position, State

Record = Callable[[Any, Int[Array, ""], Position], Any]


def run_chain(
    key: Key[Array, ""],
    kernel: Kernel[State],
    position: Position,
    steps: int,
    record: Record | None = None,
    start: Any = None,
) -> tuple[State, Float[Array, " steps"], Any]:
    """Run one chain, and gather what is asked about it on the way.

    Args:
        key: for the chain.
        kernel: whose steps they are.
        position: where it starts.
        steps: how many.
        record: from what was gathered so far, the number of the step (from 0) and the position after it, to what is
            gathered then. None: nothing is.
        start: what is gathered before the first step.

    Returns:
        The last state, the acceptance of each step, and what was gathered.
    """

    def body(carry: tuple[State, Any], i: Int[Array, ""]) -> tuple[tuple[State, Any], Array]:
        state, info = kernel.step(jr.fold_in(key, i), carry[0])
        gathered = carry[1] if record is None else record(carry[1], i, kernel.position(state))
        return (state, gathered), info.accepted

    (state, gathered), accepted = jax.lax.scan(body, (kernel.init(position), start), jnp.arange(steps))
    return state, accepted, gathered
