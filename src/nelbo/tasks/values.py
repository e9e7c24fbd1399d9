"""What values a likelihood can give."""

import numpy as np

from nelbo.core import InputError
from nelbo.data import Source
from nelbo.distributions import Distribution, check_support


def check_values(likelihood: Distribution, data: Source) -> None:
    """Refuse values that the model's likelihood cannot give.

    Raises:
        InputError: such values, or a likelihood that is not elementwise.
    """
    if likelihood.event_shape:
        name = type(likelihood).__name__
        raise InputError(f"{name} has no conditional of single entries: it cannot be imputed.")
    values = np.asarray(data.arrays.values)
    values = values / 255.0 if data.values == "uint8" and data.pixels == "unit" else values
    observed = data.arrays.observed
    check_support(likelihood, values, None if observed is None else np.asarray(observed))
