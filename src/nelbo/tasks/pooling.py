"""One estimate from several completed data sets, with what not knowing the missing values adds to its error."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from nelbo.core import InputError


@dataclass(frozen=True)
class Pooled:
    """An estimate of a number from several completed data sets (Rubin 1987).

    Args:
        estimate: mean of the estimates.
        error: its standard error, of sampling and of what is missing together.
        low: lower end of the interval.
        high: its upper end.
        degrees: of freedom of the Student-t that the interval is of; infinite where completions agree.
        missing_information: share of the variance that is due to missing values, from 0 to 1.
    """

    estimate: float
    error: float
    low: float
    high: float
    degrees: float
    missing_information: float


def pool(statistic: Callable[[Any], tuple[float, float]], draws: Iterable[Any], *, level: float = 0.95) -> Pooled:
    """Rubin's estimate and interval of a statistic from completed data sets.

    Args:
        statistic: from one completed data set to an estimate and its squared standard error in complete data: for a
            mean `x.mean(), x.var(ddof=1) / len(x)`.
        draws: at least two completions (`Imputation.draws`, or tables that `nelbo impute --draws` wrote).
        level: of the interval.

    Raises:
        InputError: fewer than two draws, a negative or infinite result, or a level that is none.
    """
    if not 0 < level < 1:
        raise InputError(f"The level of an interval lies between 0 and 1, got {level}.")
    found = np.array([[float(number) for number in statistic(one)] for one in draws], float)
    if len(found) < 2:
        raise InputError(f"Pooling needs at least 2 completed data sets, got {len(found)}: ask for more draws.")
    if found.shape[1] != 2 or not np.isfinite(found).all() or (found[:, 1] < 0).any():
        raise InputError("The statistic must give a finite estimate and its squared standard error, zero or more.")
    count = len(found)
    estimate, within = (float(number) for number in found.mean(0))
    between = float(found[:, 0].var(ddof=1))
    added = (1.0 + 1.0 / count) * between
    total = within + added
    degrees = math.inf if added == 0 else (count - 1) * (total / added) ** 2
    reach = math.sqrt(total) * float(stats.t.ppf(0.5 + 0.5 * level, degrees))
    share = 0.0 if total == 0 else added / total
    return Pooled(estimate, math.sqrt(total), estimate - reach, estimate + reach, degrees, share)
