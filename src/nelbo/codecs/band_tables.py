"""Integer tables of whole numbers around a location, for scales and locations on a grid, as coder's models.

A table is made of differences of the same verified distribution function that the lossless codec uses. Numbers far
from the location are escapes; of wide distributions the low bits go apart, at equal probabilities.
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from constriction import stream  # pyright: ignore[reportAttributeAccessIssue]

from nelbo.codecs.message import DamagedError
from nelbo.codecs.tables import FIXED, Shape, cumulative

STEP = 3  # log2 of scales, and locations, are multiples of 2^-STEP
LEAST, MOST = -40, 80  # log2 of scales, in that unit
SKIPPED = {"logistic": -36, "normal": -26}  # numbers of so small a scale are taken for zero, and are not coded
_REACH = {"logistic": 14.0, "normal": 6.5}  # scales from the location to where escapes begin
_WIDE = 32  # from here on the low bits go apart: scales beyond 2^4
_PARTS = 1 << STEP
_KINDS = (MOST - LEAST) * _PARTS  # more than pairs of a scale and a part
WIDER = 12  # log2 of how much wider the second density of a mixture is, in multiples of 2^-STEP
TAILS = 8  # kinds of mixtures: what the second one weighs, the logistic function of the kind's logit
ESCAPE_BITS = 20  # of a number that is out of reach
_HALF_ESCAPE = 1 << (ESCAPE_BITS - 1)
_Categorical = stream.model.Categorical
_Uniform = stream.model.Uniform
_RAW = _Uniform(1 << (ESCAPE_BITS // 2))


class Table(NamedTuple):
    """Masses of -reach .. reach, and of all others together.

    Args:
        reach: the greatest number.
        masses: `(2 * reach + 2,)`, in multiples of 2^-30, the last one that of an escape.
        model: of the coder.
    """

    reach: int
    masses: np.ndarray
    model: object


def tail_logit(tail: int) -> float:
    """Log odds of the second density in a kind of mixture, 1 to TAILS."""
    return 0.75 * (tail - TAILS)


def _width(scale: int) -> float:
    return float(np.round(np.exp2(scale / _PARTS) * (1 << 20))) / (1 << 20)


@functools.cache
def table(shape: Shape, scale: int, part: int, tail: int = 0) -> Table:
    """The table of a scale and a location.

    Args:
        shape: of the density.
        scale: its log2, in multiples of 2^-STEP, at most _WIDE.
        part: the location, -1/2 to 1/2, in multiples of 2^-STEP.
        tail: kind of mixture with a wider density around the same location; 0: none.
    """
    reach = math.ceil(_REACH[shape] * _width(scale + WIDER * (tail > 0))) + 1
    places = np.arange(-reach, reach + 2) - 0.5 - part / _PARTS
    below = cumulative(shape, places / _width(scale))
    if tail:
        weight = int(cumulative("logistic", np.array([tail_logit(tail)]))[0])
        wider = cumulative(shape, places / _width(scale + WIDER))
        below = (((1 << FIXED) - weight) * below + weight * wider) >> FIXED
    inside = np.diff(below)
    outside = (1 << FIXED) - int(below[-1] - below[0])
    masses = np.maximum(np.append(inside, outside), 1 << 6)
    # whole numbers, so that the coder's own sums of them are exact
    return Table(reach, masses, _Categorical(masses.astype(np.float64), perfect=False))


def low_bits(scale: np.ndarray) -> np.ndarray:
    """How many bits of a number go apart."""
    return np.maximum(-(-(scale - _WIDE) // _PARTS), 0)


class Plan(NamedTuple):
    """How numbers with locations and scales are coded: which ones, in which order, by which tables.

    Args:
        order: places of the numbers that are coded, those of one table together.
        starts: where each table's numbers begin in `order`, and the end.
        keys: (scale, part, kind of mixture) of each table.
        centre: of each number that is coded, in this order.
        low: bits of each that go apart.
    """

    order: np.ndarray
    starts: np.ndarray
    keys: tuple[tuple[int, int, int], ...]
    centre: np.ndarray
    low: np.ndarray

    @property
    def count(self) -> int:
        """How many are coded."""
        return self.order.size


def plan(
    shape: Shape,
    location: np.ndarray,
    scale: np.ndarray,
    coded: np.ndarray,
    tail: np.ndarray | None = None,
    *,
    skips: bool = True,
) -> Plan:
    """The plan of a band.

    Args:
        shape: of the density.
        location: in multiples of 2^-STEP, flat.
        scale: log2, the same.
        coded: which numbers can be other than zero at all.
        tail: kinds of mixtures, 0 to TAILS; None: none.
        skips: whether numbers of scales up to SKIPPED are zero and not coded.
    """
    places = np.flatnonzero(coded & (scale > SKIPPED[shape]) if skips else coded)
    location, scale = location[places], scale[places]
    low = low_bits(scale)
    centre = (location + (_PARTS >> 1)) >> STEP
    part = np.where(low > 0, 0, location - (centre << STEP))
    keys = (scale - (low << STEP) - LEAST) * _PARTS + part + (_PARTS >> 1)
    if tail is not None:
        keys = tail[places] * _KINDS + keys
    sorting = np.argsort(keys, kind="stable")
    keys = keys[sorting]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    named = tuple(
        (key % _KINDS // _PARTS + LEAST, key % _PARTS - (_PARTS >> 1), key // _KINDS) for key in keys[starts].tolist()
    )
    return Plan(places[sorting], np.append(starts, keys.size), named, centre[sorting], low[sorting])


def bits(shape: Shape, found: Plan, y: np.ndarray) -> np.ndarray:
    """About how many bits each number takes, in the order of the plan: for choosing among numbers."""
    scale = np.repeat([key[0] for key in found.keys], np.diff(found.starts)) if found.keys else np.zeros(0)
    part = np.repeat([key[1] for key in found.keys], np.diff(found.starts)) if found.keys else np.zeros(0)
    width = np.exp2(scale / _PARTS + found.low)
    away = np.abs(y - found.centre - part / _PARTS)
    reach = float(1 << FIXED)
    mass = cumulative(shape, (0.5 - away) / width) - cumulative(shape, (-0.5 - away) / width)
    return -np.log2(np.maximum(mass, 1.0) / reach)


class Writer:
    """Collects numbers in the order in which they will be read, and writes them the other way round."""

    def __init__(self) -> None:
        self._steps: list[tuple[object, np.ndarray, np.ndarray | None]] = []

    def numbers(self, shape: Shape, found: Plan, y: np.ndarray) -> None:
        """Numbers by a plan.

        Args:
            shape: of the density.
            found: the plan.
            y: the numbers that are coded, in the plan's order, less than 2^19 from their locations.
        """
        away = y - found.centre
        high = (away + ((1 << found.low) >> 1)) >> found.low
        rest = away + ((1 << found.low) >> 1) - (high << found.low)
        escaped = self._tabled([table(shape, *key) for key in found.keys], found.starts, high)
        wide = found.low > 0
        if wide.any():
            self._steps.append((_Uniform(), rest[wide].astype(np.int32), (1 << found.low[wide]).astype(np.int32)))
        self._escape(escaped)

    def tabled(self, tables: Sequence[Table], starts: np.ndarray, y: np.ndarray) -> None:
        """Numbers by tables of their own.

        Args:
            tables: of numbers from the middle of each.
            starts: where each table's numbers begin in `y`, and the end.
            y: the numbers, less than 2^19 from the middle.
        """
        self._escape(self._tabled(tables, starts, y))

    def _tabled(self, tables: Sequence[Table], starts: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Write all numbers that their tables reach; the others."""
        far = []
        for one, start, stop in zip(tables, starts[:-1], starts[1:], strict=True):
            own = y[start:stop]
            inside = np.abs(own) <= one.reach
            self._steps.append((one.model, np.where(inside, own + one.reach, 2 * one.reach + 1).astype(np.int32), None))
            far.append(own[~inside])
        return np.concatenate(far) if far else np.zeros(0, np.int64)

    def _escape(self, escaped: np.ndarray) -> None:
        """Write numbers out of reach."""
        if escaped.size:
            raw = np.clip(escaped + _HALF_ESCAPE, 0, 2 * _HALF_ESCAPE - 1)
            half = ESCAPE_BITS // 2
            self._steps.append((_RAW, (raw >> half).astype(np.int32), None))
            self._steps.append((_RAW, (raw & ((1 << half) - 1)).astype(np.int32), None))

    def to_bytes(self) -> bytes:
        """All of it, little-endian words of 32 bits."""
        coder = stream.stack.AnsCoder()
        for model, symbols, sizes in reversed(self._steps):
            coder.encode_reverse(symbols, model, *(() if sizes is None else (sizes,)))
        return coder.get_compressed().astype("<u4").tobytes()


