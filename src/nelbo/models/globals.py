"""The contract of what all examples share, treated as random: weights, factors, topics."""

import abc
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.core import InputError, compiled
from nelbo.models.spec import ModelSpec

if TYPE_CHECKING:
    # a checker takes Equinox's marker for a field, and asks every subclass's __init__ for it
    from typing import ClassVar as AbstractVar
else:
    from equinox import AbstractVar


class Globals(eqx.Module):
    """Abstract: a prior and a posterior over some of a model's arrays. Families are in `nelbo.bayes`."""

    # whether `cost` belongs to a bound on the evidence (a divergence), or is a penalty alone
    in_bound: AbstractVar[bool]
    # whether the model's family builds them with the model, so that the model's own file holds them
    of_family: AbstractVar[bool]

    @property
    def distinct_draws(self) -> int | None:
        """How many different draws there are: 1 of a point, None where there is no end of them."""
        return None if self.in_bound else 1

    @abc.abstractmethod
    def sample(self, key: Key[Array, ""], model: Any) -> Any:
        """The model with its shared arrays drawn from their posterior, reparameterized, and no globals."""

    @abc.abstractmethod
    def cost(self, key: Key[Array, ""], model: Any) -> Float[Array, ""]:
        """KL(posterior || prior), or -log prior up to a constant at a point: once for a whole data set [nats].

        Args:
            key: the one that `sample` is given: where there is no closed form, log q - log p at that very draw.
            model: whose arrays are shared.
        """

    def noise(self, key: Key[Array, ""], model: Any) -> Any:
        """Independent standard normal numbers that `from_noise` makes a draw of; None: draws are not made so."""
        del key, model

    def from_noise(self, noise: Any, model: Any) -> Any:
        """The model with the draw that standard normal numbers stand for, and no globals.

        Raises:
            TypeError: there is none, see `noise`.
        """
        del noise, model
        raise TypeError(f"{type(self).__name__} does not make its draws of normal noise.")

    def log_ratio(self, key: Key[Array, ""], model: Any, drawn: Any) -> Float[Array, ""]:
        """Log posterior - log prior of the shared arrays of a model that `sample` or `from_noise` gave [nats].

        Args:
            key: for random scales of the prior.
            model: whose arrays are shared.
            drawn: the model with a draw of them.

        Raises:
            InputError: there are no such densities.
        """
        del key, model, drawn
        raise InputError(f"{type(self).__name__} has no density of a draw: leave the perturbative order out.")

    def widths(self, model: Any) -> Any:
        """A tree like `stored(model)` with posterior standard deviations in place of arrays, NaN where there are none.

        None: this posterior has none to tell.

        Args:
            model: whose arrays are shared.
        """
        del model

    def draws(self, key: Key[Array, ""], model: Any, count: int) -> Any:
        """Many models at once, to average predictions over.

        Args:
            key: for the draws.
            model: whose arrays are shared.
            count: how many, at least 1.

        Returns:
            A model without globals whose every array, shared or not, has a leading axis of `count`: map over it with
            `equinox.filter_vmap`.

        Raises:
            InputError: no draw is asked for.
        """
        if count < 1:
            raise InputError(f"Predictions are averaged over at least one draw of what is shared, got {count}.")
        return _draws(key, self, model, count)

    def described(self) -> ModelSpec | None:
        """What a function of the table `nelbo.bayes.GLOBALS` rebuilds it from; None: it cannot be stored."""
        return None


@compiled
def _draws(key: Key[Array, ""], shared: Globals, model: Any, count: int) -> Any:
    return eqx.filter_vmap(lambda one: shared.sample(one, model))(jr.split(key, count))


def with_globals(model: Any, shared: Globals | None) -> Any:
    """The model with other globals, or none."""
    return eqx.tree_at(lambda m: m.globals, model, shared, is_leaf=lambda leaf: leaf is None)


def unknown_widths(model: Any) -> Any:
    """A tree like the model with NaN in place of every float."""
    return jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan) if eqx.is_inexact_array(leaf) else leaf, model)


def stored(model: Any) -> Any:
    """The model as its file holds it: with the globals that its family builds, and no others."""
    return model if model.globals is not None and model.globals.of_family else without_globals(model)


def without_globals(model: Any) -> Any:
    """The model at its point: with nothing random that all examples share."""
    return with_globals(model, None)
