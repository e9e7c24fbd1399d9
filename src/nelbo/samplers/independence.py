"""Metropolis-Hastings steps whose proposals do not depend on where the chain is."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.samplers.kernel import Info, Kernel, Position


class WeightedState(eqx.Module):
    """Where a chain is, and log p - log q there.

    Args:
        position: a tree of arrays.
        log_weight: up to a constant [nats].
    """

    position: Position
    log_weight: Float[Array, ""]


class Independence(Kernel[WeightedState]):
    """Proposals from a fixed q, taken with probability min(1, w(new) / w(old)), w = p / q.

    Source: Tierney (1994), section 2.3.3. It is right for any q that is positive where p is, but where q is narrower
    than p the weights are not bounded and the chain does not converge geometrically (Mengersen and Tweedie 1996): a low
    acceptance says so, a chain's own spread does not.

    Args:
        propose: from a key to a draw of q and its log weight.
        log_weight: of any position.
    """

    propose: Callable[[Key[Array, ""]], WeightedState]
    log_weight: Callable[[Position], Float[Array, ""]]

    def init(self, position: Position) -> WeightedState:
        """The state at a position."""
        return WeightedState(position, self.log_weight(position))

    def step(self, key: Key[Array, ""], state: WeightedState) -> tuple[WeightedState, Info]:
        """One step; a weight that is no number is never taken."""
        propose_key, accept_key = jr.split(key)
        proposal = self.propose(propose_key)
        accept = jnp.log(jr.uniform(accept_key, dtype=jnp.float32)) < proposal.log_weight - state.log_weight
        taken = jax.tree.map(lambda new, old: jnp.where(accept, new, old), proposal, state)
        return taken, Info(accept.astype(jnp.float32))

    def position(self, state: WeightedState) -> Position:
        """Where a chain is."""
        return state.position
