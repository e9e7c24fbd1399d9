"""Bits one after another: a state that sums up the bits so far, the logit of the next from it, its change by a bit."""

import functools
import math
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
import jax.random as jr
from jax.nn import log_softmax, logsumexp, sigmoid, softmax
from jaxtyping import Array, Float, Int, Key, PyTree
from numpyro.distributions import constraints

from nelbo.core import softplus
from nelbo.distributions.elementary import Bernoulli, BinaryUnits, Completable, Marginalizable, uniforms


class SequentialBernoulli(BinaryUnits):
    """Abstract: p(x) = prod_d p(x_d | x_<d), where a state of fixed size holds all that is to be known of x_<d.

    Draws, codes, and the logits of all units given those before them are one pass over the units. These are in the
    order of the flattened example, or in `order`, the place there of each unit.
    """

    pytree_data_fields = ("order",)
    order: Int[Array, " n"] | None = None

    @property
    def support(self) -> constraints.Constraint:  # pyright: ignore
        """Zeros and ones."""
        return constraints.independent(constraints.boolean, len(self.event_shape))

    @property
    def arguments(self) -> tuple[Array, ...]:
        """The arrays that the class is built from, one for each of its arguments."""
        raise NotImplementedError

    @property
    def rows(self) -> PyTree:
        """What belongs to each entry of the flattened example: arrays whose first dimension runs over the entries."""
        raise NotImplementedError

    @property
    def units(self) -> PyTree:
        """The rows in the order of the units."""
        return self.rows if self.order is None else jax.tree.map(lambda rows: rows[self.order], self.rows)

    @property
    def start(self) -> Array:
        """The state before the first unit."""
        raise NotImplementedError

    def logit(self, state: Array, unit: PyTree) -> Float[Array, ""]:
        """Of a unit's being one, given those before it."""
        raise NotImplementedError

    def after(self, state: Array, unit: PyTree, bit: Float[Array, ""]) -> Array:
        """The state once a unit is known."""
        raise NotImplementedError

    def conditional(self, value: Float[Array, "*d"]) -> Bernoulli:
        """Each unit given those before it in `value`."""

        # kept for the backward pass are the states alone: that takes 0.6 of the time, and two thirds of the memory
        @functools.partial(jax.checkpoint, prevent_cse=False)
        def step(state: Array, item: tuple[PyTree, Array]) -> tuple[Array, Array]:
            unit, bit = item
            return self.after(state, unit, bit), self.logit(state, unit)

        bits = jnp.ravel(value) if self.order is None else jnp.ravel(value)[self.order]
        return Bernoulli(self._placed(jax.lax.scan(step, self.start, (self.units, bits))[1]))

    def log_prob(self, value: Float[Array, "*d"]) -> Float[Array, ""]:  # pyright: ignore
        """Log probability of one example [nats]."""
        return self.conditional(value).log_prob(value).sum()

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw zeros and ones, as numbers like the parameters, unit after unit."""
        size = math.prod(self.event_shape)
        noise = uniforms(key, (*sample_shape, size)).astype(self.start.dtype)
        draws = self._ancestral(noise) if not sample_shape else jax.vmap(self._ancestral)(noise.reshape(-1, size))
        return draws.reshape(*sample_shape, *self.event_shape)

    @property
    def mean(self) -> Float[Array, "*d"]:
        """P(x_d = 1) with every earlier unit at its own mean: a guess, for the exact marginals need 2^n terms."""
        size = math.prod(self.event_shape)
        return self._filled(lambda probability, u: probability + 0.0 * u, jnp.zeros(size, self.start.dtype))

    def _ancestral(self, noise: Float[Array, " n"]) -> Float[Array, "*d"]:
        return self._filled(lambda probability, u: (u < probability).astype(u.dtype), noise)

    def _filled(self, value: Callable[[Array, Array], Array], noise: Float[Array, " n"]) -> Float[Array, "*d"]:
        """All units one after another; `value(P(x_d = 1 | before), noise_d)` gives the value of each."""

        def step(state: Array, item: tuple[PyTree, Array]) -> tuple[Array, Array]:
            unit, u = item
            bit = value(sigmoid(self.logit(state, unit)), u)
            return self.after(state, unit, bit), bit

        return self._placed(jax.lax.scan(step, self.start, (self.units, noise))[1])

    def _placed(self, values: Float[Array, " n"]) -> Float[Array, "*d"]:
        """Units in the places of the example."""
        if self.order is not None:
            values = jnp.zeros_like(values).at[self.order].set(values, unique_indices=True)
        return values.reshape(self.event_shape)


class Nade(SequentialBernoulli):
    """Neural autoregressive distribution, p(x_d = 1 | x_<d) = sigma(b_d + V_d . sigma(c + sum_{i<d} W_i x_i)).

    The state is the argument of the hidden units, so a pass costs as much as one through a perceptron with the hidden
    units evaluated anew for each unit: O(n hidden).
    Source: Larochelle and Murray (2011), eqs. 7 to 10, with untied weights.

    Args:
        logits: b, the shape of one example.
        weight: W, a row for each entry of the flattened example.
        readout: V, likewise.
        bias: c.
        order: places in the flattened example in the order of the units; None is the order of the example.
    """

    references: ClassVar[tuple[str, ...]] = ("larochelle2011",)
    arg_constraints = {
        "logits": constraints.real,
        "weight": constraints.real_matrix,
        "readout": constraints.real_matrix,
        "bias": constraints.real_vector,
    }

    def __init__(
        self,
        logits: Float[Array, "*d"],
        weight: Float[Array, "n hidden"],
        readout: Float[Array, "n hidden"],
        bias: Float[Array, " hidden"],
        order: Int[Array, " n"] | None = None,
    ) -> None:
        self.logits, self.weight, self.readout, self.bias, self.order = logits, weight, readout, bias, order
        super().__init__(event_shape=jnp.shape(logits), validate_args=False)

    @property
    def arguments(self) -> tuple[Array, ...]:
        """Logits, weight, readout, bias and the order written out."""
        order = jnp.arange(self.logits.size) if self.order is None else self.order
        return self.logits, self.weight, self.readout, self.bias, order

    @property
    def rows(self) -> tuple[Array, Array, Array]:
        """Of each entry its b, W and V."""
        return jnp.ravel(self.logits), self.weight, self.readout

    @property
    def start(self) -> Float[Array, " hidden"]:
        """The hidden units' biases c."""
        return self.bias

    def logit(self, state: Float[Array, " hidden"], unit: tuple[Array, Array, Array]) -> Float[Array, ""]:
        """b_d + V_d . sigma(state)."""
        logit, _, readout = unit
        return logit + readout @ sigmoid(state)

    def after(self, state: Float[Array, " hidden"], unit: tuple[Array, Array, Array], bit: Array) -> Array:
        """Add W_d x_d."""
        return state + unit[1] * bit


