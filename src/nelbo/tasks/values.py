"""What values a likelihood can give."""

import numpy as np

from nelbo.core import InputError
from nelbo.data import Source
from nelbo.distributions import Bernoulli, BetaBinomial, Categorical, DiscretizedLogistic, Distribution


def check_values(likelihood: Distribution, data: Source) -> None:
    """Refuse values that the model's likelihood cannot give.

    Raises:
        InputError: the first such value, or a likelihood that is not elementwise.
    """
    name = type(likelihood).__name__
    if likelihood.event_shape:
        raise InputError(f"{name} has no conditional of single entries: it cannot be imputed.")
    top = None
    if isinstance(likelihood, Bernoulli):
        top = 1.0
    elif isinstance(likelihood, DiscretizedLogistic | Categorical):
        top = likelihood.levels - 1.0
    elif isinstance(likelihood, BetaBinomial):
        top = 255.0
    if top is None:
        return
    values = np.asarray(data.arrays.values)
    if data.values == "uint8" and data.pixels == "unit":
        values = values / 255.0
    whole = top > 1.0 and not np.array_equal(values, np.rint(values))
    if whole or values.min() < 0 or values.max() > top:
        wanted = "from 0 to 1" if top == 1.0 else f"that are whole and from 0 to {top:.0f}"
        raise InputError(
            f"The model's {name} likelihood needs values {wanted}, but these reach from {values.min():.4g} to "
            f"{values.max():.4g}: scale the data as the model's training data were."
        )
