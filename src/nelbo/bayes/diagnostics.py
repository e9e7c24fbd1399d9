"""Whether a sampler's draws can be trusted: temperatures with bands, effective sample size, split R-hat."""

import dataclasses
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from nelbo.bayes.collector import Collected
from nelbo.core import InputError

LEVEL = 0.99  # of the bands
MOST_COORDINATES = 1000  # that are looked at, evenly chosen
FEWEST_DRAWS = 4  # of which halves of a chain can be compared


@dataclasses.dataclass(frozen=True)
class Temperature:
    """A temperature that was measured.

    Args:
        mean: over draws.
        standard_error: of the mean, from the spread of the draws and their effective number.
        low: lower end of the band around the target in which the mean lies with probability `LEVEL` if the sampler is
            exact.
        high: its upper end.
    """

    mean: float
    standard_error: float
    low: float
    high: float

    @property
    def within(self) -> bool:
        """Whether the mean is in its band."""
        return self.low <= self.mean <= self.high


@dataclasses.dataclass(frozen=True)
class Diagnostics:
    """What is reported about draws.

    Args:
        draws: how many.
        parameters: d.
        temperature: T that was asked for.
        kinetic: None of a sampler without momentum, and of a cold one (T = 0).
        configurational: None of a cold one.
        effective: effective sample sizes of the coordinates, least and median; None of fewer than four draws.
        r_hat: split R-hat of the coordinates, greatest and median; None of fewer than four draws.
    """

    draws: int
    parameters: int
    temperature: float
    kinetic: Temperature | None
    configurational: Temperature | None
    effective: tuple[float, float] | None
    r_hat: tuple[float, float] | None

    def record(self) -> dict[str, Any]:
        """As JSON, with what is within its band."""
        found = dataclasses.asdict(self)
        for name in ("kinetic", "configurational"):
            part = {"kinetic": self.kinetic, "configurational": self.configurational}[name]
            if part is not None:
                found[name]["within"] = part.within
        return found


def effective_sample_size(x: Float[np.ndarray, "chains draws coordinates"]) -> Float[np.ndarray, " coordinates"]:
    """Effective number of independent draws of each coordinate (Geyer 1992), at most that of the draws themselves.

    A coordinate that never moves counts as one draw.
    """
    from numpyro.diagnostics import effective_sample_size as estimate

    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.asarray(estimate(np.asarray(x, np.float64)))
    return np.clip(np.nan_to_num(found, nan=1.0), 1.0, x.shape[0] * x.shape[1])


def split_r_hat(x: Float[np.ndarray, "chains draws coordinates"]) -> Float[np.ndarray, " coordinates"]:
    """How far the halves of the chains are apart: 1 where they agree (Gelman et al. 2013, section 11.4).

    A coordinate that never moves has 1.
    """
    from numpyro.diagnostics import split_gelman_rubin

    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num(np.asarray(split_gelman_rubin(np.asarray(x, np.float64))), nan=1.0)


def coordinates(draws: Any, most: int = MOST_COORDINATES) -> Float[np.ndarray, "draws coordinates"]:
    """The draws of some coordinates, evenly chosen among all; of all where they are few."""
    rows = [np.asarray(leaf) for leaf in jax.tree.leaves(draws)]
    flat = [row.reshape(len(row), -1) for row in rows]
    count = sum(row.shape[1] for row in flat)
    chosen = np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))
    starts = np.cumsum([0, *(row.shape[1] for row in flat)])
    parts = [
        row[:, chosen[(chosen >= start) & (chosen < start + row.shape[1])] - start]
        for row, start in zip(flat, starts[:-1], strict=True)
    ]
    return np.concatenate(parts, axis=1).astype(np.float64)


def diagnose(found: Collected, temperature: float) -> Diagnostics:
    """Look at the draws of one run.

    The band of the configurational temperature is `LEVEL` of a t distribution around T, as wide as the spread of its
    values says. That of the kinetic temperature is at least that of n independent chi-squared variables of d degrees of
    freedom, which it is a mean of under the exact density, n its effective number of draws.

    Args:
        found: by `collected`.
        temperature: T that was asked for.

    Raises:
        InputError: no draws.
    """
    x = coordinates(found.draws)
    if not len(x):
        raise InputError("There are no draws to look at.")
    several = len(x) >= FEWEST_DRAWS
    effective, r_hat = (effective_sample_size(x[None]), split_r_hat(x[None])) if several else (None, None)
    numbers = sum(leaf[0].size for leaf in jax.tree.leaves(found.draws))
    kinetic = None if found.kinetic is None else np.asarray(found.kinetic, np.float64)
    return Diagnostics(
        len(x),
        numbers,
        float(temperature),
        None if kinetic is None or not temperature or not several else _kinetic(kinetic, temperature, numbers),
        _measured(np.asarray(found.configurational, np.float64), temperature) if temperature and several else None,
        None if effective is None else (float(effective.min()), float(np.median(effective))),
        None if r_hat is None else (float(r_hat.max()), float(np.median(r_hat))),
    )


def _measured(values: np.ndarray, temperature: float) -> Temperature:
    from scipy.stats import t

    count = max(2.0, float(effective_sample_size(values[None, :, None])[0]))
    error = float(values.std(ddof=1)) / count**0.5
    half = float(t.ppf(0.5 + LEVEL / 2, count - 1)) * error
    return Temperature(float(values.mean()), error, temperature - half, temperature + half)


def _kinetic(values: np.ndarray, temperature: float, numbers: int) -> Temperature:
    from scipy.stats import chi2

    found = _measured(values, temperature)
    count = max(1.0, float(effective_sample_size(values[None, :, None])[0])) * numbers
    low, high = (temperature * float(chi2.ppf(0.5 + side * LEVEL / 2, count)) / count for side in (-1, 1))
    return dataclasses.replace(found, low=min(low, found.low), high=max(high, found.high))