class Reader:
    """Reads what a `Writer` wrote.

    Raises:
        DamagedError: bytes that no writer writes.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) % 4 or (data and not any(data[-4:])):
            raise DamagedError("The stream is damaged: its length is none that a stream has.")
        self._coder = stream.stack.AnsCoder(np.frombuffer(data, "<u4").astype(np.uint32))

    def numbers(self, shape: Shape, found: Plan) -> np.ndarray:
        """The numbers of a plan, in its order, int64."""
        high, escaped = self._tabled([table(shape, *key) for key in found.keys], found.starts)
        rest, wide = np.zeros(found.count, np.int64), found.low > 0
        if wide.any():
            rest[wide] = self._coder.decode(_Uniform(), (1 << found.low[wide]).astype(np.int32))
        self._escaped(high, escaped)
        return found.centre + (high << found.low) + rest - ((1 << found.low) >> 1)

    def tabled(self, tables: Sequence[Table], starts: np.ndarray) -> np.ndarray:
        """The numbers that `Writer.tabled` wrote, int64."""
        found, escaped = self._tabled(tables, starts)
        self._escaped(found, escaped)
        return found

    def _tabled(self, tables: Sequence[Table], starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers, and the places of those that are out of reach."""
        found, escapes = np.zeros(int(starts[-1]), np.int64), []
        for one, start, stop in zip(tables, starts[:-1], starts[1:], strict=True):
            own = self._coder.decode(one.model, int(stop - start)).astype(np.int64)
            escapes.append(start + np.flatnonzero(own == 2 * one.reach + 1))
            found[start:stop] = own - one.reach
        return found, np.concatenate(escapes) if escapes else np.zeros(0, np.int64)

    def _escaped(self, found: np.ndarray, escaped: np.ndarray) -> None:
        """Read numbers out of reach into their places."""
        if escaped.size:
            first = self._coder.decode(_RAW, escaped.size).astype(np.int64)
            last = self._coder.decode(_RAW, escaped.size)
            found[escaped] = ((first << (ESCAPE_BITS // 2)) | last) - _HALF_ESCAPE

    def finish(self) -> None:
        """Check that all has been read.

        Raises:
            DamagedError: something is left.
        """
        if not self._coder.is_empty():
            raise DamagedError("The stream is damaged: something is left of it.")
