"""Runs without a folder: an experiment on rows in memory, and a run as bytes."""

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from nelbo.core import InputError, write_arrays, write_json
from nelbo.data import Data
from nelbo.models import ConjugateGlobals, save_model, stored
from nelbo.runs.folder import CONFIG, MODEL, ROW_DIGESTS, ROWS, FittedData, Run, is_run, open_run
from nelbo.runs.ready import ready_for, train
from nelbo.runs.sampling import draws_of
from nelbo.runs.settings import Experiment
from nelbo.runs.size import MOST_BYTES
from nelbo.training import Callback

NOWHERE = Path("this estimator")  # what messages call a run without a folder


def fit_rows(experiment: Experiment, rows: Data, *, callbacks: Sequence[Callback] = ()) -> Run:
    """Train a model on rows in memory, with the settings and defaults of `execute`; nothing is written.

    Args:
        experiment: the settings; the name of its data is for messages.
        rows: in splits, with at least "train".
        callbacks: see `nelbo.training.fit`.

    Raises:
        InputError: settings or data that cannot work.
        NotFiniteError: training diverged.
    """
    ready = ready_for(experiment, None, MOST_BYTES, None, rows)
    trained, _ = draws_of(train(ready, list(callbacks), None), ready.training)
    shared = trained.globals
    model = shared.settled(trained) if isinstance(shared, ConjugateGlobals) else trained
    return Run(NOWHERE, ready.experiment, stored(model), FittedData(ready.schema, ready.digests))


def save_run(run: Run, folder: Path | str) -> None:
    """Write a run of `fit_rows` as a run folder, which `open_run` and every command read.

    Raises:
        InputError: the folder holds a run already, or cannot be written.
    """
    folder = Path(folder)
    if is_run(folder):
        raise InputError(f"{folder} is a run already: name another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    save_model(folder / MODEL, run.model)
    if run.fitted_data.digests:
        write_arrays(folder / ROWS, dict(run.fitted_data.digests), {"kind": ROW_DIGESTS})
    schema = run.fitted_data.schema
    about = {"shape": list(run.shape), "schema": None if schema is None else schema.record()}
    write_json(folder / CONFIG, run.experiment.record() | about)


def run_to_bytes(run: Run) -> dict[str, bytes]:
    """The files of a run of `fit_rows`, by name."""
    with tempfile.TemporaryDirectory() as folder:
        save_run(run, folder)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir()) if path.is_file()}


def run_from_bytes(files: Mapping[str, bytes]) -> Run:
    """The run whose files `run_to_bytes` gave.

    Raises:
        InputError: a file is missing or damaged.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / Path(name).name).write_bytes(content)
        return dataclasses.replace(open_run(folder), folder=NOWHERE)
