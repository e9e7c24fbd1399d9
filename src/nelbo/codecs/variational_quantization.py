"""Variational Bayesian quantization: numbers with a posterior, written in as few digits as their widths allow.

A number z with posterior N(m, s^2) and prior distribution function F is sent as a binary fraction xi of a few digits,
z = F^-1(xi): the fraction for which (z - m)^2 / (2 s^2) + trade * log 2 * bits(xi) is least. A number that its
posterior leaves open takes no digits at all, and is the prior's median (Yang, Bamler and Mandt 2020, section 3).

Fractions have at most 12 binary digits: xi = k / 4096. The points F^-1(k / 4096) of a standard normal are those of the
lossless codec, a table with a checksum, so that the same fraction is the same number on every machine.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from nelbo.codecs.tables import GRID_BITS, quantile_bins

LEVELS = GRID_BITS  # b = 0 .. 11: fractions of b + 1 digits, of which there are 2^b that need them all
_FINE = 1 << GRID_BITS
_OWN = 8  # below this level every fraction has a frequency of its own
CLASSES = (1 << _OWN) - 1 + LEVELS - _OWN
_ROUNDS = 6  # of choice and measured code lengths


class Chosen(NamedTuple):
    """Fractions of numbers.

    Args:
        index: k, so that xi = k / 4096; 1 .. 4095.
        bits: of each, as they were counted in the choice.
    """

    index: np.ndarray
    bits: np.ndarray


@functools.cache
def points() -> np.ndarray:
    """F^-1(k / 4096) of N(0, 1) for k = 0 .. 4096; the ends are infinite."""
    return quantile_bins().edges


def level_of(index: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """How many digits follow the first: k is an odd multiple of 2^(11 - level)."""
    lowest = index & -index
    return LEVELS - 1 - np.log2(lowest.astype(float)).astype(np.int64)


def class_of(index: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """What of a fraction is coded by frequencies: itself if it is short, else its number of digits alone."""
    level = level_of(index)
    place = index >> (LEVELS - level)  # which of the 2^level fractions
    return np.where(level < _OWN, (1 << np.minimum(level, _OWN)) - 1 + place, (1 << _OWN) - 1 + level - _OWN)


def raw_bits(classes: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Digits that follow a class in the stream, at equal probabilities."""
    level = classes - ((1 << _OWN) - 1) + _OWN
    return np.where(level >= _OWN, level, 0)


def index_of(classes: Int[np.ndarray, " n"], rest: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """The fraction of a class and the digits that follow it."""
    own = classes < (1 << _OWN) - 1
    level = np.where(own, np.log2(np.where(own, classes, 0) + 1.0).astype(np.int64), raw_bits(classes))
    place = np.where(own, classes - (1 << level) + 1, rest)
    return (2 * place + 1) << (LEVELS - 1 - level)


def plain_lengths() -> Float[np.ndarray, " classes"]:
    """Bits of each class where nothing is known of frequencies: b for a fraction of level b."""
    index = index_of(np.arange(CLASSES), np.zeros(CLASSES, np.int64))
    return level_of(index).astype(float)


def measured_lengths(counts: Int[np.ndarray, " classes"]) -> Float[np.ndarray, " classes"]:
    """Bits of each class by its frequency, with the digits that follow it; of one that was never used as if once."""
    return np.log2(counts.sum() / np.maximum(counts, 1)) + raw_bits(np.arange(CLASSES))


def choose(
    mean: Float[np.ndarray, " n"],
    width: Float[np.ndarray, " n"],
    trade: float,
    lengths: Float[np.ndarray, " classes"],
    grid: Float[np.ndarray, " fractions"] | None = None,
) -> Chosen:
    """The fraction of each number whose squared error in widths and bits together cost least.

    Of each level only the two fractions around the number can be best.

    Args:
        mean: m, in units of the prior's deviation.
        width: s, the same.
        trade: nats that a nat of code is worth.
        lengths: bits of each class.
        grid: F^-1(k / 4096) of the prior for k = 0 .. 4096; None: of N(0, 1).
    """
    grid = points() if grid is None else grid
    # where in the grid, so that a floor finds the fractions on either side of a number
    at = np.interp(mean, grid[1:-1], np.arange(1.0, _FINE))
    best = np.full(mean.shape, _FINE >> 1, np.int64)
    cost = np.full(mean.shape, np.inf)
    bits = np.zeros(mean.shape)
    weight = 0.5 / width**2
    for level in range(LEVELS):
        half = 1 << (LEVELS - 1 - level)
        left = (2 * np.floor((at / half - 1.0) / 2.0).astype(np.int64) + 1) * half
        for candidate in (left, left + 2 * half) if level else (np.full_like(left, half),):
            index = np.clip(candidate, half, _FINE - half)
            own = lengths[class_of(index)]
            total = weight * (grid[index] - mean) ** 2 + trade * math.log(2.0) * own
            better = total < cost
            best, cost, bits = np.where(better, index, best), np.where(better, total, cost), np.where(better, own, bits)
    return Chosen(best, bits)


def quantized(mean: Float[np.ndarray, " n"], width: Float[np.ndarray, " n"], trade: float) -> Chosen:
    """Fractions chosen by plain lengths, then by the lengths that the frequencies of these would have, and so on.

    Args:
        mean: in units of the prior's deviation, around its median.
        width: the same.
        trade: nats that a nat of code is worth.
    """
    found = choose(mean, width, trade, plain_lengths())
    for _ in range(_ROUNDS - 1):
        found = choose(mean, width, trade, measured_lengths(frequencies(found.index)))
    lengths = measured_lengths(frequencies(found.index))
    return Chosen(found.index, lengths[class_of(found.index)])


def frequencies(index: Int[np.ndarray, " n"]) -> Int[np.ndarray, " classes"]:
    """How often each class was used."""
    return np.bincount(class_of(index), minlength=CLASSES)


def values(index: Int[np.ndarray, " n"], location: np.float32, scale: np.float32) -> Float[np.ndarray, " n"]:
    """The numbers of fractions, float32, by two IEEE operations: the same on every machine."""
    return (points()[index] * float(scale) + float(location)).astype(np.float32)
