"""Pictures as streams of bands: an image codec's model, run in whole numbers on both sides."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nelbo.codecs.band_networks import (
    PART,
    PIXEL,
    BandNetwork,
    Restorer,
    Transform,
    beside,
    coarse,
    differences,
    log_magnitudes,
    lowest_parts,
)
from nelbo.codecs.band_tables import LEAST, MOST, STEP, Plan, Reader, Writer, bits, plan
from nelbo.codecs.codec import Codec
from nelbo.codecs.tables import Shape
from nelbo.core import InputError
from nelbo.priors import COARSE, COLOURS, coarse_bands, image_bands, typical_logs

MIDDLE = 128
# nats weigh a sixth of a squared step beside the squared error where the deviation of p(x | z) is step / sqrt(12)
THRIFT = 1.5  # measured on training photographs, docs/lossy.md
_LEAST_OF_SQUARES = -4 << STEP  # log2 of scales of squares, whose numbers are all coded
_CHOSEN = 3.0  # steps that a number which is coded is off at most, about: zero in place of it saves 30 bits at most
_MISSED = 0.02  # of the squared error
PER_BIT = math.log(2.0) / 6.0
_Choose = Callable[[int, np.ndarray, Plan], np.ndarray]


@dataclasses.dataclass(frozen=True)
class BandCoder:
    """An image codec's model in whole numbers.

    Args:
        shape: of the density of coefficients.
        transform: of the pictures.
        bands: places of each band's coefficients, those of the squares among all of a square, then those of the blocks
            among all of a block.
        lowest: log2 of the scales of the lowest coefficients of squares in grey levels, in multiples of 2^-STEP.
        networks: of the other bands.
        restorer: of decoded pictures, or None.
        skips: whether numbers of very small scales are taken for zero. That spares time; but of pictures and steps
            unlike those of training, scales may be far too small.
    """

    shape: Shape
    transform: Transform
    bands: tuple[np.ndarray, ...]
    lowest: np.ndarray
    networks: tuple[BandNetwork, ...]
    restorer: Restorer | None
    skips: bool = True
    thrift: ClassVar[float] = THRIFT

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], arguments: Mapping[str, Any]) -> "BandCoder":
        """From the arrays of a model, by their names in its file, and the options of its family.

        Raises:
            InputError: its bands are others, as those of an earlier nelbo.
        """
        bands = (*coarse_bands(), *image_bands(arguments["block"]))
        count = len(bands)
        first = arrays.get(f".generative.layers[{count}].log_scale", np.zeros(0))
        if first.shape != (COLOURS,):
            raise InputError(
                "This image-codec has other bands of coefficients than those of this nelbo: fit it again, or use the "
                "nelbo that wrote it."
            )
        lowest = np.floor(np.asarray(first, float) * (1 << STEP) + 0.5).astype(np.int64)
        squares, networks = len(coarse_bands()), []
        for i in range(1, count):
            typical = typical_logs(arguments["block"], i if i < squares else i - squares, of_squares=i < squares)
            networks.append(BandNetwork.of(arrays, f".generative.layers[{count - i}]", typical))
        return cls(arguments["density"], Transform.of(arrays), bands, lowest, tuple(networks), Restorer.of(arrays))

    @property
    def has_chain(self) -> bool:
        """No: there are no hyper-latents that could get bits back."""
        return False

    def chained(self, sides: tuple[int, int], step: int) -> Codec:
        """There is no chain.

        Raises:
            InputError: always.
        """
        raise InputError(f"Bands of {sides} at step {step} have no hyper-latents that could get bits back.")

    @property
    def sure(self) -> "BandCoder":
        """The coder that codes every number."""
        return dataclasses.replace(self, skips=False)

    def misses(self, x: np.ndarray, y: np.ndarray, step: int) -> bool:
        """Whether numbers that were taken for zero, uncoded, make up much of a picture's error.

        Args:
            x: as for `encode`.
            y: what it gave.
            step: as for `encode`.
        """
        if not self.skips:
            return False
        errors = (self.transform.analysis(x - MIDDLE) * 2.0 ** (-step / (1 << STEP)) - y) ** 2
        return bool(errors[errors > _CHOSEN**2].sum() > _MISSED * errors.sum())

    @property
    def unit(self) -> int:
        """Sides of what is coded are multiples of so many pixels."""
        return 4 * self.transform.size

    def encode(
        self,
        x: np.ndarray,
        step: int,
        *,
        grey: bool = False,
        thrift: float = THRIFT,
        numbers: Sequence[np.ndarray] | None = None,
    ) -> tuple[bytes, np.ndarray]:
        """Code a picture.

        Args:
            x: `(height, width, 3)`, grey levels, sides multiples of `unit`.
            step: log2 of the step, in multiples of 2^-STEP.
            grey: whether all colours are equal, so that only lightness is coded.
            thrift: weight of bits in the choice among whole numbers; 0 rounds to the nearest.
            numbers: whole numbers of each band that have been chosen already; None chooses them here.

        Returns:
            The stream, and all coefficients as the receiver has them, in steps.
        """
        own = self.transform.analysis(x - MIDDLE) * 2.0 ** (-step / (1 << STEP))
        writer = Writer()

        squares = coarse(own[..., self._lowest_places])

        def write(number: int, which: np.ndarray, found: Plan) -> np.ndarray:
            if numbers is None:
                of_squares, places = number < len(coarse_bands()), self.bands[number]
                values = (squares if of_squares else own)[which][:, places].ravel()[found.order]
                inner = np.zeros(places.size) if of_squares else self.transform.shrink[places] / (1 << PIXEL)
                y = self._chosen(values, found, thrift if number else 0.0, inner[found.order % places.size])
            else:
                y = numbers[number][which].ravel()[found.order]
            writer.numbers(self.shape, found, y)
            return y

        y = self._walk((x.shape[0] // self.transform.size, x.shape[1] // self.transform.size), step, write, grey=grey)
        return writer.to_bytes(), y

    def _chosen(self, wanted: np.ndarray, found: Plan, thrift: float, inner: np.ndarray) -> np.ndarray:
        """Whole numbers of least squared error and rate, among the nearest, its neighbour towards zero, and zero.

        Args:
            wanted: the coefficients in steps, in the order of the plan.
            found: the plan.
            thrift: weight of bits; 0 rounds to the nearest.
            inner: what the receiver moves each number towards zero, if it is another.
        """
        nearest = np.rint(wanted).astype(np.int64)
        near = np.flatnonzero(nearest) if thrift else np.zeros(0, np.int64)
        if not near.size:
            return nearest
        part, c, first, shrink = _part(found, near), wanted[near], nearest[near], inner[near]
        best, cost = first, np.full(near.size, np.inf)
        for candidate in (first, first - np.sign(first), np.zeros_like(first)):
            error = c - (candidate - shrink * np.sign(candidate))
            price = error**2 + thrift * PER_BIT * bits(self.shape, part, candidate)
            best, cost = np.where(price < cost, candidate, best), np.minimum(price, cost)
        nearest[near] = best
        return nearest

    def choice(self, y: np.ndarray) -> list[np.ndarray]:
        """The whole numbers of each band of all coefficients in steps, as `encode` takes them.

        Args:
            y: what `encode` gave.
        """
        squares, count = np.rint(coarse(y[..., self._lowest_places])), len(coarse_bands())
        return [(squares if i < count else y)[..., places].astype(np.int64) for i, places in enumerate(self.bands)]

    def decode(self, data: bytes, sides: tuple[int, int], step: int, *, grey: bool = False) -> np.ndarray:
        """All coefficients of a stream, in steps, whole floats.

        Args:
            data: what `encode` wrote.
            sides: of the picture, multiples of `unit`.
            step: as for `encode`.
            grey: as for `encode`.

        Raises:
            DamagedError: no sender with this model wrote it.
        """
        reader, size = Reader(data), self.transform.size
        read: _Choose = lambda number, which, found: reader.numbers(self.shape, found)  # noqa: ARG005, E731
        y = self._walk((sides[0] // size, sides[1] // size), step, read, grey=grey)
        reader.finish()
        return y

    def picture(self, y: np.ndarray, step: int) -> np.ndarray:
        """The decoded picture of coefficients in steps, uint8, the same on every machine."""
        x = self.unrestored(y, step)
        if self.restorer is not None:
            x = x + self.restorer(x, step)
        whole = np.floor((x + float(1 << (PIXEL - 1))) * (1.0 / (1 << PIXEL))) + MIDDLE
        return np.clip(whole, 0.0, 255.0).astype(np.uint8)

    def unrestored(self, y: np.ndarray, step: int) -> np.ndarray:
        """The decoded picture before it is restored, in multiples of 2^-PIXEL of a grey level from the middle one."""
        inner = y * float(1 << PIXEL) - np.sign(y) * self.transform.shrink
        return self.transform.synthesis(inner, step)

    @property
    def _lowest_places(self) -> np.ndarray:
        return np.arange(COLOURS) * self.transform.size**2

    def _walk(self, blocks: tuple[int, int], step: int, numbers: _Choose, *, grey: bool) -> np.ndarray:
        """Band after band: its plans from what comes before, its numbers from `numbers`, in steps."""
        count, squares = len(coarse_bands()), (blocks[0] // COARSE, blocks[1] // COARSE)
        low = np.zeros((*squares, COARSE**2 * COLOURS))
        scale = np.broadcast_to(
            np.clip(self.lowest - step, _LEAST_OF_SQUARES, MOST), (squares[0] * squares[1], COLOURS)
        )
        everywhere, colour = np.ones(squares, bool), np.arange(COLOURS)
        first = self._numbers(0, everywhere, np.zeros(scale.shape, np.int64), scale, numbers, ~(grey & (colour > 0)))
        low[..., self.bands[0]] = first.reshape(*squares, COLOURS)
        around = differences(low[..., self.bands[0]] * (1 << PART))
        self._grid(low, around, range(1, count), step, numbers, grey=grey)
        lowest = lowest_parts(low)
        y = np.zeros((*blocks, COLOURS * self.transform.size**2))
        y[..., self._lowest_places] = lowest * (1.0 / (1 << PART))
        self._grid(y, differences(lowest), range(count, len(self.bands)), step, numbers, grey=grey)
        return y

    def _grid(
        self, y: np.ndarray, around: np.ndarray, which: range, step: int, numbers: _Choose, *, grey: bool
    ) -> None:
        """The bands of a grid, into `y`: of each, every other block first, the others given their neighbours."""
        odd = np.add.outer(np.arange(y.shape[0]), np.arange(y.shape[1])) % 2 == 1
        squares = which.start < len(coarse_bands())
        limits = (_LEAST_OF_SQUARES if squares else LEAST, MOST)
        seen = [log_magnitudes(around)]
        for number in which:
            places, network = self.bands[number], self.networks[number - 1]
            colour = places % COLOURS if squares else places // self.transform.size**2
            found = network.prepare(around, np.concatenate(seen, axis=-1), step)
            own, known = np.zeros(found.location.shape), None
            for part in (~odd, odd):
                scale = network.scales(found, part, known, step, limits)
                own[part] = self._numbers(number, part, found.location[part], scale, numbers, ~(grey & (colour > 0)))
                sizes = log_magnitudes(own * (1 << PART))
                known = beside(sizes)
            seen.append(sizes)
            y[..., places] = own

    def _numbers(
        self,
        number: int,
        which: np.ndarray,
        location: np.ndarray,
        scale: np.ndarray,
        numbers: _Choose,
        coded: np.ndarray,
    ) -> np.ndarray:
        """The numbers of some blocks of a band, `(blocks, coefficients)`."""
        places = np.broadcast_to(coded, scale.shape).ravel()
        found = plan(self.shape, location.ravel(), scale.ravel(), places, skips=self.skips)
        own = np.zeros(scale.size)
        own[found.order] = numbers(number, which, found)
        return own.reshape(scale.shape)


def _part(found: Plan, chosen: np.ndarray) -> Plan:
    """A plan of some of its numbers; their places in the picture are not kept."""
    group = np.searchsorted(found.starts, chosen, side="right") - 1
    used, starts = np.unique(group, return_index=True)
    keys = tuple(found.keys[i] for i in used)
    return Plan(chosen, np.append(starts, chosen.size), keys, found.centre[chosen], found.low[chosen])
