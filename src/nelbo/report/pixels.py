"""Pictures as arrays: which image goes to which pixels, with nothing resampled."""

import math

import numpy as np
from jaxtyping import UInt8

from nelbo.core import InputError

GRID_WIDTH = 640  # pixels that the grids of a page come near to
_NOT_FINITE = (213, 94, 0)  # vermilion: a NaN must not look like black
_BETWEEN = (214, 218, 223, 255)  # a light grey that neither black nor white tiles run into
_TALLEST = 3  # times the width
_APART = 6  # gaps between double rows of pairs

Grid = UInt8[np.ndarray, "height width 4"]


def as_images(values: np.ndarray, name: str) -> UInt8[np.ndarray, "count height width 3"]:
    """Bring images to 8-bit RGB. Values beyond [0, 1] are clipped; those that are not finite become vermilion.

    Args:
        values: `(count, height, width)` or `(count, height, width, 1 or 3)`, floats in [0, 1], booleans, or uint8;
            films, `(count, time, height, width, 1 or 3)`, become strips of their frames.
        name: what they are, for messages.

    Raises:
        InputError: another shape, or no pixels.
    """
    values = np.asarray(values)
    if values.ndim == 3:
        values = values[..., None]
    if values.ndim == 5:  # a film is the strip of its frames
        values = np.moveaxis(values, 1, 2).reshape(len(values), values.shape[2], -1, values.shape[-1])
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


def image_grid(
    images: np.ndarray, *, columns: int | None = None, gap: int = 2, width: int | None = None, name: str = "images"
) -> Grid:
    """Lay images out row by row, from the top left, with a thin grey line between neighbours.

    Args:
        images: as `as_images` takes them.
        columns: images in a row; about as many as rows if not given.
        gap: space between neighbours, in pixels of the grid.
        width: repeat each pixel of an image a whole number of times, so that the grid comes near to so many pixels
            across; as they are if not given.
        name: what the images are, for messages.

    Raises:
        InputError: the images have another shape, or `columns` or `gap` is out of range.
    """
    tiles = as_images(images, name)
    columns = math.ceil(math.sqrt(len(tiles))) if columns is None else columns
    if columns < 1 or gap < 0:
        raise InputError(f"image_grid needs columns >= 1 and gap >= 0, got {columns} and {gap}.")
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    return _regular(_repeated(tiles, (rows, columns), width), columns, gap)


def pair_grid(
    originals: np.ndarray, reconstructions: np.ndarray, *, columns: int = 10, gap: int = 2, width: int | None = None
) -> Grid:
    """Lay pairs out in double rows: an original above, its reconstruction below.

    Args:
        originals: as `as_images` takes them.
        reconstructions: of the same shape.
        columns: pairs in a double row.
        gap: space between neighbours, in pixels of the grid; double rows are six times as far apart.
        width: as for `image_grid`.

    Raises:
        InputError: the two shapes differ or are no images.
    """
    if originals.shape != reconstructions.shape:
        raise InputError(
            f"originals have shape {originals.shape} but reconstructions {reconstructions.shape}: they must agree."
        )
    tiles = np.stack([as_images(originals, "originals"), as_images(reconstructions, "reconstructions")])
    starts = range(0, len(originals), columns)
    columns = min(columns, len(originals))
    upper, lower = (_repeated(part, (2 * len(starts), columns), width) for part in tiles)
    double_rows = []
    for start in starts:
        above, below = upper[start : start + columns], lower[start : start + columns]
        double_rows.append(_regular(np.concatenate([above, below]), len(above), gap))
    height, across, _ = double_rows[0].shape
    canvas = np.zeros((len(starts) * (height + _APART * gap) - _APART * gap, across, 4), np.uint8)
    for place, double_row in enumerate(double_rows):
        top = place * (height + _APART * gap)
        canvas[top : top + height, : double_row.shape[1]] = double_row
    return canvas


def manifold_grid(manifold: np.ndarray, *, width: int | None = None) -> Grid:
    """Lay a square of decoded images edge to edge: entry [i, j] is in row i from the top, column j from the left.

    Args:
        manifold: `(rows, columns, height, width)` with a last axis of 1 or 3 channels or none.
        width: as for `image_grid`.

    Raises:
        InputError: another shape.
    """
    if manifold.ndim not in (4, 5) or not manifold.size:
        raise InputError(f"manifold: expected shape (rows, columns, height, width, channels), got {manifold.shape}.")
    images = manifold.reshape(-1, *manifold.shape[2:])
    return image_grid(images, columns=manifold.shape[1], gap=0, width=width, name="manifold")


def signed_images(fields: np.ndarray) -> np.ndarray:
    """Scale each signed image by its own largest size, so that zero is mid grey and the extremes black or white.

    Args:
        fields: `(count, height, width)` or `(count, height, width, channels)` weights.
    """
    fields = np.asarray(fields, np.float64)
    sizes = np.where(np.isfinite(fields), np.abs(fields), 0.0)
    largest = sizes.max(axis=tuple(range(1, fields.ndim)), keepdims=True, initial=0.0)
    return 0.5 + 0.5 * fields / np.where(largest > 0.0, largest, 1.0)


def _repeated(tiles: np.ndarray, layout: tuple[int, int], width: int | None) -> np.ndarray:
    """Tiles with each pixel repeated, so that `layout` (rows, columns) of them come near to a width."""
    if width is None:
        return tiles
    (rows, columns), (_, height, across, _) = layout, tiles.shape
    times = max(1, min(round(width / (columns * across)), _TALLEST * width // (rows * height)))
    return tiles.repeat(times, axis=1).repeat(times, axis=2)


def _regular(tiles: np.ndarray, columns: int, gap: int) -> Grid:
    """Opaque tiles row by row; grey lines between neighbours, and cells left over are transparent."""
    count, height, across, _ = tiles.shape
    rows = -(-count // columns)
    canvas = np.zeros((rows * (height + gap) - gap, columns * (across + gap) - gap, 4), np.uint8)
    for index, tile in enumerate(tiles):
        top, left = index // columns * (height + gap), index % columns * (across + gap)
        canvas[max(0, top - gap) : top + height, max(0, left - gap) : left + across] = _BETWEEN
        canvas[top : top + height, left : left + across, :3] = tile
        canvas[top : top + height, left : left + across, 3] = 255
    return canvas
