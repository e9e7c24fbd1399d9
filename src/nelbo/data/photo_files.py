"""Photographs in files: upright pixels of eight bits, and what cannot be taken as such."""

from pathlib import Path
from typing import Any

import numpy as np

from nelbo.core import InputError, atomic_write
from nelbo.data.pillow_files import drops_bits, opened
from nelbo.data.reading import require

_EXACT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16", "I;16L", "I;16B", "I", "F")  # the deep ones are refused
_KEEPING = ("BMP", "DIB", "JPEG2000", "PCX", "PNG", "PPM", "QOI", "SGI", "TGA", "TIFF")  # formats that keep every pixel
LOSING = ("AVIF", "JPEG", "WEBP")  # formats that nelbo writes with a loss
_DEEP = ("I;16", "I;16L", "I;16B", "I", "F")


def photo_size(path: Path) -> tuple[int, int]:
    """Width and height of a photograph as it is stored, without decoding it.

    Raises:
        InputError: no picture, one with more than eight bits, or with several frames.
    """
    with opened(path) as image:
        _check(image, path, exact=False)
        return image.size


def _has_more(image: Any) -> bool:
    """Whether a picture has a second frame."""
    try:
        image.seek(1)
    except (EOFError, OSError, ValueError):
        image.seek(0)
        return False
    return True


def _check(image: Any, path: Path, *, exact: bool) -> None:
    """What can be said of a picture before it is decoded."""
    if exact and image.mode not in _EXACT:
        raise InputError(f"{path} has colours of kind {image.mode}, which become RGB with rounding: convert it first.")
    if image.mode in _DEEP or image.mode.startswith("I;") or drops_bits(image):
        raise InputError(f"{path} has more than eight bits a channel: convert it to eight bits first.")
    if image.format != "MPO" and _has_more(image):  # an MPO is a JPEG with a preview behind it
        raise InputError(f"{path} has several frames: give one picture.")


def read_photo(path: Path) -> np.ndarray:
    """A photograph as `(height, width, 3)` uint8, upright; grey ones have three equal channels.

    Raises:
        InputError: see `read_picture`.
    """
    pixels = read_picture(path)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def read_picture(path: Path, *, exact: bool = False) -> np.ndarray:
    """A picture as `(height, width, channels)` uint8, one channel if it is grey, three else, upright by its EXIF tag.

    Args:
        path: the file.
        exact: refuse pixels that are no grey levels or RGB, since their change of colours rounds.

    Raises:
        InputError: no picture, a damaged one, one with more than eight bits, with several frames, or with transparency
            that is used.
    """
    operations = require("PIL.ImageOps", "Reading pictures")
    with opened(path) as image:
        _check(image, path, exact=exact)
        image.load()
        image = operations.exif_transpose(image)
        if "A" in image.getbands() or "transparency" in image.info:
            whole = image.convert("RGBA")
            if whole.getchannel("A").getextrema()[0] < 255:
                raise InputError(
                    f"{path} has transparent pixels, which are not coded: flatten it onto a background first."
                )
            image = whole.convert("L" if image.mode in ("1", "L", "LA") else "RGB")
        elif image.mode in ("1", "L"):
            image = image.convert("L")
        else:
            image = image.convert("RGB")
        pixels = np.asarray(image, np.uint8)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def kind_of_name(path: Path) -> str:
    """The format of pictures that a name's end says, as Pillow calls it, of those that hold what is decoded.

    Raises:
        InputError: another end: no picture, or a format that would keep few colours (GIF) or a small copy (ICO).
    """
    pillow = require("PIL.Image", "Writing pictures")
    pillow.init()
    kind = pillow.registered_extensions().get(path.suffix.lower())
    if kind not in (*_KEEPING, *LOSING) or kind not in pillow.SAVE:
        raise InputError(f"Cannot write {path}: give the name of a picture, such as photo.png.")
    if path.is_dir():
        raise InputError(f"Cannot write {path}: it is a folder; give the name of a picture in it, such as photo.png.")
    return kind


def write_picture(path: Path, pixels: np.ndarray) -> None:
    """Write `(height, width, channels)` uint8 as the picture that the name's end says, whole or not at all.

    Raises:
        InputError: Pillow writes no such files, the picture is too large for them, or the disk is full.
    """
    kind = kind_of_name(path)
    image = require("PIL.Image", "Writing pictures").fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    with atomic_write(path) as file:
        try:
            image.save(file, kind, **({"quality": 95} if kind in LOSING else {}))
        except Exception as error:  # of pictures that a format cannot hold Pillow raises nearly every kind
            if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None):
                raise
            size = f"{image.width} x {image.height} pixels"
            raise InputError(f"Cannot write {path}: {kind} files cannot hold {size}, or not as Pillow writes them "
                             f"({error}); choose .png.") from error  # fmt: skip
