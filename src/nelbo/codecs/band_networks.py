"""The networks of an image codec in whole numbers, so that every machine decodes the same bits and the same pixels.

Weights and activations are multiples of powers of two. They are kept in float64 arrays, in which sums of products stay
below 2^53: such sums are exact, whatever their order, so matrix products by any BLAS on any number of threads agree to
the bit, and so do the shifts and floors between them. No function is called that could be rounded differently but
one, log2, whose table has a checksum.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping

import numpy as np

from nelbo.codecs.tables import verified
from nelbo.priors import COARSE, coarse_basis

SHIFT = 12  # weights are multiples of 2^-12
FINE = 8  # activations, and log2 of steps, are multiples of 2^-8
PART = 4  # lowest coefficients and their differences are multiples of 2^-4
STEP = 3  # log2 of scales and locations are multiples of 2^-3
PIXEL = 6  # coefficients in grey levels, and pixels on the way back, are multiples of 2^-6
_MATRIX = 14  # matrices of the transform are multiples of 2^-14
_LEVEL = 9 << (STEP - 1)  # log2 of a middling step, 4.5, in multiples of 2^-STEP
_LONGEST = 1 << 16  # entries of the table of magnitudes
_MOST = float(1 << 24)  # activations stay below


@functools.cache
def magnitudes() -> np.ndarray:
    """log2(1 + i / 2^PART) in multiples of 2^-FINE."""
    values = np.round(np.log2(1.0 + np.arange(_LONGEST) / (1 << PART)) * (1 << FINE))
    return verified("magnitudes", values.astype(np.int64)).astype(float)


def _whole(values: np.ndarray, shift: int) -> np.ndarray:
    return np.round(np.asarray(values, float) * (1 << shift))


def lowered(values: np.ndarray, shift: int) -> np.ndarray:
    """Multiples of 2^-shift less, rounded."""
    return np.floor((values + float(1 << (shift - 1))) * (1.0 / (1 << shift)))


def log_magnitudes(parts: np.ndarray) -> np.ndarray:
    """log2(1 + |y|) of numbers in multiples of 2^-PART, in multiples of 2^-FINE."""
    return magnitudes()[np.minimum(np.abs(parts), _LONGEST - 1).astype(np.int64)]


def coarse(lowest: np.ndarray) -> np.ndarray:
    """The lowest coefficients of 4 x 4 blocks, transformed, as `nelbo.models.bands` has them; any floats."""
    rows, columns = lowest.shape[0] // COARSE, lowest.shape[1] // COARSE
    grouped = lowest.reshape(rows, COARSE, columns, COARSE, -1).transpose(0, 2, 1, 3, 4).reshape(rows, columns, 16, -1)
    return np.einsum("fp,ijpc->ijfc", coarse_basis(), grouped).reshape(rows, columns, -1)


def lowest_parts(y: np.ndarray) -> np.ndarray:
    """The lowest coefficients of whole coarse ones, in multiples of 2^-PART."""
    rows, columns = y.shape[:2]
    basis = _whole(coarse_basis(), _MATRIX)
    grouped = np.einsum("fp,ijfc->ijpc", basis, y.reshape(rows, columns, COARSE**2, -1))
    found = lowered(grouped, _MATRIX - PART).reshape(rows, columns, COARSE, COARSE, -1)
    return found.transpose(0, 2, 1, 3, 4).reshape(rows * COARSE, columns * COARSE, -1)


def differences(lowest: np.ndarray) -> np.ndarray:
    """What the eight neighbours of each block have more than itself."""
    rows, columns = lowest.shape[:2]
    padded = np.pad(lowest, ((1, 1), (1, 1), (0, 0)), mode="edge")
    places = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    return np.concatenate([padded[i : i + rows, j : j + columns] - lowest for i, j in places], axis=-1)


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What a band's network has made of all earlier bands; arrays of `(rows, columns, units)`, in multiples of 2^-FINE.

    Args:
        own: hidden units of each block.
        mixed: those of its neighbourhood, with SHIFT bits more, before what is added for neighbours of the same band.
        location: of each number, in multiples of 2^-STEP, int64.
    """

    own: np.ndarray
    mixed: np.ndarray
    location: np.ndarray


