"""Whether a model's likelihood can give the values of a data set."""

import numpy as np

from nelbo.data import Crops, Source
from nelbo.distributions import check_support
from nelbo.models.stack import Model

_NUMBERS = 2**22  # that are looked at together: rows of a memory-mapped file are read in pieces


def check_source(model: Model, data: Source) -> None:
    """Refuse rows with values that the model's likelihood cannot give; every score and answer asks this first.

    Args:
        model: with a generative part.
        data: the rows; missing entries are not looked at.

    Raises:
        InputError: such values.
    """
    likelihood = model.generative.shapes()[0]
    values, observed = data.arrays.values, data.arrays.observed
    if isinstance(values, Crops):
        return  # bytes of photographs, each of which is a pixel; there is no end of them
    grey = data.values == "uint8" and (data.dynamic or data.pixels == "unit")
    rows = max(1, _NUMBERS // max(1, int(np.prod(data.shape))))
    for start in range(0, len(data), rows):
        piece = np.asarray(values[start : start + rows])
        there = None if observed is None else np.asarray(observed[start : start + rows])
        check_support(likelihood, piece / np.float32(255.0) if grey else piece, there)
