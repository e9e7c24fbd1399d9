"""How complex examples are of themselves: their length when a general compressor packs each by itself."""

import bz2
import io
import zlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from nelbo.core import InputError

_RICHEST = 9  # level of compressors


def compressed_bits(x: np.ndarray, shape: Sequence[int]) -> Float[np.ndarray, " rows"]:
    """The shortest code of each example by zlib, bzip2 and, of pictures, PNG [bits] (Serra et al. 2020).

    Zeros and ones are packed eight to a byte, and one bit to a pixel.

    Args:
        x: `(rows, *shape)` bytes; zeros and ones alone are bits.
        shape: of one example; height x width x channels of pictures.

    Raises:
        InputError: other values than bytes, whose density is no code length.
    """
    if x.dtype != np.uint8:
        raise InputError(
            "Correction by compressed length is about bytes and bits (grey values, binarized pictures), and these are "
            "other numbers: use typicality, or a --background run."
        )
    bits = bool((x <= 1).all())
    picture = len(shape) == 3 and shape[-1] in {1, 3}
    rows = x.reshape(len(x), -1)
    packed = np.packbits(rows, axis=1) if bits else rows
    found = [min(len(zlib.compress(row, _RICHEST)), len(bz2.compress(row))) for row in map(bytes, packed)]
    if picture:
        pixels = x.reshape(len(x), *shape)
        found = [min(length, _png(one, bits=bits)) for length, one in zip(found, pixels, strict=True)]
    return 8.0 * np.asarray(found, np.float64)


def _png(pixels: np.ndarray, *, bits: bool) -> int:
    from PIL import Image

    one = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    image = Image.fromarray(one * np.uint8(255) if bits else one)
    stream = io.BytesIO()
    (image.convert("1") if bits and image.mode == "L" else image).save(stream, "png", optimize=True)
    return stream.tell()