@dataclasses.dataclass(frozen=True)
class BandNetwork:
    """One band's network; see `nelbo.models.bands.Band`.

    Args:
        typical: log2 of what is seen in grey levels, about, in multiples of 2^-STEP.
    """

    typical: np.ndarray

    enter: np.ndarray
    enter_bias: np.ndarray
    mix: np.ndarray
    mix_bias: np.ndarray
    beside: np.ndarray
    beside_bias: np.ndarray
    leave: np.ndarray
    leave_bias: np.ndarray
    slope: np.ndarray

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], name: str, typical: np.ndarray) -> "BandNetwork":
        """From the arrays of a model, by their names."""
        get = lambda part: arrays[f"{name}.{part}"]  # noqa: E731
        return cls(
            _whole(typical, STEP),
            _whole(get("enter"), SHIFT),
            _whole(get("enter_bias"), SHIFT + FINE),
            _whole(get("mix.weight"), SHIFT),
            _whole(get("mix.bias"), SHIFT + FINE),
            _whole(get("beside"), SHIFT),
            _whole(get("beside_bias"), SHIFT + FINE),
            _whole(get("leave"), SHIFT),
            _whole(get("leave_bias"), SHIFT + FINE),
            _whole(get("slope"), SHIFT + FINE - PART),
        )

    def prepare(self, around: np.ndarray, seen: np.ndarray, step: int) -> Prepared:
        """What can be computed before the first number of the band is known.

        Args:
            around: differences of lowest coefficients, in multiples of 2^-PART.
            seen: magnitudes of these and of all earlier bands, in multiples of 2^-FINE, `(rows, columns, inputs)`.
            step: log2 of the step, in multiples of 2^-STEP.
        """
        level = np.full((*seen.shape[:2], 1), float((step - _LEVEL) << (FINE - STEP)))
        usual = np.maximum(self.typical - step, 0.0) * (1 << (FINE - STEP))
        inputs = np.concatenate([level, seen - usual], axis=-1)
        own = np.clip(lowered(inputs @ self.enter + self.enter_bias, SHIFT), 0.0, _MOST)
        location = np.clip(lowered(around @ self.slope, SHIFT + FINE - STEP), -_MOST, _MOST)
        return Prepared(own, _convolved(own, self.mix) + self.mix_bias, location.astype(np.int64))

    def scales(
        self, found: Prepared, which: np.ndarray, beside: np.ndarray | None, step: int, limits: tuple[int, int]
    ) -> np.ndarray:
        """log2 of scales of some blocks in multiples of 2^-STEP, int64, `(blocks, coefficients)`.

        Args:
            found: what `prepare` gave.
            which: blocks, `(rows, columns)` bool.
            beside: magnitudes of their neighbours' numbers of this band as `beside` sums them, in multiples of
                2^-FINE, `(rows, columns, both)`; None where none is known yet.
            step: log2 of the step, in multiples of 2^-STEP.
            limits: the least and the greatest.
        """
        own, mixed = found.own[which], found.mixed[which]
        if beside is not None:
            mixed = mixed + beside[which] @ self.beside + self.beside_bias
        hidden = np.concatenate([own, np.clip(lowered(mixed, SHIFT), 0.0, _MOST)], axis=-1)
        raw = hidden @ self.leave + self.leave_bias
        return np.clip(lowered(raw, SHIFT + FINE - STEP) - step, *limits).astype(np.int64)


def beside(y: np.ndarray) -> np.ndarray:
    """Sums of the two neighbours above and below each block, then of those left and right; zero beyond the border."""
    padded = np.pad(y, ((1, 1), (1, 1), (0, 0)))
    upright = padded[:-2, 1:-1] + padded[2:, 1:-1]
    return np.concatenate([upright, padded[1:-1, :-2] + padded[1:-1, 2:]], axis=-1)


def _over_edges(x: np.ndarray, matrix: np.ndarray, *, exact: bool) -> np.ndarray:
    """Mix the numbers around each inner edge of blocks along the first axis."""
    size = matrix.shape[0]
    half = size // 2
    if x.shape[0] == size:
        return x
    mixed = matrix @ x[half:-half].reshape(-1, size, math.prod(x.shape[1:]))
    out = x.copy()
    out[half:-half] = (lowered(mixed, _MATRIX) if exact else mixed).reshape(-1, *x.shape[1:])
    return out


