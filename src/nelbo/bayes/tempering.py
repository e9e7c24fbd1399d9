"""Variational tempering: likelihoods at temperatures above one, so that training passes poor local optima."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from nelbo.core import AnyExample
from nelbo.models import ConjugateGlobals


class Tempering(eqx.Module):
    """Abstract: the power 1 / temperature of the likelihood, from step to step."""

    @abc.abstractmethod
    def init(self, key: Key[Array, ""], shared: ConjugateGlobals) -> PyTree:
        """What is carried from step to step, before the first one."""

    @abc.abstractmethod
    def powers(
        self, shared: ConjugateGlobals, expected: PyTree, batch: AnyExample, carried: Any
    ) -> Float[Array, "*batch"]:
        """E[1 / temperature], one for the batch or one for each of its examples."""

    @abc.abstractmethod
    def after(
        self, shared: ConjugateGlobals, batch: AnyExample, carried: Any, energy: Float[Array, "*batch"]
    ) -> tuple[PyTree, dict[str, Float[Array, ""]]]:
        """What is carried to the next step, and metrics.

        Args:
            shared: the posterior.
            batch: of the step.
            carried: from the last step.
            energy: mean over the batch of E log p(x, z | b), or each example's share of that mean [nats].
        """


class Untempered(Tempering):
    """Temperature one."""

    def init(self, key: Key[Array, ""], shared: ConjugateGlobals) -> None:
        """Nothing."""
        del key, shared

    def powers(self, shared: ConjugateGlobals, expected: PyTree, batch: AnyExample, carried: Any) -> Float[Array, ""]:
        """One."""
        del shared, expected, batch, carried
        return jnp.ones((), jnp.float32)

    def after(
        self, shared: ConjugateGlobals, batch: AnyExample, carried: Any, energy: Float[Array, ""]
    ) -> tuple[None, dict[str, Float[Array, ""]]]:
        """Nothing."""
        del shared, batch, carried, energy
        return None, {}


TEMPERINGS = ("none",)


def tempered(how: str, *, highest: float, count: int, steps: int, num_data: int, draws: int) -> Tempering:
    """A tempering by name."""
    return Untempered()
