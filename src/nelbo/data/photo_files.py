"""Photographs in files: upright pixels of eight bits, and what cannot be taken as such."""

from pathlib import Path
from typing import Any

import numpy as np

from nelbo.core import InputError, atomic_write, os_error
from nelbo.data.reading import require

MOST_PIXELS = 2**30
_EXACT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16", "I;16L", "I;16B", "I", "F")  # the deep ones are refused
_DEEP = ("I;16", "I;16L", "I;16B", "I", "F")


def _opened(path: Path) -> Any:
    pillow = require("PIL.Image", "Reading pictures")
    pillow.MAX_IMAGE_PIXELS = None  # sizes are checked below, before anything is decoded
    try:
        image = pillow.open(path)
    except OSError as error:
        if error.errno is not None:
            raise os_error("read", path, error) from error
        raise InputError(f"{path} is no picture that Pillow can read: give a PNG, JPEG, WebP or TIFF file.") from error
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise InputError(f"{path} has {width} x {height} pixels; at most 2^30 are read: cut it into parts.")
    return image


def photo_size(path: Path) -> tuple[int, int]:
    """Width and height of a photograph as it is stored, without decoding it.

    Raises:
        InputError: no picture.
    """
    with _opened(path) as image:
        return image.size


def _has_more(image: Any) -> bool:
    """Whether a picture has a second frame."""
    try:
        image.seek(1)
    except (EOFError, OSError, ValueError):
        image.seek(0)
        return False
    return True


def drops_bits(image: Any) -> bool:
    """Whether Pillow would drop bits of a picture's colours, as it does of PNG and TIFF with 16 bits a channel."""
    return any(order in str(tile[3]) for tile in image.tile for order in (";16B", ";16L", ";16N"))


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
    with _opened(path) as image:
        if exact and image.mode not in _EXACT:
            raise InputError(
                f"{path} has colours of kind {image.mode}, which become RGB with rounding: convert it first."
            )
        if image.mode in _DEEP or image.mode.startswith("I;") or drops_bits(image):
            raise InputError(f"{path} has more than eight bits a channel: convert it to eight bits first.")
        if image.format != "MPO" and _has_more(image):  # an MPO is a JPEG with a preview behind it
            raise InputError(f"{path} has several frames: give one picture.")
        try:
            image.load()
            image = operations.exif_transpose(image)
        except (OSError, ValueError, SyntaxError) as error:
            raise InputError(f"{path} is damaged ({error}): use another copy.") from error
        if "A" in image.getbands() or "transparency" in image.info:
            whole = image.convert("RGBA")
            if whole.getchannel("A").getextrema()[0] < 255:
                raise InputError(
                    f"{path} has transparent pixels, which are not coded: flatten it onto a background first."
                )
            grey = image.mode == "LA"
            image = whole.convert("L" if grey else "RGB")
        elif image.mode in ("1", "L"):
            image = image.convert("L")
        else:
            image = image.convert("RGB")
        pixels = np.asarray(image, np.uint8)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def write_picture(path: Path, pixels: np.ndarray) -> None:
    """Write `(height, width, channels)` uint8 as the picture that the name's end says, whole or not at all.

    Raises:
        InputError: Pillow writes no such files, or the disk is full.
    """
    pillow = require("PIL.Image", "Writing pictures")
    pillow.init()
    kind = pillow.registered_extensions().get(path.suffix.lower())
    if kind is None or kind not in pillow.SAVE:
        raise InputError(f"Cannot write {path}: give the name of a picture, such as photo.png.")
    image = pillow.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    with atomic_write(path) as file:
        image.save(file, kind, **({"quality": 95} if kind in ("JPEG", "WEBP") else {}))
