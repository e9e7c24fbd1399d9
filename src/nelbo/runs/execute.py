"""Carry out an experiment in a run folder: train, score, and save what figures need."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax.random as jr
import numpy as np

from nelbo.bayes import save_globals
from nelbo.core import Example, InputError, read_json, write_arrays, write_json
from nelbo.data import Data, FetchProgress, Source
from nelbo.distributions import Normal
from nelbo.evaluation import active_units, posterior_means
from nelbo.models import ConjugateGlobals, Model, family, save_model, stored
from nelbo.runs.claims import FolderClaim, check_folder, resumed
from nelbo.runs.columns import kinds_by_column
from nelbo.runs.environment import environment
from nelbo.runs.evaluations import plug_in_row, weight_rows
from nelbo.runs.events import event_numbers
from nelbo.runs.folder import ARRAYS, CHECKPOINTS, CONFIG, HISTORY, MODEL, POSTERIOR, RECORD
from nelbo.runs.predictions import prediction_row, reliability_arrays, scored_predictions
from nelbo.runs.ranks import pair_results
from nelbo.runs.ready import Ready, ready_for, train
from nelbo.runs.sampling import draws_of, draws_row
from nelbo.runs.settings import Experiment
from nelbo.runs.size import MOST_BYTES
from nelbo.runs.supervised import unseen_classes
from nelbo.tasks import manifold, reconstruct, sample
from nelbo.training import Callback, Checkpoints, Event, HistoryFile, TrainState, resume_from


@dataclasses.dataclass(frozen=True)
class _Way:
    """How an experiment is carried out: the arguments of `execute`."""

    resume: bool
    overwrite: bool
    callbacks: Callable[[int, int], list[Callback]] | None
    figures: bool
    command: str | None
    checkpoint_seconds: float | int
    say: Callable[[str], None] | None


def execute(
    experiment: Experiment | None,
    folder: Path | str,
    *,
    resume: bool = False,
    overwrite: bool = False,
    callbacks: Callable[[int, int], list[Callback]] | None = None,
    figures: bool = True,
    command: str | None = None,
    checkpoint_seconds: float | int = 30.0,
    say: Callable[[str], None] | None = None,
    fetching: FetchProgress | None = None,
    most_bytes: float = MOST_BYTES,
) -> dict[str, Any]:
    """Train, score and save; return the record that was written.

    All settings and the data are checked before anything is written and before an earlier run is removed.

    Args:
        experiment: the settings; when resuming, None or settings that agree with those of the folder.
        folder: for the run's files.
        resume: continue from the newest checkpoint, with the same result as an uninterrupted run to the bit; a finished
            run is left alone.
        overwrite: replace an existing run.
        callbacks: makes further callbacks, such as a progress bar, from the number of steps and the batch size.
        figures: also save samples, reconstructions and embeddings (not of a run that is only trained).
        command: the shell command that does the same, for the record.
        checkpoint_seconds: least time between two checkpoints [s].
        say: called with sentences for the user (that a damaged checkpoint was skipped, for example).
        fetching: called while data are fetched; see `nelbo.data.load`.
        most_bytes: refuse a model that needs more than this for its parameters, their gradient and the optimizer.

    Raises:
        InputError: settings or data that cannot work, a full disk.
        NotFiniteError, Interrupted: see `nelbo.training.fit`; the checkpoints are written.
    """
    claim = FolderClaim(Path(folder))
    how = _Way(resume, overwrite, callbacks, figures, command, checkpoint_seconds, say)
    try:
        claim.recover()
        check_folder(claim.folder, resume=resume, overwrite=overwrite)
        if resume:
            claim.hold()
            experiment = resumed(claim.folder, {} if experiment is None else experiment.record())
            if (record := _finished(claim.folder)) is not None:
                claim.settle()
                return record
        if experiment is None:
            raise InputError("Say which experiment to carry out: only a resumed run has its own settings.")
        record = _carried(ready_for(experiment, fetching, most_bytes, say), claim, how)
        claim.settle()
        return record
    finally:
        claim.release()


def _carried(ready: Ready, claim: FolderClaim, how: _Way) -> dict[str, Any]:
    """Train, score and save a prepared experiment, in a folder that is locked when training starts."""
    folder, began = claim.folder, time.perf_counter()
    about = ready.train.describe() | kinds_by_column(ready.model, ready.schema)
    if how.say is not None:
        classes = ready.experiment.data.get("classes")
        for note in (*ready.train.notes, *(unseen_classes(ready.train, classes) if classes else ())):
            how.say(note)
    command = how.command
    config = read_json(folder / CONFIG) if how.resume else None
    if config is not None:
        _same_data(folder, config, about)
        command = config.get("command")

    def begin(event: Event, state: TrainState) -> None:
        del state
        if event == "start" and how.say is not None:
            how.say(f"{ready.experiment.model['name']}: {ready.size}")
        if event == "start" and not how.resume:
            extra = {"command": command, "steps": ready.steps, "shape": about["shape"], "sha256": about["sha256"],
                     "schema": ready.schema.record()}  # fmt: skip
            claim.begin(ready.experiment.record() | extra, ready.digests, overwrite=how.overwrite)

    # the folder is taken when the loop has checked everything and starts
    saving = Checkpoints(folder / CHECKPOINTS, seconds=how.checkpoint_seconds)
    watching = [begin, saving, HistoryFile(folder / HISTORY)]
    watching += [] if how.callbacks is None else how.callbacks(ready.steps, ready.training["batch_size"])
    fitted = train(ready, watching, resume_from(folder / CHECKPOINTS, how.say) if how.resume else None)
    trained, sampling = draws_of(fitted, ready.training)
    model, score = _save(folder, trained), ready.training["score"] and "test" in ready.sources
    pictures = family(ready.experiment.model["name"]).examples == "pictures"  # whose latents are fields of any size
    units = score and model.depth and not pictures
    active = active_units(ready.keys["figures"], model, ready.sources["test"]) if units else ()
    results, arrays = _results(ready, trained, model) if score else ([], {})
    record = {"name": ready.experiment.model["name"], "seed": ready.experiment.seed,
              "results": results, "active_units": list(active),
              "training_seconds": fitted.state.seconds, "steps": fitted.state.step, "data": about,
              "batches": fitted.order,
              **({} if sampling is None else {"sampling": sampling}), "command": command, **environment()}  # fmt: skip
    of_rows = score and ready.schema.has_rows and not pictures and not model.is_detector
    if how.figures and (arrays or of_rows):
        arrays = arrays or figure_arrays(ready.keys["figures"], model, ready.score, ready.sources["test"])
        notes = {"kind": "figure data", "samples": "means" if model.depth else "draws"}
        write_arrays(folder / ARRAYS, arrays, notes)
    record["wall_time_seconds"] = time.perf_counter() - began
    write_json(folder / RECORD, record)
    return record


def carry_out(experiment: Experiment, folder: Path | str, **options: Any) -> dict[str, Any]:
    """The record of an experiment, which is read if finished, resumed if interrupted, and else carried out.

    Args:
        experiment: the settings.
        folder: for the run's files.
        options: of `execute`.

    Raises:
        InputError: the folder holds a run with other settings.
        NotFiniteError, Interrupted: see `execute`.
    """
    return execute(experiment, folder, resume=(Path(folder) / CONFIG).exists(), **options)


def _finished(folder: Path) -> dict[str, Any] | None:
    """The record of a finished run; None of an unfinished one."""
    record = read_json(folder / RECORD) if (folder / RECORD).is_file() and (folder / MODEL).is_file() else None
    # scoring an unfinished run's model leaves a record of results alone
    return record if isinstance(record, dict) and "wall_time_seconds" in record else None


def _same_data(folder: Path, config: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    if config.get("sha256", about["sha256"]) != about["sha256"]:
        raise InputError(
            f"The data of {folder} are not those it began with (another SHA-256): restore them, or start another run."
        )


def _save(folder: Path, model: Any) -> Model:
    """Write the trained model, and the posterior over its weights if there is one.

    Returns:
        The model at a point estimate of its parameters, or at the mean of a conjugate posterior, which the model's own
        file holds.
    """
    shared = model.globals
    if isinstance(shared, ConjugateGlobals):
        model = shared.settled(model)
    elif shared is not None and shared.described() is not None:
        save_globals(folder / POSTERIOR, model)
    save_model(folder / MODEL, model)
    return stored(model)


def _results(ready: Ready, trained: Any, model: Model) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Rows of results, and arrays for figures that are computed with them: reliability, residuals of events."""
    key = ready.keys["score"]
    if model.is_detector:
        return [], {}  # nothing to score it by but rows that are known to be novel
    if ready.schema.pairs is not None:
        return pair_results(key, model, ready.sources, ready.score), {}
    if model.is_supervised:
        found = scored_predictions(key, trained, ready.sources["test"])
        return [prediction_row(found, "test", ready.score)], reliability_arrays(found)
    rows = [plug_in_row(key, model, ready.sources["test"], "elbo", "test", ready.score)]
    drawn: dict[str, np.ndarray] = {}
    if ready.schema.events is not None:
        numbers, drawn = event_numbers(model, ready.sources["test"], rows[0])
        rows[0] |= numbers
    if model.globals is not None:
        rows.append(plug_in_row(key, model, ready.sources["test"], "posterior", "test", ready.score))
    elif trained.globals is not None and trained.globals.in_bound:
        data = {"train": ready.train, "test": ready.score}
        parts = {name: (ready.sources[name], data[name]) for name in data}
        rows += weight_rows(jr.fold_in(key, 1), trained, len(ready.sources["train"]), parts)
    if ready.training["sampling"] is not None:
        rows.append(draws_row(jr.fold_in(key, 1), trained, ready.sources["test"], rows[0], ready.score))
    return rows, drawn


