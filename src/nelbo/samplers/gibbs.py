"""Gibbs steps between two blocks of units."""

from collections.abc import Callable

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Key

from nelbo.samplers.kernel import Info, Kernel, Position


class BlockGibbs(Kernel[Position]):
    """Draws of one block of units given the other, and back: x -> h ~ p(h | x) -> x' ~ p(x' | h).

    Of a joint law p(x, h) the marginal p(x) is left as it is, in detailed balance: p(x) T(x'|x) = sum_h p(h) p(x|h)
    p(x'|h) is symmetric. Entries of x are held by a `down` that gives them back as they are.

    Args:
        up: from a key and x to a draw of h.
        down: from a key and h to a draw of x.
    """

    up: Callable[[Key[Array, ""], Position], Position]
    down: Callable[[Key[Array, ""], Position], Position]

    def init(self, position: Position) -> Position:
        """The state is the position."""
        return position

    def step(self, key: Key[Array, ""], state: Position) -> tuple[Position, Info]:
        """Up and down once; always taken."""
        up_key, down_key = jr.split(key)
        return self.down(down_key, self.up(up_key, state)), Info(jnp.ones((), jnp.float32))

    def position(self, state: Position) -> Position:
        """Where a chain is."""
        return state
