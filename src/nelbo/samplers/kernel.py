"""The contract of Markov kernels."""

import abc
from typing import Generic, TypeVar

import equinox as eqx
from jaxtyping import Array, Float, Key, PyTree

Position = PyTree
State = TypeVar("State")


class Info(eqx.Module):
    """What is told of one step.

    Args:
        accepted: probability with which the proposal was to be taken, or whether it was, as 0 or 1.
    """

    accepted: Float[Array, ""]


class Kernel(eqx.Module, Generic[State]):
    """Abstract: a Markov chain on trees of arrays with a known stationary law.

    A kernel is one chain; `jax.vmap` over keys and states runs many.
    """

    @abc.abstractmethod
    def init(self, position: Position) -> State:
        """The state of a chain that starts at a position."""

    @abc.abstractmethod
    def step(self, key: Key[Array, ""], state: State) -> tuple[State, Info]:
        """One step."""

    @abc.abstractmethod
    def position(self, state: State) -> Position:
        """Where a chain is."""
