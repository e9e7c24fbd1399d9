"""How each distribution becomes a codec: what a network gives, the grid it is rounded to, the tables it selects."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from nelbo.codecs.codec import Codec, tabled
from nelbo.codecs.message import Message
from nelbo.codecs.passes import Passes
from nelbo.codecs.rounding import Rounding
from nelbo.codecs.tables import (
    MAX_LOGIT,
    MAX_SCALE,
    STEPS,
    Bins,
    Bits,
    LocationScale,
    Rows,
    beta_binomial_weights,
    from_weights,
    scales,
)
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
)

_FAR = 2**40  # grid steps: no location is further out
Parameters = Sequence[np.ndarray]


class Kind(NamedTuple):
    """How one class of distributions is coded.

    Args:
        parameters: arrays that say which one it is, inside a compiled function.
        shared: which of them are the same for all examples.
        codec: from these arrays (examples first), the rounding, the place of the first and the node's division of
            the line (`Bins`; of a beta-binomial the tables made so far, of bits behind a state their `Passes`, of other
            bits None) to a codec of `(examples, units)` symbols. With `drawn`, symbols are only ever drawn from it, and
            a frequency may be zero.
        planes: how many places each unit takes.
    """

    parameters: Callable[[Any], tuple[Array, ...]]
    shared: tuple[bool, ...]
    codec: Callable[..., Codec]
    planes: int


def _shaped(codec: Codec, shape: tuple[int, ...]) -> Codec:
    def push(message: Message, symbols: np.ndarray) -> Message:
        return codec.push(message, symbols.ravel())

    def pop(message: Message) -> tuple[Message, np.ndarray]:
        message, symbols = codec.pop(message)
        return message, symbols.astype(np.int64).reshape(shape)

    return Codec(push, pop)


def _bits(given: Parameters, rounding: Rounding, place: int, bins: Bins | None, *, drawn: bool) -> Codec:
    del bins
    (logits,) = given
    index = rounding(logits * float(STEPS), MAX_LOGIT, place)
    return _shaped(tabled(Bits(index.ravel()), index.size, drawn=drawn), index.shape)


def located(
    loc: np.ndarray, scale: np.ndarray, rounding: Rounding, place: int, stride: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Grid indices of a scale and of a location in units of that scale (see `LocationScale`)."""
    with np.errstate(divide="ignore"):
        wide = rounding(np.log2(scale) * float(STEPS), MAX_SCALE, place, stride)
    steps = loc * (scales()[MAX_SCALE - wide] * float(STEPS))
    return wide, rounding(steps, _FAR, place + stride * scale.size, stride)


def _location_scale(shape: str, given: Parameters, rounding: Rounding, place: int, bins: Bins, *, drawn: bool) -> Codec:
    loc, scale = given
    wide, steps = located(loc, scale, rounding, place)
    table = LocationScale(shape, bins, wide.ravel(), steps.ravel(), floor=not drawn)  # pyright: ignore
    return _shaped(tabled(table, wide.size, drawn=drawn), wide.shape)


def _normal(given: Parameters, rounding: Rounding, place: int, bins: Bins, *, drawn: bool) -> Codec:
    return _location_scale("normal", given, rounding, place, bins, drawn=drawn)


def _logistic(given: Parameters, rounding: Rounding, place: int, bins: Bins, *, drawn: bool) -> Codec:
    return _location_scale("logistic", given, rounding, place, bins, drawn=drawn)


