"""Chains at several temperatures that exchange their places."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from nelbo.samplers.kernel import Info, Kernel, Position

Temperature = Float[Array, ""]


class ParallelTempering(Kernel[Position]):
    """One chain at each inverse temperature; neighbours exchange their places by Metropolis's rule after every move.

    The position is a stack, a chain for each of `betas`. Its law is the product of the laws at these temperatures,
    which moves and exchanges leave as they are. Hot chains cross from mode to mode, and hand their places on.
    Source: Swendsen and Wang (1986); for Boltzmann machines Desjardins et al. (2010).

    Args:
        move: from a key, a position and its beta to the next position, leaving the law at beta as it is.
        log_density: of a position at a beta, up to a constant of beta [nats].
        betas: inverse temperatures in order.
    """

    move: Callable[[Key[Array, ""], Position, Temperature], Position]
    log_density: Callable[[Position, Temperature], Float[Array, ""]]
    betas: Float[Array, " t"]

    def init(self, position: Position) -> Position:
        """The state is the stack of positions."""
        return position

    def step(self, key: Key[Array, ""], state: Position) -> tuple[Position, Info]:
        """A move of each chain, then exchanges of every other pair of neighbours; `accepted` is the share exchanged."""
        move_key, parity_key, accept_key = jr.split(key, 3)
        count = self.betas.shape[0]
        state = jax.vmap(self.move)(jr.split(move_key, count), state, self.betas)
        if count == 1:
            return state, Info(jnp.ones((), jnp.float32))
        density = jax.vmap(self.log_density)
        own = density(state, self.betas)
        lower, upper = (jax.tree.map(lambda leaf, s=s: leaf[s], state) for s in (slice(None, -1), slice(1, None)))
        exchanged = density(lower, self.betas[1:]) + density(upper, self.betas[:-1])
        log_ratio = exchanged - own[:-1] - own[1:]
        taken = jnp.log(jr.uniform(accept_key, (count - 1,), jnp.float32)) < log_ratio
        turn = (jnp.arange(count - 1) + jr.bernoulli(parity_key).astype(jnp.int32)) % 2 == 0
        places = _exchanged(taken & turn)
        share = (taken & turn).sum() / jnp.maximum(turn.sum(), 1)
        return jax.tree.map(lambda leaf: leaf[places], state), Info(share.astype(jnp.float32))

    def position(self, state: Position) -> Position:
        """Where the chains are."""
        return state


def _exchanged(pairs: Bool[Array, " pairs"]) -> Array:
    """Places after each marked pair (i, i + 1) has been exchanged; no two marked pairs share a place."""
    none = jnp.zeros(1, bool)
    up, down = jnp.concatenate([pairs, none]), jnp.concatenate([none, pairs])
    return jnp.arange(len(pairs) + 1) + up.astype(jnp.int32) - down.astype(jnp.int32)
