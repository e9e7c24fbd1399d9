"""From an experiment's settings to its data and to the model's arguments that the data decide."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from nelbo.core import InputError, Option, checked_arguments, choice, options_of
from nelbo.data import Data, FetchProgress, Schema, Source, binarize, load, names, source
from nelbo.models import MOMENTS, ModelSpec, families, family, family_options
from nelbo.models import likelihood as likelihood_called
from nelbo.runs.columns import column_arguments, with_words
from nelbo.runs.context import CONTEXTS, conditioned, label_names
from nelbo.runs.covariates import covariate_arguments
from nelbo.runs.kinds import KIND_OPTIONS, arguments_of_kind, check_kind, read_of_kind
from nelbo.runs.likelihoods import as_counts, check_suits, likelihood_for, models_advice
from nelbo.runs.moments import mean_of, spread_of
from nelbo.runs.objectives import objective_arguments
from nelbo.runs.pairs import check_examples
from nelbo.runs.series import film_arguments
from nelbo.runs.settings import Experiment, checked_seed, training_for
from nelbo.runs.supervised import (
    check_targets,
    classes_of,
    is_supervised,
    supervised_sources,
    target_defaults,
    target_moments,
    with_targets,
)

TABLE_OPTIONS = ("header", "columns", "ignore", "column")  # how a table is read, see `nelbo.data.load`
_DATA_OPTIONS = ("name", "data_dir", "binarize", "binarize_seed", "split_seed", "valid_fraction", "test_fraction",
                 "train_rows", *TABLE_OPTIONS, "target", "targets", "words", "context", "labels", "classes", "pairs",
                 "series", "events", "experts", "photographs", "covariates",
                 *(option.name for option in KIND_OPTIONS))  # fmt: skip
# never the user's
_FILLED = (
    "key",
    "shape",
    "context",
    "classes",
    "pairs",
    "levels",
    "physical",
    "distilled",
    "kinds",
    "irregular",
    "marks",
    "numbers",
    "objects",
    "places",
    "vectors",
)


def data_options() -> tuple[Option, ...]:
    """The settings of a run's data, beside their name."""
    hidden = {"targets", "words"}  # the model decides
    own = tuple(one for one in options_of(load) if one.name in _DATA_OPTIONS and one.name not in hidden)
    text = (
        f"what the model is conditioned on, for models with a context: {', '.join(CONTEXTS)}; for svgp-vae the "
        "covariates of each row: columns or arrays of numbers, and optionally id=COLUMN of objects (time,id=station)."
    )
    return (*own, Option("context", str | None, None, text), *KIND_OPTIONS)


def model_options(name: str, likelihood: str | None = None) -> tuple[Option, ...]:
    """The options of a family with the defaults that a run has for them.

    Args:
        name: of the family.
        likelihood: of the model; None gives what holds for all of them.

    Raises:
        InputError: no such family.
    """
    found = family(name)
    # the moments are those of the training data, which decide on the likelihood too
    better = {**dict.fromkeys(MOMENTS, True), "likelihood": likelihood, **by_likelihood(found.arguments, likelihood)}
    options = (option for option in options_of(found.make) if option.name not in _FILLED)
    return tuple(dataclasses.replace(one, default=better.get(one.name, one.default)) for one in options)


def training_defaults(name: str, likelihood: str | None = None) -> dict[str, Any]:
    """Training settings that suit a family better than those of `Training`.

    Args:
        name: of the family.
        likelihood: of the model; None gives what holds for all of them.

    Raises:
        InputError: no such family.
    """
    return by_likelihood(family(name).training, likelihood)


def likelihood_option(experiment: Experiment) -> str | None:
    """The likelihood that was asked for, or that the family always has; None where the data decide."""
    name = experiment.model["name"]
    if family(name).targets is not None:  # its likelihood is one of the target
        return None
    asked = experiment.model.get("arguments", {}).get("likelihood")
    if "likelihood" in family_options(name) and asked is not None:
        return likelihood_called(asked).name if isinstance(asked, str) else None
    return family(name).likelihood


def likelihood_of(spec: ModelSpec | None) -> str | None:
    """The name of a model's likelihood of the data; None of a model without a specification, or whose family does not
    say, or of a supervised one.
    """
    if spec is None or family(spec.name).targets is not None:
        return None
    return spec.arguments.get("likelihood", family(spec.name).likelihood)


def is_named(name: Any) -> bool:
    """Whether data settings name a set that nelbo knows, and not a file of the user's."""
    return str(name) in names()


def dataset_for(
    settings: Mapping[str, Any], likelihood: str | None, progress: FetchProgress | None = None
) -> tuple[Data, Data]:
    """The training data, and the same data as they are scored; see `read_data` and `binarized`.

    Raises:
        InputError: see `nelbo.data.load`; binarized data for a likelihood of pixels.
    """
    return binarized(read_data(settings, likelihood, progress), settings, likelihood)


