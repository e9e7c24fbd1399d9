"""What values an elementwise distribution can give, and a sentence where data hold others."""

import dataclasses

import numpy as np
from numpyro.distributions import Distribution

from nelbo.core import InputError
from nelbo.distributions.counts import BetaBinomial, Categorical, DiscretizedLogistic
from nelbo.distributions.elementary import Bernoulli

_BYTES = 255.0


@dataclasses.dataclass(frozen=True)
class ValueRange:
    """The values of a bounded distribution.

    Args:
        most: the largest; the least is zero.
        whole: whether they are whole numbers; grey values are taken for probabilities of ones.
    """

    most: float
    whole: bool


def value_range(distribution: Distribution) -> ValueRange | None:
    """What a distribution can give; None: any number."""
    if isinstance(distribution, Bernoulli):
        return ValueRange(1.0, whole=False)
    if isinstance(distribution, DiscretizedLogistic | Categorical):
        return ValueRange(distribution.levels - 1.0, whole=True)
    if isinstance(distribution, BetaBinomial):
        return ValueRange(_BYTES, whole=True)
    return None


def check_support(distribution: Distribution, values: np.ndarray) -> None:
    """Refuse values that a model's elementwise likelihood cannot give.

    Args:
        distribution: the likelihood; shapes in place of arrays will do.
        values: of the data, in the likelihood's units.

    Raises:
        InputError: the values reach beyond, or are not whole.
    """
    allowed = value_range(distribution)
    if allowed is None or not values.size:
        return
    broken = allowed.whole and not np.array_equal(values, np.rint(values))
    if broken or values.min() < 0 or values.max() > allowed.most:
        wanted = f"that are whole and from 0 to {allowed.most:.0f}" if allowed.whole else "from 0 to 1"
        raise InputError(
            f"The model's {type(distribution).__name__} likelihood needs values {wanted}, but these reach from "
            f"{values.min():.4g} to {values.max():.4g}: scale the data as the model's training data were."
        )
