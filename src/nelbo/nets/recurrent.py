"""Gated recurrent networks over the frames of one series."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key


class Recurrent(eqx.Module):
    """A gated recurrent unit (Cho et al. 2014) that reads the frames of a series one after the other.

    Args:
        key: for the weights.
        in_size: numbers of a frame.
        size: of the state.
    """

    cell: eqx.nn.GRUCell

    def __init__(self, key: Key[Array, ""], in_size: int, size: int) -> None:
        self.cell = eqx.nn.GRUCell(in_size, size, key=key)

    @property
    def size(self) -> int:
        """Of the state."""
        return self.cell.hidden_size

    def __call__(self, x: Float[Array, "n in"]) -> Float[Array, "n size"]:
        """The state after each frame."""

        def step(state: Array, frame: Array) -> tuple[Array, Array]:
            after = self.cell(frame, state)
            return after, after

        start = jnp.zeros(self.size, x.dtype)
        return jax.lax.scan(step, start, x)[1]


class BothWays(eqx.Module):
    """Two recurrent networks, one of which reads a series from its end.

    Args:
        key: for the weights.
        in_size: numbers of a frame.
        size: of each state.
    """

    pair: Recurrent

    def __init__(self, key: Key[Array, ""], in_size: int, size: int) -> None:
        # stacked, so that both are one loop
        self.pair = jax.vmap(lambda one: Recurrent(one, in_size, size))(jr.split(key))

    def _states(self, x: Float[Array, "n in"]) -> Float[Array, "two n size"]:
        return jax.vmap(lambda network, frames: network(frames))(self.pair, jnp.stack([x, x[::-1]]))

    def __call__(self, x: Float[Array, "n in"]) -> Float[Array, "n both"]:
        """Both states at each frame: of what came up to it, and of what comes from it on."""
        forward, backward = self._states(x)
        return jnp.concatenate([forward, backward[::-1]], -1)

    def ends(self, x: Float[Array, "n in"]) -> Float[Array, " both"]:
        """The state of each network after the whole series."""
        return jnp.ravel(self._states(x)[:, -1])
