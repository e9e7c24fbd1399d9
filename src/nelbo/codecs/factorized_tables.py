"""Integer tables of a factorized density, each channel with one of its own.

The density's distribution function is float64 arithmetic with exponentials, so that another machine's may differ in
the last place; its values are rounded to multiples of 2^-20, of which about one in a million would fall to the other
side. A receiver with another table decodes other pixels, whose digest tells.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from constriction import stream  # pyright: ignore[reportAttributeAccessIssue]

from nelbo.codecs.band_tables import Table

_PRECISION = 20
_LONGEST = 1 << 11  # numbers on each side of the middle that a table reaches at most
_PIECE = 1 << 8
_FARTHEST, _BISECTIONS = 2.0**16, 40


@dataclasses.dataclass(frozen=True)
class Factorized:
    """The density; see `nelbo.priors.FactorizedDensity`.

    Args:
        matrices: positive, `(channels, out, in)` for each layer.
        biases: `(channels, out, 1)`.
        factors: between -1 and 1, the same, one less.
    """

    matrices: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    factors: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], name: str) -> "Factorized":
        """From the arrays of a model, by their names."""
        count = sum(f"{name}.matrices[{i}]" in arrays for i in range(len(arrays)))
        get = lambda part, i: np.asarray(arrays[f"{name}.{part}[{i}]"], float)  # noqa: E731
        return cls(
            tuple(np.logaddexp(0.0, get("matrices", i)) for i in range(count)),
            tuple(get("biases", i) for i in range(count)),
            tuple(np.tanh(get("factors", i)) for i in range(count - 1)),
        )

    @property
    def channels(self) -> int:
        """How many."""
        return self.biases[0].shape[0]

    def logits(self, x: np.ndarray) -> np.ndarray:
        """Log odds of the distribution function, `(channels, points)` of as many points."""
        y = x[:, None, :]
        for i, (matrix, bias) in enumerate(zip(self.matrices, self.biases, strict=True)):
            # sums one after another, in the same order everywhere
            y = sum(matrix[:, :, j, None] * y[:, None, j] for j in range(y.shape[1])) + bias
            if i < len(self.factors):
                y = y + self.factors[i] * np.tanh(y)
        return y[:, 0]

    def tables(self, unit: np.ndarray) -> tuple[np.ndarray, list[Table]]:
        """The middle of each channel's table, `(channels,)` int64, and the tables of what is away from it.

        Args:
            unit: how much of each channel of the density is one number, `(channels,)`.
        """
        median = self.quantiles(np.array([0.5]))[:, 0] / unit
        middle = np.clip(np.rint(median), -(2.0**17), 2.0**17).astype(np.int64)
        reach = _PIECE
        while True:
            edges = (middle[:, None] + np.arange(-reach, reach + 2) - 0.5) * unit[:, None]
            below = np.floor(_distribution(self.logits(edges)) * (1 << _PRECISION) + 0.5).astype(np.int64)
            held = (below[:, -1] - below[:, 0]) >= (1 << _PRECISION) - (1 << 6)
            if held.all() or reach >= _LONGEST:
                break
            reach *= 2
        return middle, [_table(own, reach) for own in below]

    def masses(self, x: np.ndarray) -> np.ndarray:
        """F(x + 1/2) - F(x - 1/2), `(channels, points)`: the density with uniform noise of width one added."""
        return _distribution(self.logits(x + 0.5)) - _distribution(self.logits(x - 0.5))

    def quantiles(self, probabilities: np.ndarray) -> np.ndarray:
        """Where each channel's distribution function reaches probabilities, `(channels, points)`, by bisection."""
        wanted = np.log(probabilities / (1.0 - probabilities))[None, :]
        low, high = np.full((self.channels, wanted.size), -_FARTHEST), np.full((self.channels, wanted.size), _FARTHEST)
        for _ in range(_BISECTIONS):
            half = 0.5 * (low + high)
            below = self.logits(half) < wanted
            low, high = np.where(below, half, low), np.where(below, high, half)
        return low


def _distribution(logits: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(-logits))


def _table(below: np.ndarray, widest: int) -> Table:
    """The table of a channel, as short as what lies outside allows."""
    inside = np.diff(below)
    seen = np.flatnonzero(inside)
    reach = int(np.abs(seen - widest).max()) if seen.size else 0
    inner = inside[widest - reach : widest + reach + 1]
    masses = np.maximum(np.append(inner, (1 << _PRECISION) - int(inner.sum())), 1)
    return Table(reach, masses, stream.model.Categorical(masses.astype(np.float64), perfect=False))


def ideal_bits(tables: list[Table], away: list[np.ndarray]) -> float:
    """-log2 of the tables' masses of numbers that they reach."""
    return sum(
        float(-np.log2(one.masses[own + one.reach] / one.masses.sum()).sum())
        for one, own in zip(tables, away, strict=True)
    )
