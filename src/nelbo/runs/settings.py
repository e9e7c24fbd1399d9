"""An experiment as a JSON record: model, data, objective, training, seed."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import optax

from nelbo.bayes import sampler
from nelbo.core import InputError, checked_arguments, choice
from nelbo.runs.sampling import RUN_OPTIMIZERS, is_sampler, sampling_for, usual_rate
from nelbo.training import SCHEDULES, checked_ordering, optimizer, orders

MAX_SEED = 2**32 - 1
_MOST_EVALUATIONS = 100

# what values are, in words
VALUE_NAMES = {
    "binary": "zeros and ones",
    "unit": "numbers from 0 to 1",
    "uint8": "whole numbers 0..255 that are not binarized",
    "counts": "word counts",
    "real": "real numbers",
    "levels": "ordered levels",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """How to train, and the defaults; see `nelbo.training.fit` and `nelbo.training.optimizer`.

    Args:
        optimizer: name of the optimizer or sampler, see `RUN_OPTIMIZERS`; a sampler draws parameters from their
            posterior.
        learning_rate: initial learning rate; by default the optimizer's own.
        schedule: of the learning rate, see `SCHEDULES`.
        clip: largest norm of the gradient, to which longer ones are scaled down.
        delay: tau of the schedule robbins-monro, whose learning rate at step t has the factor (tau + t)^-kappa.
        forgetting: kappa of the schedule robbins-monro.
        window: number of batches whose statistics the optimizer natural averages.
        epochs: passes over the training data.
        batch_size: examples in a step.
        batches: how the examples of each step are chosen, see `nelbo.training.ORDERS`.
        ordering: the options of `batches`.
        evaluate_every: steps between validations; by default one pass, or a hundredth of the run if the number of
            epochs is not given either and exceeds 100.
        patience: stop after this many validations without a better bound.
        keep: which parameters the model has in the end, those of the best validation bound or the last ones.
        watch: further splits whose bounds are written to the history.
        watch_samples: draws for each example of the watched splits; with more than one, their bound is the
            importance-weighted one.
        sampling: the options of a sampler.
        score: whether the validation bound and the score of the test set are computed; if not, the last parameters are
            kept.

    Raises:
        InputError: a value that makes no sense.
    """

    optimizer: str = "adam"
    learning_rate: float | int | None = None
    schedule: str = "constant"
    clip: float | int | None = None
    delay: float | int = 1.0
    forgetting: float | int = 0.7
    window: int = 1
    epochs: float | int = 30.0
    batch_size: int = 100
    batches: str = "reshuffled"
    ordering: Mapping[str, Any] | None = None
    evaluate_every: int | None = None
    patience: int | None = None
    keep: Literal["best", "last"] = "best"
    watch: Sequence[str] = ()
    watch_samples: int = 1
    sampling: Mapping[str, Any] | None = None
    score: bool = True

    def __post_init__(self) -> None:
        choice("optimizer", self.optimizer, RUN_OPTIMIZERS)
        choice("schedule", self.schedule, SCHEDULES)
        choice("order of examples", self.batches, orders())
        for name in ("learning_rate", "clip", "epochs"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"{name} must be a positive number, got {value}.")
        for name in ("batch_size", "evaluate_every", "patience", "window", "watch_samples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, got {value}.")
        if self.patience is not None and not self.score:
            raise InputError("patience waits for validation bounds, but nothing is scored: leave one of the two out.")


TRAINING_DEFAULTS: Mapping[str, Any] = {field.name: field.default for field in dataclasses.fields(Training)}


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Everything that determines a run, as JSON values.

    Args:
        model: {"name": ..., "arguments": {...}}, see `nelbo.models.MODELS`.
        data: {"name": name or path, and arguments of `nelbo.data.load`}.
        objective: {"name": ..., "arguments": {...}}, see `OBJECTIVES`.
        training: see `TRAINING_DEFAULTS`.
        seed: random seed, 0 to 2^32 - 1.
    """

    model: dict[str, Any]
    data: dict[str, Any]
    objective: dict[str, Any]
    training: dict[str, Any]
    seed: int = 0

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_record(cls, record: Any, where: str = "This config.json") -> "Experiment":
        """The experiment whose `record` this is; other entries are ignored.

        Raises:
            InputError: a part is missing or of another kind.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        if not isinstance(record, dict) or not set(fields) <= set(record):
            raise InputError(f"{where} is no experiment: it needs model, data, objective, training and seed.")
        objects = all(isinstance(record[name], dict) for name in fields if name != "seed")
        named = objects and all(isinstance(record[name].get("name"), str) for name in ("model", "data", "objective"))
        inner = objects and all(isinstance(record[n].get("arguments", {}), dict) for n in ("model", "objective"))
        if not (objects and named and inner):
            raise InputError(f"{where} is damaged: model, data and objective must be objects with a name.")
        return cls(**{name: record[name] for name in fields})


def training_for(
    settings: Mapping[str, Any],
    num_data: int | None = None,
    *,
    usual: Mapping[str, Any] = MappingProxyType({}),
    least_steps: int = 0,
    most_steps: int | None = None,
) -> dict[str, Any]:
    """Training settings with the defaults filled in, such as the optimizer's usual learning rate.

    Args:
        settings: the settings that the user gave.
        num_data: number of training examples, if known; the default batch is no larger.
        usual: the model family's own defaults.
        least_steps: if the number of epochs is not given, it is raised to a whole number that takes at least this many
            steps.
        most_steps: if the number of epochs is not given, it is lowered, to one at the least, so that no more than this
            many steps are taken; None: no limit.

    Raises:
        InputError: an unknown setting or an impossible value.
    """
    checked = checked_arguments("training setting", Training, {**usual, **settings})
    training = dataclasses.asdict(Training(**checked))
    training["watch"] = list(training["watch"])
    if num_data is not None and settings.get("batch_size") is None:
        training["batch_size"] = min(training["batch_size"], num_data)
    if num_data is not None and settings.get("epochs") is None:
        training["epochs"] = max(training["epochs"], float(math.ceil(least_steps * training["batch_size"] / num_data)))
        if most_steps is not None:
            most = max(1.0, float(math.floor(most_steps * training["batch_size"] / num_data)))
            training["epochs"] = min(training["epochs"], most)
        if training["evaluate_every"] is None and training["epochs"] > _MOST_EVALUATIONS:
            # a pass over a small table is a step or two, and validating after each would take longer than training
            training["evaluate_every"] = math.ceil(steps_for(training, num_data) / _MOST_EVALUATIONS)
    if training["learning_rate"] is None:
        training["learning_rate"] = usual_rate(training["optimizer"])
    training["ordering"] = checked_ordering(training["batches"], training["ordering"] or {}) or None
    steps = None if num_data is None else steps_for(training, num_data)
    training["sampling"] = sampling_for(training, steps, num_data)
    return training


def steps_for(training: Mapping[str, Any], num_data: int) -> int:
    """Steps of the whole run, at least one."""
    return max(1, round(training["epochs"] * num_data / training["batch_size"]))


def optimizer_for(training: Mapping[str, Any], num_data: int) -> optax.GradientTransformation:
    """The experiment's optimizer."""
    if is_sampler(training):
        return sampler(
            training["optimizer"],
            num_data=num_data,
            learning_rate=training["learning_rate"],
            sampling=training["sampling"],
        )
    return optimizer(
        training["optimizer"],
        learning_rate=training["learning_rate"],
        schedule=training["schedule"],
        clip=training["clip"],
        delay=training["delay"],
        forgetting=training["forgetting"],
        window=training["window"],
        steps=steps_for(training, num_data),
    )


def checked_seed(seed: Any) -> int:
    """A seed that every random stream can take.

    Raises:
        InputError: no whole number, or out of range.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
        raise InputError(f"The seed must be a whole number from 0 to {MAX_SEED}, got {seed!r}.")
    return seed
