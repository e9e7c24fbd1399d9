"""Metropolis-Hastings flips of binary units, many at once, towards where the gradient points."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.flatten_util import ravel_pytree
from jax.nn import log_sigmoid, sigmoid
from jaxtyping import Array, Float, Key

from nelbo.samplers.kernel import Info, Kernel, Position

LongState = tuple[Float[Array, " units"], Float[Array, ""], Float[Array, " units"]]


class FlipState(eqx.Module):
    """Where a chain is.

    Args:
        position: a tree of zeros and ones.
        log_density: there [nats].
        slope: of the log density, flattened.
    """

    position: Position
    log_density: Float[Array, ""]
    slope: Float[Array, " units"]


class BitFlips(Kernel[FlipState]):
    """Proposals that flip each unit by itself, and are taken or not by Metropolis and Hastings.

    With g_i the slope along unit i times the change 1 - 2 z_i that a flip makes, unit i is flipped with probability
    sigmoid(g_i / 2 - 1 / (2 step)): what a Langevin step of that size does on a lattice. A long step flips many units,
    a short one few. Every state can be reached from every other in one proposal, and the slope only says which flips
    are tried: the density is left as it is, however crude its slope between zero and one.

    Source: Zhang, Liu and Liu, A Langevin-like sampler for discrete distributions (2022), eqs. 4 and 5.

    Args:
        log_density: of zeros and ones as floats, differentiable [nats].
        moves: proposals in a step; the mean of their acceptances is told.
        length: the step size, 1 where a unit of slope 0 is flipped with probability 0.38.
    """

    log_density: Callable[[Position], Float[Array, ""]]
    moves: int = eqx.field(static=True, default=10)
    length: float | Float[Array, ""] = 0.2

    def init(self, position: Position) -> FlipState:
        """The state at a position."""
        value, slope = jax.value_and_grad(self.log_density)(position)
        return FlipState(position, value, ravel_pytree(slope)[0])

    def step(self, key: Key[Array, ""], state: FlipState) -> tuple[FlipState, Info]:
        """So many proposals, one after the other."""
        flat, shaped = ravel_pytree(state.position)
        slope_of = jax.value_and_grad(lambda z: self.log_density(shaped(z)))
        start = (flat, state.log_density, state.slope)
        (flat, value, slope), accepted = jax.lax.scan(
            lambda at, i: self._moved(jr.fold_in(key, i), at, slope_of), start, jnp.arange(self.moves)
        )
        return FlipState(shaped(flat), value, slope), Info(accepted.mean())

    def position(self, state: FlipState) -> Position:
        """Where a chain is."""
        return state.position

    def _moved(
        self, key: Key[Array, ""], at: LongState, slope_of: Callable[[Array], tuple[Array, Array]]
    ) -> tuple[LongState, Float[Array, ""]]:
        """The state after one proposal, and the probability with which it was to be taken."""
        flip_key, accept_key = jr.split(key)
        z, value, _ = at
        flipped = jr.uniform(flip_key, z.shape, z.dtype) < sigmoid(self._logits(at))
        moved = jnp.where(flipped, 1.0 - z, z)
        new = (moved, *slope_of(moved))
        log_ratio = new[1] - value + self._log_hastings(at, new, flipped)
        accepted = jnp.where(jnp.isnan(log_ratio), 0.0, jnp.exp(jnp.minimum(log_ratio, 0.0)))
        taken = jr.uniform(accept_key, dtype=z.dtype) < accepted
        return jax.tree.map(lambda a, b: jnp.where(taken, a, b), new, at), accepted

    def _log_hastings(self, at: LongState, new: LongState, flipped: Array) -> Float[Array, ""]:
        """Log probability of the same flips on the way back, less that on the way there."""
        signs = jnp.where(flipped, 1.0, -1.0)
        return (log_sigmoid(signs * self._logits(new)) - log_sigmoid(signs * self._logits(at))).sum()

    def _logits(self, at: LongState) -> Float[Array, " units"]:
        """The logit of each unit's flip."""
        z, _, slope = at
        return 0.5 * slope * (1.0 - 2.0 * z) - 0.5 / self.length
