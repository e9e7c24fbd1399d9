"""Which coefficients of a picture are coded together, and in which order: bands from low to high frequencies.

There are two grids. The lowest coefficient of each block is transformed once more over squares of 4 x 4 blocks: that is
the coarse grid, coded first. All other coefficients of the blocks are the fine grid.
"""

import functools

import numpy as np

COLOURS = 3  # lightness, and two differences of colours
COARSE = 4  # lowest coefficients are transformed once more, over squares of so many blocks
# the last u + v of each band of lightness and of colours; small blocks have fewer bands
_LIGHT = (1, 2, 3, 5, 7, 9, 12, 16, 30)
_COLOUR = (2, 4, 7, 11, 30)
# (colours?, which), coarse to fine
_ORDER = (
    *((0, 0), (0, 1), (0, 2), (1, 0), (0, 3), (1, 1), (0, 4)),
    *((0, 5), (1, 2), (0, 6), (1, 3), (0, 7), (0, 8), (1, 4)),
)
_COARSE_ORDER = ((0, 0), (0, 1), (1, 0), (0, 2), (1, 1))
_COARSE_ENDS = ((1, 2, 6), (2, 6))  # as _LIGHT and _COLOUR
# log2 of the scale of a coefficient of photographs at u + v = 1, about, how it falls with log2 of u + v, and what
# colours have less: learning starts there
_SPREAD, _FALL, _LESS = 6.3, 1.4, np.array([0.0, 2.3, 3.3])
_AROUND = ((7.0, 4.5, 3.5), (9.0, 6.5, 5.5))  # the same of differences of lowest coefficients, on either grid
_LOWEST = 7.0  # the same of the coarse transform of the lowest coefficients


def _parted(radius: np.ndarray, ends: tuple[int, ...], number: int) -> np.ndarray:
    return np.flatnonzero((radius > (ends[number - 1] if number else 0)) & (radius <= ends[number]))


def _radius(size: int) -> np.ndarray:
    return np.add.outer(np.arange(size), np.arange(size)).ravel()


@functools.cache
def image_bands(size: int) -> tuple[np.ndarray, ...]:
    """Places of each band's coefficients among all of a block, in the order of coding; the lowest are in none.

    Args:
        size: of a block; coefficients are numbered by colour, vertical and horizontal frequency.
    """
    radius, found = _radius(size), []
    for colour, number in _ORDER:
        inside = _parted(radius, _COLOUR if colour else _LIGHT, number)
        found.append(np.concatenate([plane * size * size + inside for plane in ((1, 2) if colour else (0,))]))
    return tuple(part for part in found if part.size)


@functools.cache
def coarse_bands() -> tuple[np.ndarray, ...]:
    """The same of a square's coarse coefficients, numbered by frequency and colour; the lowest of all come first."""
    radius, found = _radius(COARSE), [np.arange(COLOURS)]
    for colour, number in _COARSE_ORDER:
        inside = COLOURS * _parted(radius, _COARSE_ENDS[colour], number)[:, None]
        found.append((inside + np.array([1, 2] if colour else [0])).ravel())
    return tuple(found)


@functools.cache
def coarse_basis() -> np.ndarray:
    """The cosine transform of 4 x 4 numbers, `(16 frequencies, 16 places)` float64."""
    place, frequency = np.arange(COARSE), np.arange(COARSE)[:, None]
    one = np.sqrt(2.0 / COARSE) * np.cos(np.pi * (2 * place + 1) * frequency / (2 * COARSE))
    one[0] /= np.sqrt(2.0)
    return np.einsum("ap,bq->abpq", one, one).reshape(COARSE**2, COARSE**2)


def log_spread(size: int, places: np.ndarray) -> np.ndarray:
    """About log2 of the scale of coefficients of photographs, in grey levels, before anything is learned."""
    colour, rest = np.divmod(places, size * size)
    radius = (rest // size + rest % size) * 16 / size
    return _SPREAD - _FALL * np.log2(np.maximum(radius, 0.5)) - _LESS[colour]


def coarse_log_spread(places: np.ndarray) -> np.ndarray:
    """The same of coarse coefficients."""
    frequency, colour = np.divmod(places, COLOURS)
    radius = (frequency // COARSE + frequency % COARSE) / COARSE
    return _LOWEST - _FALL * np.log2(np.maximum(radius, 0.125)) - _LESS[colour]


@functools.cache
def typical_logs(size: int, number: int, *, of_squares: bool) -> np.ndarray:
    """About log2 of what a band's network sees, in grey levels: differences of lowest coefficients, then earlier bands.

    Networks are given magnitudes less those of such sizes. Multiples of 1/8, so that they are exact everywhere.

    Args:
        size: of a block.
        number: of the band on its grid.
        of_squares: whether that is the coarse one.
    """
    around = np.tile(_AROUND[int(of_squares)], 8)
    bands = coarse_bands()[1:number] if of_squares else image_bands(size)[:number]
    spread = coarse_log_spread if of_squares else functools.partial(log_spread, size)
    return np.round(8.0 * np.concatenate([around, *map(spread, bands)])) / 8.0
