"""Integer tables: from quantized parameters of a distribution to frequencies that sum to 2^16.

No float that a network made reaches the coder. A table is given by the starts of its intervals, `starts(F, i, bins)`
for F a cumulative probability in fixed point; that function is the only one that makes them, so every table is
monotone, sums exactly to 2^16, and gives every symbol that has to be codable a frequency of one or more. What leads to
F is arithmetic on integers, single IEEE operations on float64 numbers (the same on every machine), and five tables of
functions whose checksums are verified when they are made.
"""

import functools
import math
import zlib
from typing import Literal, NamedTuple

import numpy as np

from nelbo.codecs.message import PRECISION, TOTAL, Found, Interval

FIXED = 30  # bits of a cumulative probability in fixed point
STEPS = 16  # grid steps for a logit, for log2 of a scale, and for a location in units of its scale
_FINE, _COARSE = 20, 6  # an argument has 2^20 steps to the unit, a function's table 2^6
_REACH = {"logistic": 16, "normal": 8}
_CHECKSUMS = {
    "logistic": 0x62BC1265,
    "normal": 0x812785D5,
    "scales": 0x7CBFAB6B,
    "grid": 0x209FCEF5,
    "log2s": 0xF4F5AA18,
    "entropies": 0xB561EBF6,
    "magnitudes": 0xB2126956,
}
MAX_SCALE = 20 * STEPS  # log2 of scales and concentrations lies in -20 .. 20
MAX_LOGIT = 12 * STEPS
Shape = Literal["logistic", "normal"]


def starts(cumulative: np.ndarray, index: np.ndarray, bins: int) -> np.ndarray:
    """Start of interval `index` in [0, 2^16), int64.

    Args:
        cumulative: probability of all symbols before it, in units of 2^-30, nondecreasing in `index`.
        index: which symbol; `bins` gives the end, 2^16.
        bins: how many symbols must have a frequency of one or more; 0 lets frequencies be zero, for distributions
            that symbols are only ever drawn from.
    """
    return (index if bins else 0) + ((cumulative * (TOTAL - bins)) >> FIXED)


def verified(name: str, values: np.ndarray) -> np.ndarray:
    """The table, if it is the one that every other machine has."""
    found = zlib.crc32(np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes())
    if found != _CHECKSUMS[name]:
        raise RuntimeError(
            f"This machine's mathematical functions round {name!r} differently (checksum {found:#x}, expected "
            f"{_CHECKSUMS[name]:#x}): streams could not be exchanged with other machines."
        )
    values.setflags(write=False)
    return values


@functools.cache
def _function(shape: Shape) -> np.ndarray:
    """A cumulative distribution function in fixed point at multiples of 2^-6, exactly 0 and 1 at the ends."""
    reach = _REACH[shape]
    arguments = np.arange(-reach << _COARSE, (reach << _COARSE) + 1) / (1 << _COARSE)
    logistic = lambda t: 1.0 / (1.0 + math.exp(-t))  # noqa: E731
    normal = lambda t: 0.5 * math.erfc(-t / math.sqrt(2.0))  # noqa: E731
    exact = [(logistic if shape == "logistic" else normal)(float(t)) for t in arguments]
    values = np.array([round(value * (1 << FIXED)) for value in exact], np.int64)
    values[0], values[-1] = 0, 1 << FIXED
    return verified(shape, values)


def cumulative(shape: Shape, argument: np.ndarray) -> np.ndarray:
    """F(argument) in units of 2^-30, monotone, from a table with linear interpolation in integers."""
    reach, table = _REACH[shape], _function(shape)
    fine = ((np.clip(argument, -reach, reach) + reach) * float(1 << _FINE)).astype(np.int64)
    shift = _FINE - _COARSE
    place = np.minimum(fine >> shift, table.size - 2)
    low = table[place]
    return low + (((table[place + 1] - low) * (fine - (place << shift))) >> shift)


