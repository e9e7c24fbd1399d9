"""`nelbo fit`."""

import argparse
import json
from pathlib import Path
from typing import Any

from nelbo.cli.output import fetching, note, print_json, show_results
from nelbo.core import InputError, choice
from nelbo.data import names
from nelbo.models import families
from nelbo.runs import Experiment, default_objective, execute, objectives, resumed
from nelbo.training import Callback, Event, Interrupted, Progress, TrainState

MODEL_OPTIONS = ("latents", "layers", "recognition", "recognition_hidden", "hidden", "likelihood", "posterior",
                 "architecture", "channels", "activation", "init", "missing", "components", "order")  # fmt: skip
OBJECTIVE_OPTIONS = ("form", "samples", "beta", "warmup", "weight_prior", "input_noise", "noise_rate")
TRAINING_OPTIONS = ("epochs", "batch_size", "optimizer", "learning_rate", "schedule", "clip", "evaluate_every",
                    "patience", "keep", "score")  # fmt: skip
DATA_OPTIONS = ("data_dir", "binarize", "binarize_seed", "split_seed", "header", "columns", "ignore")


def _given(options: argparse.Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def _free(settings: list[tuple[str, str]]) -> dict[str, Any]:
    def value(text: str) -> Any:
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text

    return {name: value(text) for name, text in settings}


def _named(name: str | None, arguments: dict[str, Any], inner: str | None) -> dict[str, Any]:
    """A part of an experiment's record, with what was given alone."""
    settings = {inner: arguments} if inner else arguments
    return settings if name is None else {"name": name, **settings}


def given(options: argparse.Namespace) -> dict[str, Any]:
    """What the options say about the experiment, in the form of its record.

    Raises:
        InputError: a name that does not exist, or options that contradict each other.
    """
    if options.model in names():
        raise InputError(f"{options.model} is a data set, not a model: `nelbo fit vae --data {options.model}`.")
    if options.model is not None:
        choice("model", options.model, families())
    if options.objective is not None:
        choice("objective", options.objective, objectives())
    arguments = _given(options, MODEL_OPTIONS) | _free(options.set)
    record = {
        "model": _named(options.model, arguments, "arguments"),
        "data": _named(options.data, _given(options, DATA_OPTIONS), None),
        "objective": _named(
            options.objective, _given(options, OBJECTIVE_OPTIONS) | _free(options.objective_set), "arguments"
        ),
        "training": _given(options, TRAINING_OPTIONS),
    }
    return record if options.seed is None else record | {"seed": options.seed}


def experiment_from(options: argparse.Namespace) -> Experiment:
    """The experiment that the options describe.

    Raises:
        InputError: see `given`.
    """
    usual = {"model": "vae", "data": "digits", "objective": default_objective(options.model or "vae")}
    record: dict[str, Any] = {"seed": 0} | given(options)
    for part, name in usual.items():
        record[part] = {"name": name} | record[part]
    arguments = record["model"]["arguments"]
    if options.channels is not None and arguments.get("architecture") != "conv":
        raise InputError("--channels are of convolutions: add --architecture conv, or leave them out.")
    return Experiment(**record)


class _Watch:
    """Progress, and whether there is anything to resume."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.begun, self._quiet, self._progress = False, options.quiet, None

    def callbacks(self, steps: int, batch_size: int) -> list[Callback]:
        self._progress = None if self._quiet else Progress(steps, batch_size)
        return [self._note_start, *([] if self._progress is None else [self._progress])]

    def _note_start(self, event: Event, state: TrainState) -> None:
        del state
        self.begun = self.begun or event == "start"

    def close(self) -> None:
        if self._progress is not None:
            self._progress.close()


def _draw(folder: Path) -> list[Path]:
    from nelbo.report import draw_figures  # loads matplotlib, which a run without pictures does not wait for

    return draw_figures(folder)


def fit(options: argparse.Namespace) -> None:
    """Train, score, draw."""
    if options.resume and options.out is None:
        raise InputError("To resume, say which run with --out DIR.")
    if options.out == "":
        raise InputError("--out is empty: give a folder for the run, or leave it out.")
    experiment = resumed(options.out, given(options)) if options.resume else experiment_from(options)
    folder = Path(options.out or f"runs/{experiment.model['name']}-{Path(experiment.data['name']).stem}")
    watch = _Watch(options)
    try:
        record = execute(
            experiment,
            folder,
            resume=options.resume,
            overwrite=options.overwrite,
            callbacks=watch.callbacks,
            command=options.line,
            checkpoint_seconds=options.checkpoint_seconds,
            say=lambda text: note(options, text),
            fetching=fetching(options),
        )
        pictures = [] if options.no_figures or experiment.training.get("score") is False else _draw(folder)
    except KeyboardInterrupt as stop:
        if not (watch.begun or options.resume):
            raise Interrupted("before training began; nothing was written") from stop
        told = f"{stop}; " if str(stop) else ""
        raise Interrupted(f"{told}go on with `nelbo fit --resume --out {folder}`") from stop
    finally:
        watch.close()
    if options.json:
        print_json(record | {"folder": str(folder)})
        return
    if record["results"]:
        show_results(record["results"])
    note(options, f"Trained {record['steps']} steps in {record['training_seconds']:.1f} s; the run is in {folder}")
    for picture in pictures:
        note(options, f"  {picture}")
