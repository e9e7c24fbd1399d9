"""How each class of distributions is coded: what a network gives, the symbols, the codec that these parameters select.

A class is looked up in `CODINGS` along its bases, so that a distribution derived from a known one is coded like it.
Any other distribution is coded by its own log probabilities if its entries are independent and take finitely many whole
numbers. So a likelihood of a user's own needs no entry here.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array
from numpyro.distributions import constraints

from nelbo.codecs.batch_codecs import (
    BetaBinomials,
    autoregressive_bits,
    beta_binomial,
    bits_behind_a_state,
    categorical,
    correlated_normal,
    independent_bits,
    logistic,
    normal,
)
from nelbo.codecs.codec import Codec
from nelbo.codecs.sequential import UnitByUnit
from nelbo.codecs.tables import Bins, level_bins
from nelbo.core import InputError
from nelbo.distributions import (
    AutoregressiveBernoulli,
    Bernoulli,
    BernoulliMixture,
    BetaBinomial,
    Categorical,
    CorrelatedNormal,
    DiscretizedLogistic,
    Distribution,
    Nade,
    Normal,
    OrderAgnosticNade,
    SequentialBernoulli,
    example_shape,
)

MOST_LEVELS = 1 << 12  # of a distribution that is coded by its log probabilities
Range = tuple[int, int]  # the smallest and the greatest value of a unit
Support = Callable[[], Range]  # finds them by the distribution's own `support`


def _one(_: Any) -> int:
    return 1


def _two(_: Any) -> int:
    return 2


def _as_they_are(_: Any, values: Bins | Range, batch: int) -> Any:
    del batch
    return values


@dataclasses.dataclass(frozen=True)
class Coding:
    """How one class of distributions is coded.

    Functions of a distribution get one with shapes in place of arrays, but for `parameters`.

    Args:
        parameters: from the distribution of one example to arrays that say which one it is, in a compiled function.
        codec: from these arrays (examples first), the rounding, the place of the first number that is rounded and what
            `tables` made, to a codec of `(examples, units)` symbols; `drawn=True` where symbols are only ever drawn
            from it, so that a frequency may be zero.
        values: from a distribution, and a function that asks its support, to the values of a unit; None where these
            are real numbers.
        shared: of each parameter whether it is the same for all examples; () where none is.
        rounded: how many numbers are rounded for each unit.
        tables: from a distribution, its values (of real ones the division of the line) and the size of a batch to what
            the codec's tables are made from.
        is_standard: whether it is N(0, I), by its parameters; None where it never is.
    """

    parameters: Callable[[Any], tuple[Array, ...]]
    codec: Callable[..., Codec]
    values: Callable[[Any, Support], Range | None]
    shared: tuple[bool, ...] = ()
    rounded: Callable[[Any], int] = _one
    tables: Callable[[Any, Any, int], Any] = _as_they_are
    is_standard: Callable[..., bool] | None = None


@dataclasses.dataclass(frozen=True)
class _LogWeights:
    """Log probabilities of all values of every unit, `(units, levels)` [nats]."""

    values: Range

    def __call__(self, distribution: Any) -> tuple[Array]:
        low, high = self.values
        shape = example_shape(distribution)
        every = jnp.arange(low, high + 1, dtype=float)
        logs = jax.vmap(lambda value: distribution.log_prob(jnp.full(shape, value)))(every)
        return (logs.reshape(len(every), -1).T,)


def _bits(_: Any, support: Support) -> Range:
    del support
    return 0, 1


def _levels(distribution: Any, support: Support) -> Range:
    del support
    return 0, distribution.levels - 1


def _real(_: Any, support: Support) -> None:
    del support


def _logits(distribution: Any) -> tuple[Array]:
    return (jnp.ravel(distribution.logits),)


def _location_and_scale(distribution: Any) -> tuple[Array, Array]:
    return jnp.ravel(distribution.loc), jnp.ravel(distribution.scale)


def _location_and_root(q: CorrelatedNormal) -> tuple[Array, Array]:
    return q.loc, jnp.linalg.cholesky(q.covariance)


def _unit_by_unit(shared: tuple[bool, ...]) -> Coding:
    return Coding(
        parameters=lambda d: d.arguments,
        codec=bits_behind_a_state,
        values=_bits,
        shared=shared,
        tables=lambda d, _, batch: UnitByUnit(type(d), shared or (False,) * len(d.arguments), batch),
    )


CODINGS: Mapping[type[Distribution], Coding] = {
    Bernoulli: Coding(_logits, independent_bits, _bits),
    AutoregressiveBernoulli: Coding(
        lambda d: (jnp.ravel(d.logits), d.weight), autoregressive_bits, _bits, shared=(False, True)
    ),
    Nade: _unit_by_unit((False, True, True, True, True)),
    OrderAgnosticNade: _unit_by_unit((False, *(True,) * 7)),  # in the first of its orders
    BernoulliMixture: _unit_by_unit((False, True)),
    SequentialBernoulli: _unit_by_unit(()),
    Normal: Coding(
        _location_and_scale,
        normal,
        _real,
        rounded=_two,
        is_standard=lambda loc, scale: bool((loc == 0.0).all() and (scale == 1.0).all()),
    ),
    CorrelatedNormal: Coding(_location_and_root, correlated_normal, _real, rounded=_two),
    DiscretizedLogistic: Coding(
        _location_and_scale,
        logistic,
        _levels,
        rounded=_two,
        tables=lambda d, *_: level_bins(d.levels, 1.0),
    ),
    Categorical: Coding(lambda d: (d.logits.reshape(-1, d.levels),), categorical, _levels, rounded=lambda d: d.levels),
    BetaBinomial: Coding(
        lambda d: (jnp.ravel(d.concentration1), jnp.ravel(d.concentration0)),
        beta_binomial,
        lambda _, support: support(),
        rounded=_two,
        tables=lambda _, values, __: BetaBinomials(values[1] + 1),
    ),
}


def coding_of(distribution: Any, codings: Mapping[type[Distribution], Coding] = CODINGS) -> Coding | None:
    """How a distribution is coded; None where only its log probabilities can say.

    Args:
        distribution: any.
        codings: by class; the first base of the distribution's class that is there counts.
    """
    return next((codings[base] for base in type(distribution).__mro__ if base in codings), None)


def by_log_probabilities(distribution: Any, support: Support) -> Coding:
    """How a distribution of independent entries with finitely many values is coded.

    Args:
        distribution: with shapes in place of arrays.
        support: see `Coding`.

    Raises:
        InputError: it is none, or has too many values.
    """
    name = type(distribution).__name__
    if tuple(distribution.event_shape):
        raise InputError(
            f"{name} has no codec: it gives whole examples a probability, and nothing says how their entries follow "
            "one another; use a distribution of independent entries."
        )
    low, high = values = support()
    if not 1 <= high - low < MOST_LEVELS:
        raise InputError(
            f"{name} has no codec: its values are {low} .. {high}, and there must be 2 to {MOST_LEVELS} of them."
        )
    return Coding(_LogWeights(values), categorical, lambda *_: values, rounded=lambda _: high - low + 1)


def ends_of_support(distribution: Any) -> tuple[Array, Array]:
    """The smallest and the greatest value of a distribution on whole numbers.

    Raises:
        InputError: its support has no ends, or is none of whole numbers.
    """
    support = distribution.support
    if isinstance(support, type(constraints.boolean)):
        return jnp.zeros(()), jnp.ones(())
    if not isinstance(support, constraints.integer_interval):
        raise InputError(
            f"{type(distribution).__name__} has no codec: there is none of real numbers, nor of whole numbers without "
            "an end; use a model of bits, or of whole numbers in a range."
        )
    return jnp.min(jnp.asarray(support.lower_bound)), jnp.max(jnp.asarray(support.upper_bound))
