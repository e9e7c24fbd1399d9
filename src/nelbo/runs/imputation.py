"""Imputation of a run's rows: masks by a word, pictures of a chain, and known entries hidden and filled in again."""

import dataclasses
from typing import Any

import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from nelbo.core import Example, InputError
from nelbo.data import Source, missing_at_random, missing_grid, missing_square
from nelbo.models import Model
from nelbo.runs.folder import Run
from nelbo.tasks import (
    NEIGHBOURS,
    Columns,
    Imputation,
    ImputationSettings,
    chain_frames,
    filling_scores,
    hide,
    imputation_scores,
    impute,
    mean_fill,
    neighbour_fill,
    rows_as_seen,
)

CHAIN_ROWS, CHAIN_STEPS = 10, 15


def hiding(text: str, key: Key[Array, ""], data: Source) -> Bool[np.ndarray, "..."]:
    """The mask that a word describes: a share such as `0.6`, `square:SIDE` or `grid:STEP`.

    Raises:
        InputError: none of these, or one that hides nothing.
    """
    kind, _, size = text.partition(":")
    try:
        if kind == "square":
            stays = np.asarray(missing_square(data.shape, size=int(size)))
        elif kind == "grid":
            stays = np.asarray(missing_grid(data.shape, step=int(size)))
        else:
            stays = np.asarray(missing_at_random(key, (len(data), *data.shape), rate=float(text)))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"--hide takes a share such as 0.6, square:SIDE or grid:STEP, got {text!r}.") from error
    there = data.arrays.observed
    if not np.any(~stays if there is None else ~stays & np.asarray(there)):
        raise InputError(f"--hide {text} hides no known entry of these rows, so there is nothing to score: hide more.")
    return stays


def known_columns(run: Run, data: Source, data_dir: str | None = None) -> Columns:
    """What is known of the columns of a table: their names, and which of them any training row of the run had.

    Args:
        run: what the model was fitted in.
        data: the rows that are to be filled in; only of tables with gaps are the training rows read again.
        data_dir: a folder that holds named sets.
    """
    if len(data.shape) != 1:
        return Columns()
    schema = run.fitted_data.schema
    known = Columns()
    if schema is not None:
        offset = None if schema.offset is None else np.asarray(schema.offset)
        known = Columns(names=schema.feature_names or None, offset=offset)
    if data.arrays.observed is None:
        return known
    try:
        _, train = run.rows(None, "train", data_dir)
    except InputError:  # the training data are gone: what is filled in does not depend on them
        return known
    observed = train.arrays.observed
    rows = np.ones((1, *data.shape), bool) if observed is None else np.asarray(observed)
    return dataclasses.replace(known, trained=np.asarray(rows.any(0)))


def scored(truth: Example, result: Imputation) -> dict[str, float]:
    """The scores of a filling; entries that were missing before they could be hidden have no truth and do not count."""
    counted = dataclasses.replace(result, observed=result.observed | ~np.asarray(truth.observed))
    return imputation_scores(np.asarray(truth.values), counted)


def comparison(train: Source, truth: Source, result: Imputation) -> list[dict[str, Any]]:
    """The scores of a filling beside those of mean filling and of nearest neighbours.

    Of several numbers of neighbours the one with the least error on these very entries is taken, which favours the
    neighbours.

    Args:
        train: from which means and neighbours come.
        truth: the rows before entries were hidden.
        result: the model's filling of the rows with hidden entries.
    """
    known, examples = rows_as_seen(truth), rows_as_seen(train)
    values, observed = np.asarray(known.values), result.observed
    counted, seen = observed | ~np.asarray(known.observed), np.asarray(examples.observed)
    binary = bool(np.isin(values, (0.0, 1.0)).all())
    neighbours = [k for k in NEIGHBOURS if k <= len(train)]
    shared = (np.asarray(examples.values), values, observed)
    fillings = {"mean": mean_fill(*shared, seen)}
    for k, filling in neighbour_fill(*shared, neighbours, seen).items():
        fillings[f"{k} nearest neighbours"] = filling
    rows = [{"filling": "model", **scored(known, result)}]
    rows += [{"filling": n, **filling_scores(values, f, counted, binary=binary)} for n, f in fillings.items()]
    return [*rows[:2], min(rows[2:], key=lambda row: row["rmse"])]


def chain_pictures(
    key: Key[Array, ""],
    model: Model,
    data: Source,
    *,
    white: float,
    steps: int = CHAIN_STEPS,
    corrected: bool = False,
    truth: Source | None = None,
) -> Float[np.ndarray, "rows columns h w c"]:
    """A row for each of the first examples: what was given (NaN where missing), the chain from its start, the truth.

    Args:
        key: for the chain.
        model: to fill with.
        data: images with missing pixels.
        white: what a full pixel is to the model.
        steps: of the chain.
        corrected: accept or refuse each step.
        truth: the same images whole; None leaves the last column out.

    Raises:
        InputError: no images, or nothing missing.
    """
    if len(data.shape) != 3 or data.arrays.observed is None:
        raise InputError(
            "A picture of the chain needs images with missing pixels: give --mask or --hide, or leave "
            "--chain-picture out."
        )
    rows = data.head(CHAIN_ROWS)
    batch = rows_as_seen(rows)
    frames = chain_frames(key, model, batch, steps=steps, corrected=corrected)
    given = np.where(np.asarray(batch.observed), np.asarray(batch.values), np.nan)[:, None]
    columns = [given, frames]
    if truth is not None:
        columns.append(np.asarray(rows_as_seen(truth.head(CHAIN_ROWS)).values)[:, None])
    return np.concatenate(columns, 1) / white


def imputation_study(
    key: Key[Array, ""],
    run: Run,
    *,
    hide_word: str,
    rows: int = 1000,
    data_dir: str | None = None,
    **settings: Any,
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Hide entries of the first test rows, fill them in, and score the filling beside simpler ones.

    Args:
        key: for the mask and the draws.
        run: a finished run.
        hide_word: see `hiding`.
        rows: how many test rows.
        data_dir: a folder that holds named sets.
        settings: see `ImputationSettings`.

    Returns:
        A row for each filling, and pictures of the paper's own chain for images ("chain").
    """
    hide_key, impute_key, chain_key = jr.split(key, 3)
    _, sources = run.data(data_dir=data_dir)
    truth = sources["test"].head(rows)
    hidden = hide(truth, hiding(hide_word, hide_key, truth))
    chosen = ImputationSettings(**settings)
    result = impute(impute_key, run.model, hidden, chosen, truth=truth)
    about = {"hidden": hide_word, "rows": len(truth), "method": result.method, "steps": chosen.steps,
             "draws": chosen.draws}  # fmt: skip
    table = [
        about | {k: v for k, v in row.items() if k != "hidden"} for row in comparison(sources["train"], truth, result)
    ]
    table[0]["accepted"] = result.accepted
    arrays = {}
    if len(truth.shape) == 3:
        arrays["chain"] = chain_pictures(chain_key, run.model, hidden, white=run.white, truth=truth).astype(np.float32)
    return table, arrays
