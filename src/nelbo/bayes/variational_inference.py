"""Stochastic variational inference: the natural gradient of a conjugate posterior, as the gradient of an objective."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from nelbo.bayes.tempering import Tempering, Untempered
from nelbo.core import AnyExample, InputError
from nelbo.models import ConjugateGlobals
from nelbo.objectives import BoundKind, Loss, Objective, ObjectiveState, batch_mean


class Svi(Objective):
    """The evidence lower bound of a conjugate model by natural gradients (Hoffman et al. 2013, figure 4).

    The gradient of the surrogate with respect to the natural parameters is natural - (eta + N mean_i s_i), with s_i the
    expected sufficient statistics of an example of the batch; one step of length one goes to the conditional optimum
    of the batch. The optimizer is to be `natural`.

    Args:
        num_data: N, the number of training examples.
        tempering: of the likelihood while training; reported bounds are untempered.
    """

    references: ClassVar[tuple[str, ...]] = ("hoffman2013",)
    kind: ClassVar[BoundKind] = "lower"
    num_data: int = eqx.field(static=True)
    tempering: Tempering = Untempered()

    def __check_init__(self) -> None:
        """Refuse impossible settings."""
        if self.num_data < 1:
            raise InputError(f"Svi needs the number of training examples, at least 1, got {self.num_data}.")

    def init(self, key: Key[Array, ""], model: Any) -> ObjectiveState:
        """The state of the tempering.

        Raises:
            InputError: the model has no conjugate posterior.
        """
        return ObjectiveState(carried=self.tempering.init(key, _conjugate(model)))

    def __call__(
        self, key: Key[Array, ""], model: Any, batch: AnyExample, state: ObjectiveState
    ) -> tuple[Loss, ObjectiveState]:
        """Mean over the batch."""
        del key
        shared = jax.lax.stop_gradient(_conjugate(model))
        expected = shared.expected()
        power = self.tempering.powers(shared, expected, batch, state.carried)
        local, (slope, energies) = jax.value_and_grad(lambda t, p: _mean_bound(shared, t, batch, p), (0, 1))(
            expected, power
        )
        energy = energies.sum()  # of a power for each example: its energy's share in the mean
        carried, metrics = self.tempering.after(shared, batch, state.carried, energy)
        untempered = local - (power * energies).sum() + energy  # still a bound, at the tempered q(z)
        metrics = {"tempered": local, "power": power.mean(), **metrics}
        cost = shared.divergence() / self.num_data
        target = jax.tree.map(lambda prior, s: prior + self.num_data * s, shared.prior, slope)
        natural = model.globals.natural
        terms = jax.tree.map(lambda own, at, to: (own * (at - to)).sum(), natural, shared.natural, target)
        surrogate = jnp.stack(jax.tree.leaves(terms)).sum()
        return Loss(surrogate, untempered - cost, {"shared_kl": cost, **metrics}), ObjectiveState(carried=carried)

    def bounds(self, key: Key[Array, ""], model: Any, batch: AnyExample) -> Float[Array, " batch"]:
        """The bound of each example in expectation over the posterior, its divergence's share included."""
        del key
        shared = _conjugate(model)
        expected, cost = shared.expected(), shared.divergence() / self.num_data
        return jax.vmap(lambda x: shared.local.bound(expected, x, jnp.ones((), jnp.float32)))(batch) - cost


def _conjugate(model: Any) -> ConjugateGlobals:
    if not isinstance(model.globals, ConjugateGlobals):
        raise InputError(
            "svi is for models with a conjugate posterior over what all examples share: use lda, gaussian-mixture or "
            "factorial-mixture."
        )
    return model.globals


def _mean_bound(shared: ConjugateGlobals, expected: Any, batch: AnyExample, power: Array) -> Array:
    """Mean tempered bound of a batch, with one power for all or one for each."""
    place = 0 if power.ndim else None
    return batch_mean(jax.vmap(shared.local.bound, (None, 0, place))(expected, batch, power), batch)
