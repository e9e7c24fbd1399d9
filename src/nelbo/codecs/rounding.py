"""From a network's floats to whole numbers that sender and receiver agree on.

Networks run in float64. Another machine, thread count or version of JAX changes their outputs by some 1e-13 of their
size, and the whole number that an output is rounded to only where it lies that close to half way between two. The
sender therefore lists every output that lies within `MARGIN` grid steps of half way, with the side it took: some one in
five million. A receiver whose outputs differ from the sender's by less than `MARGIN` decodes the same bits.
"""

import numpy as np

from nelbo.codecs.message import DamagedError
from nelbo.core import InputError

MARGIN = 1e-7  # grid steps
_PIECE = 7  # bits of a number in each byte of the list


class Rounding:
    """Rounds outputs, and keeps or follows the list of those that another machine could round differently.

    Each output has a place, a whole number that sender and receiver give it alike.

    Args:
        listed: what a sender's `to_bytes` gave; None for the sender itself.

    Raises:
        DamagedError: no such list.
    """

    def __init__(self, listed: bytes | None = None) -> None:
        self._found: dict[int, int] = {}
        self._sender = listed is None
        if listed is not None:
            self._found = _read(listed)
        self._places = np.array(sorted(self._found), np.int64)

    def __call__(self, values: np.ndarray, reach: int, place: int, stride: int = 1) -> np.ndarray:
        """The nearest whole numbers from -reach to reach, int64, of the values' shape.

        Args:
            values: float64, in grid steps.
            reach: what lies beyond is moved to the end.
            place: of the first value.
            stride: between the places of two values.

        Raises:
            InputError: a value is NaN.
        """
        values = np.clip(values, -reach, reach)
        lower = np.floor(values)
        away = values - (lower + 0.5)
        whole = lower + (away >= 0.0)
        if np.isnan(away).any():
            raise InputError("The model gives NaN for these data, so they cannot be coded with it: fit it again.")
        if self._sender:
            for index in np.flatnonzero(np.abs(away) < MARGIN):
                self._found[place + stride * int(index)] = int(whole.flat[index]) & 1
        elif self._places.size:
            self._follow(lower, whole, place, stride)
        return whole.astype(np.int64)

    def _follow(self, lower: np.ndarray, whole: np.ndarray, place: int, stride: int) -> None:
        ends = np.searchsorted(self._places, (place, place + stride * whole.size))
        for listed in self._places[ends[0] : ends[1]].tolist():
            index, rest = divmod(listed - place, stride)
            if not rest:
                below = int(lower.flat[index])
                whole.flat[index] = below if (below & 1) == self._found[listed] else below + 1

    def to_bytes(self) -> bytes:
        """The list: differences of places, each with the parity of the number taken, seven bits to a byte."""
        out, last = bytearray(), 0
        for place in sorted(self._found):
            number, last = 2 * (place - last) + self._found[place], place
            while number >> _PIECE:
                out.append(128 | number & 127)
                number >>= _PIECE
            out.append(number)
        return bytes(out)


def _read(listed: bytes) -> dict[int, int]:
    found, place, number, shift = {}, 0, 0, 0
    for byte in listed:
        number |= (byte & 127) << shift
        shift += _PIECE
        if not byte & 128:
            place += number >> 1
            found[place] = number & 1
            number = shift = 0
        if shift > 56 or place >= 1 << 62:
            raise DamagedError("The stream is damaged: its list of roundings is out of range.")
    if shift:
        raise DamagedError("The stream is damaged: its list of roundings ends too early.")
    return found
