"""From an experiment's settings to its data and to the model's arguments that the data decide."""

import dataclasses
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from nelbo.core import InputError, checked_arguments, choice, defaults
from nelbo.data import CORPORA, Data, Progress, Source, Split, binarize, catalogue, load, source
from nelbo.models import COUNT_LIKELIHOODS, LIKELIHOODS, MODELS
from nelbo.runs.settings import Experiment, checked_seed, objective_arguments, training_for

VISIBLE = {
    "linear": "gaussian-shared",
    "factor-analysis": "gaussian-shared",
    "nonlinear-factor-analysis": "gaussian-pixel",
    "nade": "bernoulli",
    "mixture": "bernoulli",
}  # of models without a choice of likelihood
_DATA_OPTIONS = ("name", "data_dir", "binarize", "binarize_seed", "split_seed", "valid_fraction", "test_fraction")
_FILLED = ("key", "shape")  # never the user's
_MOMENTS = ("centre", "spread")  # the user's choice is whether to use them


def likelihood_option(experiment: Experiment) -> str | None:
    """The likelihood that was asked for, or that the model always has; None where the data decide."""
    name = choice("model", experiment.model["name"], MODELS)
    asked = experiment.model.get("arguments", {}).get("likelihood")
    known = inspect.signature(MODELS[name]).parameters
    if "likelihood" in known and asked is not None:
        return choice("likelihood", asked, LIKELIHOODS) if isinstance(asked, str) else None
    return VISIBLE.get(name)


def dataset_for(
    settings: Mapping[str, Any], likelihood: str | None, progress: Progress | None = None
) -> tuple[Data, Data]:
    """The training data, and the same data as they are scored.

    Dynamic binarization trains on fresh draws but is scored on one fixed draw, so that numbers can be compared.
    A named set of grey counts is binarized (static) unless the likelihood wants its pixels.

    Args:
        settings: of `nelbo.data.load`, with the name or path under "name".
        likelihood: of the model, or None where the data decide.
        progress: told while data are fetched.

    Raises:
        InputError: see `nelbo.data.load`; binarized data for a likelihood of pixels.
    """
    arguments = {name: value for name, value in settings.items() if value is not None}
    for name in arguments:
        choice("data setting", name, _DATA_OPTIONS)
    name, how = arguments.pop("name"), arguments.pop("binarize", None)
    seed = arguments.pop("binarize_seed", 0)
    # checked before the data are read, which can take long
    if how in {"static", "dynamic", "threshold"} and likelihood not in {None, "bernoulli"}:
        raise InputError(
            f"{likelihood} is a distribution of pixels, not of binarized ones ({how}): leave binarization out, or use "
            "the Bernoulli likelihood."
        )
    data = load(name, **arguments, progress=progress)
    if how is None:
        grey = name in catalogue() and likelihood in {None, "bernoulli"} and data.values == "uint8"
        how = "static" if grey else "none"
    if how == "none" and likelihood == "bernoulli" and data.values in {"uint8", "unit"}:
        # a cross-entropy and no likelihood: every number must say so
        data = dataclasses.replace(data, binarization="none (grey)")
        return data, data
    train = binarize(data, how, seed)
    return train, binarize(data, "static", seed) if how == "dynamic" else train


def likelihood_for(data: Data) -> str:
    """The likelihood that suits the values of a data set."""
    if data.values == "binary" or data.binarization == "dynamic":
        return "bernoulli"
    named = {"uint8": "discretized-logistic", "unit": "gaussian-unit", "real": "gaussian", "counts": "multinomial"}
    return named[data.values]


