"""Bits one after another: a bit's logit is known only once those before it are, so coding goes from unit to unit.

Sender and receiver make each step by the same compiled function of the same shapes. So on one machine their
logits are the same to the last bit, and between two machines they differ by roundoff.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from nelbo.distributions import SequentialBernoulli

try:
    from jax import enable_x64
except ImportError:  # before JAX 0.8
    from jax.experimental import enable_x64  # pyright: ignore

_FEW = 8  # a batch of less than this part of the usual size has a compiled function of its own


@contextlib.contextmanager
def float64() -> Iterator[None]:
    """JAX with 64-bit numbers."""
    with enable_x64(True):  # noqa: FBT003 (its only argument)
        yield


@functools.partial(jax.jit, static_argnums=(0, 1))
def _start(family: type[SequentialBernoulli], axes: tuple[int | None, ...], arguments: tuple[Any, ...]) -> Array:
    """The state of each example before its first unit."""
    return jax.vmap(lambda *some: family(*some).start, axes)(*arguments)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _step(
    family: type[SequentialBernoulli],
    axes: tuple[int | None, ...],
    arguments: tuple[Any, ...],
    state: Array,
    places: tuple[Int[Array, ""], Int[Array, ""]],
    bits: Array,
) -> tuple[Array, Array]:
    """The states and logits of a batch at the second of two places, once the bits at the first are known.

    The first place is -1 where there is none yet.
    """
    before, here = places

    def one(state: Array, bit: Array, *some: Any) -> tuple[Array, Array]:
        own = family(*some)
        rows, structure = jax.tree.flatten(own.rows)
        last, unit = (structure.unflatten([row[place] for row in rows]) for place in (before, here))
        state = jnp.where(before < 0, state, own.after(state, last, bit))
        return state, own.logit(state, unit)

    return jax.vmap(one, (0, 0, *axes))(state, bits, *arguments)


class UnitByUnit:
    """Goes over the units of the distributions of one class.

    Args:
        family: the class, which is built from its `arguments`.
        shared: which of these are the same for all examples.
        batch: examples at most; fewer are filled up, so that two compiled functions serve all.
    """

    def __init__(self, family: type[SequentialBernoulli], shared: Sequence[bool], batch: int) -> None:
        self._family, self._batch = family, batch
        self._axes = tuple(None if same else 0 for same in shared)

    def order(self, parameters: Sequence[np.ndarray]) -> list[int]:
        """The place in the flattened example of each unit; parameters as for `walk`."""
        pairs = zip(parameters, self._axes, strict=True)
        with float64():
            whole = self._family(*(jnp.asarray(value if axis is None else value[0]) for value, axis in pairs))
        return list(range(math.prod(whole.event_shape))) if whole.order is None else np.asarray(whole.order).tolist()

    def walk(
        self, parameters: Sequence[np.ndarray], order: Sequence[int], visit: Callable[[int, np.ndarray], np.ndarray]
    ) -> None:
        """Visit the units of some examples in their order.

        Args:
            parameters: the distributions' arguments, examples first in those that are not shared (the first never is).
            order: of the units.
            visit: from a unit's place in the flattened example and its logits to its bits, one for each example.
        """
        count = len(parameters[0])
        few = max(1, self._batch // _FEW)
        fill = (few if count <= few else self._batch) - count
        pairs = zip(parameters, self._axes, strict=True)
        with float64():
            arguments = tuple(
                jnp.asarray(value if axis is None else np.concatenate([value, np.zeros((fill, *value.shape[1:]))]))
                for value, axis in pairs
            )
            state = _start(self._family, self._axes, arguments)
            bits, before = np.zeros(count + fill), -1
            for place in order:
                state, logits = _step(self._family, self._axes, arguments, state, (before, place), bits)
                # a fresh array: the compiled function may still read the last one
                bits, before = np.zeros(count + fill), place
                bits[:count] = visit(place, np.asarray(logits)[:count])
