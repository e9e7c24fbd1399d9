"""The cells of one row of a table, each column with a distribution of its own kind."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as nd
from jax.nn import sigmoid
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

from nelbo.core import InputError, choice, softplus
from nelbo.distributions.counts import gamma_ratio

NUMBERS, POSITIVE, COUNTS, HEAVY, BITS = ("real",), ("positive",), ("count",), ("student",), ("binary",)
LEVELS = ("words", "ordinal")  # an entry for each level, 1 for the one that is there
ONE_NUMBER = (*NUMBERS, *POSITIVE, *COUNTS, *HEAVY)
COLUMN_KINDS = (*ONE_NUMBER, *BITS, *LEVELS)
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

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "*batch d"]:  # pyright: ignore
        """Log density of each entry, and log probability of bits and words [nats]."""
        widths = self._level_widths
        rules: Rules = {
            NUMBERS: _normal_log_prob,
            POSITIVE: _log_normal_log_prob,
            COUNTS: _count_log_prob,
            HEAVY: lambda value, loc, scale: nd.StudentT(DEGREES, loc, scale).log_prob(value),
            BITS: lambda value, loc, _: value * loc - softplus(loc),
            LEVELS: lambda value, loc, _: value * _log_softmax(loc, widths),
        }
        shape = jnp.broadcast_shapes(value.shape, self.loc.shape)
        return by_kind(self.kinds, rules, *(jnp.broadcast_to(a, shape) for a in (value, self.loc, self.scale)))

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw a row; a word is a 1 among zeros."""
        real_key, positive_key, count_key, heavy_key, bit_key, word_key = jr.split(key, 6)
        shape, dtype, widths = (*sample_shape, *self.batch_shape), self.loc.dtype, self._level_widths

        def normal(key: Key[Array, ""], loc: Array, scale: Array) -> Array:
            return loc + scale * jr.normal(key, loc.shape, dtype)

        def count(loc: Array, scale: Array) -> Array:
            gamma_key, poisson_key = jr.split(count_key)
            size = 1.0 / jnp.maximum(scale, _LEAST_SCALE) ** 2
            rates = jnp.exp(loc) * jr.gamma(gamma_key, size) / size
            return jr.poisson(poisson_key, jnp.minimum(rates, _MOST)).astype(dtype)

        rules: Rules = {
            NUMBERS: lambda loc, scale: normal(real_key, loc, scale),
            POSITIVE: lambda loc, scale: jnp.exp(normal(positive_key, loc, scale)),
            COUNTS: count,
            HEAVY: lambda loc, scale: loc + scale * jr.t(heavy_key, DEGREES, loc.shape, dtype),
            BITS: lambda loc, _: jr.bernoulli(bit_key, sigmoid(loc)).astype(dtype),
            LEVELS: lambda loc, _: _largest(loc + jr.gumbel(word_key, loc.shape, dtype), widths),
        }
        return by_kind(self.kinds, rules, *(jnp.broadcast_to(a, shape) for a in (self.loc, self.scale)))

    @property
    def mean(self) -> Float[Array, "*batch d"]:
        """Mean of each entry: of bits and words their probabilities."""
        widths = self._level_widths
        rules: Rules = {
            NUMBERS + HEAVY: lambda loc, _: loc,
            POSITIVE: lambda loc, scale: jnp.exp(loc + 0.5 * scale**2),
            COUNTS: lambda loc, _: jnp.exp(loc),
            BITS: lambda loc, _: sigmoid(loc),
            LEVELS: lambda loc, _: jnp.exp(_log_softmax(loc, widths)),
        }
        return by_kind(self.kinds, rules, self.loc, self.scale)

    @property
    def variance(self) -> Float[Array, "*batch d"]:
        """Variance of each entry."""
        rules: Rules = {
            NUMBERS: lambda _, scale: scale**2,
            POSITIVE: lambda mean, scale: mean**2 * jnp.expm1(scale**2),
            COUNTS: lambda mean, scale: mean + (scale * mean) ** 2,
            HEAVY: lambda _, scale: scale**2 * DEGREES / (DEGREES - 2.0),
            BITS + LEVELS: lambda mean, _: mean * (1.0 - mean),
        }
        return by_kind(self.kinds, rules, self.mean, self.scale)

    @property
    def _level_widths(self) -> tuple[int, ...]:
        return tuple(width for name, width in column_widths(self.kinds) if name in LEVELS)


Rules = dict[tuple[str, ...], Callable[..., Array]]


