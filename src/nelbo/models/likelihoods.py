"""Likelihoods by name: for each the head of p(x | z), and what the data must hold."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Literal

from nelbo.core import InputError, added, choice, joined
from nelbo.models.heads import (
    DATA_LOG_VARIANCE,
    BagOfWordsHead,
    BernoulliHead,
    BetaBinomialHead,
    CategoricalHead,
    DiscretizedLogisticHead,
    Head,
    NormalHead,
    SharedNormalHead,
)
from nelbo.models.rating_heads import of_pairs

Kind = Literal["binary", "unit", "uint8", "counts", "real", "levels"]


@dataclasses.dataclass(frozen=True)
class Likelihood:
    """One kind of p(x | z), and everything that other rooms ask of it.

    Args:
        name: what users call it.
        head: from the shape of one example to its head.
        values: the kinds of values it scores, see `nelbo.data.Data.values`; the first one is what it was made for.
        scale: what a full pixel is to the model: 255 where it scores whole numbers 0 to 255, else 1.
        standardizes: whether its head can be put in units of the data's spread around the data's mean.
        binarizes: whether grey values are turned into zeros and ones for it.
    """

    name: str
    head: Callable[[tuple[int, ...]], Head]
    values: tuple[Kind, ...]
    scale: float = 1.0
    standardizes: bool = False
    binarizes: bool = False


_REAL: tuple[Kind, ...] = ("real", "unit", "binary", "uint8")
_BYTES: tuple[Kind, ...] = ("uint8",)

LIKELIHOODS: dict[str, Likelihood] = {
    one.name: one
    for one in (
        Likelihood("bernoulli", BernoulliHead, ("binary", "unit", "uint8"), binarizes=True),
        Likelihood(
            "gaussian",
            lambda shape: NormalHead(shape, min_scale=0.01, bounds=DATA_LOG_VARIANCE),
            _REAL,
            standardizes=True,
        ),
        Likelihood(
            "gaussian-unit", lambda shape: NormalHead(shape, min_scale=0.01, squash=True), ("unit", "binary", "uint8")
        ),
        Likelihood("gaussian-fixed", lambda shape: SharedNormalHead(shape, scale=0.1), _REAL, standardizes=True),
        Likelihood(
            "gaussian-shared",
            lambda shape: SharedNormalHead(shape, scale=0.1, learn=True, min_scale=0.01),
            _REAL,
            standardizes=True,
        ),
        Likelihood(
            "gaussian-pixel",
            lambda shape: SharedNormalHead(shape, scale=0.1, learn=True, per_unit=True, min_scale=0.01),
            _REAL,
            standardizes=True,
        ),
        Likelihood("discretized-logistic", DiscretizedLogisticHead, _BYTES, scale=255.0),
        Likelihood("beta-binomial", BetaBinomialHead, _BYTES, scale=255.0),
        Likelihood("categorical", CategoricalHead, _BYTES, scale=255.0),
        Likelihood("multinomial", BagOfWordsHead, ("counts",)),
    )
}

# of the values of pairs alone: the model `factorization` has them, and "gaussian"
OF_PAIRS: dict[str, Likelihood] = {
    "cauchy": Likelihood("cauchy", of_pairs("cauchy"), _REAL),
    "ordinal": Likelihood("ordinal", of_pairs("ordinal"), ("levels", "real")),
}


def _of_columns(shape: tuple[int, ...]) -> Head:
    del shape
    raise InputError("columns is the likelihood of a table whose columns are of different kinds: use the model table.")


# of rows whose columns are of different kinds: the model `table` has it
OF_COLUMNS = {"columns": Likelihood("columns", _of_columns, _REAL)}


def _of_pictures(shape: tuple[int, ...]) -> Head:
    del shape
    raise InputError("pixels is the likelihood of lossy pictures, whose deviation is the step: use image-codec.")


# of lossy pictures: the model `image-codec` has it
OF_PICTURES = {"pixels": Likelihood("pixels", _of_pictures, _BYTES, scale=255.0)}


def likelihoods() -> Mapping[str, Likelihood]:
    """Every likelihood by name: nelbo's own, and those that were added (see `nelbo.core.Registry`)."""
    return joined("likelihoods", {**LIKELIHOODS, **OF_PAIRS, **OF_COLUMNS, **OF_PICTURES}, added().likelihoods)


def likelihood(name: str) -> Likelihood:
    """The likelihood called `name`.

    Raises:
        InputError: there is none.
    """
    every = likelihoods()
    return every[choice("likelihood", name, every)]


def likelihood_head(name: str, shape: tuple[int, ...]) -> Head:
    """The visible head called `name` for examples of shape `shape`.

    Raises:
        InputError: no such likelihood.
    """
    return likelihood(name).head(shape)
