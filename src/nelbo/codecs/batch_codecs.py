"""From rounded parameters of a batch of distributions to a codec of its symbols, one function for each family.

Each takes the parameters (examples first), the rounding, the place of the first number that is rounded, and what its
tables are made from: a division of the line for real units, else whatever its `Coding` makes. With `drawn`, symbols are
only ever drawn from the distributions, and a frequency may be zero.
"""

import math
from collections.abc import Sequence

import numpy as np

from nelbo.codecs.codec import Codec, tabled
from nelbo.codecs.message import Message
from nelbo.codecs.rounding import Rounding
from nelbo.codecs.sequential import UnitByUnit
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

_FAR = 2**40  # grid steps: no location is further out
Parameters = Sequence[np.ndarray]


def _shaped(codec: Codec, shape: tuple[int, ...]) -> Codec:
    def push(message: Message, symbols: np.ndarray) -> Message:
        return codec.push(message, symbols.ravel())

    def pop(message: Message) -> tuple[Message, np.ndarray]:
        message, symbols = codec.pop(message)
        return message, symbols.astype(np.int64).reshape(shape)

    return Codec(push, pop)


def independent_bits(parameters: Parameters, rounding: Rounding, place: int, tables: object, *, drawn: bool) -> Codec:
    """Bits with a logit each, on a grid of 1 / STEPS."""
    del tables
    (logits,) = parameters
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


def _location_scale(
    shape: str, parameters: Parameters, rounding: Rounding, place: int, bins: Bins, *, drawn: bool
) -> Codec:
    loc, scale = parameters
    wide, steps = located(loc, scale, rounding, place)
    table = LocationScale(shape, bins, wide.ravel(), steps.ravel(), floor=not drawn)  # pyright: ignore
    return _shaped(tabled(table, wide.size, drawn=drawn), wide.shape)


def normal(parameters: Parameters, rounding: Rounding, place: int, bins: Bins, *, drawn: bool) -> Codec:
    """Independent normals, by differences of the distribution function over a division of the line."""
    return _location_scale("normal", parameters, rounding, place, bins, drawn=drawn)


def logistic(parameters: Parameters, rounding: Rounding, place: int, bins: Bins, *, drawn: bool) -> Codec:
    """Independent logistic variables, likewise."""
    return _location_scale("logistic", parameters, rounding, place, bins, drawn=drawn)


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


def beta_binomial(
    parameters: Parameters, rounding: Rounding, place: int, tables: BetaBinomials, *, drawn: bool
) -> Codec:
    """Whole numbers with two concentrations each, log2 of which are on a grid of 1 / STEPS."""
    index = [
        rounding(np.log2(value) * float(STEPS), MAX_SCALE, place + i * value.size).ravel()
        for i, value in enumerate(parameters)
    ]
    table, row = tables.rows(*index)
    return _shaped(tabled(Rows(table, row), row.size, drawn=drawn), parameters[0].shape)


_LOWEST = 16 * STEPS  # log2 of a level's weight over the greatest is at least minus this many steps


def categorical(parameters: Parameters, rounding: Rounding, place: int, tables: object, *, drawn: bool) -> Codec:
    """Symbols with a log weight for each level [nats, up to a constant], on a grid of 1 / STEPS bit."""
    del tables
    (logits,) = parameters
    levels = logits.shape[-1]
    flat = logits.reshape(-1, levels)
    steps = (flat - flat.max(axis=1, keepdims=True)) * (STEPS / math.log(2.0))
    weights = scales()[MAX_SCALE + rounding(np.maximum(steps, -_LOWEST), _LOWEST, place)]
    rows = np.arange(len(flat))
    return _shaped(tabled(Rows(from_weights(weights), rows), rows.size, drawn=drawn), logits.shape[:-1])


def autoregressive_bits(
    parameters: Parameters, rounding: Rounding, place: int, tables: object, *, drawn: bool
) -> Codec:
    """Units one after another: all logits are known to `push`, each only once those before it are popped to `pop`."""
    del tables
    logits, weight = parameters
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


def bits_behind_a_state(
    parameters: Parameters, rounding: Rounding, place: int, steps: UnitByUnit, *, drawn: bool
) -> Codec:
    """Bits one after another behind a state: both sides go over them in the same steps."""
    rows, order = len(parameters[0]), steps.order(parameters)

    def codec(unit: int, logits: np.ndarray) -> Codec:
        index = rounding(logits * float(STEPS), MAX_LOGIT, place + unit, len(order))
        return tabled(Bits(index), rows, drawn=drawn)

    def push(message: Message, symbols: np.ndarray) -> Message:
        codecs: list[Codec] = []

        def visit(unit: int, logits: np.ndarray) -> np.ndarray:
            codecs.append(codec(unit, logits))
            return symbols[:, unit]

        steps.walk(parameters, order, visit)
        for unit, one in zip(reversed(order), reversed(codecs), strict=True):
            one.push(message, symbols[:, unit])
        return message

    def pop(message: Message) -> tuple[Message, np.ndarray]:
        symbols = np.zeros((rows, len(order)), np.int64)

        def visit(unit: int, logits: np.ndarray) -> np.ndarray:
            _, symbols[:, unit] = codec(unit, logits).pop(message)
            return symbols[:, unit]

        steps.walk(parameters, order, visit)
        return message, symbols

    return Codec(push, pop)


def correlated_normal(parameters: Parameters, rounding: Rounding, place: int, bins: Bins, *, drawn: bool) -> Codec:
    """A normal vector by the chain rule: z_j = loc_j + sum_{i<j} L_ji e_i + L_jj e_j, e standard normal."""
    loc, root = parameters
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
