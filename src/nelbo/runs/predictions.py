"""Predictions of a run as rows of its record and as columns of the user's table."""

from collections.abc import Iterable, Sequence
from typing import Any

import jax.random as jr
import numpy as np
from jaxtyping import Array, Key

from nelbo.core import InputError
from nelbo.data import Data, Source
from nelbo.evaluation import (
    DRAWS,
    INTERVALS,
    Predictive,
    Reliability,
    Score,
    class_reliability,
    coverage,
    predictive,
    quantile_reliability,
)
from nelbo.models import Model
from nelbo.runs.evaluations import LOG_SCORE, result_row
from nelbo.runs.folder import Run
from nelbo.tasks import Prediction

_ENDS = tuple(end for level in INTERVALS for end in (0.5 - 0.5 * level, 0.5 + 0.5 * level))


def scored_predictions(key: Key[Array, ""], model: Model, data: Source, draws: int = DRAWS) -> Predictive:
    """The predictive distribution of every row, with the ends of the intervals whose coverage is reported."""
    return predictive(key, model, data, draws=draws, levels=_ENDS)


def prediction_row(found: Predictive, split: str, data: Data) -> dict[str, Any]:
    """The log score of predictions and what goes with it, as a row of a record.

    The log score is the mean of log p(y | x, data) in the target's units [nats]: exact where the weights are a point,
    and a lower bound in the mean over draws where it is the log of a mean over draws of the weights. Rows without a
    target are left out; a class that the model does not know counts as an error of the accuracy, and has no log score.

    Args:
        found: see `scored_predictions`.
        split: of the data.
        data: the data set.

    Raises:
        InputError: no row has a target that can be scored.
        NotFiniteError: the model gives some target no probability.
    """
    there = ~np.isnan(found.target)
    if not there.any():
        raise InputError(f"{data.name} has no targets, so nothing can be scored: give a table with that column, or "
                         "use `nelbo predict`.")  # fmt: skip
    logs = found.log_score[there]
    nats, count = float(logs.mean()), len(logs)
    spread = float(logs.std(ddof=1) / np.sqrt(count)) if count > 1 else 0.0
    score = Score(
        nats, None if found.draws > 1 else 0.0, spread, -nats / np.log(2.0), nats, 0.0, found.draws, count, logs
    )
    row = result_row(score, LOG_SCORE, split, data)
    row |= {"kind": "exact" if found.draws == 1 else "lower"}
    for name in ("reconstruction", "kl", "bits_per_dim"):
        del row[name]
    return row | quality(found, unknown_classes(split, data))


def unknown_classes(split: str, data: Data) -> int:
    """How many rows have a class that no row had that the model was fitted to."""
    y = data.split(split).y
    return 0 if y is None or y.dtype.kind == "f" else int((y < -1).sum())


def quality(found: Predictive, unknown: int = 0) -> dict[str, Any]:
    """RMSE and coverage of intervals, or accuracy; and the calibration error."""
    there = ~np.isnan(found.target)
    target = found.target[there]
    error = {"calibration_error": reliability(found).error}
    if found.probabilities is not None:
        right = int((found.probabilities[there].argmax(1) == target).sum())
        extra = {"unknown_classes": unknown} if unknown else {}
        return {"accuracy": right / (len(target) + unknown), **error, **extra}
    assert found.mean is not None  # of a regression there are both
    assert found.quantiles is not None
    quantiles = found.quantiles[there]
    covered = {
        f"coverage_{round(100 * level)}": coverage(target, quantiles[:, 2 * i], quantiles[:, 2 * i + 1])
        for i, level in enumerate(INTERVALS)
    }
    return {"rmse": float(np.sqrt(np.mean((found.mean[there] - target) ** 2))), **error, **covered}


def reliability(found: Predictive) -> Reliability:
    """The points of the reliability diagram: of the most probable class, or of a regression's quantiles."""
    there = ~np.isnan(found.target)
    if found.probabilities is not None:
        return class_reliability(found.probabilities[there], found.target[there])
    assert found.cdf is not None
    return quantile_reliability(found.cdf[there])


def reliability_arrays(found: Predictive) -> dict[str, np.ndarray]:
    """The points of the reliability diagram as an array for figures, (points, 3): predicted, observed, cases."""
    points = reliability(found)
    name = "quantile_reliability" if found.probabilities is None else "class_reliability"
    return {name: np.stack([points.predicted, points.observed, points.count], 1).astype(np.float32)}


def check_predicts(run: Run) -> None:
    """Refuse a run whose model predicts nothing.

    Raises:
        InputError: so it is.
    """
    if not run.model.is_supervised:
        name = run.experiment.model["name"]
        raise InputError(f"{run.folder} holds a {name}, which predicts nothing: use a run of `nelbo fit regression` or "
                         "`nelbo fit classification`, or fill in missing entries by `nelbo impute`.")  # fmt: skip


def target_name(run: Run) -> str:
    """What the target is called: its column, or "label"."""
    schema = run.fitted_data.schema
    column = None if schema is None else schema.target
    return "label" if column is None or not column.name else column.name


def prediction_columns(run: Run, found: Prediction, taken: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Predictions as new columns, by name: mean, std, low and high of the target; or its class and each probability.

    Args:
        run: that predicts.
        found: the predictions.
        taken: names of the columns that they are put beside.

    Raises:
        InputError: the table has a column of such a name.
    """
    name = target_name(run)
    if found.probabilities is not None:
        classes = np.array(run.experiment.data["classes"], object)
        columns = {f"{name}_class": classes[found.classes]}
        columns |= {f"{name}_p_{one}": found.probabilities[:, i] for i, one in enumerate(classes)}
    else:
        columns = {f"{name}_{part}": np.asarray(getattr(found, part)) for part in ("mean", "std", "low", "high")}
    check_fresh(columns, taken)
    return columns


def check_fresh(columns: Iterable[str], taken: Sequence[str]) -> None:
    """Refuse predictions in columns that the user's table has already.

    Args:
        columns: their names.
        taken: names of the columns that they are put beside.

    Raises:
        InputError: one is there.
    """
    clash = [column for column in columns if column in taken]
    if clash:
        raise InputError(
            f"The table already has a column {clash[0]!r}, which predictions would be put into: rename it."
        )


def score_run(
    run: Run, source: Source, split: str, data: Data, *, seed: int = 0, draws: int = DRAWS
) -> tuple[dict[str, Any], Predictive]:
    """Score a run's predictions of the rows of a split; give the row for its record, and the predictions."""
    found = scored_predictions(jr.key(seed), run.model, source, draws)
    return prediction_row(found, split, data), found
