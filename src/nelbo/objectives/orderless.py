"""Training a NADE on all orders at once."""

from typing import ClassVar

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample, InputError, as_example
from nelbo.distributions import OrderAgnosticNade
from nelbo.models import Model
from nelbo.objectives.base import BoundKind, Loss, Objective, ObjectiveState, batch_mean, over_batch


class OrderAgnostic(Objective):
    """The mean over all orders of log p(x | order), with one random order and one random place in it for each example.

    With o uniform over orders and d uniform over 1 .. D, the estimate D / (D - d + 1) sum_{j >= d} log p(x_{o_j} |
    x_{o_<d}) has that mean exactly. By Jensen's inequality the mean is a lower bound on the log density of the ensemble
    of all orders, and of one of random orders in expectation over these. Missing entries are no entries: D counts the
    observed ones.
    Source: Uria, Murray and Larochelle (2014), eq. 10.
    """

    references: ClassVar[tuple[str, ...]] = ("uria2014",)
    kind: ClassVar[BoundKind] = "lower"

    def init(self, key: Key[Array, ""], model: Model) -> ObjectiveState:
        """No state.

        Raises:
            InputError: a model other than `eonade`.
        """
        del key
        _node(model)
        return ObjectiveState()

    def __call__(
        self, key: Key[Array, ""], model: Model, batch: AnyExample, state: ObjectiveState
    ) -> tuple[Loss, ObjectiveState]:
        """Mean over the batch."""
        bound = batch_mean(self.bounds(key, model, batch), batch)
        return Loss(-bound, bound, {}), state

    def bounds(self, key: Key[Array, ""], model: Model, batch: AnyExample) -> Float[Array, " batch"]:
        """The estimate of each example."""
        return over_batch(lambda k, x: _estimate(k, _node(model), x), key, batch)


def _node(model: Model) -> OrderAgnosticNade:
    node = None if model.depth else model.generative.root(0)
    if not isinstance(node, OrderAgnosticNade):
        raise InputError("order-agnostic trains a network that knows no order: fit eonade with it.")
    return node


def _estimate(key: Key[Array, ""], node: OrderAgnosticNade, x: AnyExample) -> Float[Array, ""]:
    x = as_example(x)
    order_key, place_key = jr.split(key)
    values = jnp.ravel(x.values)
    observed = jnp.ones(values.shape, bool) if x.observed is None else jnp.ravel(x.observed)
    rank = jr.permutation(order_key, values.size)
    if x.observed is not None:
        rank = jnp.argsort(jnp.argsort(jnp.where(observed, rank, rank + values.size)))  # the observed entries in front
    count = observed.sum()
    place = jr.randint(place_key, (), 0, jnp.maximum(count, 1))
    return estimate_at(node, x.values, rank, place, observed)


def estimate_at(node: OrderAgnosticNade, value: Array, rank: Array, place: Array, observed: Array) -> Float[Array, ""]:
    """The estimate of one example at one order and place [nats].

    Args:
        node: the distribution.
        value: the example.
        rank: the rank of each entry of the flattened example in the order, from 0.
        place: how many entries are known.
        observed: which entries there are; they have the first ranks.
    """
    known, count = rank < place, observed.sum().astype(jnp.float32)
    shape = jnp.shape(value)
    value = jnp.where(observed.reshape(shape), value, 0.0)
    log_probs = jnp.ravel(node.given(value, known.reshape(shape)).log_prob(value))
    total = jnp.where(observed & ~known, log_probs, 0.0).sum()
    return total * count / jnp.maximum(count - place.astype(jnp.float32), 1.0)
