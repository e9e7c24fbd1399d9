"""Runs of a factorization: the rank that held-out values choose, the prior of an earlier run, the final numbers."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.random as jr
from jaxtyping import Array, Key

from nelbo.core import InputError
from nelbo.data import Data, Source
from nelbo.models import Model, build, distilled_prior, family, load_model
from nelbo.objectives import Setting
from nelbo.runs.evaluations import PAIR_SCORE, result_row, weight_rows
from nelbo.runs.inputs import model_arguments, sources_for
from nelbo.runs.objectives import objective_for
from nelbo.runs.pairs import run_pairs
from nelbo.runs.series import holds_films, names_series
from nelbo.runs.settings import Experiment, optimizer_for, steps_for
from nelbo.tasks import pair_errors, pairs_in, predict_pairs, predictive_score
from nelbo.training import fit

RANKS = (0, 2, 4, 8, 16)
LEVEL = 0.9  # of the intervals whose coverage is reported
_USUAL_RANK = 8  # where nothing is held out to choose by


def reading_as(experiment: Experiment) -> Experiment:
    """The experiment with its data read as pairs, series, events or rows with covariates, as its model asks."""
    kind = family(experiment.model["name"]).examples
    if kind == "sequences":
        if holds_films(experiment.data):
            return _in_grey(experiment)
        kind = "series"
    if family(experiment.model["name"]).series_too and names_series(experiment.data):
        kind = "series"
    if kind not in {"pairs", "series", "events", "covariates"}:
        return experiment
    asked = {kind: True}
    if experts := experiment.model.get("arguments", {}).get("experts"):
        asked["experts"] = experts  # sequences of the same user, which the data must bring
    return dataclasses.replace(experiment, data=experiment.data | asked)


def _in_grey(experiment: Experiment) -> Experiment:
    """Films with their pixels as they are, unless a likelihood of bits or a binarization is asked for."""
    data, asked = experiment.data, experiment.model.get("arguments", {}).get("likelihood")
    if data.get("binarize") is not None or asked is not None:
        return experiment
    return dataclasses.replace(experiment, data=data | {"binarize": "none"})


def with_rank(
    experiment: Experiment, data: Data, key: Key[Array, ""], say: Callable[[str], None] | None = None
) -> tuple[Experiment, Data]:
    """The experiment with its rank settled, and the data with a note of how.

    Args:
        experiment: settled but for the rank.
        data: of the run.
        key: for the fits.
        say: told how each rank does, as soon as it is known.

    Raises:
        InputError: see `nelbo.runs.objectives.objective_for`.
    """
    arguments = experiment.model["arguments"]
    if family(experiment.model["name"]).examples != "pairs" or arguments.get("rank") != "auto":
        return experiment, data
    prior = experiment.data.get("prior_run")
    if prior is not None:
        spec = load_model(Path(prior) / "model.safetensors").spec
        rank, why = (_USUAL_RANK if spec is None else spec.arguments["rank"]), f"that of {prior}"
    elif "valid" not in data.splits:
        rank, why = _USUAL_RANK, "the usual one, for nothing is held out to choose by"
    else:
        scores = rank_scores(experiment, data, key, RANKS, say)
        rank = max(scores, key=scores.__getitem__)
        shown = ", ".join(f"{tried}: {score:.4f}" for tried, score in scores.items())
        why = f"chosen by the validation values (log predictive density in nats, {shown})"
    note = f"Rank {rank}, {why}."
    return _of_rank(experiment, rank), dataclasses.replace(data, notes=(*data.notes, note))


def rank_scores(
    experiment: Experiment,
    data: Data,
    key: Key[Array, ""],
    ranks: Sequence[int],
    say: Callable[[str], None] | None = None,
) -> dict[int, float]:
    """The log predictive density of the validation values for each rank, up to the first that is worse than the one
    before it [nats per value].

    Args:
        experiment: of which all but the rank is settled.
        data: with a validation split.
        key: for the fits: the same for each rank.
        ranks: to compare, increasing.
        say: told each score as soon as it is known.
    """
    scores: dict[int, float] = {}
    for rank in ranks:
        one = _of_rank(experiment, rank)
        fit_key, score_key = jr.split(jr.clone(key))
        fitted, sources = _fitted(one, data, fit_key)
        before = max(scores.values(), default=-math.inf)
        scores[rank] = predictive_score(score_key, fitted, sources["valid"]).nats
        if say is not None:
            say(f"Rank {rank}: {scores[rank]:.4f} nats per validation value")
        if scores[rank] < before:
            break
    return scores


def _fitted(experiment: Experiment, data: Data, key: Key[Array, ""]) -> tuple[Model, dict[str, Source]]:
    arguments, size, training = model_arguments(experiment, data), len(data.train), experiment.training
    build_key, fit_key = jr.split(key)
    model = build(build_key, experiment.model["name"], arguments)
    setting = Setting(size, size / training["batch_size"], steps_for(training, size))
    objective, model = objective_for(experiment, setting, model)
    sources = sources_for(data, data, arguments["likelihood"])
    steps = steps_for(training, size)
    optimizer = optimizer_for(training, size)
    batch = training["batch_size"]
    found = fit(fit_key, model, objective, sources["train"], optimizer, steps=steps, batch_size=batch, keep="last")
    return found.model, sources


def _of_rank(experiment: Experiment, rank: int) -> Experiment:
    arguments = experiment.model["arguments"] | {"rank": rank}
    return dataclasses.replace(experiment, model=experiment.model | {"arguments": arguments})


def with_prior(model: Model, experiment: Experiment, data: Data) -> Model:
    """The model with the posterior of an earlier run as its prior, if one is named.

    Raises:
        InputError: no such run, or one of another rank or kind.
    """
    folder = experiment.data.get("prior_run")
    if folder is None:
        return model
    if data.schema.pairs is None:
        raise InputError("prior_run goes with the model factorization alone: leave it out.")
    known, own = run_pairs(folder), data.schema.pairs
    # the earlier run's ids are numbered first, in its own order
    rows, columns = (
        [i if i < len(theirs) else -1 for i in range(len(mine))]
        for mine, theirs in ((own.row_ids, known.row_ids), (own.column_ids, known.column_ids))
    )
    taught = load_model(Path(folder) / "model.safetensors")
    return distilled_prior(model, taught, rows, columns, inflate=float(experiment.data.get("inflate") or 1.0))


def pair_results(key: Key[Array, ""], model: Model, sources: Mapping[str, Source], data: Data) -> list[dict[str, Any]]:
    """The final numbers of a factorization: its predictions of the test values, and the evidence bound.

    Args:
        key: for the draws.
        model: with the posterior over its factors.
        sources: of each split.
        data: the data set.
    """
    rows = [pair_row(key, model, sources["test"], data, "test")] if "test" in sources else []
    if model.globals is not None and model.globals.in_bound:
        parts = {"train": (sources["train"], data)}
        rows += weight_rows(jr.fold_in(key, 1), model, len(sources["train"]), parts)
    return rows


def pair_row(key: Key[Array, ""], model: Model, source: Source, data: Data, split: str) -> dict[str, Any]:
    """The log predictive density of a split, with the errors of its predictions."""
    row = result_row(predictive_score(key, model, source), PAIR_SCORE, split, data, model)
    return with_errors(row, jr.fold_in(key, 1), model, source)


def with_errors(row: Mapping[str, Any], key: Key[Array, ""], model: Model, source: Source) -> dict[str, Any]:
    """A row of a score with the errors of the model's predictions, and without what only latents have."""
    pairs, values = pairs_in(source)
    errors = pair_errors(predict_pairs(key, model, pairs, level=LEVEL), values)
    kept = {name: value for name, value in row.items() if name not in {"reconstruction", "kl", "bits_per_dim"}}
    return kept | {"rmse": errors.rmse, "mae": errors.mae, f"coverage_{round(100 * LEVEL)}": errors.coverage}