@functools.cache
def scales() -> np.ndarray:
    """2^(j / STEPS) for j from -MAX_SCALE to MAX_SCALE, with 24 significant bits."""
    return verified("scales", np.exp2(np.arange(-MAX_SCALE, MAX_SCALE + 1) / STEPS).astype(np.float32)).astype(float)


class Bins(NamedTuple):
    """A division of the real line.

    Args:
        edges: from minus to plus infinity.
        centres: one for each bin.
    """

    edges: np.ndarray
    centres: np.ndarray

    @property
    def count(self) -> int:
        """How many bins."""
        return self.centres.size


GRID_BITS = 12


@functools.cache
def quantile_bins() -> Bins:
    """2^12 bins of equal mass under N(0, 1), each with its median for a centre."""
    from scipy.special import ndtri  # which takes longer to load than a picture to decode

    count = 1 << GRID_BITS
    with np.errstate(divide="ignore"):
        points = np.round(ndtri(np.arange(2 * count + 1) / (2 * count)) * 2.0**20) * 2.0**-20
    verified("grid", points)
    return Bins(points[::2], points[1::2])


@functools.cache
def level_bins(levels: int, unit: float) -> Bins:
    """Whole numbers 0 .. levels - 1 in units of `unit`; the end bins take the tails."""
    edges = (np.arange(levels + 1) - 0.5) * unit
    edges[0], edges[-1] = -np.inf, np.inf
    return Bins(edges, np.arange(levels) * unit)


UNIFORM_BITS = 11
MAX_EDGE = 2.0**60  # no division of the line begins further out, has wider bins, or has bins narrower than its inverse
_NEAR = 3  # steps from a guessed bin before it is looked for from the beginning


def uniform_bins(low: float, width: float) -> Bins:
    """2^11 bins of one width, a power of two, from `low` upwards; the end bins are open."""
    edges = low + width * np.arange((1 << UNIFORM_BITS) + 1)
    centres = edges[:-1] + 0.5 * width
    edges[0], edges[-1] = -np.inf, np.inf
    return Bins(edges, centres)


_HALF_WIDTH = 2.07
_SMALL = 8  # bits of a probability up to 1/2 that its entropy is looked up by


@functools.cache
def _log2s() -> np.ndarray:
    """log2 of 1 .. 2^16 [1/16 bit], rounded up."""
    return verified("log2s", np.ceil(STEPS * np.log2(np.arange(TOTAL + 1).clip(1)) - 1e-6).astype(np.int64))


@functools.cache
def _entropies() -> np.ndarray:
    """Entropy of a bit of probability i / 2^9 and a half more, i = 0 .. 2^8 [1/16 bit], rounded."""
    p = (np.arange((1 << _SMALL) + 1) + 0.5) / (2 << _SMALL)
    return verified("entropies", np.round(-STEPS * (p * np.log2(p) + (1 - p) * np.log2(1 - p))).astype(np.int64))


