"""Which coefficients of a block are coded together, and in which order: bands from low to high frequencies."""

import functools

import numpy as np

COLOURS = 3  # lightness, and two differences of colours
COARSE = 4  # lowest coefficients are transformed once more, over squares of so many blocks
_LIGHT = (1, 2, 4, 7, 11, 30)  # the last u + v of each band of lightness; the last band has all that are left
_COLOUR = (2, 6, 30)
_ORDER = ((0, 0), (0, 1), (0, 2), (1, 0), (0, 3), (1, 1), (0, 4), (0, 5), (1, 2))  # (colour?, which), coarse to fine
# log2 of the scale of a coefficient of photographs at u + v = 1, about, how it falls with log2 of u + v, and what
# colours have less: learning starts there
_SPREAD, FALL, LESS = 6.3, 1.25, np.array([0.0, 1.7, 2.4])
LOWEST = 7.0  # the same of the coarse transform of the lowest coefficients


@functools.cache
def image_bands(size: int) -> tuple[np.ndarray, ...]:
    """Places of each band's coefficients among all of a block, in the order of coding; the first are the lowest ones.

    Args:
        size: of a block; coefficients are numbered by colour, vertical and horizontal frequency.
    """
    u, v = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    radius = u + v
    found = [np.arange(COLOURS) * size * size]
    for colour, number in _ORDER:
        ends = _COLOUR if colour else _LIGHT
        low = ends[number - 1] if number else 0
        inside = np.flatnonzero((radius > low) & ((radius <= ends[number]) | (number == len(ends) - 1)))
        planes = (1, 2) if colour else (0,)
        found.append(np.concatenate([plane * size * size + inside for plane in planes]))
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
    return _SPREAD - FALL * np.log2(np.maximum(radius, 0.5)) - LESS[colour]
