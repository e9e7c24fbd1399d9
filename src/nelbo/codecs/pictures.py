"""Compression of pictures, with the codec that comes with nelbo or with an image codec that the user trained."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nelbo.codecs.band_coder import PER_BIT, BandCoder
from nelbo.codecs.band_tables import STEP
from nelbo.codecs.hyper_bits_back import LANES
from nelbo.codecs.latent_coder import LatentCoder
from nelbo.codecs.message import DamagedError, Message
from nelbo.codecs.picture_coder import Coder
from nelbo.codecs.picture_file import PictureFile, PictureHeader, joined, pack_picture, parted, unpack_picture
from nelbo.codecs.residual_coder import LOSSLESS_STEP, residual_coder
from nelbo.core import InputError, read_arrays

if TYPE_CHECKING:
    from nelbo.codecs.annealing import Gaps
    from nelbo.models import Model

SHIPPED = Path(__file__).parent / "picture.safetensors"
MOST_STEP = 7 << STEP  # quality 0: a step of 128 grey levels; quality 100 has one of 1
QUALITY = 50
Progress = Callable[[int, int], None]


# by the family of the model
_CODERS: dict[str, Callable[[Mapping[str, np.ndarray], Mapping[str, Any]], Coder]] = {
    "image-codec": BandCoder.of,
    "convolutional-codec": LatentCoder.of,
}


@dataclasses.dataclass(frozen=True)
class PictureCodec:
    """A codec of pictures.

    Args:
        coder: its model, in whole numbers.
        digest: the first hexadecimal digits of the SHA-256 of options and arrays.
        arrays: the model's arrays by name.
        arguments: the options of the model's family.
        family: the name of the model's family.
    """

    coder: Coder
    digest: str
    arrays: Mapping[str, np.ndarray] = dataclasses.field(repr=False, compare=False)
    arguments: Mapping[str, Any] = dataclasses.field(repr=False, compare=False)
    family: str = "image-codec"

    def coded(self, x: np.ndarray, step: int, *, grey: bool, refine: int = 0) -> tuple[bytes, Any]:
        """The stream of a tile and its whole numbers; the refined ones if they cost less in real bytes.

        Args:
            x: `(height, width, 3)`, grey levels, sides multiples of the coder's unit.
            step: log2 of the step, in eighths.
            grey: whether only lightness is coded.
            refine: steps of refinement.
        """
        chosen = self.coder.encode(x, step, grey=grey)
        numbers = self.refined(x, step, refine, self.coder.choice(chosen[1])) if refine else None
        if numbers is None:
            return chosen
        refined = self.coder.encode(x, step, grey=grey, numbers=numbers)
        return min(chosen, refined, key=lambda one: self.cost(x, step, one[0], self.coder.picture(one[1], step)))

    def cost(self, x: np.ndarray, step: int, data: bytes, shown: np.ndarray) -> float:
        """The sender's cost: squared error in steps, plus the bits of a stream by their weight.

        Args:
            x: as for `coded`.
            step: the same.
            data: the stream.
            shown: what it decodes to.
        """
        error = (shown - x) * 2.0 ** (-step / (1 << STEP))
        return float((error**2).sum()) + self.coder.thrift * PER_BIT * 8 * len(data)

    def refined(
        self, x: np.ndarray, step: int, steps: int, chosen: list[np.ndarray] | None = None
    ) -> list[np.ndarray] | None:
        """Whole numbers of each band of a tile that cost less than those of one pass; see `refined_picture`."""
        # these load JAX, for which other pictures do not wait
        import jax.random as jr

        from nelbo.codecs.annealing import refined_picture

        log_step, thrift = step / (1 << STEP), self.coder.thrift
        return refined_picture(jr.key(0), self._model(), x, log_step, steps=steps, thrift=thrift, chosen=chosen)

    def gaps(self, pixels: np.ndarray, quality: float | int, steps: int) -> "Gaps":
        """Why the code of a picture is longer than necessary, measured by refinement; see `Gaps`.

        Args:
            pixels: as for `compress_picture`.
            quality: as for `compress_picture`.
            steps: number of refinement steps, which are taken twice for each tile.
        """
        import jax.random as jr

        from nelbo.codecs.annealing import Gaps, picture_gaps

        step, model, found = step_of(quality), self._model(), Gaps(0.0, 0.0)
        for rows, columns in PictureHeader(pixels.shape, step, grey=False, model=self.digest).tiles():
            x = _padded(pixels[rows, columns], self.coder.unit)
            chosen = self.coder.choice(self.coder.encode(x, step)[1])
            how = {"steps": steps, "thrift": self.coder.thrift, "chosen": chosen}
            found += picture_gaps(jr.key(0), model, x, step / (1 << STEP), **how)
        return found

    def _model(self) -> "Model":
        from nelbo.models import fill, skeleton

        return fill(skeleton(self.family, self.arguments), dict(self.arrays), "the codec")


def codec_from(arrays: Mapping[str, np.ndarray], spec: Mapping[str, Any], where: str) -> PictureCodec:
    """The codec made of the arrays of a trained image codec.

    Args:
        arrays: by their names in a model's file.
        spec: name and options of the model's family.
        where: where the arrays are from, for messages.

    Raises:
        InputError: it is another model, or has diverged.
    """
    family = spec.get("name")
    if family not in _CODERS:
        kind = "no model of a family" if family is None else f"a model {family}"
        raise InputError(f"{where} is {kind}, which codes no pictures: give one of {' or '.join(_CODERS)}.")
    if not all(np.isfinite(value).all() for value in arrays.values()):
        raise InputError(
            f"{where} has parameters that are not finite: fit it again, with a lower learning rate perhaps."
        )
    found = hashlib.sha256(json.dumps(spec, sort_keys=True).encode())
    for name in sorted(arrays):
        found.update(name.encode() + np.ascontiguousarray(arrays[name]).astype("<f4").tobytes())
    coder = _CODERS[family](arrays, spec["arguments"])
    return PictureCodec(coder, found.hexdigest()[:16], arrays, spec["arguments"], family)


def picture_codec(path: Path | None = None) -> PictureCodec:
    """The codec of a model's file, which is read anew each time, or the one that comes with nelbo for None.

    Raises:
        InputError: no such file, or another model.
    """
    return _shipped() if path is None else _read_codec(path)


def _read_codec(path: Path) -> PictureCodec:
    arrays, header = read_arrays(path, "model")
    return codec_from(arrays, header.get("spec", {}), str(path))


@functools.cache
def _shipped() -> PictureCodec:
    return _read_codec(SHIPPED)


def step_of(quality: float | int) -> int:
    """Log2 of the step, in eighths, for a quality from 0 to 100.

    Raises:
        InputError: another number.
    """
    if not 0 <= quality <= 100:
        raise InputError(f"quality is a number from 0 to 100, got {quality:g}.")
    return round((100 - quality) / 100 * MOST_STEP)


def compress_picture(
    pixels: np.ndarray,
    *,
    quality: float | int = QUALITY,
    codec: PictureCodec | None = None,
    progress: Progress | None = None,
    refine: int = 0,
    lossless: bool = False,
) -> bytes:
    """Compress a picture, with or without loss.

    Args:
        pixels: `(height, width, channels)` uint8, one channel or three.
        quality: 0 to 100; higher is better, and takes more bytes.
        codec: the codec; None takes the one that comes with nelbo.
        progress: called with the number of finished tiles and of all tiles.
        refine: steps of stochastic Gumbel annealing for each tile (Yang, Bamler and Mandt 2020), which make the file
            shorter; a tile for which they find nothing better stays as it is.
        lossless: code the residual of the lossy code too, so that every pixel is restored. `quality` is then ignored;
            the step is the one at which files were measured to be shortest.

    Returns:
        A whole `.nlb` file.

    Raises:
        InputError: pixels of another shape or type, or a quality or number of steps out of range.
    """
    pixels = np.asarray(pixels)
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or pixels.dtype != np.uint8 or not pixels.size:
        raise InputError(
            f"A picture is an array of bytes, height x width x 1 or 3, got {pixels.dtype} {list(pixels.shape)}."
        )
    if refine < 0:
        raise InputError(f"refine is a number of steps, zero or more, got {refine}.")
    codec = picture_codec() if codec is None else codec
    step = LOSSLESS_STEP if lossless else step_of(quality)
    grey = pixels.shape[2] == 1 or bool((pixels == pixels[..., :1]).all())
    height, width, channels = pixels.shape
    more = residual_coder() if lossless else None
    header = PictureHeader((height, width, channels), step, grey, codec.digest, residual=more.digest if more else "")
    data, cost, missed = _written(pixels, header, codec, refine, progress)
    if missed:
        sure = dataclasses.replace(codec, coder=codec.coder.sure)
        other, price, _ = _written(pixels, dataclasses.replace(header, sure=True), sure, refine, progress)
        data = other if price < cost else data
    return data


def _written(
    pixels: np.ndarray, header: PictureHeader, codec: PictureCodec, refine: int, progress: Progress | None
) -> tuple[bytes, float, bool]:
    """The file of a picture, its cost as `PictureCodec.cost` has it, and whether its coder missed numbers."""
    coder, step = codec.coder, header.step
    more = residual_coder() if header.residual else None
    has_chain, chain = coder.has_chain and more is None, dataclasses.replace(header, chained=True)
    message, tiles, told, places = Message(lanes=LANES), [], [], header.tiles()
    cost, missed = 0.0, False
    for done, (rows, columns) in enumerate(places, 1):
        part = pixels[rows, columns]
        x = _padded(part, coder.unit)
        data, y = codec.coded(x, step, grey=header.grey, refine=refine)
        base = coder.picture(y, step)
        shown = _shown(base, header, part.shape[:2])
        if more is not None:
            data, shown = joined(data, more.encode(part, base, grey=header.grey)), part
        else:
            cost, missed = cost + codec.cost(x, step, data, base), missed or coder.misses(x, y, step)
        tiles.append((data, header.digest(shown)))
        if has_chain:
            message = coder.chained((x.shape[0], x.shape[1]), step).push(message, y)
            told.append(chain.digest(shown))
        if progress is not None:
            progress(done, len(places))
    plain = pack_picture(header, tiles)
    if not has_chain:
        return plain, cost, missed
    # the first tile's hyper-latents are drawn from bits that the message has to carry: of few tiles it is longer
    linked = pack_picture(chain, [(message.to_bytes(), told[0]), *((b"", digest) for digest in told[1:])])
    return min(plain, linked, key=len), cost, missed


def decompress_picture(data: bytes | memoryview, codec: PictureCodec | None = None) -> np.ndarray:
    """The picture of a `.nlb` file, `(height, width, channels)` uint8, the same on every machine.

    Args:
        data: the whole file.
        codec: the codec that it was compressed with; None takes the one that comes with nelbo.

    Raises:
        InputError: a damaged file, or another codec.
    """
    found = unpack_picture(data)
    header, codec = found.header, picture_codec() if codec is None else codec
    if header.model != codec.digest:
        raise InputError(
            f"The picture was coded with another model (SHA-256 {header.model}, this one has {codec.digest}): give it "
            "with --model, or use the nelbo that wrote it."
        )
    if header.residual and header.residual != residual_coder().digest:
        raise InputError(
            f"The picture was coded with another nelbo (networks {header.residual}, this one has "
            f"{residual_coder().digest}): use the one that wrote it."
        )
    out = np.empty(header.shape, np.uint8)
    coder = codec.coder.sure if header.sure else codec.coder
    read = _linked(found, coder) if header.chained else _apart(found, coder)
    # of a chain the last tile is on top
    for number, (rows, columns) in list(enumerate(header.tiles()))[:: -1 if header.chained else 1]:
        out[rows, columns] = _tile(found, number, coder, out[rows, columns].shape[:2], read)
    return out


_Read = Callable[[int, tuple[int, int]], Any]  # from the number of a tile and its padded sides to its numbers


def _apart(found: PictureFile, coder: Coder) -> _Read:
    header = found.header
    lossy = lambda stream: parted(stream)[0] if header.residual else stream  # noqa: E731
    return lambda number, sides: coder.decode(lossy(found.streams[number]), sides, header.step, grey=header.grey)


def _linked(found: PictureFile, coder: Coder) -> _Read:
    """The numbers of tiles that were coded as one message, the last tile first.

    Raises:
        DamagedError: no sender wrote it.
    """
    if not coder.has_chain or any(found.streams[1:]):
        raise DamagedError("The file is damaged: its tiles are one message, which it cannot hold; use another copy.")
    message = Message(found.streams[0], lanes=LANES)

    def read(number: int, sides: tuple[int, int]) -> Any:
        _, y = coder.chained(sides, found.header.step).pop(message)
        if not number and not message.is_spent():
            raise DamagedError("something is left of the message")
        return y

    return read


def _tile(found: PictureFile, number: int, coder: Coder, size: tuple[int, int], read: _Read) -> np.ndarray:
    header = found.header
    sides = (-(-size[0] // coder.unit) * coder.unit, -(-size[1] // coder.unit) * coder.unit)
    try:
        base = coder.picture(read(number, sides), header.step)
        pixels = _shown(base, header, size)
        if header.residual:
            more = residual_coder().decode(parted(found.streams[number])[1], size, base, grey=header.grey)
            pixels = more[..., : header.shape[2]]
    except (DamagedError, ValueError, AssertionError) as error:  # constriction's own errors are of these kinds
        raise DamagedError(f"Tile {number} cannot be decoded ({error}): use another copy of the file.") from error
    if header.digest(pixels) != found.digests[number]:
        raise DamagedError(f"Tile {number} decodes to other pixels than were coded: use another copy of the file.")
    return pixels


def _padded(part: np.ndarray, unit: int) -> np.ndarray:
    """The picture as three channels of floats, extended by its last row and column to multiples of a number."""
    height, width, channels = part.shape
    whole = np.pad(part, ((0, -height % unit), (0, -width % unit), (0, 0)), mode="edge")
    return np.repeat(whole, 3, axis=2).astype(float) if channels == 1 else whole.astype(float)


def _shown(pixels: np.ndarray, header: PictureHeader, size: tuple[int, int]) -> np.ndarray:
    """The part of a decoded tile that belongs to the picture, with its number of channels."""
    part = pixels[: size[0], : size[1]]
    return np.repeat(part[..., 1:2], header.shape[2], axis=2) if header.grey else part


def describe_picture(data: bytes | memoryview) -> dict[str, Any]:
    """A description of the `.nlb` file of a picture, as JSON values.

    Raises:
        InputError: no such file, or damaged.
    """
    found = unpack_picture(data)
    height, width, channels = found.header.shape
    return {
        "format": 3,
        "codec": "picture",
        "lossless": bool(found.header.residual),
        "width": width,
        "height": height,
        "channels": channels,
        "step": 2.0 ** (found.header.step / (1 << STEP)),
        "quality": None if found.header.residual else 100 * (1 - found.header.step / MOST_STEP),
        "model_sha256": found.header.model,
        "bytes": len(data),
        "bits_per_pixel": 8 * len(data) / (height * width),
        "tiles": len(found.streams),
    }
