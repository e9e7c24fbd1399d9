"""A perturbative bound on the evidence of a whole data set, over what all examples share."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jax.lax import stop_gradient
from jaxtyping import Array, Float, Key

from nelbo.bayes.objective import each_draw_of_globals
from nelbo.core import AnyExample, InputError
from nelbo.models import without_globals
from nelbo.objectives import (
    BoundKind,
    Energies,
    Loss,
    Objective,
    ObjectiveState,
    batch_size,
    checked_draws,
    checked_order,
    series_loss,
)


class Reference(eqx.Module):
    """The learned reference energy.

    Args:
        offset: V0, in spreads of the past energies from their mean.
    """

    offset: Float[Array, ""]


class PerturbativeGlobals(Objective):
    """Log L_K of the evidence, V = log q(w) - log p(w) - sum_n log p(x_n | w), per example (Bamler et al. 2017).

    The series and its learned reference energy are those of `nelbo.objectives.Perturbative`, with one energy for a draw
    of everything shared in place of one for a draw of an example's latents. A series in an estimate of V is no bound:
    so a batch is the whole data set, and p(x | w) is exact.

    Args:
        inner: an objective that reports an exact log p(x | w).
        num_data: N, the number of training examples.
        order: K, odd.
        num_draws: draws of what is shared in a step.
        draws: "iid" or "sobol", see `nelbo.objectives.DRAWS`.
    """

    references: ClassVar[tuple[str, ...]] = ("bamler2017",)
    kind: ClassVar[BoundKind] = "lower"
    inner: Objective
    num_data: int = eqx.field(static=True)
    order: int = eqx.field(static=True, default=3)
    num_draws: int = eqx.field(static=True, default=8)
    draws: str = eqx.field(static=True, default="iid")

    def __check_init__(self) -> None:
        """Refuse impossible settings."""
        checked_order(self.order)
        if min(self.num_data, self.num_draws) < 1:
            raise InputError(
                "A perturbative bound over what is shared needs at least one example and one draw, got "
                f"{self.num_data} and {self.num_draws}."
            )
        if self.inner.kind != "exact":
            raise InputError(
                "A perturbative bound over the parameters needs an exact log p(x) given them, and this objective "
                "reports a bound: leave weight_order out, or take a model without latents, trained by "
                "maximum-likelihood."
            )
        checked_draws(self.draws, self.num_draws)

    def init(self, key: Key[Array, ""], model: Any) -> ObjectiveState:
        """A reference at the mean of the energies, and no energy seen yet.

        Raises:
            InputError: the model has no globals, or a point in place of their posterior.
        """
        if model.globals is None or not model.globals.in_bound:
            raise InputError("A perturbative bound needs a posterior over what is shared, such as mean-field.")
        self.inner.init(key, without_globals(model))
        return ObjectiveState(Reference(jnp.zeros(())), Energies.none())

    def __call__(
        self, key: Key[Array, ""], model: Any, batch: AnyExample, state: ObjectiveState
    ) -> tuple[Loss, ObjectiveState]:
        """The loss of the whole data set, divided by the number of its examples.

        Raises:
            InputError: the batch is a part of the data.
        """
        if batch_size(batch) != self.num_data:
            raise InputError(
                f"A perturbative bound over what is shared takes all {self.num_data} training examples in each step, "
                f"and got {batch_size(batch)}: set the batch size to {self.num_data} (--batch-size)."
            )
        past: Energies = state.carried
        reference: Reference = state.trained  # pyright: ignore[reportAssignmentType]
        inner_state = ObjectiveState(None, None)

        def one(draw_key: Key[Array, ""], drawn: Any) -> tuple[Loss, Float[Array, ""]]:
            loss_key, ratio_key = jr.split(draw_key)
            return self.inner(loss_key, drawn, batch, inner_state)[0], model.globals.log_ratio(ratio_key, model, drawn)

        losses, ratios = each_draw_of_globals(one, key, model, self.num_draws, self.draws)
        energies = self.num_data * losses.surrogate + ratios
        now = stop_gradient(energies)
        mean, spread = past.centre(now)
        surrogate, bound = series_loss(energies, mean + spread * reference.offset, self.order)
        metrics = {name: value.mean() for name, value in losses.metrics.items()}
        metrics |= {"weight_kl": ratios.mean() / self.num_data}
        loss = Loss(surrogate / self.num_data, bound / self.num_data, metrics)
        return loss, ObjectiveState(reference, past.after(now))

    def bounds(self, key: Key[Array, ""], model: Any, batch: AnyExample) -> Float[Array, " batch"]:
        """Each example's share of the bound of order 1: log p(x | w) of a draw, less log q - log p of it over N."""
        draw_key, ratio_key, inner_key = jr.split(key, 3)
        drawn = model.globals.sample(draw_key, model)
        ratio = model.globals.log_ratio(ratio_key, model, drawn)
        return self.inner.bounds(inner_key, drawn, batch) - ratio / self.num_data
