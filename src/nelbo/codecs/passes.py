"""Bits one after another: a bit's logit is known only once those before it are, so a code is a pass over the units.

Sender and receiver make each step of a pass by the same compiled function of the same shapes. So on one machine their
logits are the same to the last bit, and between two machines they differ by the roundoff of one pass.
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

_FEW = 8  # a batch of less than this part of the usual size has a compiled function of its own


@contextlib.contextmanager
def float64() -> Iterator[None]:
    """JAX with 64-bit numbers."""
    if hasattr(jax, "enable_x64"):
        with jax.enable_x64(True):  # noqa: FBT003 (its only argument)
            yield
    else:  # before JAX 0.8
        from jax.experimental import enable_x64  # pyright: ignore

        with enable_x64():
            yield


@functools.partial(jax.jit, static_argnums=(0, 1))
def _start(law: type[SequentialBernoulli], axes: tuple[int | None, ...], arguments: tuple[Any, ...]) -> Array:
    """The state of each example before its first unit."""
    return jax.vmap(lambda *some: law(*some).start, axes)(*arguments)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _step(
    law: type[SequentialBernoulli],
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
        own = law(*some)
        rows, structure = jax.tree.flatten(own.rows)
        last, unit = (structure.unflatten([row[place] for row in rows]) for place in (before, here))
        state = jnp.where(before < 0, state, own.after(state, last, bit))
        return state, own.logit(state, unit)

    return jax.vmap(one, (0, 0, *axes))(state, bits, *arguments)


class Passes:
    """Passes over the units of the distributions of one class.

    Args:
        law: the class, which is built from its `arguments`.
        shared: which of these are the same for all examples.
        batch: examples at most; fewer are filled up, so that two compiled functions serve all.
    """

    def __init__(self, law: type[SequentialBernoulli], shared: Sequence[bool], batch: int) -> None:
        self._law, self._batch = law, batch
        self._axes = tuple(None if same else 0 for same in shared)

    def order(self, given: Sequence[np.ndarray]) -> list[int]:
        """The place in the flattened example of each unit; arguments as for `walk`."""
        pairs = zip(given, self._axes, strict=True)
        with float64():
            law = self._law(*(jnp.asarray(value if axis is None else value[0]) for value, axis in pairs))
        return list(range(math.prod(law.event_shape))) if law.order is None else np.asarray(law.order).tolist()

    def walk(
        self, given: Sequence[np.ndarray], order: Sequence[int], visit: Callable[[int, np.ndarray], np.ndarray]
    ) -> None:
        """Visit the units of some examples in their order.

        Args:
            given: the distributions' arguments, examples first in those that are not shared (the first never is).
            order: of the units.
            visit: from a unit's place in the flattened example and its logits to its bits, one for each example.
        """
        count = len(given[0])
        few = max(1, self._batch // _FEW)
        fill = (few if count <= few else self._batch) - count
        pairs = zip(given, self._axes, strict=True)
        with float64():
            arguments = tuple(
                jnp.asarray(value if axis is None else np.concatenate([value, np.zeros((fill, *value.shape[1:]))]))
                for value, axis in pairs
            )
            state = _start(self._law, self._axes, arguments)
            bits, before = np.zeros(count + fill), -1
            for place in order:
                state, logits = _step(self._law, self._axes, arguments, state, (before, place), bits)
                # a fresh array: the compiled function may still read the last one
                bits, before = np.zeros(count + fill), place
                bits[:count] = visit(place, np.asarray(logits)[:count])