@dataclasses.dataclass(frozen=True)
class Transform:
    """The lapped transform of a model; see `nelbo.nets.LappedTransform`.

    Args:
        there: colour, lap and block matrices of the way there, floats.
        back: of the way back, whole numbers.
        shrink: towards zero, in multiples of 2^-PIXEL of a step.
    """

    there: tuple[np.ndarray, np.ndarray, np.ndarray]
    back: tuple[np.ndarray, np.ndarray, np.ndarray]
    shrink: np.ndarray

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> "Transform":
        """From the arrays of a model."""
        there = [np.asarray(arrays[f".recognition.transform.{part}"], float) for part in ("colour", "lap", "block")]
        names = ("colour_back", "lap_back", "block_back")
        back = [_whole(arrays[f".generative.layers[0].transform.{part}"], _MATRIX) for part in names]
        return cls(tuple(there), tuple(back), _whole(arrays[".generative.layers[0].shrink"], PIXEL))  # pyright: ignore

    @property
    def size(self) -> int:
        """Of a block."""
        return self.there[2].shape[0]

    def analysis(self, x: np.ndarray) -> np.ndarray:
        """Coefficients of a picture in grey levels, floats, `(rows, columns, coefficients)`."""
        colour, lap, block = self.there
        size, (height, width) = self.size, x.shape[:2]
        y = x @ colour.T
        for _ in range(2):
            y = _over_edges(y, lap, exact=False)
            y = (block @ y.reshape(-1, size, y.shape[1] * y.shape[2])).reshape(y.shape).transpose(1, 0, 2)
            y = np.ascontiguousarray(y)
        table = y.reshape(height // size, size, width // size, size, -1).transpose(0, 2, 4, 1, 3)
        return table.reshape(height // size, width // size, -1)

    def synthesis(self, y: np.ndarray, step: int) -> np.ndarray:
        """The picture of whole coefficients, in multiples of 2^-PIXEL of a grey level, exact.

        Args:
            y: `(rows, columns, coefficients)`, in multiples of 2^-PIXEL of a step.
            step: log2 of the step, in multiples of 2^-STEP.
        """
        colour, lap, block = self.back
        size, (rows, columns) = self.size, y.shape[:2]
        x = lowered(y * step_size(step), _MATRIX)
        x = x.reshape(rows, columns, -1, size, size).transpose(0, 3, 1, 4, 2).reshape(rows * size, columns * size, -1)
        for _ in range(2):
            x = np.ascontiguousarray(x)
            x = lowered(block @ x.reshape(-1, size, x.shape[1] * x.shape[2]), _MATRIX).reshape(x.shape)
            x = _over_edges(x, lap, exact=True).transpose(1, 0, 2)
        return lowered(x @ colour.T, _MATRIX)


PATCH = 4  # pixels along each side that the restoring network takes for one


@dataclasses.dataclass(frozen=True)
class Restorer:
    """The network that restores decoded pictures; see `nelbo.models.image_codec.Restoration`."""

    first: np.ndarray
    first_bias: np.ndarray
    last: np.ndarray
    last_bias: np.ndarray

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> "Restorer | None":
        """From the arrays of a model; None where it has no such network."""
        name = ".generative.layers[0].restoration"
        if f"{name}.first.weight" not in arrays:
            return None
        convolutions = [arrays[f"{name}.{part}"] for part in ("first.weight", "first.bias", "last.weight", "last.bias")]
        return cls(*(_whole(part, SHIFT + FINE * (i % 2)) for i, part in enumerate(convolutions)))

    def __call__(self, x: np.ndarray, step: int) -> np.ndarray:
        """The correction of a picture, both in multiples of 2^-PIXEL of a grey level, exact.

        Args:
            x: `(height, width, 3)`, grey levels from the middle one.
            step: log2 of the step, in multiples of 2^-STEP.
        """
        rows, columns = x.shape[0] // PATCH, x.shape[1] // PATCH
        patches = x.reshape(rows, PATCH, columns, PATCH, 3).transpose(0, 2, 1, 3, 4).reshape(rows, columns, -1)
        # 2^-step as the reciprocal of a table's entry, whose product with a whole number is rounded once
        whole, part = divmod(step, 1 << STEP)
        inverse = float(_eighths()[-part % (1 << STEP)]) * (0.5 if part else 1.0) * 2.0**-whole
        steps = np.floor(patches * (inverse * (1 << (FINE - PIXEL)) * 2.0**-_MATRIX) + 0.5)
        level = np.full((rows, columns, 1), float(step << (FINE - STEP)))
        hidden = _convolved(np.concatenate([steps, level], axis=-1), self.first) + self.first_bias
        hidden = np.clip(lowered(hidden, SHIFT), 0.0, _MOST)
        out = _convolved(hidden, self.last) + self.last_bias
        moved = lowered(out * step_size(step), SHIFT + FINE + _MATRIX - PIXEL)
        return moved.reshape(rows, columns, PATCH, PATCH, 3).transpose(0, 2, 1, 3, 4).reshape(x.shape)


def _convolved(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A convolution as sums of matrix products, with zeros around."""
    rows, columns = x.shape[:2]
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    found = np.zeros((rows * columns, weight.shape[-1]))
    for i in range(3):
        for j in range(3):
            part = padded[i : i + rows, j : j + columns]
            found += np.ascontiguousarray(part).reshape(rows * columns, -1) @ weight[i, j]
    return found.reshape(rows, columns, -1)


@functools.cache
def _eighths() -> np.ndarray:
    """2^(i / 8) in multiples of 2^-_MATRIX."""
    return np.round(np.exp2(np.arange(1 << STEP) / (1 << STEP)) * (1 << _MATRIX))


def step_size(step: int) -> float:
    """The step of its logarithm, in multiples of 2^-_MATRIX, a whole number."""
    return float(_eighths()[step % (1 << STEP)]) * 2.0 ** (step >> STEP)
