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
    coarse,
    differences,
    log_magnitudes,
    lowest_parts,
)
from nelbo.codecs.band_tables import LEAST, MOST, STEP, Plan, Reader, Writer, bits, plan
from nelbo.codecs.codec import Codec
from nelbo.codecs.message import DamagedError
from nelbo.codecs.tables import Shape
from nelbo.core import InputError
from nelbo.priors import image_bands

MIDDLE = 128
# nats weigh a sixth of a squared step beside the squared error where the deviation of p(x | z) is step / sqrt(12)
THRIFT = 1.5  # measured on training photographs, docs/lossy.md
_PER_BIT = math.log(2.0) / 6.0
_Choose = Callable[[int, Plan], np.ndarray]


@dataclasses.dataclass(frozen=True)
class BandCoder:
    """An image codec's model in whole numbers.

    Args:
        shape: of the density of coefficients.
        transform: of the pictures.
        bands: places of each band's coefficients among all of a block.
        lowest: log2 of the scales of the coarse coefficients in grey levels, in multiples of 2^-STEP.
        networks: of the other bands.
        restorer: of decoded pictures, or None.
    """

    shape: Shape
    transform: Transform
    bands: tuple[np.ndarray, ...]
    lowest: np.ndarray
    networks: tuple[BandNetwork, ...]
    restorer: Restorer | None
    thrift: ClassVar[float] = THRIFT

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], arguments: Mapping[str, Any]) -> "BandCoder":
        """From the arrays of a model, by their names in its file, and the options of its family."""
        places = image_bands(arguments["block"])
        count = len(places)
        lowest = np.floor(np.asarray(arrays[f".generative.layers[{count}].log_scale"], float) * (1 << STEP) + 0.5)
        networks = [BandNetwork.of(arrays, f".generative.layers[{count - i}]") for i in range(1, count)]
        transform, restorer = Transform.of(arrays), Restorer.of(arrays)
        return cls(arguments["density"], transform, places, lowest.astype(np.int64), tuple(networks), restorer)

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

        def write(number: int, found: Plan) -> np.ndarray:
            if numbers is None:
                values = own[..., self.bands[number]]
                y = self._chosen(np.ravel(values if number else coarse(values))[found.order], found, number, thrift)
            else:
                y = numbers[number].ravel()[found.order]
            writer.numbers(self.shape, found, y)
            return y

        y = self._walk((x.shape[0] // self.transform.size, x.shape[1] // self.transform.size), step, write, grey=grey)
        return writer.to_bytes(), y

    def _chosen(self, wanted: np.ndarray, found: Plan, number: int, thrift: float) -> np.ndarray:
        """Whole numbers of least squared error and rate, among the nearest, its neighbour towards zero, and zero."""
        nearest = np.rint(wanted).astype(np.int64)
        near = np.flatnonzero(nearest) if number and thrift else np.zeros(0, np.int64)
        if not near.size:
            return nearest
        part, c, first = _part(found, near), wanted[near], nearest[near]
        best, cost = first, np.full(near.size, np.inf)
        shrink = 0.15
        for candidate in (first, first - np.sign(first), np.zeros_like(first)):
            error = c - (candidate - shrink * np.sign(candidate))
            price = error**2 + thrift * _PER_BIT * bits(self.shape, part, candidate)
            best, cost = np.where(price < cost, candidate, best), np.minimum(price, cost)
        nearest[near] = best
        return nearest

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
        blocks = (sides[0] // size, sides[1] // size)
        y = self._walk(blocks, step, lambda number, found: reader.numbers(self.shape, found), grey=grey)  # noqa: ARG005
        if not reader.is_spent():
            raise DamagedError("The stream is damaged: something is left of it.")
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

    def _walk(self, blocks: tuple[int, int], step: int, numbers: _Choose, *, grey: bool) -> np.ndarray:
        """Band after band: its plan from those before, its numbers from `numbers`."""
        size = self.transform.size
        y = np.zeros((*blocks, 3 * size * size))
        seen: list[np.ndarray] = []
        lowest = around = np.zeros(0)
        for number, places in enumerate(self.bands):
            if not number:
                extent = (blocks[0] // 4, blocks[1] // 4, self.lowest.size)
                scale = np.broadcast_to(np.clip(self.lowest - step, LEAST, MOST), extent)
                location, colour = np.zeros(extent, np.int64), np.tile(np.arange(3), self.lowest.size // 3)
            else:
                location, scale = self.networks[number - 1](around, np.concatenate(seen, axis=-1), step, MOST, LEAST)
                colour = places // (size * size)
            coded = np.broadcast_to(~(grey & (colour > 0)), scale.shape)
            found = plan(self.shape, location.ravel(), scale.ravel(), coded.ravel())
            own = np.zeros(scale.size)
            own[found.order] = numbers(number, found)
            own = own.reshape(scale.shape)
            if not number:
                lowest = lowest_parts(own)
                around = differences(lowest)
                seen.append(log_magnitudes(around))
                y[..., places] = lowest * (1.0 / (1 << PART))
            else:
                seen.append(log_magnitudes(own * (1 << PART)))
                y[..., places] = own
        return y


def _part(found: Plan, chosen: np.ndarray) -> Plan:
    """A plan of some of its numbers; their places in the picture are not kept."""
    group = np.searchsorted(found.starts, chosen, side="right") - 1
    used, starts = np.unique(group, return_index=True)
    keys = tuple(found.keys[i] for i in used)
    return Plan(chosen, np.append(starts, chosen.size), keys, found.centre[chosen], found.low[chosen])