class BernoulliMixture(SequentialBernoulli, Marginalizable, Completable):
    """A mixture of products of Bernoullis, p(x) = sum_k pi_k prod_d Bern(x_d; sigma(a_kd)).

    The density is a logsumexp over components, of all entries or of those that were observed. Unit after unit the state
    is log p(k, x_<d), the responsibilities up to a factor.
    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 9.3.3.

    Args:
        weights: log pi up to a constant, one for each component.
        components: a, for each entry of an example its logit in every component.
    """

    references: ClassVar[tuple[str, ...]] = ("bishop2006",)
    arg_constraints = {"weights": constraints.real_vector, "components": constraints.real}

    def __init__(self, weights: Float[Array, " k"], components: Float[Array, "*d k"]) -> None:
        self.weights, self.components = weights, components
        super().__init__(event_shape=jnp.shape(components)[:-1], validate_args=False)

    @property
    def arguments(self) -> tuple[Array, Array]:
        """Weights and components."""
        return self.weights, self.components

    @property
    def rows(self) -> Float[Array, "n k"]:
        """The components, flattened."""
        return self.components.reshape(-1, self.components.shape[-1])

    @property
    def start(self) -> Float[Array, " k"]:
        """The log weights."""
        return log_softmax(self.weights)

    def logit(self, state: Float[Array, " k"], unit: Float[Array, " k"]) -> Float[Array, ""]:
        """Of the mean of the components' probabilities under the responsibilities."""
        weights = jnp.exp(state - state.max())
        return jnp.log(weights @ sigmoid(unit)) - jnp.log(weights @ sigmoid(-unit))

    def after(self, state: Float[Array, " k"], unit: Float[Array, " k"], bit: Float[Array, ""]) -> Float[Array, " k"]:
        """Add log p(x_d | k)."""
        return state + (bit * unit - softplus(unit))

    def log_prob(self, value: Float[Array, "*d"]) -> Float[Array, ""]:  # pyright: ignore
        """Log probability of one example [nats]."""
        terms = jnp.ravel(value) @ self.rows - softplus(self.rows).sum(0)
        return logsumexp(self.start + terms)

    def observed_log_prob(self, value: Float[Array, "*d"], observed: Array) -> Float[Array, ""]:
        """Log probability of the observed entries of one example, the others summed out [nats]."""
        return logsumexp(self._log_joint(value, observed))

    def _log_joint(self, value: Float[Array, "*d"], observed: Array) -> Float[Array, " k"]:
        """Log p(k, x_observed) of each component."""
        seen = jnp.ravel(observed).astype(self.rows.dtype)
        return self.start + jnp.where(seen > 0, jnp.ravel(value), 0.0) @ self.rows - seen @ softplus(self.rows)

    def complete(
        self, key: Key[Array, ""], value: Float[Array, "*d"], known: Array, steps: int = 1
    ) -> tuple[Array, Array]:
        """A draw of what is not known, exact: a component given what is, then the entries given it.

        The probabilities are means over components given what is known, so they are exact too.
        """
        del steps
        component_key, bit_key = jr.split(key)
        log_joint = self._log_joint(value, known)
        component = self.components[..., jr.categorical(component_key, log_joint)]
        mean = sigmoid(self.components) @ softmax(log_joint)
        known = jnp.asarray(known)
        return jnp.where(known, value, Bernoulli(component).sample(bit_key)), jnp.where(known, value, mean)

    @property
    def mean(self) -> Float[Array, "*d"]:
        """P(x_d = 1), exact."""
        return sigmoid(self.components) @ softmax(self.weights)
