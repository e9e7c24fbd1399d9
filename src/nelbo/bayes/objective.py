"""Any objective, with what all examples share drawn from its posterior and paid for once a data set."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample, InputError
from nelbo.models import without_globals
from nelbo.objectives import BoundKind, Loss, Objective, ObjectiveState, batch_size


class WithGlobals(Objective):
    """The inner objective of a model with globals (Kingma and Welling 2014, section 5 and appendix F).

    The shared arrays are drawn from their posterior and put into the model; the inner loss is taken; their cost is
    added, divided by the number of training examples, for it counts once per data set. A divergence is part of the
    reported bound too; the penalty of a point estimate is not.

    Args:
        inner: the objective given the shared arrays.
        num_data: N, the number of training examples.
        one_draw: one draw of the shared arrays for a whole batch (cheap), or one for each example (less variance).
        cost_weight: what the cost is multiplied with: T where a sampler of exp(-U / T) is to temper the likelihood
            alone, whose prior then keeps its weight (T / T).
    """

    references: ClassVar[tuple[str, ...]] = ("kingma2014",)
    inner: Objective
    num_data: int = eqx.field(static=True)
    one_draw: bool = eqx.field(static=True, default=True)
    cost_weight: float = eqx.field(static=True, default=1.0)

    def __check_init__(self) -> None:
        """Refuse impossible settings."""
        if self.num_data < 1:
            raise InputError(f"WithGlobals needs the number of training examples, at least 1, got {self.num_data}.")

    @property
    def kind(self) -> BoundKind:
        """The inner objective's."""
        return self.inner.kind

    def init(self, key: Key[Array, ""], model: Any) -> ObjectiveState:
        """The inner objective's state.

        Raises:
            InputError: the model has no globals.
        """
        if model.globals is None:
            raise InputError("WithGlobals needs a model with globals: make it with nelbo.bayes.shared_parameters.")
        return self.inner.init(key, without_globals(model))

    def __call__(
        self, key: Key[Array, ""], model: Any, batch: AnyExample, state: ObjectiveState
    ) -> tuple[Loss, ObjectiveState]:
        """Mean over the batch."""
        shared = model.globals
        if not shared.in_bound:  # a point: nothing is drawn
            cost = shared.cost(jr.clone(key), model) / (self.num_data / self.cost_weight)
            loss, state = self.inner(key, shared.sample(key, model), batch, state)
            return Loss(loss.surrogate + cost, loss.bound, loss.metrics | {"weight_penalty": cost}), state
        weight_key, inner_key = jr.split(key)
        cost = shared.cost(jr.clone(weight_key), model) / (self.num_data / self.cost_weight)
        if self.one_draw:
            loss, state = self.inner(inner_key, shared.sample(weight_key, model), batch, state)
        else:
            loss, state = self._one_draw_each(weight_key, inner_key, model, batch, state)
        return Loss(loss.surrogate + cost, loss.bound - cost, loss.metrics | {"weight_kl": cost}), state

    def _one_draw_each(
        self,
        weight_key: Key[Array, ""],
        inner_key: Key[Array, ""],
        model: Any,
        batch: AnyExample,
        state: ObjectiveState,
    ) -> tuple[Loss, ObjectiveState]:
        size = batch_size(batch)

        def one(draw_key: Key[Array, ""], loss_key: Key[Array, ""], x: AnyExample) -> tuple[Loss, ObjectiveState]:
            alone = jax.tree.map(lambda leaf: leaf[None], x)
            return self.inner(loss_key, model.globals.sample(draw_key, model), alone, state)

        losses, states = jax.vmap(one)(jr.split(weight_key, size), jr.split(inner_key, size), batch)
        # each loss has its example's weight in it already
        return jax.tree.map(lambda leaf: leaf.mean(0), losses), jax.tree.map(lambda leaf: leaf[0], states)

    def bounds(self, key: Key[Array, ""], model: Any, batch: AnyExample) -> Float[Array, " batch"]:
        """The bound of each example under one draw of the shared arrays, a divergence's share included."""
        shared = model.globals
        if not shared.in_bound:
            return self.inner.bounds(key, shared.sample(key, model), batch)
        weight_key, inner_key = jr.split(key)
        cost = shared.cost(jr.clone(weight_key), model) / (self.num_data / self.cost_weight)
        return self.inner.bounds(inner_key, shared.sample(weight_key, model), batch) - cost
