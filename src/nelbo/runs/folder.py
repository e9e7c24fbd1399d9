"""Run folders: what is in them, and opening them again."""

import contextlib
import dataclasses
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from nelbo._version import __version__
from nelbo.core import InputError, os_error, read_json, remove_leftovers, write_json
from nelbo.data import Data, Progress, Source, catalogue
from nelbo.models import Model, likelihood, load_model
from nelbo.runs.context import one_hot
from nelbo.runs.inputs import dataset_for, likelihood_for, likelihood_of, located, source_for, sources_for
from nelbo.runs.settings import Experiment

CONFIG, MODEL, HISTORY, RECORD = "config.json", "model.safetensors", "history.jsonl", "record.json"
CHECKPOINTS, ARRAYS, POSTERIOR = "checkpoints", "arrays.safetensors", "posterior.safetensors"
# everything of a run but its configuration, which is replaced last
PARTS = (RECORD, MODEL, POSTERIOR, HISTORY, ARRAYS, CHECKPOINTS, "figures", "report.html", "samples.png", "samples.npy",
         "reconstructions.png", "reconstructions.npy", "embedding.npy", "variance.json")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Run:
    """An opened run folder.

    Args:
        folder: where it is.
        experiment: its settings.
        model: the fitted model.
    """

    folder: Path
    experiment: Experiment
    model: Model

    @property
    def likelihood(self) -> str | None:
        """The name of the visible distribution, as configured."""
        return likelihood_of(self.model.spec)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example."""
        if self.model.spec is None:
            raise InputError("This model does not say how it was built: it has no specification.")
        return self.model.spec.shape

    @property
    def is_picture(self) -> bool:
        """Whether examples can be shown as pixels."""
        return len(self.shape) == 3 and self.shape[-1] in {1, 3}

    @property
    def white(self) -> float:
        """What a full pixel is to the model."""
        return 1.0 if self.likelihood is None else likelihood(self.likelihood).scale

    @property
    def labels(self) -> list[str] | None:
        """The labels that the model is conditioned on; None of a model without a context."""
        return self.experiment.data.get("labels")

    def context(self, label: str | None) -> np.ndarray | None:
        """What stands for a label where something is drawn.

        Args:
            label: its name.

        Raises:
            InputError: a label for a model without a context, none for a model with one, or an unknown one.
        """
        if self.labels is None and label is not None:
            raise InputError(f"The model in {self.folder} is conditioned on nothing: leave --context out.")
        if self.labels is None:
            return None
        if label is None:
            raise InputError(f"The model in {self.folder} is conditioned on labels: say which with --context, one of "
                             f"{', '.join(self.labels)}.")  # fmt: skip
        return one_hot(label, self.labels)

    def data(
        self, name: str | None = None, data_dir: str | None = None, progress: Progress | None = None
    ) -> tuple[Data, dict[str, Source]]:
        """The run's own data, or others read in the same way: the data set as it is scored, and its sources.

        Raises:
            InputError: data of another shape or kind than the model was fitted to.
        """
        settings = dict(self.experiment.data)
        if name is not None:
            settings["name"] = name
        if data_dir is not None:
            settings["data_dir"] = data_dir
        train, score = dataset_for(settings, self.likelihood, progress)
        self._check_shape(settings["name"], score)
        return score, sources_for(train, score, self.likelihood or likelihood_for(score), self.labels)

    def rows(self, name: str | None, split: str | None, data_dir: str | None = None) -> tuple[Data, Source]:
        """Rows in the order of their file: of the user's file all of them, unless it has splits or one is named.

        Args:
            name: a named set or a path; None for the run's own data.
            split: "train", "valid" or "test"; None means "test", or all rows of a file without splits.
            data_dir: a folder that holds named sets.

        Raises:
            InputError: as for `data`.
        """
        if name is not None and split is None and name not in catalogue():
            settings = {**self.experiment.data, "name": name, "valid_fraction": 0.0, "test_fraction": 0.0}
            try:
                _, data = dataset_for(settings, self.likelihood)
            except InputError:
                pass  # the file has splits of its own; any other fault comes again below
            else:
                self._check_shape(name, data)
                return data, source_for(data.train, data, self.likelihood or likelihood_for(data), self.labels)
        data, sources = self.data(name, data_dir)
        return data, sources[split or "test"]

    def _check_shape(self, name: str, data: Data) -> None:
        if data.shape != self.shape:
            raise InputError(
                f"{name} has examples of shape {list(data.shape)}, but the model in {self.folder} was "
                f"fitted to {list(self.shape)}: give data of that shape."
            )


def open_run(folder: Path | str) -> Run:
    """Open a finished run.

    Raises:
        InputError: the folder is no run, is unfinished, or a file in it is damaged.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise InputError(
            f"{folder} is no run folder (it has no {CONFIG}): give the folder that `nelbo fit --out` made."
        )
    if not (folder / MODEL).is_file():
        raise InputError(
            f"{folder} has no {MODEL} yet: wait until its training ends, or run `nelbo fit --resume --out {folder}`."
        )
    experiment = read_experiment(folder)
    return Run(folder, experiment, load_model(folder / MODEL))


