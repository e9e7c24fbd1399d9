"""Pictures as arrays: which image goes to which pixels, with nothing resampled."""

import math

import numpy as np
from jaxtyping import UInt8

from nelbo.core import InputError

_NOT_FINITE = (213, 94, 0)  # vermilion: a NaN must not look like black
_WIDTH = 1200  # pixels; small images are repeated up to about this width

Picture = UInt8[np.ndarray, "height width 4"]


def as_images(values: np.ndarray, name: str) -> UInt8[np.ndarray, "count height width 3"]:
    """Bring images to 8-bit RGB. Values beyond [0, 1] are clipped; those that are not finite become vermilion.

    Args:
        values: `(count, height, width)` or `(count, height, width, 1 or 3)`, floats in [0, 1], booleans, or uint8.
        name: what they are, for messages.

    Raises:
        InputError: another shape, or no pixels.
    """
    values = np.asarray(values)
    if values.ndim == 3:
        values = values[..., None]
    if values.ndim != 4 or values.shape[-1] not in (1, 3) or not values.size:
        raise InputError(f"{name}: expected images of shape (count, height, width, 1 or 3), got {values.shape}.")
    if values.dtype == np.uint8:
        return np.broadcast_to(values, (*values.shape[:3], 3)).copy()
    values = values.astype(np.float64)
    finite = np.isfinite(values)
    rounded = np.rint(np.clip(np.where(finite, values, 0.0), 0.0, 1.0) * 255.0).astype(np.uint8)
    colours = np.broadcast_to(rounded, (*values.shape[:3], 3)).copy()
    colours[~finite.all(axis=-1)] = _NOT_FINITE
    return colours


def image_grid(images: np.ndarray, *, columns: int | None = None, gap: int = 1, name: str = "images") -> Picture:
    """Lay images out row by row, from the top left; gaps and cells left over are transparent.

    Args:
        images: as `as_images` takes them.
        columns: images in a row; about as many as rows if not given.
        gap: space between neighbours, in image pixels.
        name: what the images are, for messages.

    Raises:
        InputError: the images have another shape, or `columns` or `gap` is out of range.
    """
    colours = as_images(images, name)
    count, height, width, _ = colours.shape
    columns = math.ceil(math.sqrt(count)) if columns is None else columns
    if columns < 1 or gap < 0:
        raise InputError(f"image_grid needs columns >= 1 and gap >= 0, got {columns} and {gap}.")
    columns = min(columns, count)
    rows = -(-count // columns)
    canvas = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, 4), np.uint8)
    for index, image in enumerate(colours):
        row, column = divmod(index, columns)
        _paste(canvas, image, row * (height + gap), column * (width + gap))
    return canvas


def pair_grid(originals: np.ndarray, reconstructions: np.ndarray, *, columns: int = 10, gap: int = 1) -> Picture:
    """Lay pairs out in double rows: an original above, its reconstruction touching it below.

    Args:
        originals: as `as_images` takes them.
        reconstructions: of the same shape.
        columns: pairs in a double row.
        gap: space between columns, in image pixels; double rows are three times as far apart, and one more.

    Raises:
        InputError: the two shapes differ or are no images.
    """
    if originals.shape != reconstructions.shape:
        raise InputError(
            f"originals have shape {originals.shape} but reconstructions {reconstructions.shape}: they must agree."
        )
    upper, lower = as_images(originals, "originals"), as_images(reconstructions, "reconstructions")
    count, height, width, _ = upper.shape
    columns = min(columns, count)
    rows, pitch = -(-count // columns), 2 * height + 3 * gap + 1
    canvas = np.zeros((rows * pitch - 3 * gap - 1, columns * (width + gap) - gap, 4), np.uint8)
    for index in range(count):
        row, column = divmod(index, columns)
        _paste(canvas, upper[index], row * pitch, column * (width + gap))
        _paste(canvas, lower[index], row * pitch + height, column * (width + gap))
    return canvas


def manifold_grid(manifold: np.ndarray) -> Picture:
    """Lay a square of decoded images edge to edge: entry [i, j] is in row i from the top, column j from the left.

    Args:
        manifold: `(rows, columns, height, width)` with a last axis of 1 or 3 channels or none.

    Raises:
        InputError: another shape.
    """
    if manifold.ndim not in (4, 5) or not manifold.size:
        raise InputError(f"manifold: expected shape (rows, columns, height, width, channels), got {manifold.shape}.")
    images = manifold.reshape(-1, *manifold.shape[2:])
    return image_grid(images, columns=manifold.shape[1], gap=0, name="manifold")


def signed_images(fields: np.ndarray) -> np.ndarray:
    """Scale each signed image by its own largest size, so that zero is mid grey and the extremes black or white.

    Args:
        fields: `(count, height, width)` or `(count, height, width, channels)` weights.
    """
    fields = np.asarray(fields, np.float64)
    sizes = np.where(np.isfinite(fields), np.abs(fields), 0.0)
    largest = sizes.max(axis=tuple(range(1, fields.ndim)), keepdims=True, initial=0.0)
    return 0.5 + 0.5 * fields / np.where(largest > 0.0, largest, 1.0)


def enlarge(picture: Picture, width: int = _WIDTH) -> UInt8[np.ndarray, "tall wide 4"]:
    """Repeat each pixel a whole number of times, to at most `width` pixels across (and at least once)."""
    times = max(1, min(12, width // picture.shape[1]))
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def _paste(canvas: np.ndarray, image: np.ndarray, top: int, left: int) -> None:
    """Put an opaque RGB image on an RGBA canvas."""
    height, width, _ = image.shape
    canvas[top : top + height, left : left + width, :3] = image
    canvas[top : top + height, left : left + width, 3] = 255
