"""Bits in any order: one network gives each entry from any others, and many orders make an ensemble."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import jax.random as jr
from jax.nn import relu, sigmoid
from jaxtyping import Array, Bool, Float, Int, Key, PyTree
from numpyro.distributions import constraints

from nelbo.core import log_mean_exp
from nelbo.distributions.elementary import Bernoulli, Completable, Marginalizable, uniforms
from nelbo.distributions.sequential import SequentialBernoulli


def observed_first(order: Int[Array, " n"], observed: Bool[Array, " n"]) -> Int[Array, " n"]:
    """The same order with the observed places moved to its front; both parts stay in order among themselves."""
    return order[jnp.argsort(~observed[order], stable=True)]


class OrderAgnosticNade(SequentialBernoulli, Marginalizable, Completable):
    """An ensemble of NADEs that differ in their order alone, p(x) = 1/K sum_k p(x | o_k).

    One network takes the known entries and the mask of which are known, and gives a logit for each other entry:
    h_1 = relu(c + W (x * known) + M known), h_2 = relu(c' + W' h_1), logit_d = b_d + V_d . h. An order o turns it into
    a density, p(x | o) = prod_d p(x_{o_d} | x_{o_<d}), and the mean of densities is one. (A mean of conditionals over
    orders is none: its product over entries does not sum to one.)

    The conditionals of different orders need not agree. What is drawn takes an order at random; what goes from unit to
    unit (`conditional`, `mean`, codes) takes the first.
    Source: Uria, Murray and Larochelle (2014), eqs. 6 to 13.

    Args:
        logits: b, the shape of one example.
        weight: W, a row for each entry of the flattened example.
        mask_weight: M, likewise.
        bias: c.
        inner: W' of each further hidden layer.
        inner_bias: c' likewise.
        readout: V, a row for each entry.
        orders: o_1 .. o_K: places in the flattened example in the order of the units.
    """

    references: ClassVar[tuple[str, ...]] = ("uria2014",)
    pytree_data_fields = ("logits", "weight", "mask_weight", "bias", "inner", "inner_bias", "readout", "orders")
    arg_constraints = {
        "logits": constraints.real,
        "weight": constraints.real_matrix,
        "mask_weight": constraints.real_matrix,
        "bias": constraints.real_vector,
        "inner": constraints.real,
        "inner_bias": constraints.real,
        "readout": constraints.real_matrix,
    }

    def __init__(
        self,
        logits: Float[Array, "*d"],
        weight: Float[Array, "n hidden"],
        mask_weight: Float[Array, "n hidden"],
        bias: Float[Array, " hidden"],
        inner: Float[Array, "more hidden hidden"],
        inner_bias: Float[Array, "more hidden"],
        readout: Float[Array, "n hidden"],
        orders: Int[Array, "k n"],
    ) -> None:
        self.logits, self.weight, self.mask_weight, self.bias = logits, weight, mask_weight, bias
        self.inner, self.inner_bias, self.readout, self.orders = inner, inner_bias, readout, orders
        self.order = orders[0]
        super().__init__(event_shape=jnp.shape(logits), validate_args=False)

    @property
    def arguments(self) -> tuple[Array, ...]:
        """What the class is built from."""
        network = (self.weight, self.mask_weight, self.bias, self.inner, self.inner_bias, self.readout)
        return self.logits, *network, self.orders

    @property
    def rows(self) -> tuple[Array, Array, Array, Array]:
        """Of each entry its b, W, M and V."""
        return jnp.ravel(self.logits), self.weight, self.mask_weight, self.readout

    @property
    def start(self) -> Float[Array, " hidden"]:
        """The first hidden units' biases c: nothing is known."""
        return self.bias

    def logit(self, state: Float[Array, " hidden"], unit: PyTree) -> Float[Array, ""]:
        """b_d + V_d . h."""
        return unit[0] + unit[3] @ self._hidden(state)

    def after(self, state: Float[Array, " hidden"], unit: PyTree, bit: Array) -> Float[Array, " hidden"]:
        """Add W_d x_d + M_d."""
        return state + unit[1] * bit + unit[2]

    def _hidden(self, state: Float[Array, " hidden"]) -> Float[Array, " hidden"]:
        hidden = relu(state)
        for weight, bias in zip(self.inner, self.inner_bias, strict=True):
            hidden = relu(hidden @ weight + bias)
        return hidden

    def given(self, value: Float[Array, "*d"], known: Bool[Array, "*d"]) -> Bernoulli:
        """Each entry given the known ones alone, in one pass of the network.

        Args:
            value: the example; what is not known is not read.
            known: which entries are given.
        """
        mask = jnp.ravel(known).astype(self.bias.dtype)
        values = jnp.where(jnp.ravel(known), jnp.ravel(value), 0.0)
        hidden = self._hidden(self.bias + values @ self.weight + mask @ self.mask_weight)
        return Bernoulli(self.logits + (self.readout @ hidden).reshape(self.logits.shape))

    def in_order(self, order: Int[Array, " n"]) -> "OrderAgnosticNade":
        """The NADE of one order."""
        return OrderAgnosticNade(*self.arguments[:-1], orders=order[None])

    def log_prob(self, value: Float[Array, "*d"]) -> Float[Array, ""]:  # pyright: ignore
        """Log of the mean over orders of p(x | o) [nats]."""
        return log_mean_exp(self.order_log_probs(value, jnp.ones(jnp.shape(value), bool)))

    def observed_log_prob(self, value: Float[Array, "*d"], observed: Array) -> Float[Array, ""]:
        """Log probability of the observed entries, which every order puts first [nats].

        So nothing has to be summed out. For each mask it is a density; those of two masks, of orders that differ, need
        not agree.
        """
        return log_mean_exp(self.order_log_probs(value, jnp.asarray(observed)))

    def order_log_probs(self, value: Float[Array, "*d"], observed: Bool[Array, "*d"]) -> Float[Array, " k"]:
        """Log p(x_observed | o) of each order, with the observed entries in front [nats]."""
        seen = jnp.ravel(observed)
        values = jnp.where(seen, jnp.ravel(value), 0.0).reshape(jnp.shape(value))

        def one(order: Array) -> Array:
            log_probs = self.in_order(observed_first(order, seen)).conditional(values).log_prob(values)
            return jnp.where(seen, jnp.ravel(log_probs), 0.0).sum()

        return jax.vmap(one)(self.orders)

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw zeros and ones: an order at random, then unit after unit in it."""
        if len(self.orders) == 1:
            return super().sample(key, sample_shape)

        def one(key: Key[Array, ""]) -> Array:
            order_key, draw_key = jr.split(key)
            order = self.orders[jr.randint(order_key, (), 0, len(self.orders), jnp.int32)]
            return self.in_order(order).sample(draw_key)

        if not sample_shape:
            return one(key)
        draws = jax.vmap(one)(jr.split(key, sample_shape).reshape(-1))
        return draws.reshape(*sample_shape, *self.event_shape)

    def complete(
        self, key: Key[Array, ""], value: Float[Array, "*d"], known: Bool[Array, "*d"], steps: int = 1
    ) -> tuple[Array, Array]:
        """A draw of what is not known, exact under an order that is drawn too: the known entries are its front.

        Args:
            key: for order and draw.
            value: the example; what is not known is not read.
            known: which entries are given.
            steps: not used: the draw is exact.
        """
        del steps
        order_key, draw_key = jr.split(key)
        order = jr.permutation(order_key, jnp.arange(jnp.size(value), dtype=jnp.int32))
        return self.completed(draw_key, value, known, order)

    def completed(
        self, key: Key[Array, ""], value: Float[Array, "*d"], known: Bool[Array, "*d"], order: Int[Array, " n"]
    ) -> tuple[Array, Array]:
        """The same in a given order, whose known entries are moved to its front."""
        seen, shape = jnp.ravel(known), jnp.shape(value)
        single = self.in_order(observed_first(order, seen))
        places = single.orders[0]
        noise = uniforms(key, seen.shape).astype(self.bias.dtype)
        given = jnp.where(seen, jnp.ravel(value), 0.0)[places]

        def step(state: Array, item: PyTree) -> tuple[Array, tuple[Array, Array]]:
            unit, u, bit, is_known = item
            probability = sigmoid(single.logit(state, unit))
            bit = jnp.where(is_known, bit, (u < probability).astype(u.dtype))
            return single.after(state, unit, bit), (bit, jnp.where(is_known, bit, probability))

        _, found = jax.lax.scan(step, single.start, (single.units, noise, given, seen[places]))
        draw, mean = (jnp.zeros_like(part).at[places].set(part, unique_indices=True).reshape(shape) for part in found)
        return draw, mean
