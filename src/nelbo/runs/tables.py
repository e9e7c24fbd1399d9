"""What is said of a table that was filled in: how sure each cell is, and how well known cells come back."""

import dataclasses
import math
from typing import Any

import jax.random as jr
import numpy as np
from jaxtyping import Array, Key

from nelbo.core import Example, write_json
from nelbo.data import Column, Data, Schema, Source
from nelbo.models import Model, family
from nelbo.runs.folder import FILLED, Run
from nelbo.tasks import COVERAGE, Imputation, ImputationSettings, hide, impute, mean_fill, rows_as_seen

_FOLDS, _MOST_ROWS = 5, 1000  # how often a part of the known cells is hidden, and of how many rows
_MANY, _QUICK = 10_000, 200  # rows that are filled in by so many weighted proposals each
_LARGE = 1e7  # beyond it an offset was subtracted, and float64 has what float32 had not
_BY_COLUMN = ("truth", "model", "mean")  # one number for each column


def is_table_of_columns(run: Run) -> bool:
    """Whether the model of a run is one of columns of different kinds."""
    return family(run.experiment.model["name"]).examples == "columns"


def settings_for(settings: ImputationSettings, run: Run, rows: int) -> ImputationSettings:
    """How many rows are filled in, unless the user says: chains on each row of a large table would take hours.

    Weighted proposals of q are a tenth of the work of Hamiltonian chains, whose start they are.

    Args:
        settings: as they were asked for.
        run: of any model.
        rows: how many there are.
    """
    if settings.method is not None or settings.proposals is not None or not is_table_of_columns(run) or rows <= _MANY:
        return settings
    return dataclasses.replace(settings, method="importance", proposals=_QUICK)


def interval_columns(data: Data, result: Imputation) -> dict[str, np.ndarray]:
    """Columns that say how sure each filled cell is: ends of its 90 % interval, or the chance of the word there.

    Of ordered levels there are both; the ends are the levels in which a new draw lies with that chance at least.

    Ends of a column of dates are dates in its form. They are blank where a cell was known, and there are none of
    columns without a gap.

    Args:
        data: read from a table.
        result: its filling.
    """
    schema = data.schema
    low, high = (schema.restored(end) for end in (result.low, result.high))
    found: dict[str, np.ndarray] = {}
    for name, at, column in zip(schema.modelled_names, schema.first_entries, schema.features, strict=True):
        known = result.observed[:, at]
        if known.all():
            continue
        known = known | ~np.isfinite(result.mean[:, at])
        own = slice(at, at + column.width)
        ends = {"low": low[:, at], "high": high[:, at]}
        if column.levels is not None:
            ends = {"chance": result.mean[:, own].max(1)}
        written = {end: _written(column, values, known) for end, values in ends.items()}
        if column.asked == "ordinal":
            levels = _level_ends(column, result.draws[..., own])
            written = {end: np.where(known, "", level) for end, level in levels.items()} | written
        found |= {_new_name(f"{name} {end}", schema): values for end, values in written.items()}
    return found


