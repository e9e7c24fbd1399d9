"""Training a NADE on all orders at once."""

from typing import ClassVar

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

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
    observed = jnp.ones(jnp.shape(x.values), bool) if x.observed is None else x.observed
    return estimate_given(node, x.values, random_known(key, observed), observed)


def random_known(key: Key[Array, ""], observed: Bool[Array, "*d"]) -> Bool[Array, "*d"]:
    """Which entries come before a random place in a random order of the observed ones.

    A random entry stays unknown and each other one is known with a probability that is uniform itself. Then the count
    of known entries is uniform over 0 .. D - 1, and every set of so many is as likely as another: the law of the first
    entries of a random order, whose sort took a third of a training step.
    """
    target_key, share_key, known_key = jr.split(key, 3)
    unknown = jnp.argmax(jnp.where(observed, jr.uniform(target_key, observed.shape), -1.0))  # of the flattened example
    known = observed & (jr.uniform(known_key, observed.shape) < jr.uniform(share_key))
    return known & (jnp.arange(observed.size) != unknown).reshape(observed.shape)


def estimate_given(
    node: OrderAgnosticNade, value: Float[Array, "*d"], known: Bool[Array, "*d"], observed: Bool[Array, "*d"]
) -> Float[Array, ""]:
    """The estimate of one example where these entries come first in the order [nats].

    Args:
        node: the distribution.
        value: the example.
        known: which entries are given.
        observed: which entries there are; all known ones are.
    """
    value = jnp.where(observed, value, 0.0)
    log_probs = node.given(value, known).log_prob(value)
    asked = observed & ~known
    counts = observed.sum().astype(jnp.float32), asked.sum().astype(jnp.float32)
    return jnp.where(asked, log_probs, 0.0).sum() * counts[0] / jnp.maximum(counts[1], 1.0)