def settled(experiment: Experiment, data: Data) -> Experiment:
    """The experiment with every default and everything that the data decide written out, for `config.json`.

    Settling a settled experiment changes nothing.

    Args:
        experiment: as it was asked for.
        data: its training data.

    Raises:
        InputError: an unknown option, or a value that makes no sense.
    """
    name = choice("model", experiment.model["name"], MODELS)
    make = MODELS[name]
    given = {key: value for key, value in experiment.model.get("arguments", {}).items() if value is not None}
    for key in _MOMENTS:
        if not isinstance(given.get(key, True), bool):
            raise InputError(f"{key} is taken from the training data: give true or false, not {given[key]!r}.")
    arguments = defaults(make) | checked_arguments(f"option of model {name}", make, given, hidden=_FILLED)
    arguments |= {key: given.get(key, True) for key in _MOMENTS if key in arguments}
    if "likelihood" in arguments and given.get("likelihood") is None:
        arguments["likelihood"] = likelihood_for(data)
    _suits(arguments.get("likelihood", VISIBLE.get(name)), data)
    binarization = data.binarization.split("(")[0].strip()
    origin = {"binarize_seed": 0, "split_seed": 0} | located(experiment.data)
    return dataclasses.replace(
        experiment,
        model={"name": name, "arguments": arguments},
        data=origin | {"binarize": binarization},
        objective={"name": experiment.objective["name"], "arguments": objective_arguments(experiment)},
        training=training_for(experiment.training, len(data.train)),
        seed=checked_seed(experiment.seed),
    )


def located(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Data settings with whole paths, so that a run can be used from another folder."""
    given = {name: value for name, value in settings.items() if value is not None}
    paths = {"data_dir"} if str(given.get("name")) in {*catalogue(), *CORPORA} else {"data_dir", "name"}
    return {name: str(Path(v).expanduser().absolute()) if name in paths else v for name, v in given.items()}


def _suits(likelihood: str | None, data: Data) -> None:
    """Refuse a likelihood that gives these values no probability or density."""
    if (likelihood == "multinomial") != (data.values == "counts"):
        raise InputError(f"Word counts and a multinomial likelihood go together, but {data.name} is {data.values}.")
    if likelihood == "bernoulli" and data.values == "real":
        raise InputError("A Bernoulli likelihood needs values in 0..1, but these are real numbers: use gaussian.")
    if likelihood == "gaussian-unit" and data.values == "real":
        raise InputError("gaussian-unit has means in 0..1, but these are real numbers: use gaussian.")
    if likelihood in COUNT_LIKELIHOODS and (data.values != "uint8" or data.binarization != "none"):
        raise InputError(
            f"{likelihood} needs whole numbers 0..255 that are not binarized, but these are {data.values}."
        )


def model_arguments(experiment: Experiment, data: Data) -> dict[str, Any]:
    """The model's arguments with what the data decide filled in: shape, likelihood, centre and spread.

    Raises:
        InputError: see `settled`.
    """
    arguments = dict(settled(experiment, data).model["arguments"])
    arguments["shape"] = list(data.shape)
    asked = {name: arguments.pop(name, False) for name in _MOMENTS}
    likelihood = arguments.get("likelihood")
    scale = 255.0 if data.values == "uint8" and likelihood not in COUNT_LIKELIHOODS else 1.0
    if asked["centre"]:
        arguments["centre"] = jnp.asarray(np.asarray(_mean(data.train) / scale, np.float32))
    if asked["spread"] and likelihood != "bernoulli":
        std = np.asarray(_spread(data.train, None if len(data.shape) == 3 else 0) / scale, np.float32)
        arguments["spread"] = jnp.asarray(np.where(np.isfinite(std) & (std > 0), std, np.float32(1.0)))
    return arguments


def _mean(data: Split) -> np.ndarray:
    """Mean of each entry where it is observed."""
    if data.observed is None:
        return data.x.mean(0, dtype=float)
    return data.x.sum(0, dtype=float) / np.maximum(data.observed.sum(0), 1)


def _spread(data: Split, axis: int | None) -> np.ndarray:
    """Standard deviation of each entry where it is observed, or one for all (images)."""
    x, observed = data.x, data.observed
    if observed is None:
        return np.asarray(x.std(axis, dtype=float))
    middle = _mean(data) if axis == 0 else x.sum(dtype=float) / max(observed.sum(), 1)
    squares = np.where(observed, (x - middle) ** 2, 0.0)
    return np.asarray(np.sqrt(squares.sum(axis) / np.maximum(observed.sum(axis), 1)))


def sources_for(train: Data, score: Data, likelihood: str) -> dict[str, Source]:
    """A source for each split: training data from `train`, the others from `score`."""
    pixels = "counts" if likelihood in COUNT_LIKELIHOODS else "unit"
    parts = {name: source(score.split(name), score, pixels=pixels) for name in ("valid", "test")}
    return {"train": source(train.train, train, pixels=pixels), **parts}
