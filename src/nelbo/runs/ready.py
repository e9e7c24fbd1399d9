"""An experiment with its data, checked and built: what remains is to train it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from jaxtyping import Array, Key

from nelbo.core import choice
from nelbo.data import Data, FetchProgress, Schema, Source, row_digests
from nelbo.models import Model, build
from nelbo.objectives import Objective, Setting, Vimco
from nelbo.runs.columns import with_words
from nelbo.runs.inputs import binarized, is_named, likelihood_option, model_arguments, read_data, settled, sources_of
from nelbo.runs.objectives import objective_arguments, objective_for
from nelbo.runs.photographs import reading_photographs
from nelbo.runs.ranks import reading_as, with_prior, with_rank
from nelbo.runs.settings import Experiment, checked_seed, optimizer_for, steps_for, training_for
from nelbo.runs.size import Size, check_size, model_size
from nelbo.runs.supervised import with_targets
from nelbo.training import Callback, Fit, TrainState, fit, order_named


@dataclasses.dataclass(frozen=True)
class Ready:
    """An experiment whose every setting has been checked, and nothing written yet."""

    experiment: Experiment
    train: Data
    score: Data
    schema: Schema
    digests: Mapping[str, np.ndarray]
    sources: dict[str, Source]
    model: Model
    objective: Objective
    training: Mapping[str, Any]
    steps: int
    size: Size
    keys: Mapping[str, Key[Array, ""]]


def ready_for(
    experiment: Experiment,
    fetching: FetchProgress | None,
    most_bytes: float,
    say: Callable[[str], None] | None,
    rows: Data | None = None,
) -> Ready:
    """Check every setting, read the data and build the model.

    Args:
        experiment: the settings.
        fetching: told while data are fetched.
        most_bytes: a larger model is refused.
        say: told what a person should know.
        rows: data that are in memory already, before binarization; None reads what the settings name.

    Raises:
        InputError: settings or data that cannot work.
    """
    experiment = with_words(with_targets(experiment))
    training_for(experiment.training)  # what needs no data is refused before they are read
    objective_arguments(experiment)
    keys = jr.split(jr.key(checked_seed(experiment.seed)), 5)
    wanted = likelihood_option(experiment)
    experiment = reading_photographs(reading_as(experiment))
    raw = read_data(experiment.data, wanted, fetching) if rows is None else rows
    # named sets are known by their own digests; rows are hashed before they are binarized, which draws by place
    digests = {} if is_named(experiment.data["name"]) else {n: row_digests(rows) for n, rows in raw.splits.items()}
    train, score = binarized(raw, experiment.data, wanted)
    experiment, train = with_rank(settled(experiment, train), train, keys[4], say)
    arguments = model_arguments(experiment, train)
    size, training = len(train.train), experiment.training
    held = model_size(experiment.model["name"], arguments, optimizer_for(training, size))
    check_size(held, most_bytes, train.shape)
    model = with_prior(build(keys[0], experiment.model["name"], arguments), experiment, train)
    setting = Setting(size, size / training["batch_size"], steps_for(training, size))
    objective, model = objective_for(experiment, setting, model)
    sources = sources_of(experiment.data, train, score, arguments.get("likelihood", wanted or "gaussian"))
    for one in sources.values():
        _takes(model, one)
    return Ready(
        experiment,
        train,
        score,
        raw.schema,
        digests,
        sources,
        model,
        objective,
        training,
        steps_for(training, size),
        held,
        {"fit": keys[1], "score": keys[2], "figures": keys[3]},
    )


def _takes(model: Model, data: Source) -> None:
    """Refuse missing entries that the likelihood cannot leave out.

    Raises:
        InputError: see `nelbo.distributions.total_log_prob`.
    """
    if data.arrays.observed is not None and len(data):
        rows = data.take(np.zeros(1, int))
        one = lambda key, x: model.draw(key, data.example(key, x)).log_w  # noqa: E731
        eqx.filter_eval_shape(lambda keys: jax.vmap(one)(keys, rows), jr.split(jr.key(0), 1))


def train(ready: Ready, callbacks: list[Callback], resume: Callable[[TrainState], TrainState] | None) -> Fit:
    """Carry out the training of an experiment that is ready."""
    options = {name: ready.training[name] for name in ("batch_size", "evaluate_every", "patience", "keep")}
    draws = ready.training["watch_samples"]
    return fit(
        ready.keys["fit"],
        ready.model,
        ready.objective,
        ready.sources["train"],
        optimizer_for(ready.training, len(ready.sources["train"])),
        steps=ready.steps,
        order=order_named(ready.training["batches"], ready.train.train, ready.training["ordering"] or {}),
        valid=ready.sources.get("valid") if ready.training["score"] else None,
        watch=watched(ready.training["watch"], ready.sources),
        # of the objectives on several draws this one asks nothing of the latents; its gradient is not used
        watch_by=Vimco(draws) if draws > 1 else None,
        resume=resume,
        callbacks=callbacks,
        **options,
    )


def watched(names: Sequence[str], sources: Mapping[str, Source]) -> dict[str, Source]:
    """The splits whose bounds the history keeps beside that of the validation split."""
    return {choice("split to watch", name, set(sources) - {"train", "valid"}): sources[name] for name in names}
