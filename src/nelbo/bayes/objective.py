"""Any objective, with what all examples share drawn from its posterior and paid for once a data set."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample, InputError
from nelbo.distributions import sobol_normals
from nelbo.models import without_globals
from nelbo.objectives import BoundKind, Loss, Objective, ObjectiveState, batch_size, checked_draws


def each_draw_of_globals(
    function: Callable[[Key[Array, ""], Any], Any], key: Key[Array, ""], model: Any, count: int, draws: str = "iid"
) -> Any:
    """`function(key, drawn model)` for each draw of the shared arrays, stacked.

    Args:
        function: of a key and a model without globals.
        key: for all draws.
        model: with globals.
        count: how many draws.
        draws: "iid", or "sobol": one set of scrambled Sobol points for all the numbers that a draw is made of.

    Raises:
        InputError: Sobol points for a posterior whose draws are not made of normal noise, or of too many numbers.
    """
    shared = model.globals
    if draws == "iid":

        def independent(one: Key[Array, ""]) -> Any:
            draw_key, own_key = jr.split(one)
            return function(own_key, shared.sample(draw_key, model))

        return jax.vmap(independent)(jr.split(key, count))
    noise_key, key = jr.split(key)
    form = jax.eval_shape(lambda k: shared.noise(k, model), noise_key)
    leaves, structure = jax.tree.flatten(form)
    if not leaves:
        raise InputError(
            "Sobol draws are spread out in the space of normal noise, and this posterior is not made of any: take "
            "weight_draws iid, or a normal posterior such as mean-field."
        )
    noise = sobol_normals(noise_key, count, tuple(leaf.shape for leaf in leaves))
    spread = jax.tree.unflatten(structure, noise)
    return jax.vmap(lambda k, one: function(k, shared.from_noise(one, model)))(jr.split(key, count), spread)


class WithGlobals(Objective):
    """The inner objective of a model with globals (Kingma and Welling 2014, section 5 and appendix F).

    The shared arrays are drawn from their posterior and put into the model; the inner loss is taken; their cost is
    added, divided by the number of training examples, for it counts once per data set. A divergence is part of the
    reported bound too; the penalty of a point estimate is not.

    Args:
        inner: the objective given the shared arrays.
        num_data: N, the number of training examples.
        one_draw: one draw of the shared arrays for a whole batch (cheap), or one for each example (less variance).
        num_draws: draws of the shared arrays in a step, where one serves the whole batch; their losses are averaged.
        draws: "iid" or "sobol", see `nelbo.objectives.DRAWS`.
        cost_weight: what the cost is multiplied with: T where a sampler of exp(-U / T) is to temper the likelihood
            alone, whose prior then keeps its weight (T / T).
    """

    references: ClassVar[tuple[str, ...]] = ("kingma2014",)
    inner: Objective
    num_data: int = eqx.field(static=True)
    one_draw: bool = eqx.field(static=True, default=True)
    cost_weight: float = eqx.field(static=True, default=1.0)
    num_draws: int = eqx.field(static=True, default=1)
    draws: str = eqx.field(static=True, default="iid")

    def __check_init__(self) -> None:
        """Refuse impossible settings."""
        if self.num_data < 1:
            raise InputError(f"WithGlobals needs the number of training examples, at least 1, got {self.num_data}.")
        if self.num_draws < 1:
            raise InputError(f"At least one draw of what is shared is needed in a step, got {self.num_draws}.")
        if self.num_draws > 1 and not self.one_draw:
            raise InputError("Many draws for a whole batch, or one for each example: not both.")
        checked_draws(self.draws, self.num_draws)

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
        if self.num_draws > 1:
            loss, state = self._many_draws(inner_key, model, batch, state)
        elif self.one_draw:
            loss, state = self.inner(inner_key, shared.sample(weight_key, model), batch, state)
        else:
            loss, state = self._one_draw_each(weight_key, inner_key, model, batch, state)
        return Loss(loss.surrogate + cost, loss.bound - cost, loss.metrics | {"weight_kl": cost}), state

    def _many_draws(
        self, key: Key[Array, ""], model: Any, batch: AnyExample, state: ObjectiveState
    ) -> tuple[Loss, ObjectiveState]:
        one = lambda k, drawn: self.inner(k, drawn, batch, state)  # noqa: E731
        losses, states = each_draw_of_globals(one, key, model, self.num_draws, self.draws)
        return jax.tree.map(lambda leaf: leaf.mean(0), losses), jax.tree.map(_middle, states)

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


def _middle(leaf: Array) -> Array:
    """What an objective carries over, from all draws of a step: averages are averaged, counts are the same in all."""
    return leaf.mean(0) if jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf[0]
