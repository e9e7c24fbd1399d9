"""Which likelihood suits which data, and what to use where one does not."""

from dataclasses import replace

import numpy as np

from nelbo.core import InputError
from nelbo.data import Data
from nelbo.models import families, family_options, skeleton
from nelbo.models import likelihood as likelihood_called
from nelbo.runs.settings import VALUE_NAMES


def likelihood_for(data: Data) -> str:
    """The likelihood that suits the values of a data set."""
    if data.values == "binary" or data.binarization == "dynamic":
        return "bernoulli"
    named = {"uint8": "discretized-logistic", "unit": "gaussian-unit", "real": "gaussian", "counts": "multinomial"}
    return named[data.values]


def as_counts(data: Data, likelihood: str | None) -> Data:
    """A user's file of whole numbers from zero on as word counts, where the likelihood scores nothing else.

    Nothing in such a file says that its numbers are counts. Data with fractions, negative numbers, gaps or several axes
    stay as they are, and are refused by `check_suits`.

    Args:
        data: as they were read, without a schema of a run.
        likelihood: of the model; None where the data decide.
    """
    if likelihood is None or likelihood_called(likelihood).values != ("counts",) or data.values == "counts":
        return data
    parts = list(data.splits.values())
    fits = len(data.shape) == 1 and data.schema.offset is None and all(split.observed is None for split in parts)
    if not fits or any((split.x < 0).any() or (split.x != np.rint(split.x)).any() for split in parts):
        return data
    splits = {name: replace(split, x=split.x.astype(np.float32)) for name, split in data.splits.items()}
    return replace(data, splits=splits, schema=replace(data.schema, values="counts"))


def check_suits(name: str | None, data: Data, model: str | None = None) -> None:
    """Refuse a likelihood that gives these values no probability or density.

    Args:
        name: of the likelihood.
        data: that it would score.
        model: the family that is to be fitted; None: a model is fitted already.

    Raises:
        InputError: it does not; of a family that is to be fitted the sentence says what to use instead.
    """
    if name is None:
        return
    found = likelihood_called(name)
    binarized = found.scale != 1.0 and data.binarization != "none"
    if data.values not in found.values or binarized:
        held = f"{data.values} ({data.binarization})" if data.binarization != "none" else data.values
        raise InputError(
            f"{name} scores {VALUE_NAMES[found.values[0]]}, but {data.name} holds {held} values: "
            f"{'' if model is None else f'{likelihood_advice(model, data)}, or '}give other data."
        )


def likelihood_advice(model: str, data: Data) -> str:
    """The likelihood that suits the data, or models with it where a model has no place for that one."""
    wanted = likelihood_for(data)
    if _builds(model, wanted, data.shape):
        return f"use {wanted}"
    return f"{model} has no other, so {models_advice(data)}"


def models_advice(data: Data) -> str:
    """The first models of rows that have the likelihood that suits the data."""
    wanted = likelihood_for(data)
    able = [name for name, one in families().items() if one.examples == "rows" and _builds(name, wanted, data.shape)]
    return f"use the model {' or '.join(able[:3])}"


def _builds(model: str, likelihood: str, shape: tuple[int, ...]) -> bool:
    """Whether a family can be given a likelihood."""
    if "likelihood" not in family_options(model):
        return False
    try:
        skeleton(model, {"shape": list(shape), "likelihood": likelihood})
    except InputError:
        return False
    return True