def read_data(
    settings: Mapping[str, Any],
    likelihood: str | None,
    progress: FetchProgress | None = None,
    schema: Schema | None = None,
) -> Data:
    """The data as they are read, before any binarization.

    Args:
        settings: of `nelbo.data.load`, with the name or path under "name".
        likelihood: of the model, or None where the data decide.
        progress: told while data are fetched.
        schema: of the data that a model was fitted to, which a file must be like; a named set has its own.

    Raises:
        InputError: see `nelbo.data.load`; settings that go with no such likelihood.
    """
    check_data_settings(settings, likelihood)
    if (found := read_of_kind(settings, schema)) is not None:
        return found
    left = {"binarize", "binarize_seed", "context", "labels", "classes"}
    arguments = {name: value for name, value in settings.items() if value is not None and name not in left}
    name = arguments.pop("name")
    if is_named(name) or schema is not None:
        return load(name, **arguments, schema=None if is_named(name) else schema, progress=progress)
    return as_counts(load(name, **arguments, progress=progress), likelihood)


def check_data_settings(settings: Mapping[str, Any], likelihood: str | None) -> None:
    """Refuse what needs no data to be refused: reading them can take long.

    Raises:
        InputError: an unknown setting, or binarization for a likelihood of pixels.
    """
    for name, value in settings.items():
        if value is not None:
            choice("data setting", name, _DATA_OPTIONS)
    if not settings.get("covariates"):
        choice("context", settings.get("context") or CONTEXTS[0], CONTEXTS)
    check_kind(settings)
    how = settings.get("binarize")
    drawn = how in {"static", "dynamic", "threshold"}
    if drawn and likelihood is not None and not likelihood_called(likelihood).binarizes:
        raise InputError(
            f"{likelihood} is a distribution of pixels, not of binarized ones ({how}): leave binarization out, or use "
            "the Bernoulli likelihood."
        )


def binarized(data: Data, settings: Mapping[str, Any], likelihood: str | None) -> tuple[Data, Data]:
    """The data as they are trained on, and as they are scored.

    Dynamic binarization trains on fresh draws but is scored on one fixed draw, so that numbers can be compared.
    A named set of grey counts is binarized (static) unless the likelihood wants its pixels.

    Args:
        data: as they were read.
        settings: see `read_data`.
        likelihood: of the model, or None where the data decide.
    """
    how, seed = settings.get("binarize"), settings.get("binarize_seed") or 0
    wanted = None if likelihood is None else likelihood_called(likelihood)
    if how is None:
        grey = is_named(settings["name"]) and (wanted is None or wanted.binarizes) and data.values == "uint8"
        how = "static" if grey else "none"
    if how == "none" and wanted is not None and wanted.binarizes and data.values in {"uint8", "unit"}:
        # a cross-entropy and no likelihood: every number must say so
        data = dataclasses.replace(data, binarization="none (grey)")
        return data, data
    train = binarize(data, how, seed)
    return train, binarize(data, "static", seed) if how == "dynamic" else train


def settled(experiment: Experiment, data: Data) -> Experiment:
    """The experiment with every default and everything that the data decide written out, for `config.json`.

    Settling a settled experiment changes nothing.

    Args:
        experiment: as it was asked for.
        data: its training data.

    Raises:
        InputError: an unknown option, or a value that makes no sense.
    """
    experiment = with_words(with_targets(experiment))
    name, targets = experiment.model["name"], family(experiment.model["name"]).targets
    make, classes = family(name).make, None if targets is None else classes_of(data, targets)
    check_examples(name, data, models_advice)
    given = {key: value for key, value in experiment.model.get("arguments", {}).items() if value is not None}
    for key in MOMENTS:
        if not isinstance(given.get(key, True), bool):
            raise InputError(f"{key} is taken from the training data: give true or false, not {given[key]!r}.")
    checked_arguments(f"option of model {name}", make, given, hidden=_FILLED)
    likelihood = family(name).likelihood
    if targets is not None:
        given = target_defaults(data, classes) | given
        likelihood = given["likelihood"]
        check_targets(data, likelihood)
    elif "likelihood" in family_options(name):
        likelihood = given.setdefault("likelihood", family(name).usual.get(data.values, likelihood_for(data)))
    check_suits(None if targets else likelihood, data, name)
    arguments = {option.name: option.default for option in model_options(name, likelihood)} | given
    binarization = data.binarization.split("(")[0].strip()
    origin = {"binarize_seed": 0, "split_seed": 0} | located(experiment.data)
    if "context" in origin and not origin.get("covariates"):
        _takes_context(name)
        origin.setdefault("labels", label_names(data))
    if classes is not None:
        origin["classes"] = classes
    return dataclasses.replace(
        experiment,
        model={"name": name, "arguments": arguments},
        data=origin | {"binarize": binarization},
        objective={"name": experiment.objective["name"], "arguments": objective_arguments(experiment)},
        training=training_for(
            experiment.training,
            len(data.train),
            usual=training_defaults(name, likelihood),
            least_steps=family(name).least_steps,
            most_steps=family(name).most_steps,
        ),
        seed=checked_seed(experiment.seed),
    )


