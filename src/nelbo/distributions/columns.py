"""The cells of one row of a table, each column with a distribution of its own kind."""

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpyro.distributions as nd
from jax.nn import log_softmax, sigmoid
from jax.scipy.special import gammaln
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

from nelbo.core import InputError, choice, softplus

NUMBERS, BITS, COUNTS, HEAVY = ("real", "positive"), ("binary",), ("count",), ("student",)
LEVELS = ("words", "ordinal")  # an entry for each level, 1 for the one that is there
COLUMN_KINDS = (*NUMBERS, *COUNTS, *HEAVY, *BITS, *LEVELS)
ONE_NUMBER = (*NUMBERS, *COUNTS, *HEAVY)
DEGREES = 4.0  # of freedom of heavy-tailed columns
_HALF_LOG_TAU = 0.5 * math.log(2.0 * math.pi)
_LEAST_SCALE = 0.03  # of counts: at 1 / 0.03^2 float32 still tells log-gammas apart
_MOST = 1e6  # draws of a Poisson law have 32-bit whole numbers
_LEAST = 1e-30  # a positive number that float32 has, in place of what is missing


def column_widths(kinds: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    """Kind and number of entries of each column: "words:5" and "ordinal:5" have five, all others have one.

    Raises:
        InputError: another kind.
    """
    found = []
    for kind in kinds:
        name, _, width = kind.partition(":")
        choice("kind of column", name, COLUMN_KINDS)
        if (name in LEVELS) != width.isdigit() or width == "0" or kind == "ordinal:1":
            raise InputError(
                f"A kind of column is {', '.join(ONE_NUMBER + BITS)}, words:COUNT or ordinal:COUNT, got {kind!r}."
            )
        found.append((name, int(width or 1)))
    return tuple(found)


class Columns(nd.Distribution):
    """Independent columns: normals, log-normals, counts, heavy tails, bits, and words or levels as one-hot entries.

    Counts are negative binomial with variance m + s^2 m^2, which is a Poisson law for s = 0; heavy tails are those of a
    Student t with four degrees of freedom.

    Every entry has a log density of its own, so that a mask leaves out what is missing; those of a word's entries add
    up to the log probability of the word.

    Args:
        loc: `(*batch, entries)`; of numbers the mean (of the logarithm, where they are positive); of counts the
            logarithm of their mean m; of heavy tails the middle; of bits, words and levels their logits.
        scale: the same shape; standard deviation of numbers (of their logarithms); s of counts; the unit of heavy
            tails; not read elsewhere. Ordered levels differ from words in where their logits come from alone.
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
            parts.append(function(*own) if name in LEVELS else own[0])
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
        found = self._pick(NUMBERS, numbers, self._pick(BITS, bits, words))
        if self._has(COUNTS):
            found = self._with(COUNTS, _count_log_prob(*self._only(COUNTS, value, self.loc, self.scale)), found)
        if self._has(HEAVY):
            value, loc, scale = self._only(HEAVY, value, self.loc, self.scale)
            found = self._with(HEAVY, nd.StudentT(DEGREES, loc, scale).log_prob(value), found)
        return found

    def _has(self, names: tuple[str, ...]) -> bool:
        return any(name in names for name, _ in column_widths(self.kinds))

    def _runs(self, names: tuple[str, ...]) -> list[tuple[bool, slice]]:
        """Neighbouring entries that are, or are not, of columns of these kinds."""
        own = [name in names for name, width in column_widths(self.kinds) for _ in range(width)]
        runs, at = [], 0
        for is_own, group in itertools.groupby(own):
            size = len(list(group))
            runs.append((is_own, slice(at, at + size)))
            at += size
        return runs

    def _only(self, names: tuple[str, ...], *arrays: Float[Array, "*batch d"]) -> list[Array]:
        """The entries of columns of these kinds alone: what is dear to compute is not computed for all others."""
        runs = [run for is_own, run in self._runs(names) if is_own]
        return [jnp.concatenate([array[..., run] for run in runs], -1) for array in arrays]

    def _with(self, names: tuple[str, ...], these: Float[Array, "*batch k"], others: Float[Array, "*batch d"]) -> Array:
        """All entries, with those that `_only` took out in their places."""
        parts, at = [], 0
        for is_own, run in self._runs(names):
            size = run.stop - run.start
            parts.append(these[..., at : at + size] if is_own else others[..., run])
            at += size if is_own else 0
        return jnp.concatenate(parts, -1)

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw a row; a word is a 1 among zeros."""
        normal_key, bit_key, word_key = jr.split(key, 3)
        shape, dtype = (*sample_shape, *self.batch_shape), self.loc.dtype
        loc, scale = jnp.broadcast_to(self.loc, shape), jnp.broadcast_to(self.scale, shape)
        numbers = loc + scale * jr.normal(normal_key, shape, dtype)
        numbers = self._pick(("positive",), jnp.exp(numbers), numbers)
        bits = jr.bernoulli(bit_key, sigmoid(loc)).astype(dtype)
        words = self._by_words(_largest, loc + jr.gumbel(word_key, shape, dtype))
        found = self._pick(NUMBERS, numbers, self._pick(BITS, bits, words))
        if self._has(COUNTS):
            rate_key, count_key = jr.split(jr.fold_in(normal_key, 1))
            own_loc, own_scale = self._only(COUNTS, loc, scale)
            size = 1.0 / jnp.maximum(own_scale, _LEAST_SCALE) ** 2
            rates = jnp.exp(own_loc) * jr.gamma(rate_key, size) / size
            found = self._with(COUNTS, jr.poisson(count_key, jnp.minimum(rates, _MOST)).astype(dtype), found)
        if self._has(HEAVY):
            own_loc, own_scale = self._only(HEAVY, loc, scale)
            tails = jr.t(jr.fold_in(normal_key, 2), DEGREES, own_loc.shape, dtype)
            found = self._with(HEAVY, own_loc + own_scale * tails, found)
        return found

    @property
    def mean(self) -> Float[Array, "*batch d"]:
        """Mean of each entry: of bits and words their probabilities."""
        numbers = self._pick(("positive",), jnp.exp(self.loc + 0.5 * self.scale**2), self.loc)
        words = self._by_words(lambda logits: jnp.exp(log_softmax(logits)), self.loc)
        found = self._pick(NUMBERS, numbers, self._pick(BITS, sigmoid(self.loc), words))
        return self._pick(COUNTS, jnp.exp(self.loc), self._pick(HEAVY, self.loc, found))

    @property
    def variance(self) -> Float[Array, "*batch d"]:
        """Variance of each entry."""
        mean, squares = self.mean, self.scale**2
        spread = self._pick(("positive",), mean**2 * jnp.expm1(squares), squares)
        spread = self._pick(COUNTS, mean + squares * mean**2, spread)
        spread = self._pick(HEAVY, squares * DEGREES / (DEGREES - 2.0), spread)
        return self._pick(ONE_NUMBER, spread, mean * (1.0 - mean))


def _largest(values: Float[Array, "*batch k"]) -> Float[Array, "*batch k"]:
    """One at the largest entry, zero elsewhere."""
    return jax.nn.one_hot(jnp.argmax(values, -1), values.shape[-1], dtype=values.dtype)


def _count_log_prob(
    value: Float[Array, "*batch k"], loc: Float[Array, "*batch k"], scale: Float[Array, "*batch k"]
) -> Float[Array, "*batch k"]:
    """Log probability of counts, written so that a small s loses no digits [nats]."""
    value = jnp.maximum(value, 0.0)
    mean, size = jnp.exp(loc), 1.0 / jnp.maximum(scale, _LEAST_SCALE) ** 2
    same = gammaln(value + size) - gammaln(size) - value * jnp.log(size)  # zero for s = 0
    return value * loc - gammaln(value + 1.0) + same - (size + value) * jnp.log1p(mean / size)