class LocationScale:
    """Tables of F((edge - loc) / scale) over one division of the line, a row of parameters for each symbol.

    Args:
        shape: which F.
        bins: the division.
        scale: index of the scale, see `scales`.
        loc: location in units of scale / STEPS.
        floor: give every bin a frequency of one or more.
    """

    def __init__(self, shape: Shape, bins: Bins, scale: np.ndarray, loc: np.ndarray, *, floor: bool) -> None:
        self._shape: Shape = shape
        self._bins, self._floor = bins, bins.count if floor else 0
        self._inverse = scales()[MAX_SCALE - scale]
        self._offset = loc * (1.0 / STEPS)

    def _starts(self, index: np.ndarray, rows: slice | np.ndarray) -> np.ndarray:
        argument = self._bins.edges[index] * self._inverse[rows] - self._offset[rows]
        return starts(cumulative(self._shape, argument), index, self._floor)

    @property
    def entropy(self) -> int:
        """Of all rows together, from the bins within 2.07 scales, which is half of sqrt(2 pi e) [1/16 bit], about."""
        middle, reach = self._offset / self._inverse, _HALF_WIDTH / self._inverse
        inner = self._bins.edges[1:-1]
        held = np.searchsorted(inner, middle + reach) - np.searchsorted(inner, middle - reach)
        return int(_log2s()[np.maximum(held, 1)].sum())

    def interval(self, symbols: np.ndarray, rows: slice = slice(None)) -> Interval:
        """Starts and frequencies of symbols."""
        low = self._starts(symbols, rows)
        return low.astype(np.uint32), (self._starts(symbols + 1, rows) - low).astype(np.uint32)

    def find(self, slots: np.ndarray, rows: slice) -> Found:
        """Symbols whose intervals hold the numbers: a guess by the inverse of F, then bisection where it is wrong.

        The tables alone decide, so the guess may differ from machine to machine.
        """
        slots = slots.astype(np.int64)
        edge = (_quantiles(self._shape)[slots] + self._offset[rows]) / self._inverse[rows]
        found = np.searchsorted(self._bins.edges[1:-1], edge, side="right")
        wrong = self._outside(found, slots, rows)
        for _ in range(_NEAR):
            if not wrong.any():
                break
            found = np.clip(found + wrong, 0, self._bins.count - 1)
            wrong = self._outside(found, slots, rows)
        if wrong.any():
            far = np.flatnonzero(wrong)
            found[far] = self._bisected(slots[far], np.arange(self._inverse.size)[rows][far])
        return found, *self.interval(found, rows)

    def _outside(self, index: np.ndarray, slots: np.ndarray, rows: slice) -> np.ndarray:
        """1 where a number lies above an interval, -1 where below, 0 inside."""
        above = (self._starts(index + 1, rows) <= slots).astype(np.int64)
        return above - (self._starts(index, rows) > slots)

    def _bisected(self, slots: np.ndarray, rows: np.ndarray) -> np.ndarray:
        low = np.zeros(slots.size, np.int64)
        step = 1 << (self._bins.count - 1).bit_length()
        while step := step >> 1:
            middle = np.minimum(low + step, self._bins.count)
            low = np.where(self._starts(middle, rows) <= slots, middle, low)
        return low


@functools.cache
def _quantiles(shape: Shape) -> np.ndarray:
    """The argument at which F reaches the middle of each number's interval, about."""
    from scipy.special import ndtri

    middles = (np.arange(TOTAL) + 0.5) / TOTAL
    return ndtri(middles) if shape == "normal" else np.log(middles / (1.0 - middles))


@functools.cache
def _zero_starts() -> np.ndarray:
    """P(0) in fixed point for each logit index, from -MAX_LOGIT to MAX_LOGIT."""
    return cumulative("logistic", np.arange(MAX_LOGIT, -MAX_LOGIT - 1, -1) / STEPS)


class Bits:
    """Tables of zeros and ones.

    Args:
        logit: of a one, in steps of 1 / STEPS, from -MAX_LOGIT to MAX_LOGIT.
    """

    def __init__(self, logit: np.ndarray) -> None:
        ends = starts(_zero_starts(), np.ones(2 * MAX_LOGIT + 1, np.int64), 2).astype(np.uint32)
        self._zero = ends[logit + MAX_LOGIT]

    @property
    def entropy(self) -> int:
        """Of all rows together [1/16 bit], about."""
        low = np.minimum(self._zero, np.uint32(TOTAL) - self._zero) >> np.uint32(PRECISION - 1 - _SMALL)
        return int(_entropies()[low].sum())

    @property
    def ones(self) -> np.ndarray:
        """Frequency of a one in each row, uint32."""
        return np.uint32(TOTAL) - self._zero

    def interval(self, symbols: np.ndarray, rows: slice = slice(None)) -> Interval:
        """Starts and frequencies of symbols."""
        zero = self._zero[rows]
        one = symbols != 0
        return np.where(one, zero, np.uint32(0)), np.where(one, np.uint32(TOTAL) - zero, zero)

    def find(self, slots: np.ndarray, rows: slice) -> Found:
        """Symbols whose intervals hold the numbers."""
        one = slots >= self._zero[rows]
        return one.astype(np.int64), *self.interval(one, rows)


