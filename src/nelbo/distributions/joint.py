"""Distributions of dependent units: autoregressive bits, and the words of a document."""

from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpyro.distributions as nd
from jax.nn import log_softmax, softmax
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

from nelbo.distributions.elementary import Bernoulli
from nelbo.distributions.sequential import SequentialBernoulli


class AutoregressiveBernoulli(SequentialBernoulli):
    """Bits each of which depends on those before it, p(h) = prod_j Bern(h_j; sigma(a_j + sum_{i<j} S_ji h_i)).

    The density takes one masked matrix product, a draw one step for each unit. Units are in the order of the
    flattened example.
    Source: Gregor et al., Deep AutoRegressive Networks (2014), eq. 5; Mnih and Gregor (2014), section 3.2.

    Args:
        logits: a, the shape of one example.
        weight: S; only its strictly lower triangle is read.
    """

    arg_constraints = {"logits": constraints.real, "weight": constraints.real_matrix}

    def __init__(self, logits: Float[Array, "*d"], weight: Float[Array, "n n"]) -> None:
        self.logits, self.weight = logits, weight
        super().__init__(event_shape=jnp.shape(logits), validate_args=False)

    @property
    def arguments(self) -> tuple[Array, Array]:
        """Logits and weight."""
        return self.logits, self.weight

    @property
    def rows(self) -> tuple[Array, Array, Array]:
        """Of each unit its place, its a and its row of S."""
        return jnp.arange(self.logits.size), jnp.ravel(self.logits), jnp.tril(self.weight, -1)

    @property
    def start(self) -> Float[Array, " n"]:
        """Zeros: the state is the units themselves, zero from the next one on."""
        return jnp.zeros(self.logits.size, self.logits.dtype)

    def logit(self, state: Float[Array, " n"], unit: tuple[Array, Array, Array]) -> Float[Array, ""]:
        """a_j + S_j . state."""
        _, logit, row = unit
        return logit + row @ state

    def after(self, state: Float[Array, " n"], unit: tuple[Array, Array, Array], bit: Array) -> Float[Array, " n"]:
        """Put the unit into its place."""
        return state.at[unit[0]].set(bit)

    def conditional(self, value: Float[Array, "*d"]) -> Bernoulli:
        """Each unit given those before it in `value`."""
        before = jnp.tril(self.weight, -1) @ jnp.ravel(value)
        return Bernoulli(self.logits + before.reshape(self.logits.shape))


class BagOfWords(nd.Distribution):
    """Word counts of a document whose words are drawn independently, `log p(x) = sum_w x_w log softmax(a)_w` [nats].

    It is the probability of the words in their order (no multinomial coefficient), as perplexity counts it, given the
    length of the document. Source: Mnih and Gregor (2014), section 5.3; Hinton and Salakhutdinov (2009).

    Args:
        logits: a, one for each word of the vocabulary.
        words: length of the documents that are drawn.
    """

    arg_constraints = {"logits": constraints.real_vector}
    support: Any = constraints.independent(constraints.nonnegative_integer, 1)
    pytree_aux_fields = ("words",)

    def __init__(self, logits: Float[Array, " v"], words: int = 100) -> None:
        self.logits, self.words = logits, words
        super().__init__(event_shape=jnp.shape(logits), validate_args=False)

    def log_prob(self, value: Float[Array, " v"]) -> Float[Array, ""]:  # pyright: ignore
        """Log probability of one document [nats]."""
        return (value * log_softmax(self.logits)).sum()

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Counts of a document of `words` words, as numbers like the logits."""
        drawn = jr.categorical(key, self.logits, shape=(*sample_shape, self.words))
        return jax.nn.one_hot(drawn, self.logits.shape[-1], dtype=self.logits.dtype).sum(-2)

    @property
    def mean(self) -> Float[Array, " v"]:
        """Expected counts in a document of `words` words."""
        return self.words * softmax(self.logits)
