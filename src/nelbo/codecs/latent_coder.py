"""Pictures as streams of latents and hyper-latents: a convolutional codec in whole numbers on both sides."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nelbo.codecs.band_networks import lowered
from nelbo.codecs.band_tables import STEP, Plan, Reader, Writer
from nelbo.codecs.codec import Codec
from nelbo.codecs.factorized_tables import Factorized
from nelbo.codecs.hyper_bits_back import HyperCoder
from nelbo.codecs.hyper_networks import USUAL_STEP, Hyper
from nelbo.codecs.message import Message
from nelbo.codecs.whole_convolutions import ACTIVATION, MOST, SUM, Chain
from nelbo.core import InputError

MIDDLE, RANGE = 128, 64  # grey level that is subtracted, and by how many the rest is divided
LEVELS, HYPER_LEVELS = 4, 2
THRIFT = 1.0  # weight of bits beside squared error: as in training
_UNIT = 20  # units of latents are multiples of 2^-_UNIT
_FARTHEST = (1 << 19) - 1  # of a latent from zero
_DOWN = tuple((f"downs[{i}]", "down") for i in range(LEVELS))
_UP = tuple((f"ups[{i}]", "up") for i in range(LEVELS))
Latents = tuple[np.ndarray, ...]  # of a tile: the latents, and hyper-latents where there are any


@dataclasses.dataclass(frozen=True)
class LatentCoder:
    """A convolutional codec's model in whole numbers.

    Args:
        analysis: of pictures.
        synthesis: of pictures.
        slopes: how log2 of a latent's unit follows log2 of the step, on the way there and back, and of the density.
        density: of the hyper-latents, or of the latents where there are none.
        hyper: what gives the latents' densities, or None.
        back: gives hyper-latents their bits back, where the model can.
    """

    analysis: Chain
    synthesis: Chain
    slopes: tuple[np.ndarray, ...]
    density: Factorized
    hyper: Hyper | None
    back: HyperCoder | None
    thrift: ClassVar[float] = THRIFT

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], arguments: Mapping[str, Any]) -> "LatentCoder":
        """From the arrays of a model, by their names in its file, and the options of its family.

        Raises:
            InputError: weights too large to be computed with exactly.
        """
        layers, factorized = ".generative.layers", arguments["prior"] == "factorized"
        hyper = None
        if not factorized:
            there = [("first", "same"), *[(f"downs[{i}]", "down") for i in range(HYPER_LEVELS)]]
            back = [*[(f"ups[{i}]", "up") for i in range(HYPER_LEVELS)], ("last", "same")]
            hyper = Hyper(
                Chain.of(arrays, ".recognition.layers[1].net", there),
                Chain.of(arrays, f"{layers}[1].net", back),
                np.asarray(arrays[f"{layers}[1].slope"], float),
                arguments["prior"] == "mean-scale",
            )
        slopes = [".recognition.slope", f"{layers}[0].slope", *([f"{layers}[1].slope"] if factorized else [])]
        density = Factorized.of(arrays, f"{layers}[{1 if factorized else 2}].density")
        back = None if hyper is None or arguments["hyper"] == "sent" else HyperCoder.of(hyper, density)
        return cls(
            Chain.of(arrays, ".recognition.net", _DOWN, LEVELS - 1),
            Chain.of(arrays, f"{layers}[0].net", _UP, LEVELS - 1),
            tuple(np.asarray(arrays[name], float) for name in slopes),
            density,
            hyper,
            back,
        )

    @property
    def has_chain(self) -> bool:
        """Whether tiles can be coded with bits back, one after another."""
        return self.back is not None

    @property
    def sure(self) -> "LatentCoder":
        """Itself: no scale is so small that a number is not coded."""
        return self

    def misses(self, x: np.ndarray, y: Latents, step: int) -> bool:  # noqa: ARG002
        """No number."""
        return False

    @property
    def unit(self) -> int:
        """Sides of what is coded are multiples of so many pixels."""
        return 1 << (LEVELS + HYPER_LEVELS * (self.hyper is not None))

    def units(self, which: int, step: int) -> np.ndarray:
        """What latents are divided by, in multiples of 2^-_UNIT; `which` of the slopes."""
        return np.maximum(np.rint(np.exp2(self.slopes[which] * ((step - USUAL_STEP) / (1 << STEP)) + _UNIT)), 1.0)

    def analysed(self, x: np.ndarray, step: int) -> np.ndarray:
        """The latents of a picture before they are rounded, floats, in units."""
        sums = self.analysis((x - MIDDLE) * float((1 << ACTIVATION) // RANGE))
        return sums * 2.0 ** (_UNIT - SUM) / self.units(0, step)

    def encode(
        self, x: np.ndarray, step: int, *, grey: bool = False, numbers: Sequence[np.ndarray] | None = None
    ) -> tuple[bytes, Latents]:
        """Code a picture.

        Args:
            x: `(height, width, 3)`, grey levels, sides multiples of `unit`.
            step: log2 of the step, in multiples of 2^-STEP.
            grey: whether all colours are equal; it makes no difference here.
            numbers: whole numbers that have been chosen already, hyper-latents first if they were; None rounds.

        Returns:
            The stream, and the whole numbers as the receiver has them.
        """
        del grey
        z = self._rounded(self.analysed(x, step)) if numbers is None else tuple(numbers[::-1])
        if self.hyper is not None and len(z) == 1:
            z = self._rounded(z[0])
        z = tuple(np.clip(part, -_FARTHEST, _FARTHEST).astype(np.int64) for part in z)
        writer = Writer()
        if self.hyper is None:
            self._write(writer, z[0], self.units(2, step) * 2.0**-_UNIT)
        else:
            self._write(writer, z[1], np.ones(self.density.channels))
            found = self.hyper.plan(np.clip(z[1] * float(1 << ACTIVATION), -MOST, MOST), step)
            writer.numbers("normal", found, z[0].ravel()[found.order])
        return writer.to_bytes(), z

    def _rounded(self, y: np.ndarray) -> Latents:
        """Whole latents of real ones, and their hyper-latents where there are any."""
        if self.hyper is None:
            return (np.rint(y),)
        # q of hyper-latents with bits back takes whole latents, as the receiver has them
        real = np.clip(np.rint((y if self.back is None else np.rint(y)) * (1 << ACTIVATION)), -MOST, MOST)
        sums = self.hyper.analysis(real if self.hyper.means else np.abs(real))
        return np.rint(y), np.rint(sums[..., : self.density.channels] * 2.0**-SUM)

    def _write(self, writer: Writer, y: np.ndarray, unit: np.ndarray) -> None:
        """Write numbers of the factorized density, channel after channel."""
        middle, tables = self.density.tables(unit)
        flat = y.reshape(-1, middle.size).T - middle[:, None]
        writer.tabled(tables, np.arange(middle.size + 1) * flat.shape[1], flat.ravel())

    def _read(self, reader: Reader, extent: tuple[int, int], unit: np.ndarray) -> np.ndarray:
        middle, tables = self.density.tables(unit)
        size = extent[0] * extent[1]
        flat = reader.tabled(tables, np.arange(middle.size + 1) * size).reshape(middle.size, size)
        return (flat + middle[:, None]).T.reshape(*extent, middle.size)

    def choice(self, y: Latents) -> None:
        """None: `encode` rounds."""

    def decode(self, data: bytes, sides: tuple[int, int], step: int, *, grey: bool = False) -> Latents:
        """The whole numbers of a stream.

        Args:
            data: what `encode` wrote.
            sides: of the picture, multiples of `unit`.
            step: as for `encode`.
            grey: as for `encode`.

        Raises:
            DamagedError: no sender with this model wrote it.
        """
        del grey
        reader, extent = Reader(data), (sides[0] >> LEVELS, sides[1] >> LEVELS)
        if self.hyper is None:
            z: Latents = (self._read(reader, extent, self.units(2, step) * 2.0**-_UNIT),)
        else:
            inner = (extent[0] >> HYPER_LEVELS, extent[1] >> HYPER_LEVELS)
            above = self._read(reader, inner, np.ones(self.density.channels))
            seen = np.clip(above * float(1 << ACTIVATION), -MOST, MOST)
            z = (_latents(reader, self.hyper.plan(seen, step)).reshape(*extent, -1), above)
        reader.finish()
        return z

    def chained(self, sides: tuple[int, int], step: int) -> Codec:
        """The codec of the latents of a tile with bits back for its hyper-latents: what it pops is a `Latents`.

        Args:
            sides: as for `decode`.
            step: as for `encode`.

        Raises:
            InputError: the model's hyper-latents are sent.
        """
        hyper, back = self.hyper, self.back
        if hyper is None or back is None:
            raise InputError("The model's hyper-latents are sent, and get no bits back: use one of hyper bits-back.")

        def write(z: np.ndarray, y: np.ndarray) -> bytes:
            writer, found = Writer(), hyper.plan(z, step)
            writer.numbers("normal", found, y.ravel()[found.order])
            return writer.to_bytes()

        def read(data: bytes, z: np.ndarray) -> np.ndarray:
            reader = Reader(data)
            y = _latents(reader, hyper.plan(z, step))
            reader.finish()
            return y.reshape(sides[0] >> LEVELS, sides[1] >> LEVELS, -1)

        shift = LEVELS + HYPER_LEVELS
        inner = back.codec((sides[0] >> shift, sides[1] >> shift), write, read)

        def pop(message: Message) -> tuple[Message, Latents]:
            message, y = inner.pop(message)
            return message, (y,)

        return Codec(lambda message, z: inner.push(message, z[0]), pop)

    def picture(self, z: Latents, step: int) -> np.ndarray:
        """The decoded picture of whole numbers, uint8, the same on every machine."""
        y = lowered(z[0] * self.units(1, step), _UNIT - ACTIVATION)
        sums = self.synthesis(np.clip(y, -MOST, MOST))
        grey = np.floor(sums * (RANGE * 2.0**-SUM) + 0.5) + MIDDLE
        return np.clip(grey, 0.0, 255.0).astype(np.uint8)


def _latents(reader: Reader, found: Plan) -> np.ndarray:
    y = np.zeros(found.count, np.int64)
    y[found.order] = reader.numbers("normal", found)
    return y