class Uniform:
    """Tables of 2^bits symbols that are equally frequent, one for each of `count` symbols."""

    def __init__(self, bits: int, count: int = 1) -> None:
        self.entropy = STEPS * bits * count
        self._shift = np.uint32(PRECISION - bits)

    def interval(self, symbols: np.ndarray, rows: slice = slice(None)) -> Interval:
        """Starts and frequencies of symbols."""
        del rows
        width = np.uint32(1) << self._shift
        return symbols.astype(np.uint32) << self._shift, np.full(symbols.size, width)

    def find(self, slots: np.ndarray, rows: slice) -> Found:
        """Symbols whose intervals hold the numbers."""
        symbols = slots >> self._shift
        return symbols.astype(np.int64), *self.interval(symbols, rows)


class Rows:
    """Tables given by the starts of their intervals.

    Args:
        table: `(tables, symbols)`, each row from 0 upwards; the last interval ends at 2^16.
        row: which table each symbol has.
    """

    def __init__(self, table: np.ndarray, row: np.ndarray) -> None:
        self._table, self._row = table, row

    @property
    def entropy(self) -> int:
        """Of all rows together [1/16 bit], at most."""
        return int(_log2s()[self._table.shape[1]]) * self._row.size

    def interval(self, symbols: np.ndarray, rows: slice = slice(None)) -> Interval:
        """Starts and frequencies of symbols."""
        row, last = self._row[rows], self._table.shape[1] - 1
        low = self._table[row, symbols].astype(np.uint32)
        high = self._table[row, np.minimum(symbols + 1, last)].astype(np.uint32)
        return low, np.where(symbols == last, np.uint32(TOTAL), high) - low

    def find(self, slots: np.ndarray, rows: slice) -> Found:
        """Symbols whose intervals hold the numbers, by bisection."""
        row, last = self._row[rows], self._table.shape[1] - 1
        low = np.zeros(slots.size, np.int64)
        step = 1 << last.bit_length()
        while step := step >> 1:
            middle = np.minimum(low + step, last)
            low = np.where(self._table[row, middle] <= slots, middle, low)
        return low, *self.interval(low, rows)


def from_weights(weights: np.ndarray) -> np.ndarray:
    """Starts of the tables of categorical distributions, `(tables, symbols)`, uint16.

    Args:
        weights: `(tables, symbols)`, float64, nonnegative, at most 2^16 symbols; in proportion to the probabilities.
    """
    sums = np.cumsum(weights, axis=1)  # one after another, in the same order everywhere
    before = np.concatenate([np.zeros((len(weights), 1)), sums[:, :-1]], axis=1) / sums[:, -1:]
    fixed = (before * float(1 << FIXED)).astype(np.int64)
    return starts(fixed, np.arange(weights.shape[1]), weights.shape[1]).astype(np.uint16)


def beta_binomial_weights(a: np.ndarray, b: np.ndarray, count: int) -> np.ndarray:
    """Probabilities of 0 .. count up to a factor, `(tables, count + 1)`.

    By the ratio of neighbours, P(k + 1) / P(k) = (n - k) (k + a) / ((k + 1) (n - k - 1 + b)), with the exponents kept
    apart so that nothing overflows; only IEEE operations, so the same on every machine.
    """
    mantissas, exponents = np.ones((count + 1, a.size)), np.zeros((count + 1, a.size), np.int64)
    for k in range(count):
        ratio = ((count - k) * (k + a)) / ((k + 1) * (count - k - 1 + b))
        mantissas[k + 1], shift = np.frexp(mantissas[k] * ratio)
        exponents[k + 1] = exponents[k] + shift
    exponents -= exponents.max(axis=0)
    return np.ldexp(mantissas, np.maximum(exponents, -1000)).T
