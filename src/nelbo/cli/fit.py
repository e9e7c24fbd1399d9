"""`nelbo fit`."""

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nelbo.cli.commands import Command
from nelbo.cli.flags import add_flags
from nelbo.cli.flags import given as given_flags
from nelbo.cli.output import fetching, note, print_json, show_results
from nelbo.cli.parser import Parser, data_folder, setting
from nelbo.core import InputError, choice, keep_memory
from nelbo.data import TooFewRowsError, names
from nelbo.models import families, family_options
from nelbo.runs import (
    MOST_BYTES,
    Experiment,
    Training,
    default_objective,
    execute,
    is_run,
    objectives,
    read_experiment,
    resumed,
)
from nelbo.training import Callback, Event, Interrupted, Progress, TrainState, order_text

USUAL_MODEL = "vae"


def _arguments(parser: Parser) -> None:
    parser.add_argument("model", nargs="?", metavar="MODEL", help=f"{', '.join(families())} (default vae)")
    parser.add_argument("--out", metavar="DIR", help="run folder (default runs/MODEL-DATA)")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out with its own settings")
    parser.add_argument("--overwrite", action="store_true", help="replace the run in --out")
    parser.add_argument("--checkpoint-seconds", type=float, default=30.0, metavar="S", help="least time between checkpoints (default 30; 0: as often as possible)")  # fmt: skip  # noqa: E501
    parser.add_argument("--no-figures", action="store_true", help="draw no pictures at the end")
    parser.add_argument("--train-only", action="store_false", dest="training.score", default=None, help="only train, and keep the last parameters: no validation, no test score, no pictures")  # fmt: skip  # noqa: E501
    parser.add_argument("--max-gigabytes", type=float, default=MOST_BYTES / 1e9, metavar="X", help=f"refuse a model that needs more memory for its parameters, their gradient and the optimizer (default {MOST_BYTES / 1e9:g})")  # fmt: skip  # noqa: E501
    # None means that the option was not given, which matters when a run is resumed
    parser.set_defaults(seed=None)
    parser.add_argument("--data", metavar="NAME|PATH", help="a named set, a file or a folder (default digits)")
    data_folder(parser)
    parser.add_argument("--objective", metavar="NAME", help=f"{', '.join(objectives())} (default: that of the model)")
    add_flags(parser)
    for part in ("model", "objective"):
        name = "--set" if part == "model" else "--objective-set"
        parser.add_argument(name, type=setting, action="append", default=[], metavar="NAME=VALUE", help=f"an option of the {part} by its name, the value as JSON (`nelbo {part}s show NAME` lists them)")  # fmt: skip  # noqa: E501


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
    folder = {} if options.data_dir is None else {"data_dir": options.data_dir}
    model = _model_name(options)
    record = {
        "model": _named(options.model, given_flags(options, "model", model) | dict(options.set), "arguments"),
        "data": _named(options.data, folder | given_flags(options, "data", model), None),
        "objective": _named(
            options.objective, given_flags(options, "objective", model) | dict(options.objective_set), "arguments"
        ),
        "training": given_flags(options, "training", model),
    }
    for part in ("sampling", "ordering"):
        if inner := given_flags(options, part, model):
            record["training"][part] = inner
    return record if options.seed is None else record | {"seed": options.seed}


def _model_name(options: argparse.Namespace) -> str:
    """The family that flags are about: named, or of the run that is resumed, or the usual one."""
    if options.model is None and options.resume and options.out:
        return read_experiment(Path(options.out)).model["name"] if is_run(options.out) else USUAL_MODEL
    return options.model or USUAL_MODEL


def experiment_from(options: argparse.Namespace) -> Experiment:
    """The experiment that the options describe.

    Raises:
        InputError: see `given`.
    """
    record: dict[str, Any] = {"seed": 0} | given(options)
    usual = {"model": USUAL_MODEL, "data": "digits", "objective": default_objective(options.model or USUAL_MODEL)}
    for part, name in usual.items():
        record[part] = {"name": name} | record[part]
    arguments = record["model"]["arguments"]
    has_choice = "architecture" in family_options(record["model"]["name"])
    if has_choice and "channels" in arguments and arguments.get("architecture") != "conv":
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


@contextmanager
def _splits_by_option() -> Iterator[None]:
    """Add to a refusal of few rows which options of `fit` leave splits out."""
    try:
        yield
    except TooFewRowsError as error:
        ways = "or leave splits out (--valid-fraction 0, --test-fraction 0)."
        raise InputError(f"{str(error).removesuffix('.')}, {ways}") from error


def _draw(folder: Path) -> list[Path]:
    from nelbo.report import draw_figures  # loads matplotlib, which a run without pictures does not wait for

    return draw_figures(folder)


def _asked(options: argparse.Namespace) -> Experiment:
    experiment = resumed(options.out, given(options)) if options.resume else experiment_from(options)
    if families()[experiment.model["name"]].examples == "pictures":
        keep_memory()  # steps on crops of photographs work in large arrays
    return experiment


def fit(options: argparse.Namespace) -> None:
    """Train, score, draw."""
    if options.resume and options.out is None:
        raise InputError("To resume, say which run with --out DIR.")
    if options.out == "":
        raise InputError("--out is empty: give a folder for the run, or leave it out.")
    experiment = _asked(options)
    folder = Path(options.out or f"runs/{experiment.model['name']}-{Path(experiment.data['name']).stem}")
    watch = _Watch(options)
    try:
        with _splits_by_option():
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
                most_bytes=options.max_gigabytes * 1e9,
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
    batches = record.get("batches", {"name": Training.batches})  # older runs do not say
    if batches["name"] != Training.batches:
        note(options, f"Batches: {order_text(batches)}")
    for line in _about_draws(record.get("sampling")):
        note(options, line)
    for picture in pictures:
        note(options, f"  {picture}")


def _about_draws(found: Mapping[str, Any] | None) -> list[str]:
    """What a sampler's draws are worth, in a line or two."""
    if found is None:
        return []
    lines = [f"{found['draws']} draws of {found['parameters']:,} parameters are kept in posterior.safetensors"]
    if found["effective"] is not None:
        lines[0] += (
            f"; effective sample size {found['effective'][1]:.0f} (median; least {found['effective'][0]:.0f}), "
            f"split R-hat {found['r_hat'][1]:.2f} (median; greatest {found['r_hat'][0]:.2f})"
        )
    heat = [
        f"{name} {part['mean']:.3g} (band {part['low']:.3g} to {part['high']:.3g}: "
        f"{'within' if part['within'] else 'outside'})"
        for name in ("kinetic", "configurational")
        if (part := found[name]) is not None
    ]
    if heat:
        lines.append(f"Temperature {found['temperature']:g}: {', '.join(heat)}")
    if "prior_scale" in found:
        lines.append(f"The learned prior has the standard deviation {found['prior_scale']:.3g}")
    return lines


COMMAND = Command(
    (
        "nelbo fit vae --data mnist --out runs/mnist --latents 20 --epochs 100",
        "nelbo fit vae --resume --out runs/mnist",
        "nelbo fit table --data people.csv --column grade=ordinal,children=count --ignore remarks --out runs/people",
        "nelbo fit regression --data wine.csv --target quality --posterior mean-field --out runs/wine",
        "nelbo fit state-space --data wind.csv --columns time=when,speed,direction --window 48 --out runs/wind",
        "nelbo fit lda --data sotu --topics 30",
    ),
    _arguments,
    fit,
)