def _takes_context(name: str) -> None:
    """Refuse a context for a family that has no place for one."""
    able = [other for other in families() if "context" in family_options(other)]
    if name not in able:
        raise InputError(f"{name} is conditioned on nothing: leave the context out, or use {' or '.join(able)}.")


def by_likelihood(table: Mapping[str, Mapping[str, Any]], likelihood: str | None) -> dict[str, Any]:
    """What a family's table of defaults says of a likelihood: its entry "*", and over it that of the likelihood."""
    return {**table.get("*", {}), **(table.get(likelihood, {}) if likelihood is not None else {})}


def located(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Data settings with whole paths, so that a run can be used from another folder."""
    given = {name: value for name, value in settings.items() if value is not None}
    paths = {"data_dir", "prior_run"} | (set() if is_named(given.get("name")) else {"name"})
    whole = {name: str(Path(v).expanduser().absolute()) if name in paths else v for name, v in given.items()}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in whole.items()}


def model_arguments(experiment: Experiment, data: Data) -> dict[str, Any]:
    """The model's arguments with what the data decide filled in: shape, likelihood, centre and spread.

    Raises:
        InputError: see `settled`.
    """
    whole = settled(experiment, data)
    arguments = dict(whole.model["arguments"])
    arguments["shape"] = list(data.shape)
    if (found := arguments_of_kind(experiment.model["name"], whole.data, data, arguments)) is not None:
        return arguments | found
    if family(experiment.model["name"]).examples == "sequences":
        pixels = data.values == "uint8" and likelihood_called(arguments["likelihood"]).scale == 1.0
        return arguments | film_arguments(data, arguments, 255.0 if pixels else 1.0)
    if family(experiment.model["name"]).examples == "columns":
        return arguments | column_arguments(data, arguments)
    if "labels" in whole.data:
        arguments["context"] = len(whole.data["labels"])
    if "classes" in whole.data:
        arguments["classes"] = len(whole.data["classes"])
    if data.schema.covariates is not None:
        arguments |= covariate_arguments(data, arguments)
    asked = {name: arguments.pop(name, False) for name in MOMENTS}
    name = arguments.get("likelihood", family(experiment.model["name"]).likelihood)
    supervised = is_supervised(whole.data)
    found = None if name is None or supervised else likelihood_called(name)
    scale = 255.0 if data.values == "uint8" and not supervised and (found is None or found.scale == 1.0) else 1.0
    if supervised:
        moments = target_moments(data.train)
        arguments |= {key: jnp.asarray(moments[key]) for key in moments if asked[key]}
    if asked["centre"]:
        arguments["centre"] = jnp.asarray(np.asarray(mean_of(data.train) / scale, np.float32))
    if asked["spread"] and not (found is not None and found.binarizes):
        whole = len(data.shape) == 3 or family(experiment.model["name"]).spread == "whole"
        std = np.asarray(spread_of(data.train, None if whole else 0) / scale, np.float32)
        arguments["spread"] = jnp.asarray(np.where(np.isfinite(std) & (std > 0), std, np.float32(1.0)))
    return arguments


def sources_of(settings: Mapping[str, Any], train: Data, score: Data, likelihood: str) -> dict[str, Source]:
    """A source for each split that there is, of examples as the model of a run takes them; see `sources_for`.

    Args:
        settings: of the run's data.
        train: the training data.
        score: the same as they are scored.
        likelihood: of the model.
    """
    if is_supervised(settings):
        return supervised_sources(train, score)
    return sources_for(train, score, likelihood, settings.get("labels"))


def sources_for(train: Data, score: Data, likelihood: str, labels: Sequence[str] | None = None) -> dict[str, Source]:
    """A source for each split that there is: training data from `train`, the others from `score`.

    Args:
        train: the training data.
        score: the same as they are scored.
        likelihood: of the model.
        labels: that a conditional model knows, see `nelbo.runs.context`; None: it has no context.

    Raises:
        InputError: see `nelbo.runs.context.conditioned`.
    """
    pixels = "counts" if likelihood_called(likelihood).scale != 1.0 else "unit"
    found = {}
    for name in score.splits:
        data = train if name == "train" else score
        split = data.split(name)
        found[name] = conditioned(source(split, data, pixels=pixels), split, data, labels)
    return found