def shown(x: Example) -> np.ndarray:
    """Examples as they are drawn: a missing entry is NaN, not the zero that is stored in its place."""
    values = np.asarray(x.values)
    return values if x.observed is None else np.where(np.asarray(x.observed), values, np.float32(np.nan))


_FILMS = 12  # of each kind


def figure_arrays(key: Any, model: Model, data: Data, test: Source) -> dict[str, np.ndarray]:
    """Samples, reconstructions, the manifold and the embedding, with pixels in [0, 1].

    Models with one layer of two latents have an embedding, and a manifold if their prior is normal. Models without
    latents have only samples, which are draws of x and not means.
    """
    sample_key, reconstruct_key, embed_key = jr.split(key, 3)
    top = 255.0 if data.values == "uint8" and test.pixels == "counts" else 1.0
    contexts = None if data.schema.covariates is None else np.asarray(data.test.context)
    arrays = {"samples": _samples(sample_key, model, contexts) / top}
    if model.depth:
        originals, means = reconstruct(reconstruct_key, model, test, np.arange(min(10, len(test))))
        arrays |= {"originals": shown(originals) / top, "reconstructions": means / top}
    fields = receptive_fields(model, data.shape)
    if fields is not None:
        arrays["receptive_fields"] = fields
    pictures = len(data.shape) in {3, 4} and data.shape[-1] in {1, 3}
    if len(data.shape) == 4:
        arrays = {name: value[:_FILMS] for name, value in arrays.items()}
    if len(data.shape) != 1 and not pictures:  # no pixels: vectors
        arrays = {name: value.reshape(len(value), -1) for name, value in arrays.items()}
    root = model.generative.root(1) if len(model.generative.layers) == 2 else None
    if root is not None and root.shape() == (2,):
        (arrays["embedding"],) = posterior_means(embed_key, model, test)
        if not model.generative.context_size and isinstance(root, Normal) and arrays["samples"].ndim == 4:
            arrays["manifold"] = manifold(model) / top
        if data.test.y is not None:
            arrays["labels"] = np.asarray(data.test.y)
    return {name: np.asarray(value, np.int32 if name == "labels" else np.float32) for name, value in arrays.items()}


def _samples(key: Any, model: Model, contexts: np.ndarray | None = None) -> np.ndarray:
    """A hundred samples; for a conditional model, an equal share for each label or for each of ten contexts."""
    size, mean = model.generative.context_size, model.depth > 0
    if not size:
        return sample(key, model, 100, mean=mean)
    if contexts is not None:
        chosen = contexts[np.linspace(0, len(contexts) - 1, 10).astype(int)]
        return np.concatenate(
            [sample(jr.fold_in(key, i), model, 10, mean=mean, context=one) for i, one in enumerate(chosen)]
        )
    rows = [
        sample(jr.fold_in(key, i), model, -(-100 // size), mean=mean, context=context)
        for i, context in enumerate(np.eye(size, dtype=np.float32))
    ]
    return np.concatenate(rows)[:100]


def receptive_fields(model: Model, shape: tuple[int, ...]) -> np.ndarray | None:
    """The generative weights of each unit of the first latent layer, if it acts on the pixels directly."""
    weight = model.generative.layers[0].direct_weight
    if len(shape) != 3 or weight is None or len(weight) != np.prod(shape):
        return None
    return np.asarray(weight.T).reshape(-1, *shape)
