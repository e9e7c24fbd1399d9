"""What lossless coding knows of a pixel before it is decoded, and the networks that say how far it is from the base.

The base is the decoded lossy picture, the residual what the picture has more. Colours are coded in turn, and of each
colour seven grids of pixels in turn, each finer than those before, so that all pixels of a grid are decoded at once
and later ones have neighbours on all sides. Everything is whole numbers, as in `band_networks.py`.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np

from nelbo.codecs.band_networks import FINE, PART, SHIFT, log_magnitudes, lowered
from nelbo.codecs.band_tables import STEP, TAILS

ORDER = (1, 0, 2)  # of the colours: green first, then red and blue given what is decoded
GRIDS = ((0, 0, 4), (2, 2, 4), (0, 2, 4), (2, 0, 4), (1, 1, 2), (0, 1, 2), (1, 0, 2))  # first row, first column, stride
MARGIN = 8  # pixels around a strip that its inputs are made of, a multiple of every stride
_REACH = 4  # rows and columns from a pixel to its furthest neighbour that a network sees by itself
_NEIGHBOURS = 12  # of the same colour, or a ring more
_NEAR = 4  # nearest neighbours, whose magnitudes and differences are inputs too
RAW = 4  # inputs are differences of grey levels over 2^RAW, then log2 of magnitudes
LOGS = 2  # over 2^LOGS
_FURTHEST = (1 << 12) - 1  # grey levels that log2 is taken of, at most
_AROUND = tuple((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0))
_LIMITS = (-25, 72)  # log2 of scales, in multiples of 2^-STEP: wide enough for all to be coded
_MOST = float(1 << 24)


@functools.cache
def neighbours(grid: int) -> tuple[tuple[int, int], ...]:
    """Rows and columns from a pixel of a grid to its nearest neighbours in the grids before it, the nearest first."""
    known = np.zeros((4, 4), bool)
    for row, column, stride in GRIDS[:grid]:
        known[row::stride, column::stride] = True
    row, column, _ = GRIDS[grid]
    reach = range(-_REACH, _REACH + 1)
    found = sorted((i * i + j * j, i, j) for i in reach for j in reach if known[(row + i) % 4, (column + j) % 4])
    if not found:
        return ()
    # no ring of equally near ones is cut in two
    last = found[min(_NEIGHBOURS, len(found)) - 1][0]
    last = last - 1 if sum(distance <= last for distance, _, _ in found) > _NEIGHBOURS + _NEAR else last
    return tuple((i, j) for distance, i, j in found if distance <= last)


def _box(values: np.ndarray, reach: int) -> np.ndarray:
    """Sums over squares of pixels; near the border over what there is."""
    size = 2 * reach + 1
    sums = np.pad(values, ((reach + 1, reach), (reach + 1, reach))).cumsum(0).cumsum(1)
    return sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]


def _logs(values: np.ndarray) -> np.ndarray:
    """log2(1 + |value|) over 2^LOGS, in multiples of 2^-FINE."""
    return lowered(log_magnitudes(np.minimum(np.abs(values), _FURTHEST) << PART), LOGS)


def inputs(residual: np.ndarray, base: np.ndarray, colour: int, grid: int) -> tuple[np.ndarray, int]:
    """What the network of a colour and grid sees of each of its pixels in a strip, in multiples of 2^-FINE.

    Args:
        residual: `(colours, rows + 2 MARGIN, columns + 2 MARGIN)` int64, zero where it is not known yet.
        base: the same shape, int64.
        colour: place in ORDER.
        grid: place in GRIDS.

    Returns:
        `(inputs, pixels)`, and how many inputs are differences of grey levels; the others are magnitudes.
    """
    plane, (row, column, stride) = ORDER[colour], GRIDS[grid]
    rows, columns = residual.shape[1] - 2 * MARGIN, residual.shape[2] - 2 * MARGIN

    def at(values: np.ndarray, i: int = 0, j: int = 0) -> np.ndarray:
        top, left = MARGIN + row + i, MARGIN + column + j
        return values[top : top + rows - row : stride, left : left + columns - column : stride]

    own, below = residual[plane], base[plane]
    places, centre = neighbours(grid), at(below)
    near = [at(own, *place) for place in places]
    ring = [at(below, *place) - centre for place in _AROUND]
    seen = [at(residual[other], *place) for other in ORDER[:colour] for place in ((0, 0), *_AROUND)]
    raw = [*near, *ring, centre - 128, *seen]
    logs = [_logs(value) for value in near[:_NEAR]]
    if places:
        whole = [value + at(below, *place) for value, place in zip(near[:_NEAR], places, strict=False)]
        logs += [_logs(whole[i] - whole[j]) for i in range(_NEAR) for j in range(i)]
        logs += [_logs(at(_box(np.abs(own), reach))) for reach in (2, 5)]
    logs.append(_logs(sum(np.abs(value) for value in ring)))  # pyright: ignore[reportArgumentType]
    slopes = np.abs(np.diff(below, axis=0, append=below[-1:])) + np.abs(np.diff(below, axis=1, append=below[:, -1:]))
    logs.append(_logs(at(_box(slopes, 3))))
    for other in ORDER[:colour]:
        sizes = np.abs(residual[other])
        logs += [_logs(at(sizes)), *(_logs(at(_box(sizes, reach))) for reach in (1, 4))]
    found = np.empty((len(raw) + len(logs), raw[0].size))
    for i, value in enumerate(raw):
        found[i] = value.ravel()
    found[: len(raw)] *= 1 << (FINE - RAW)
    for i, value in enumerate(logs, len(raw)):
        found[i] = value.ravel()
    return found, len(raw)


@dataclasses.dataclass(frozen=True)
class ResidualNetwork:
    """Where the residual of a pixel lies, and how widely: two hidden layers, and a line past them to the location.

    Weights are multiples of 2^-SHIFT, in float64.
    """

    first: np.ndarray
    first_bias: np.ndarray
    second: np.ndarray
    second_bias: np.ndarray
    last: np.ndarray
    last_bias: np.ndarray
    past: np.ndarray

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], name: str) -> "ResidualNetwork":
        """From arrays of whole numbers, by their names."""
        parts = [np.asarray(arrays[f"{name}.{field.name}"], float) for field in dataclasses.fields(cls)]
        return cls(*parts)

    def __call__(self, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Locations and log2 of scales in multiples of 2^-STEP, and kinds of mixtures, int64, one for each pixel.

        Args:
            seen: `(inputs, pixels)` of `inputs`.
        """
        scaled = float(1 << FINE)
        hidden = seen
        for weight, bias in ((self.first, self.first_bias), (self.second, self.second_bias)):
            hidden = np.clip(lowered(weight.T @ hidden + (bias * scaled)[:, None], SHIFT), 0.0, _MOST)
        out = self.last.T @ hidden + (self.last_bias * scaled)[:, None]
        location = out[0] + self.past @ seen[: self.past.size] * float(1 << RAW)
        location = np.clip(lowered(location, SHIFT + FINE - STEP), -_MOST, _MOST).astype(np.int64)
        scale = np.clip(lowered(out[1], SHIFT + FINE - STEP), *_LIMITS).astype(np.int64)
        # logits lie 3/4 apart, and the last kind's is zero: `tail_logit`
        tail = lowered(out[2] * float(4), SHIFT + FINE) * (1.0 / 3.0)
        return location, scale, np.clip(np.floor(tail + 0.5) + TAILS, 1, TAILS).astype(np.int64)


def coarser(location: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Locations on a coarser grid, a quarter of their scales at most where there is one, for fewer tables."""
    shift = np.clip((scale >> STEP) + 1, 0, STEP)
    return ((location + ((1 << shift) >> 1)) >> shift) << shift


def names() -> Sequence[tuple[int, int, str]]:
    """Colour, grid, and the name of the network, of all networks."""
    return [(colour, grid, f"{colour}.{grid}") for colour in range(len(ORDER)) for grid in range(len(GRIDS))]
