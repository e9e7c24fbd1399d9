"""Rate-distortion functions that can be computed: of finite alphabets, and of Gaussian sources.

R(D) is the least mutual information of a source X and a reproduction Y at a mean distortion of at most D. It is convex,
so it is found by its slopes: at slope lambda, min over q(y | x) of I(X; Y) + lambda E rho(X, Y) = R(D) + lambda D.
"""

import dataclasses
import math
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from nelbo.core import InputError


@dataclasses.dataclass(frozen=True)
class RatePoint:
    """A point of a rate-distortion function, with the line that touches it there.

    Args:
        slope: lambda, nats for a unit of distortion.
        distortion: mean of rho.
        rate: nats.
        reproduction: q(y) of a finite alphabet; None of others.
        log_u: log sum_y q(y) exp(-lambda rho(x, y)) for each x of a finite alphabet; None of others.
        lower: of R(D) + lambda D, by duality: no reproduction does better [nats].
    """

    slope: float
    distortion: float
    rate: float
    lower: float
    reproduction: np.ndarray | None = dataclasses.field(default=None, repr=False)
    log_u: np.ndarray | None = dataclasses.field(default=None, repr=False)


def dual_bound(
    source: Float[np.ndarray, " x"], rho: Float[np.ndarray, "x y"], slope: float, log_u: Float[np.ndarray, " x"]
) -> float:
    """E[-log u(X)] - log max_y E[exp(-lambda rho(X, y)) / u(X)], which is at most R(D) + lambda D for every D [nats].

    Source: Csiszar (1974); Yang and Mandt (2022), eq. 7.

    Args:
        source: probabilities.
        rho: distortion of each pair.
        slope: lambda.
        log_u: any real numbers.
    """
    with np.errstate(divide="ignore"):
        excess: Any = logsumexp(np.log(source)[:, None] - slope * rho - log_u[:, None], axis=0)
    return float(-(source * log_u).sum() - excess.max())


def blahut_arimoto(
    source: Float[np.ndarray, " x"],
    rho: Float[np.ndarray, "x y"],
    slope: float,
    *,
    tolerance: float = 1e-9,
    iterations: int = 100_000,
) -> RatePoint:
    """The point of slope lambda of a finite source's R(D), to within a tolerance.

    q(y) <- sum_x p(x) q(y | x), q(y | x) in proportion to q(y) exp(-lambda rho(x, y)), until the dual bound of
    u(x) = sum_y q(y) exp(-lambda rho(x, y)) is reached.

    Source: Blahut (1972); Arimoto (1972).

    Args:
        source: probabilities of the symbols.
        rho: distortion of each pair of symbol and reproduction.
        slope: lambda, above zero.
        tolerance: of the rate [nats].
        iterations: at most.

    Raises:
        InputError: no probabilities, or no convergence.
    """
    if not np.isclose(source.sum(), 1.0) or source.min() < 0 or not 0 < slope < math.inf:
        raise InputError("Blahut-Arimoto takes probabilities that sum to one and a slope above zero.")
    nearest = rho.min(axis=1, keepdims=True)
    kernel = np.exp(-slope * (rho - nearest))  # no row of it is zero
    q = np.full(rho.shape[1], 1.0 / rho.shape[1])
    for _ in range(iterations):
        u = kernel @ q
        factor = (source / u) @ kernel  # of each q(y); none is above one at the optimum
        if np.log(factor.max()) < tolerance:
            break
        q = q * factor
    else:
        raise InputError(f"Blahut-Arimoto has not converged in {iterations} iterations: allow more, or less precision.")
    joint = (source / u)[:, None] * kernel * q
    distortion = float((joint * rho).sum())
    log_u = np.log(u) - slope * nearest[:, 0]
    lower = dual_bound(source, rho, slope, log_u)
    return RatePoint(slope, distortion, float(-(source * log_u).sum() - slope * distortion), lower, q, log_u)


def reverse_water_filling(variances: Float[np.ndarray, " d"], slope: float) -> RatePoint:
    """The point of slope lambda of a Gaussian source's R(D) for squared error, by its principal variances.

    R = sum_i max(0, log(s_i^2 / theta) / 2), D = sum_i min(s_i^2, theta), at the water level theta = 1 / (2 lambda)
    (Cover and Thomas, theorem 10.3.3). Of any source with these variances it is an upper bound.

    Args:
        variances: of independent components.
        slope: lambda.
    """
    level = 0.5 / slope
    rate = 0.5 * np.log(np.maximum(variances, level) / level).sum()
    distortion = float(np.minimum(variances, level).sum())
    return RatePoint(slope, distortion, float(rate), float(rate) + slope * distortion)


def gaussian_rate(variances: Float[np.ndarray, " d"], distortion: float) -> float:
    """R(D) of a Gaussian source for squared error, by its principal variances [nats]; infinite at D = 0.

    Args:
        variances: of independent components.
        distortion: D, summed over components.
    """
    if distortion >= variances.sum():
        return 0.0
    if distortion <= 0:
        return math.inf
    low, high = 0.0, float(variances.max())
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if np.minimum(variances, middle).sum() < distortion else (low, middle)
    return reverse_water_filling(variances, 0.5 / high).rate