def _written(column: Column, values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Ends or chances `(rows,)` as the table has them, dates in their form; blank where a cell is known."""
    if column.kind != "date":
        return np.where(known, np.nan, _seven_digits(values))
    if column.form is not None:
        return np.array(
            ["" if gone else column.written(value) for gone, value in zip(known, values, strict=True)], object
        )
    seconds = np.where(known, 0.0, values) * 86400.0  # dates by their type, which hold moments
    return np.where(known, np.datetime64("NaT"), np.rint(seconds).astype("datetime64[s]"))


def unanswered(data: Data, result: Imputation) -> str | None:
    """A sentence about cells that no finite number was found for, which stay blank; None where there are none.

    Args:
        data: the rows that were filled in.
        result: their filling.
    """
    lost = ~result.observed & ~np.isfinite(result.mean)
    if not lost.any():
        return None
    rows = np.flatnonzero(lost.reshape(len(lost), -1).any(1))
    first = data.place(int(rows[0]))
    names, entries = data.schema.modelled_names, data.schema.first_entries
    which = [repr(name) for name, at in zip(names, entries, strict=True) if lost[rows[0], at]] if names else []
    cells = f"column {', '.join(which)} in {first}" if which else first
    count = "" if len(rows) == 1 else f", and so in {len(rows) - 1} more row{'s' * (len(rows) > 2)}"
    return (
        f"{data.where}: no number was found for {cells}{count}: what is known there is too far from all that the model "
        "was fitted to. It stays blank; correct the row."
    )


def _level_ends(column: Column, draws: np.ndarray) -> dict[str, np.ndarray]:
    """The levels at the ends of a 90 % interval of draws `(draws, rows, levels)`."""
    places = np.sort(draws.argmax(-1), axis=0)
    below = int(np.floor((1.0 - COVERAGE) / 2.0 * (len(places) + 1) + 1e-9))  # draws below the interval, and above it
    outside = max(below - 1, 0)
    levels = np.asarray(column.levels, object)
    return {"low": levels[places[outside]], "high": levels[places[-1 - outside]]}


def _new_name(name: str, schema: Schema) -> str:
    """A name that no column of the table has yet."""
    taken = {column.name for column in schema.columns}
    return next(one for one in (name, *(f"{name} ({i})" for i in range(2, len(taken) + 3))) if one not in taken)


def column_summary(
    key: Key[Array, ""], run: Run, filled: Imputation, settings: ImputationSettings
) -> list[dict[str, Any]]:
    """Column by column: how many cells were filled in, and how well known cells are when they are hidden.

    Every known cell of the run's test rows (of its validation rows, where it has none) is hidden once, a fifth of them
    at a time, and filled in by the same model. Beside it stands the training rows' mean, or their most frequent word.

    Args:
        key: for what is hidden, and the draws.
        run: of a model of columns.
        filled: what was filled in for the user.
        settings: of that.
    """
    _, sources = run.data()
    held = next((sources[name] for name in ("test", "valid") if name in sources), sources["train"]).head(_MOST_ROWS)
    schema = run.fitted_data.schema
    assert schema is not None  # of a table
    recovered = _recovered(key, run.model, schema, held, rows_as_seen(sources["train"]), settings)
    rows = []
    for j, (name, at, column) in enumerate(
        zip(schema.modelled_names, schema.first_entries, schema.features, strict=True)
    ):
        there = recovered["hidden"][:, at]
        known, model, plain = (recovered[part][there, j] for part in _BY_COLUMN)
        row: dict[str, Any] = {"column": name, "filled": int((~filled.observed[:, at]).sum()), "hidden": len(known)}
        if column.levels is not None or column.kind in {"truth", "binary"}:
            bits = column.levels is None
            guess, usual = (model >= 0.5, plain >= 0.5) if bits else (model, plain)
            row |= {"error rate": _mean_of(guess != known), "by most frequent word": _mean_of(usual != known)}
        else:
            unit = float(recovered["spread"][at]) or 1.0
            inside = (recovered["low"][there, at] <= known) & (known <= recovered["high"][there, at])
            errors = {"RMSE (sd)": model, "by mean (sd)": plain}
            row |= {of: math.sqrt(_mean_of(((guess - known) / unit) ** 2)) for of, guess in errors.items()}
            row["share in 90 % interval"] = _mean_of(inside)
        rows.append(row)
    return rows


def keep_summary(run: Run, rows: list[dict[str, Any]]) -> None:
    """Write what a filling said of each column into the run's folder, for its report."""
    plain = [{k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()} for row in rows]
    write_json(run.folder / FILLED, {"columns": plain})


def _recovered(
    key: Key[Array, ""], model: Model, schema: Schema, held: Source, train: Example, settings: ImputationSettings
) -> dict[str, np.ndarray]:
    """Known cells beside what the model and the training rows' mean put there when they are hidden."""
    fold_key, fill_key = jr.split(key)
    widths = [column.width for column in schema.features]
    folds = np.repeat(np.asarray(jr.randint(fold_key, (len(held), len(widths)), 0, _FOLDS)), widths, axis=1)
    truth = rows_as_seen(held)
    values, observed = np.asarray(truth.values), np.asarray(truth.observed)
    # all parts in one call, whose batches then are as large as those of the user's rows, and compiled with them
    hidden = folds[None] == np.arange(_FOLDS)[:, None, None]
    copies = dataclasses.replace(held, arrays=held.take(np.tile(np.arange(len(held)), _FOLDS)))
    result = impute(fill_key, model, hide(copies, ~hidden.reshape(-1, values.shape[1])), settings)
    fillings = {"model": result.mean, "low": result.low, "high": result.high}
    found = {
        name: np.where(hidden, part.reshape(hidden.shape), 0.0).sum(0) for name, part in fillings.items()
    }  # each entry is hidden once
    found["mean"] = mean_fill(
        np.asarray(train.values), values, np.zeros_like(observed), np.asarray(train.observed)
    ).values
    seen = np.where(np.asarray(train.observed), np.asarray(train.values, np.float64), np.nan)
    return {
        "hidden": observed,
        "spread": np.sqrt(np.nanvar(seen, axis=0)),
        "low": found["low"],
        "high": found["high"],
        "truth": schema.by_column(values),
        "model": schema.by_column(found["model"]),
        "mean": schema.by_column(found["mean"]),
    }


def _seven_digits(values: np.ndarray) -> np.ndarray:
    """Numbers as float32 has them, without the digits that float64 would add."""
    return np.array([float(f"{value:.7g}") if abs(value) < _LARGE else value for value in values.tolist()], float)


def _mean_of(values: np.ndarray) -> float:
    """The mean, NaN of nothing."""
    return float(np.mean(values)) if len(values) else math.nan
