"""Files as Pillow opens them: which are pictures, what is said of damaged ones, and bits that Pillow would drop."""

import contextlib
import struct
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nelbo.core import InputError, os_error
from nelbo.data.reading import require

# what Pillow opens, but is no picture by itself, or needs a program beside Pillow
NO_PICTURES = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "PDF", "WMF")
MOST_PIXELS = 2**30


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A picture as Pillow opens it; whatever goes wrong with it, here and where it is used, is one sentence.

    Raises:
        InputError: no picture, a damaged one, or one of too many pixels.
    """
    pillow = require("PIL.Image", "Reading pictures")
    # sizes are checked below, before anything is decoded
    most, pillow.MAX_IMAGE_PIXELS = pillow.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pillow.open(path) as image:
                if image.format in NO_PICTURES:
                    raise pillow.UnidentifiedImageError
                width, height = image.size
                if width * height > MOST_PIXELS:
                    raise InputError(f"{path} has {width} x {height} pixels; at most 2^30 are read: cut it into parts.")
                yield image
    except (InputError, MemoryError):
        raise
    except pillow.UnidentifiedImageError as error:
        raise InputError(f"{path} is no picture that Pillow can read: give a PNG, JPEG, WebP or TIFF file.") from error
    except Exception as error:  # of damaged files Pillow raises nearly every kind
        if isinstance(error, OSError) and error.errno is not None:
            raise os_error("read", path, error) from error
        why = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} is damaged, or Pillow cannot read it ({why}): use another copy.") from error
    finally:
        pillow.MAX_IMAGE_PIXELS = most


def picture_suffixes(pillow: Any) -> frozenset[str]:
    """The suffixes, with their dots, of all files that Pillow can open as pictures here."""
    pillow.init()
    return frozenset(
        suffix
        for suffix, kind in pillow.registered_extensions().items()
        if kind in pillow.OPEN and kind not in NO_PICTURES
    )


def _of_tiles(image: Any) -> int:
    """Bits that Pillow's own decoders are told of: 16 big-endian, little-endian or native, or as SGI calls them."""
    told = any(order in str(tile[3]) for tile in image.tile for order in (";16B", ";16L", ";16N", "BC6H"))
    return 16 if told or any(tile[0] == "SGI16" for tile in image.tile) else 8


def _of_tiff(image: Any) -> int:
    return max(image.tag_v2.get(258, (1,)))  # BitsPerSample; planes of 16 bits are read as garbage


def _of_ppm(image: Any) -> int:
    greatest = [tile[3][-1] for tile in image.tile if isinstance(tile[3], tuple)]
    return max((value.bit_length() for value in greatest if isinstance(value, int)), default=8)


def _of_jpeg2000(image: Any) -> int:
    data = Path(image.filename).read_bytes()
    size = data.index(b"\xff\x4f\xff\x51") + 40  # within the marker SIZ
    (count,) = struct.unpack_from(">H", data, size)
    return max((data[size + 2 + 3 * i] & 0x7F) + 1 for i in range(count))


def _of_avif(image: Any) -> int:
    data, bits = Path(image.filename).read_bytes(), 8
    for found in data.split(b"av1C\x81")[1:]:
        if found[1:2]:
            bits = max(bits, 10 if found[1] & 0x40 else 8)  # high_bitdepth
    return bits


_BITS: dict[str, Callable[[Any], int]] = {
    "AVIF": _of_avif,
    "JPEG2000": _of_jpeg2000,
    "PPM": _of_ppm,
    "TIFF": _of_tiff,
}


def drops_bits(image: Any) -> bool:
    """Whether Pillow would drop bits of a picture's colours, as it does of many formats with 16 bits a channel.

    Args:
        image: opened and not loaded yet.
    """
    return max(_of_tiles(image), _BITS.get(image.format, _of_tiles)(image)) > 8
