"""Targets of supervised models: from a run's settings and data to the examples that they are trained and scored on."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from nelbo.core import Example, InputError
from nelbo.data import Data, Source, Split, known_targets, names, source
from nelbo.models import family
from nelbo.runs.context import label_names
from nelbo.runs.settings import Experiment

_DWARFED = 1e4  # float32 then rounds a target by 6e-4 of the spread


def with_targets(experiment: Experiment) -> Experiment:
    """The experiment whose data settings say what its model predicts, if it predicts anything.

    Raises:
        InputError: a target for a model that predicts nothing, or data whose labels cannot be what it predicts.
    """
    name, data = experiment.model["name"], experiment.data
    targets, target = family(name).targets, data.get("target")
    if targets is None:
        if target is not None:
            raise InputError(f"{name} models the data and predicts no column: leave the target out, or use the model "
                             "regression or classification.")  # fmt: skip
        return experiment
    if data.get("context") is not None:
        raise InputError(f"{name} predicts from the features alone: leave the context out.")
    if str(data["name"]) in names():
        if targets == "number":
            raise InputError(f"{data['name']} has labels and no numbers to predict: use the model classification.")
        if target is not None:
            raise InputError(f"The target of {data['name']} is its label: leave the target out.")
    return dataclasses.replace(experiment, data={"binarize": "none"} | data | {"targets": targets})


def classes_of(data: Data, targets: str) -> list[str] | None:
    """The names of the classes that are told apart; None where numbers are predicted.

    Raises:
        InputError: no labels, or a single class.
    """
    if targets == "number":
        return None
    classes = label_names(data)
    if len(classes) < 2:
        raise InputError(f"Every row of {data.name} has the class {classes[0]!r}: give data with at least two classes.")
    return classes


def target_defaults(data: Data, classes: list[str] | None) -> dict[str, Any]:
    """Options of a supervised model that the data decide, unless the user does."""
    gaps = data.train.observed is not None and not data.train.observed.all()
    likelihood = "gaussian" if classes is None else "bernoulli" if len(classes) == 2 else "categorical"
    return {"likelihood": likelihood, "missing": "mask" if gaps else "mean"}


def target_moments(train: Split) -> dict[str, np.ndarray]:
    """Mean and standard deviation of the training targets, `(1,)` each; a constant target has the unit 1."""
    y = np.asarray(train.y, np.float64)[known_targets(train)]
    spread = float(y.std())
    unit = spread if spread > 1e-7 * abs(float(y.mean())) else 1.0
    return {"target_centre": np.full(1, y.mean(), np.float32), "target_spread": np.full(1, unit, np.float32)}


def check_targets(data: Data, likelihood: str) -> None:
    """Refuse targets that a likelihood gives no probability, or that float32 would round away.

    Raises:
        InputError: negative or fractional counts, or numbers that dwarf their spread.
    """
    y = np.asarray(data.train.y, np.float64)[known_targets(data.train)]
    mean, spread = float(y.mean()), float(y.std())
    if abs(mean) > _DWARFED * spread > 0.0:
        raise InputError(
            f"The targets of {data.name} are large beside their spread ({mean:.6g} and {spread:.3g}), which float32 "
            "would round away: subtract their mean and save them anew."
        )
    if likelihood == "poisson" and not ((y >= 0) & (y == np.rint(y))).all():
        odd = y[(y < 0) | (y != np.rint(y))][0]
        raise InputError(
            f"poisson scores whole numbers from 0 on, but a target is {odd:.6g}: use gaussian or student-t."
        )


def unseen_classes(data: Data, classes: list[str]) -> tuple[str, ...]:
    """What is to be said of classes that no training row has."""
    there = set(np.unique(data.train.y).tolist()) if data.train.y is not None else set()
    gone = [name for place, name in enumerate(classes) if place not in there]
    if not gone:
        return ()
    which = ", ".join(map(repr, gone[:8])) + (", ..." if len(gone) > 8 else "")
    return (f"{data.name}: no training row has the class {which}: the model can only learn that it is rare.",)


def supervised_sources(train: Data, score: Data) -> dict[str, Source]:
    """A source of examples for each split: the target is the example, its features are the context.

    Args:
        train: the training data.
        score: the same as they are scored.
    """
    found = {}
    for name in score.splits:
        data = train if name == "train" else score
        found[name] = supervised_source(data.split(name), data)
    return found


def supervised_source(split: Split, data: Data) -> Source:
    """The rows of a split as examples of a supervised model: values `(n, 1)`, a target that is not there not observed.

    Pixels are features as they are, 0 to 255: the model divides by their spread.
    """
    rows = source(split, data)
    known = known_targets(split)
    if split.y is not None and split.y.dtype.kind != "f":
        known = known & (split.y >= 0)  # a class that the model does not know has no number
    y = np.zeros(len(split)) if split.y is None else np.where(known, split.y, 0.0)
    convert: Any = np.asarray if rows.on_host else jnp.asarray
    observed = None if known.all() else convert(known[:, None])
    features = Example(rows.arrays.values, rows.arrays.observed)
    values = convert(np.asarray(y[:, None], np.float32))
    return Source(Example(values, observed, context=features), "real", dynamic=False)


def is_supervised(settings: Mapping[str, Any]) -> bool:
    """Whether the data settings of a run say that something is predicted."""
    return settings.get("targets") is not None