def read_experiment(folder: Path) -> Experiment:
    """The settings of a run folder.

    Raises:
        InputError: its `config.json` is missing, damaged or no experiment.
    """
    return Experiment.from_record(read_json(folder / CONFIG), str(folder / CONFIG))


def check_folder(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """See whether a run may begin or go on in a folder; nothing is changed.

    Raises:
        InputError: the folder holds a run, files that are no run, or nothing to resume.
    """
    if resume and overwrite:
        raise InputError("A run is either resumed or overwritten, not both: leave one of the two out.")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: give a folder for the run.")
    taken = (folder / CONFIG).exists()
    if resume and not taken:
        raise InputError(f"There is nothing to resume in {folder}: it has no {CONFIG}; start without resuming.")
    if not resume and not taken and (stray := next((part for part in PARTS if (folder / part).exists()), None)):
        raise InputError(f"{folder} holds {stray} but no {CONFIG}, so it is no run of nelbo: give another folder.")
    if taken and not resume and not overwrite:
        raise InputError(f"{folder} already holds a run: use --resume to go on, --overwrite to replace it, or --out.")
    if taken and overwrite:
        read_experiment(folder)  # a config.json of something else protects its folder


def claim(folder: Path, config: dict[str, Any]) -> None:
    """Take a folder for a run that begins: remove the run that was there, write the configuration.

    The configuration comes last, so a kill in between leaves the old run's settings and never a mixture.

    Raises:
        InputError: the disk is full or the folder cannot be written.
    """
    new = not folder.exists()
    try:
        for part in PARTS:
            path = folder / part
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        remove_leftovers(folder)
        write_json(folder / CONFIG, config)
    except OSError as error:
        raise os_error("replace the run in", folder, error) from error
    except InputError:
        if new:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def resumed(folder: Path | str, given: Mapping[str, Any]) -> Experiment:
    """The settings of the run in a folder, to go on with.

    Args:
        folder: the run's.
        given: settings that were asked for beside, in the form of `Experiment.record`; whatever is there must agree.

    Raises:
        InputError: no run, or one with other settings (the message names one).
    """
    folder = Path(folder)
    check_folder(folder, resume=True, overwrite=False)
    own = read_experiment(folder)
    asked = dict(given) | ({"data": located(given["data"])} if "data" in given else {})
    for (name, want), (_, have) in zip(_leaves(asked, asked), _leaves(asked, own.record()), strict=True):
        if want is not None and want != have:
            raise InputError(
                f"{name} is {want} here but {have} in the run of {folder}: a run is not resumed with other "
                "settings; leave the option out, or start another run."
            )
    return own


def _leaves(like: Mapping[str, Any], record: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of a record at the places where `like` has leaves; None where it has no such place."""
    for key, value in like.items():
        found = record.get(key) if isinstance(record, Mapping) else None
        if isinstance(value, Mapping):
            yield from _leaves(value, found, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", list(found) if isinstance(found, tuple) else found


def environment() -> dict[str, Any]:
    """Versions, hardware and commit, for records."""
    import jax

    packages = ("jax", "jaxlib", "equinox", "optax", "numpyro", "numpy")
    devices = jax.devices()
    return {
        "versions": {"nelbo": __version__, "python": platform.python_version()}
        | {name: metadata.version(name) for name in packages},
        "hardware": {"machine": platform.machine(), "system": platform.system(), "device": devices[0].device_kind,
                     "devices": len(devices), "cores": len(_cores())},
        "commit": _commit(),
    }  # fmt: skip


def _cores() -> set[int]:
    import os

    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def _commit() -> str | None:
    """The commit of nelbo's own checkout, if it runs from one."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
