"""The cells of one row of a table, each column with a distribution of its own kind."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpyro.distributions as nd
from jax.nn import log_softmax, sigmoid
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

from nelbo.core import InputError, choice, softplus

NUMBERS, BITS = ("real", "positive"), ("binary",)
COLUMN_KINDS = (*NUMBERS, *BITS, "words")
_HALF_LOG_TAU = 0.5 * math.log(2.0 * math.pi)
_LEAST = 1e-30  # a positive number that float32 has, in place of what is missing


def column_widths(kinds: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    """Kind and number of entries of each column: "real", "positive" and "binary" have one, "words:5" has five.

    Raises:
        InputError: another kind.
    """
    found = []
    for kind in kinds:
        name, _, width = kind.partition(":")
        choice("kind of column", name, COLUMN_KINDS)
        if (name == "words") != width.isdigit() or width == "0":
            raise InputError(f"A kind of column is real, positive, binary or words:COUNT, got {kind!r}.")
        found.append((name, int(width or 1)))
    return tuple(found)


class Columns(nd.Distribution):
    """Independent columns: normals, log-normals, bits, and words as one-hot entries.

    Every entry has a log density of its own, so that a mask leaves out what is missing; those of a word's entries add
    up to the log probability of the word.

    Args:
        loc: `(*batch, entries)`; of numbers the mean (of the logarithm, where they are positive); of bits and words
            their logits.
        scale: the same shape; standard deviation of numbers (of their logarithms); not read elsewhere.
        kinds: of the columns, see `column_widths`.
    """

    arg_constraints: Any = {}
    support: Any = constraints.real
    pytree_data_fields = ("loc", "scale")
    pytree_aux_fields = ("kinds",)

    def __init__(self, loc: Float[Array, "*batch d"], scale: Float[Array, "*batch d"], kinds: tuple[str, ...]) -> None:
        self.loc, self.scale, self.kinds = loc, scale, kinds
        super().__init__(batch_shape=jnp.shape(loc), event_shape=())

    def _pick(self, names: tuple[str, ...], these: Float[Array, "*batch d"], others: Float[Array, "*batch d"]) -> Array:
        """The entries of columns of these kinds from one array, all others from another."""
        own = [name in names for name, width in column_widths(self.kinds) for _ in range(width)]
        return jnp.where(jnp.broadcast_to(jnp.asarray(own), these.shape), these, others)

    def _by_words(self, function: Any, values: Float[Array, "*batch d"], *more: Array) -> Float[Array, "*batch d"]:
        """A function of the entries of each column of words, along the last axis; others stay as they are."""
        parts, at = [], 0
        for name, width in column_widths(self.kinds):
            own = [array[..., at : at + width] for array in (values, *more)]
            parts.append(function(*own) if name == "words" else own[0])
            at += width
        return jnp.concatenate(parts, -1)

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "*batch d"]:  # pyright: ignore
        """Log density of each entry, and log probability of bits and words [nats]."""
        logs = jnp.log(jnp.maximum(value, _LEAST))
        seen = self._pick(("positive",), logs, value)
        numbers = -0.5 * ((seen - self.loc) / self.scale) ** 2 - jnp.log(self.scale) - _HALF_LOG_TAU
        numbers = numbers - self._pick(("positive",), logs, jnp.zeros_like(logs))
        bits = value * self.loc - softplus(self.loc)
        words = value * self._by_words(log_softmax, self.loc)
        return self._pick(NUMBERS, numbers, self._pick(BITS, bits, words))

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw a row; a word is a 1 among zeros."""
        normal_key, bit_key, word_key = jr.split(key, 3)
        shape, dtype = (*sample_shape, *self.batch_shape), self.loc.dtype
        loc, scale = jnp.broadcast_to(self.loc, shape), jnp.broadcast_to(self.scale, shape)
        numbers = loc + scale * jr.normal(normal_key, shape, dtype)
        numbers = self._pick(("positive",), jnp.exp(numbers), numbers)
        bits = jr.bernoulli(bit_key, sigmoid(loc)).astype(dtype)
        words = self._by_words(_largest, loc + jr.gumbel(word_key, shape, dtype))
        return self._pick(NUMBERS, numbers, self._pick(BITS, bits, words))

    @property
    def mean(self) -> Float[Array, "*batch d"]:
        """Mean of each entry: of bits and words their probabilities."""
        numbers = self._pick(("positive",), jnp.exp(self.loc + 0.5 * self.scale**2), self.loc)
        words = self._by_words(lambda logits: jnp.exp(log_softmax(logits)), self.loc)
        return self._pick(NUMBERS, numbers, self._pick(BITS, sigmoid(self.loc), words))

    @property
    def variance(self) -> Float[Array, "*batch d"]:
        """Variance of each entry."""
        mean, squares = self.mean, self.scale**2
        spread = self._pick(("positive",), mean**2 * jnp.expm1(squares), squares)
        return self._pick(NUMBERS, spread, mean * (1.0 - mean))


def _largest(values: Float[Array, "*batch k"]) -> Float[Array, "*batch k"]:
    """One at the largest entry, zero elsewhere."""
    return jax.nn.one_hot(jnp.argmax(values, -1), values.shape[-1], dtype=values.dtype)