class BetaBinomials:
    """Tables of beta-binomials on the grid, each made once and kept.

    Args:
        levels: 0 .. levels - 1 are the symbols.
    """

    WIDTH = 2 * MAX_SCALE + 1

    def __init__(self, levels: int) -> None:
        self._rows = np.full(self.WIDTH**2, -1, np.int32)
        self._table = np.zeros((0, levels), np.uint16)
        self._used = 0

    def rows(self, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The table, and the row of each pair of grid indices."""
        levels = self._table.shape[1]
        pair = (a + MAX_SCALE) * self.WIDTH + (b + MAX_SCALE)
        new = np.unique(pair[self._rows[pair] < 0])
        for some in np.array_split(new, -(-new.size // 4096)) if new.size else ():
            weights = beta_binomial_weights(scales()[some // self.WIDTH], scales()[some % self.WIDTH], levels - 1)
            self._add(some, from_weights(weights))
        return self._table, self._rows[pair]

    def _add(self, pairs: np.ndarray, fresh: np.ndarray) -> None:
        needed = self._used + len(fresh)
        if needed > len(self._table):
            more = np.zeros((max(needed, len(self._table)), self._table.shape[1]), np.uint16)
            self._table = np.concatenate([self._table[: self._used], more])
        self._table[self._used : needed] = fresh
        self._rows[pairs] = np.arange(self._used, needed)
        self._used = needed


def _beta_binomial(given: Parameters, rounding: Rounding, place: int, made: BetaBinomials, *, drawn: bool) -> Codec:
    index = [
        rounding(np.log2(value) * float(STEPS), MAX_SCALE, place + i * value.size).ravel()
        for i, value in enumerate(given)
    ]
    table, row = made.rows(*index)
    return _shaped(tabled(Rows(table, row), row.size, drawn=drawn), given[0].shape)


_LOWEST = 16 * STEPS  # log2 of a level's weight over the greatest is at least minus this many steps


def _categorical(given: Parameters, rounding: Rounding, place: int, bins: None, *, drawn: bool) -> Codec:
    del bins
    (logits,) = given
    levels = logits.shape[-1]
    flat = logits.reshape(-1, levels)
    steps = (flat - flat.max(axis=1, keepdims=True)) * (STEPS / math.log(2.0))
    weights = scales()[MAX_SCALE + rounding(np.maximum(steps, -_LOWEST), _LOWEST, place)]
    rows = np.arange(len(flat))
    return _shaped(tabled(Rows(from_weights(weights), rows), rows.size, drawn=drawn), logits.shape[:-1])


def _autoregressive(given: Parameters, rounding: Rounding, place: int, bins: Bins | None, *, drawn: bool) -> Codec:
    """Units one after another: all logits are known to `push`, each only once those before it are popped to `pop`."""
    del bins
    logits, weight = given
    rows, size = logits.shape
    lower = np.tril(weight, -1)

    def push(message: Message, symbols: np.ndarray) -> Message:
        index = rounding((logits + symbols.astype(float) @ lower.T) * float(STEPS), MAX_LOGIT, place)
        for unit in reversed(range(size)):
            tabled(Bits(index[:, unit]), rows, drawn=drawn).push(message, symbols[:, unit])
        return message

    def pop(message: Message) -> tuple[Message, np.ndarray]:
        symbols, sums = np.zeros((rows, size), np.int64), np.array(logits.T, order="C")
        for unit in range(size):
            index = rounding(sums[unit] * float(STEPS), MAX_LOGIT, place + unit, size)
            _, symbols[:, unit] = tabled(Bits(index), rows, drawn=drawn).pop(message)
            sums[unit + 1 :] += lower[unit + 1 :, unit, None] * symbols[:, unit].astype(float)
        return message, symbols

    return Codec(push, pop)


def _sequential(given: Parameters, rounding: Rounding, place: int, passes: Passes, *, drawn: bool) -> Codec:
    """Units one after another behind a state: both sides go over them in the same steps."""
    rows, order = len(given[0]), passes.order(given)

    def codec(unit: int, logits: np.ndarray) -> Codec:
        index = rounding(logits * float(STEPS), MAX_LOGIT, place + unit, len(order))
        return tabled(Bits(index), rows, drawn=drawn)

    def push(message: Message, symbols: np.ndarray) -> Message:
        codecs: list[Codec] = []

        def visit(unit: int, logits: np.ndarray) -> np.ndarray:
            codecs.append(codec(unit, logits))
            return symbols[:, unit]

        passes.walk(given, order, visit)
        for unit, one in zip(reversed(order), reversed(codecs), strict=True):
            one.push(message, symbols[:, unit])
        return message

    def pop(message: Message) -> tuple[Message, np.ndarray]:
        symbols = np.zeros((rows, len(order)), np.int64)

        def visit(unit: int, logits: np.ndarray) -> np.ndarray:
            _, symbols[:, unit] = codec(unit, logits).pop(message)
            return symbols[:, unit]

        passes.walk(given, order, visit)
        return message, symbols

    return Codec(push, pop)


def _correlated(given: Parameters, rounding: Rounding, place: int, bins: Bins, *, drawn: bool) -> Codec:
    """A normal vector by the chain rule: z_j = loc_j + sum_{i<j} L_ji e_i + L_jj e_j, e standard normal."""
    loc, root = given
    rows, size = loc.shape

    def unit(j: int, e: np.ndarray) -> tuple[np.ndarray, Codec]:
        mean = loc[:, j] + np.einsum("ri,ri->r", root[:, j, :j], e[:, :j])
        wide, steps = located(mean, root[:, j, j], rounding, place + j, size)
        return mean, tabled(LocationScale("normal", bins, wide, steps, floor=not drawn), rows, drawn=drawn)

    def noise(j: int, mean: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        return (bins.centres[symbols] - mean) / root[:, j, j]

    def push(message: Message, symbols: np.ndarray) -> Message:
        e, codecs = np.zeros((rows, size)), []
        for j in range(size):
            mean, codec = unit(j, e)
            e[:, j] = noise(j, mean, symbols[:, j])
            codecs.append(codec)
        for j in reversed(range(size)):
            codecs[j].push(message, symbols[:, j])
        return message

    def pop(message: Message) -> tuple[Message, np.ndarray]:
        e, symbols = np.zeros((rows, size)), np.zeros((rows, size), np.int64)
        for j in range(size):
            mean, codec = unit(j, e)
            _, symbols[:, j] = codec.pop(message)
            e[:, j] = noise(j, mean, symbols[:, j])
        return message, symbols

    return Codec(push, pop)


def _flat(value: Array) -> Array:
    return jnp.ravel(value)


def _full(q: CorrelatedNormal) -> tuple[Array, Array]:
    return q.loc, jnp.linalg.cholesky(q.covariance)


KINDS: dict[type[Distribution], Kind] = {
    Bernoulli: Kind(lambda d: (_flat(d.logits),), (False,), _bits, 1),
    AutoregressiveBernoulli: Kind(lambda d: (_flat(d.logits), d.weight), (False, True), _autoregressive, 1),
    Nade: Kind(lambda d: d.arguments, (False, True, True, True, True), _sequential, 1),
    BernoulliMixture: Kind(lambda d: d.arguments, (False, True), _sequential, 1),
    Normal: Kind(lambda d: (_flat(d.loc), _flat(d.scale)), (False, False), _normal, 2),
    CorrelatedNormal: Kind(_full, (False, False), _correlated, 2),
    DiscretizedLogistic: Kind(lambda d: (_flat(d.loc), _flat(d.scale)), (False, False), _logistic, 2),
    Categorical: Kind(lambda d: (d.logits.reshape(-1, d.levels),), (False,), _categorical, 256),
    BetaBinomial: Kind(lambda d: (_flat(d.concentration1), _flat(d.concentration0)), (False, False), _beta_binomial, 2),
}


def kind_of(distribution: Any) -> Kind:
    """How a distribution is coded.

    Raises:
        InputError: this class cannot be coded.
    """
    for known, kind in KINDS.items():
        if isinstance(distribution, known):
            return kind
    names = ", ".join(sorted(one.__name__ for one in KINDS))
    raise InputError(f"{type(distribution).__name__} has no codec: use a model made of {names}.")
