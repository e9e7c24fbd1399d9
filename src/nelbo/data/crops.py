"""Crops of photographs of any sizes, indexed like arrays and read from disk as they are asked for."""

import collections
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.data.photo_files import read_photo

_CACHE_BYTES = 2**29  # of decoded photographs that are kept
_LEAST_ROWS = 2**16  # crops that a pass has, at least: of each photograph many


Rows = Any  # of a split: a NumPy array, or what is indexed like one


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Numbers of 64 bits that look random, one for each (splitmix64's finalizer)."""
    state = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def uniforms(indices: np.ndarray, seed: int) -> np.ndarray:
    """A number in [0, 1) for each index: the same on every machine, in every order."""
    return (_mixed(indices.astype(np.uint64) + (np.uint64(seed) << np.uint64(40))) >> np.uint64(11)) * 2.0**-53


def _asked(which: Any, count: int) -> np.ndarray:
    """The numbers of what is indexed."""
    return np.arange(*which.indices(count)) if isinstance(which, slice) else np.asarray(which)


class Crops:
    """Crops of photographs, indexed like an array of them; crop i is always the same one.

    Each photograph has as many crops as any other, at places that a hash of the number gives. Photographs are decoded
    when they are needed, and the last ones are kept, so a folder may be larger than memory.

    Args:
        files: of the photographs; smaller ones than a crop are refused by `crops_of`.
        side: of a crop, in pixels.
        seed: of the places.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, files: tuple[Path, ...], side: int, seed: int = 0) -> None:
        self._files, self._side, self._seed = files, side, seed
        self._kept: collections.OrderedDict[int, np.ndarray] = collections.OrderedDict()
        self._bytes = 0
        self._each = max(1, -(-_LEAST_ROWS // len(files)))

    def __len__(self) -> int:
        return self._each * len(self._files)

    @property
    def shape(self) -> tuple[int, ...]:
        """(crops, side, side, 3)."""
        return (len(self), self._side, self._side, 3)

    @property
    def ndim(self) -> int:
        """Four."""
        return 4

    @property
    def digest(self) -> str:
        """SHA-256 over the files' bytes and the sizes of crops."""
        found = hashlib.sha256(f"{self._side} {self._seed}".encode())
        for path in self._files:
            found.update(path.read_bytes())
        return found.hexdigest()

    def __getitem__(self, which: Any) -> np.ndarray:
        asked = _asked(which, len(self))
        indices = asked.ravel()
        out = np.empty((indices.size, self._side, self._side, 3), np.uint8)
        down, along = uniforms(indices, 2 * self._seed), uniforms(indices, 2 * self._seed + 1)
        numbers = indices % len(self._files)
        for number in np.unique(numbers):  # a photograph of several crops is decoded once
            photo = self._photo(int(number))
            room = np.array(photo.shape[:2]) - self._side + 1
            for i in np.flatnonzero(numbers == number):
                top, left = int(down[i] * room[0]), int(along[i] * room[1])
                out[i] = photo[top : top + self._side, left : left + self._side]
        return out.reshape(*asked.shape, *out.shape[1:])

    def _photo(self, number: int) -> np.ndarray:
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        photo = read_photo(self._files[number])
        self._kept[number] = photo
        self._bytes += photo.nbytes
        while self._bytes > _CACHE_BYTES and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return photo


class LogSteps:
    """log2 of a step for each crop, uniform over a range, indexed like an array `(crops, 1)` float32.

    Args:
        count: of crops.
        low: the smallest step, in grey levels.
        high: the greatest.
        seed: of the draw.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, count: int, low: float, high: float, seed: int = 0) -> None:
        self.shape = (count, 1)
        self._ends, self._seed = (np.log2(low), np.log2(high)), seed

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def digest(self) -> str:
        """SHA-256 of what decides on them."""
        return hashlib.sha256(f"{self.shape} {self._ends} {self._seed}".encode()).hexdigest()

    def __getitem__(self, which: Any) -> np.ndarray:
        indices = _asked(which, len(self))
        low, high = self._ends
        return (low + (high - low) * uniforms(indices, 2 * self._seed + 1_000_001)).astype(np.float32)[..., None]
