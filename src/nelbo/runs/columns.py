"""Tables whose columns are of different kinds: from the schema and rows of a run to what its model is told of them."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

from nelbo.core import InputError
from nelbo.data import Data, Schema, Split
from nelbo.distributions import cell_can_be, cell_values
from nelbo.models import Model, family
from nelbo.runs.series import names_series
from nelbo.runs.settings import Experiment

_CONSTANT = 1e-3  # standard deviation of a constant, in units of it
_FEW, _VARIES = 20.0, 0.7  # mean of a count, and its variance in units of that of a Poisson law, at most and at least
_ENOUGH, _HEAVY = 50, 9.0  # numbers to judge tails by, and their fourth moment in units of the spread (3 for a normal)
_SKEWED = 1.0  # of a column of positive numbers: beyond it their logarithms are nearer to a normal


def with_words(experiment: Experiment) -> Experiment:
    """The experiment whose data settings say that columns of words are modelled, if its model takes them."""
    found = family(experiment.model["name"])
    if found.examples != "columns" or (found.series_too and names_series(experiment.data)):
        return experiment
    return dataclasses.replace(experiment, data={"binarize": "none"} | experiment.data | {"words": True})


def column_arguments(data: Data, arguments: dict[str, Any]) -> dict[str, Any]:
    """What the training rows decide about a model of columns: kinds, and mean and spread of every entry.

    A column of positive numbers whose logarithms are less skewed than they are, and which is skewed, is a log-normal.

    Args:
        data: with rows of a table, or an array of them.
        arguments: of the model, with `centre` and `spread` as true or false.
    """
    train, schema = data.train, data.schema
    x = np.asarray(train.x, np.float64).reshape(len(train), -1)
    observed = np.ones(x.shape, bool) if train.observed is None else np.asarray(train.observed).reshape(x.shape)
    offset = np.zeros(x.shape[1]) if schema.offset is None else np.asarray(schema.offset)
    kinds: list[str] = []
    varying = np.zeros(x.shape[1])  # spread in all rows of a column that is constant in those to train on
    columns = schema.features or (None,) * x.shape[1]
    for column in columns:
        at = sum(_width(kind) for kind in kinds)
        values = x[observed[:, at], at]
        other = np.concatenate([values, *(_column_of(split, at) for split in data.splits.values())])
        if column is not None and column.levels is not None:
            kinds.append(f"{'ordinal' if column.asked == 'ordinal' else 'words'}:{column.width}")
        elif len(values) and np.isin(other, (0.0, 1.0)).all() and (column is None or not column.asked):
            kinds.append("binary")
        else:
            asked = "" if column is None else column.asked
            kinds.append(
                _kind(
                    values, other, whole=bool(offset[at] == 0), asked=asked, name="" if column is None else column.name
                )
            )
            varying[at] = other.std() if len(other) and kinds[-1] != "positive" else 0.0
    logs = np.array([kind == "positive" for kind in kinds for _ in range(_width(kind))])
    seen = np.where(logs, np.log(np.where(observed & logs, x, 1.0)), x)
    count = np.maximum(observed.sum(0), 1)
    mean = np.where(observed, seen, 0.0).sum(0) / count
    spread = np.sqrt(np.where(observed, (seen - mean) ** 2, 0.0).sum(0) / count)
    # of a constant the noise is a part of the constant itself, whatever its unit
    least = _CONSTANT**2 * np.abs(mean)
    constant = np.where(np.abs(mean) > 0, _CONSTANT * np.abs(mean), 1.0)
    constant = np.where(varying > least, varying, constant)
    moments = {"centre": mean, "spread": np.where(spread > least, spread, constant)}
    shaped = {
        name: jnp.asarray(moment.reshape(data.shape), jnp.float32) if arguments.get(name) else False
        for name, moment in moments.items()
    }
    return {"kinds": kinds} | shaped


def kinds_by_column(model: Model, schema: Schema) -> dict[str, dict[str, str]]:
    """How each column is modelled, for a record: "kinds" by name; nothing of models of other data."""
    kinds = model.spec.arguments.get("kinds") if model.spec is not None else None
    if not kinds or not schema.features:
        return {}
    return {"kinds": dict(zip(schema.modelled_names, kinds, strict=True))}


def check_cells(data: Data, model: Model) -> None:
    """Refuse a cell that its column, as a model has it, cannot hold.

    Args:
        data: rows of a table as a model takes them.
        model: any; of other data than columns of a table nothing is looked at.

    Raises:
        InputError: such a cell; the sentence has its column and, of a whole table, its place.
    """
    schema, table = data.schema, data.table
    kinds = kinds_by_column(model, schema).get("kinds", {})
    for split in data.splits.values():
        x = np.asarray(split.x).reshape(len(split), -1)
        seen = np.ones(x.shape, bool) if split.observed is None else np.asarray(split.observed).reshape(x.shape)
        for (name, told), at in zip(kinds.items(), schema.first_entries if kinds else (), strict=True):
            kind = told.partition(":")[0]
            bad = np.flatnonzero(seen[:, at] & ~cell_can_be(kind, x[:, at]))
            if len(bad):
                place = "one of them is"
                if table is not None and len(table) == len(x):
                    place = f"{table.place(int(bad[0]))} holds"
                raise InputError(
                    f"{data.name if table is None else table.where}: column {name!r} needs {cell_values(kind)}, as the "
                    f"model's training data were, but {place} {x[bad[0], at]:.6g}: correct the cell, leave it blank, "
                    "or fit the model again."
                )


def _kind(values: np.ndarray, other: np.ndarray, *, whole: bool, asked: str, name: str) -> str:
    """How a column of numbers is modelled: as was asked, else as the numbers suggest.

    Args:
        values: those to train on.
        other: these and those held out.
        whole: whether they are the user's numbers, and not less an offset.
        asked: by the user; "" where the data decide.
        name: of the column.

    Raises:
        InputError: a kind that these numbers cannot have.
    """
    counts = whole and bool(((other >= 0) & (other == np.rint(other))).all())
    positive = whole and bool((other > 0).all())
    if asked:
        if (asked == "count" and not counts) or (asked == "positive" and not positive):
            wanted = "whole numbers from 0 on" if asked == "count" else "positive numbers"
            raise InputError(f"Column {name!r} cannot be modelled as {asked}, for it holds other than {wanted}: leave "
                             "--column out for it, or correct it.")  # fmt: skip
        return asked
    if positive and _is_skewed(values):
        return "positive"
    if counts and _is_count(values):
        return "count"
    # the noise of a normal that saw a constant alone runs to zero: the first other number would outweigh all else
    alone = len(values) > 1 and np.ptp(values) == 0 < np.ptp(other)
    return "student" if alone or _is_heavy(values) else "real"


def _is_count(values: np.ndarray) -> bool:
    """Whether whole numbers are few and vary as counts do: a normal that is rounded serves all others."""
    if len(values) < 8 or not 0 < values.mean() <= _FEW or not (values == 0).any():
        return False
    return bool(values.var() >= _VARIES * values.mean())


def _is_heavy(values: np.ndarray) -> bool:
    """Whether the tails are far beyond those of a normal, on both sides of the middle."""
    if len(values) < _ENOUGH:
        return False
    spread = values.std()
    if spread == 0:
        return False
    centred = (values - values.mean()) / spread
    return bool(np.mean(centred**4) > _HEAVY and abs(np.mean(centred**3)) < _SKEWED * 2)


def _column_of(split: Split, at: int) -> np.ndarray:
    """The known values of an entry in a split: those held out must be possible too."""
    x = np.asarray(split.x, np.float64).reshape(len(split), -1)[:, at]
    return x if split.observed is None else x[np.asarray(split.observed).reshape(len(split), -1)[:, at]]


def _width(kind: str) -> int:
    return int(kind.partition(":")[2] or 1)


def _is_skewed(values: np.ndarray) -> bool:
    """Whether the numbers are positive, skewed, and less so by their logarithms."""
    if len(values) < 8 or not (values > 0).all():
        return False
    skew, of_logs = _skew(values), _skew(np.log(values))
    return skew > _SKEWED and abs(of_logs) < skew


def _skew(values: np.ndarray) -> float:
    centred = values - values.mean()
    spread = centred.std()
    return 0.0 if spread == 0 else float(np.mean((centred / spread) ** 3))