def by_kind(kinds: tuple[str, ...], rules: Rules, *arrays: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
    """All entries, each by the rule of its column's kind, which is given the entries of such columns alone.

    To compute every rule for all entries and choose afterwards takes three times as long: the rules of counts, bits and
    words are logarithms and exponentials.

    Args:
        kinds: of the columns, see `column_widths`.
        rules: by names of kinds; every kind among the columns has one.
        arrays: what the rules read, with one entry for each of the columns' along the last axis.
    """
    owner = [
        next(names for names in rules if name in names) for name, width in column_widths(kinds) for _ in range(width)
    ]
    runs = [(names, len(list(entries))) for names, entries in itertools.groupby(owner)]
    sizes = [size for _, size in runs]
    # `split` has one concatenation for a gradient, where slices would have a sum of padded arrays
    parts = [jax.lax.split(array, sizes, axis=array.ndim - 1) for array in arrays]
    found: dict[tuple[str, ...], list[Array]] = {}
    for names, rule in rules.items():
        own = [i for i, (each, _) in enumerate(runs) if each == names]
        if own:
            result = rule(*(jnp.concatenate([part[i] for i in own], -1) for part in parts))
            found[names] = list(jax.lax.split(result, [sizes[i] for i in own], axis=result.ndim - 1))
    return jnp.concatenate([found[names].pop(0) for names, _ in runs], -1)


def _padded(values: Float[Array, "*batch k"], widths: tuple[int, ...]) -> Float[Array, "*batch columns widest"]:
    """The entries of each column in a row of its own, filled up with minus infinity."""
    places, starts = np.arange(max(widths)), np.cumsum((0, *widths[:-1]))
    there = places < np.asarray(widths)[:, None]
    rows = jnp.take(values, np.where(there, starts[:, None] + places, 0), axis=-1, mode="clip")
    return jnp.where(jnp.broadcast_to(there, rows.shape), rows, -jnp.inf)


def _log_softmax(values: Float[Array, "*batch k"], widths: tuple[int, ...]) -> Float[Array, "*batch k"]:
    """Log probabilities of the levels of each column, all columns at once: a table may have a hundred of them.

    Sums over a column's entries are products with a matrix of zeros and ones, whose gradient is fast everywhere; that
    of an index is not.
    """
    column = np.repeat(np.arange(len(widths)), widths)
    member = jnp.asarray(column[:, None] == np.arange(len(widths)), values.dtype)
    largest = _padded(jax.lax.stop_gradient(values), widths).max(-1)
    shifted = values - jnp.take(largest, column, axis=-1, mode="clip")
    total = jnp.log(jnp.matmul(jnp.exp(shifted), member, precision="highest"))
    return shifted - jnp.matmul(total, member.T, precision="highest")


def _largest(values: Float[Array, "*batch k"], widths: tuple[int, ...]) -> Float[Array, "*batch k"]:
    """One at the largest entry of each column, zero elsewhere."""
    places = np.concatenate([np.arange(width) for width in widths])
    best = jnp.repeat(_padded(values, widths).argmax(-1), np.asarray(widths), axis=-1, total_repeat_length=len(places))
    return (best == jnp.broadcast_to(places, best.shape)).astype(values.dtype)


def _normal_log_prob(
    value: Float[Array, "*batch k"], loc: Float[Array, "*batch k"], scale: Float[Array, "*batch k"]
) -> Float[Array, "*batch k"]:
    """Log density of normals [nats]."""
    return -0.5 * ((value - loc) / scale) ** 2 - jnp.log(scale) - _HALF_LOG_TAU


def _log_normal_log_prob(
    value: Float[Array, "*batch k"], loc: Float[Array, "*batch k"], scale: Float[Array, "*batch k"]
) -> Float[Array, "*batch k"]:
    """Log density of positive numbers whose logarithms are normal [nats]."""
    logs = jnp.log(jnp.maximum(value, _LEAST))
    return _normal_log_prob(logs, loc, scale) - logs


def _count_log_prob(
    value: Float[Array, "*batch k"], loc: Float[Array, "*batch k"], scale: Float[Array, "*batch k"]
) -> Float[Array, "*batch k"]:
    """Log probability of counts, written so that a small s loses no digits [nats]."""
    value = jnp.maximum(value, 0.0)
    mean, size = jnp.exp(loc), 1.0 / jnp.maximum(scale, _LEAST_SCALE) ** 2
    # log Gamma(value + size) - log Gamma(size) - value log(size), zero for s = 0; and log Gamma(value + 1)
    same = gamma_ratio(size, value) + value * jnp.log1p(value / size)
    whole = gamma_ratio(jnp.ones_like(value), value) + value * jnp.log1p(value)
    return value * loc - whole + same - (size + value) * jnp.log1p(mean / size)
