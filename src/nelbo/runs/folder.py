"""Run folders: what is in them, and opening them again."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.bayes import load_globals
from nelbo.core import InputError, read_arrays, read_json
from nelbo.data import (
    SPLITS,
    Data,
    FetchProgress,
    Schema,
    Source,
    context_of,
    load_rows,
    row_digests,
    split_by_digests,
)
from nelbo.models import Model, likelihood, load_model
from nelbo.runs.answers import scaled, user_scale
from nelbo.runs.columns import check_cells
from nelbo.runs.context import one_hot
from nelbo.runs.inputs import (
    TABLE_OPTIONS,
    binarized,
    is_named,
    likelihood_of,
    located,
    read_data,
    sources_of,
)
from nelbo.runs.kinds import read_of_kind
from nelbo.runs.likelihoods import check_suits, likelihood_for
from nelbo.runs.objectives import old_posterior
from nelbo.runs.settings import Experiment
from nelbo.runs.supervised import is_supervised

CONFIG, MODEL, HISTORY, RECORD = "config.json", "model.safetensors", "history.jsonl", "record.json"
CHECKPOINTS, ARRAYS, POSTERIOR, ROWS = "checkpoints", "arrays.safetensors", "posterior.safetensors", "rows.safetensors"
FILLED, TYPICAL, TYPICAL_ARRAYS = "filled.json", "typical.json", "typical.safetensors"
ROW_DIGESTS = "row digests"  # what ROWS holds: `nelbo.data.row_digests` of each split


@dataclasses.dataclass(frozen=True)
class FittedData:
    """What a run stores about the data that it was fitted to; None for what its folder does not hold.

    Args:
        schema: of the data.
        digests: `row_digests` of each split of the user's own data.
        sha256: of each split, as `Data.describe` gives it.
    """

    schema: Schema | None = None
    digests: Mapping[str, np.ndarray] | None = None
    sha256: Mapping[str, str] | None = None


@dataclasses.dataclass(frozen=True)
class Run:
    """An opened run folder.

    Args:
        folder: where it is.
        experiment: its settings.
        model: the fitted model, with the posterior over its parameters if it was trained with one.
        fitted_data: what is stored about the data.
    """

    folder: Path
    experiment: Experiment
    model: Model
    fitted_data: FittedData = FittedData()

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
    def is_film(self) -> bool:
        """Whether examples are sequences of pictures."""
        return len(self.shape) == 4 and self.shape[-1] in {1, 3}

    @property
    def white(self) -> float:
        """The model's value of a white pixel."""
        return 1.0 if self.likelihood is None else likelihood(self.likelihood).scale

    @property
    def labels(self) -> list[str] | None:
        """The labels that the model is conditioned on; None for a model without a context."""
        return self.experiment.data.get("labels")

    def context(self, label: str | None) -> np.ndarray | None:
        """The context that samples are conditioned on.

        Args:
            label: the name of a label; for rows with covariates, NAME=VALUE,... with a value for each.

        Raises:
            InputError: a label for a model without a context, none for a model with one, or an unknown one.
        """
        known = None if self.fitted_data.schema is None else self.fitted_data.schema.covariates
        if known is not None:
            parts = (part.partition("=") for part in (label or "").split(",") if part)
            return context_of(known, {name: value for name, _, value in parts})
        if self.labels is None and label is not None:
            raise InputError(f"The model in {self.folder} is conditioned on nothing: leave --context out.")
        if self.labels is None:
            return None
        if label is None:
            raise InputError(f"The model in {self.folder} is conditioned on labels: say which with --context, one of "
                             f"{', '.join(self.labels)}.")  # fmt: skip
        return one_hot(label, self.labels)

    def in_user_units(self, values: np.ndarray) -> np.ndarray:
        """Converts values of entries, `(..., *shape)`, from the model's units to those of the user's data.

        For binarized data these are zeros and ones; else see `nelbo.runs.in_user_units`.
        """
        schema = self.fitted_data.schema
        if schema is None:
            return values
        held = schema.values if self.experiment.data.get("binarize", "none") == "none" else "binary"
        return schema.restored(scaled(values, user_scale(held, self.white)))

    def data(
        self, name: str | None = None, data_dir: str | None = None, progress: FetchProgress | None = None
    ) -> tuple[Data, dict[str, Source]]:
        """The run's own data, or other data split in the same way, as they are scored, with a source for each split.

        The user's own file may have changed since the run: every row that the run knows then stays in its split, and a
        note of the data says so. For another file see `rows`.

        Raises:
            InputError: data of another shape or kind than the model was fitted to.
        """
        settings = self._settings(name, data_dir)
        raw = self._own(settings, progress) if self.is_own(name) else read_data(
            settings, self.likelihood, progress, self.fitted_data.schema
        )  # fmt: skip
        return self._scored(raw, settings)

    def rows(
        self, name: str | None, split: str | None, data_dir: str | None = None, progress: FetchProgress | None = None
    ) -> tuple[Data, Source]:
        """Rows in the order of their file: one split, or all rows of a user's file without splits.

        Args:
            name: a named set or a path; None for the run's own data.
            split: "train", "valid" or "test"; None means "test", or all rows of a file without splits.
            data_dir: a folder that holds named sets.
            progress: called while data are fetched.

        Returns:
            The data with this one split (`Data.only`), and its source.

        Raises:
            InputError: as for `data`; a split that does not exist.
        """
        if name is None or is_named(name) or (split is not None and self.is_own(name)):
            data, sources = self.data(name, data_dir, progress)
            chosen = split or "test"
        else:
            settings = self._settings(name, data_dir)
            raw = self._whole(settings)
            chosen = _chosen_split(raw, split)
            data, sources = self._scored(dataclasses.replace(raw, splits={chosen: raw.split(chosen)}), settings)
        return dataclasses.replace(data, splits={chosen: data.split(chosen)}), sources[chosen]

    def scored(self, rows: Data) -> tuple[Data, Source]:
        """Rows in memory as they are scored: data and source.

        Args:
            rows: of one split, read with the schema of the run, before binarization.

        Raises:
            InputError: data of another shape or kind than the model was fitted to.
        """
        (name,) = rows.splits
        data, sources = self._scored(rows, self.experiment.data)
        return data, sources[name]

    def _settings(self, name: str | None, data_dir: str | None) -> dict[str, Any]:
        given = {"name": name, "data_dir": data_dir}
        return self.experiment.data | {key: value for key, value in given.items() if value is not None}

    def is_own(self, name: str | None) -> bool:
        """Whether a name is that of the data that the run was fitted to, as None is."""
        return name is None or located({"name": name})["name"] == self.experiment.data["name"]

    def _own(self, settings: Mapping[str, Any], progress: FetchProgress | None) -> Data:
        """The run's own data before binarization, in the splits that they had when it was fitted."""
        known = self.fitted_data.digests
        raw = read_data(settings, self.likelihood, progress, self.fitted_data.schema)
        if known is None or is_named(settings["name"]) or not raw.schema.has_rows:
            return raw  # what is no row remembers who was held out, and windows move when a series grows
        found = {split: row_digests(rows) for split, rows in raw.splits.items()}
        if found.keys() == known.keys() and all(np.array_equal(found[split], known[split]) for split in found):
            return raw
        return split_by_digests(self._whole(settings), known)

    def _whole(self, settings: Mapping[str, Any]) -> Data:
        """All rows of a file, before binarization, matched to the data that the model was fitted to."""
        schema = self.fitted_data.schema
        if (found := read_of_kind(settings, schema, whole=True)) is not None:
            return found
        options = {key: settings[key] for key in TABLE_OPTIONS if settings.get(key) is not None and schema is None}
        if is_supervised(settings):
            options |= {"targets": settings["targets"]} | ({} if schema else {"target": settings.get("target")})
        return load_rows(settings["name"], schema, **options)

    def _scored(self, raw: Data, settings: Mapping[str, Any]) -> tuple[Data, dict[str, Source]]:
        train, score = binarized(raw, settings, self.likelihood)
        if score.shape != self.shape:
            raise InputError(
                f"{settings['name']} has examples of shape {list(score.shape)}, but the model in {self.folder} was "
                f"fitted to {list(self.shape)}: give data of that shape."
            )
        check_suits(self.likelihood, train)
        check_cells(score, self.model)
        recorded = self.fitted_data.sha256
        own = self.is_own(settings["name"]) and set(raw.splits) <= set(SPLITS)
        if own and self.fitted_data.digests is None and recorded not in (None, train.describe()["sha256"]):
            note = (
                f"{raw.name} has changed since {self.folder} was fitted to it, and this older run does not know its "
                "rows again: rows that it was trained on may stand in any split."
            )
            score = dataclasses.replace(score, notes=(*score.notes, note))
        return score, sources_of(settings, train, score, self.likelihood or likelihood_for(score))


def _chosen_split(data: Data, split: str | None) -> str:
    """The split of a file that is meant, or "rows" for a file without splits.

    Raises:
        InputError: a split of a file without splits, or none named of several without "test".
    """
    names = list(data.splits)
    if names == ["rows"]:
        if split is not None:
            raise InputError(f"{data.source} has no splits of its own: leave the split out, and all its rows are used.")
        return "rows"
    if split is None and "test" not in names and len(names) > 1:
        raise InputError(f"{data.source} has the splits {', '.join(names)}: name the one that is meant.")
    return split or ("test" if "test" in names else names[0])


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
    config = read_json(folder / CONFIG)
    experiment = Experiment.from_record(config, str(folder / CONFIG))
    model = load_model(folder / MODEL)
    if (folder / POSTERIOR).is_file():
        model = load_globals(folder / POSTERIOR, model, before=old_posterior(experiment))
    return Run(folder, experiment, model, _fitted_data(folder, config))


def _fitted_data(folder: Path, config: Mapping[str, Any]) -> FittedData:
    schema = config.get("schema")
    digests = read_arrays(folder / ROWS, ROW_DIGESTS)[0] if (folder / ROWS).is_file() else None
    return FittedData(
        None if schema is None else Schema.from_record(schema, f"The schema in {folder / CONFIG}"),
        digests,
        config.get("sha256"),
    )


def is_run(folder: Path | str) -> bool:
    """Whether a folder holds a run, finished or not."""
    return (Path(folder) / CONFIG).is_file()


def read_experiment(folder: Path) -> Experiment:
    """The settings of a run folder.

    Raises:
        InputError: its `config.json` is missing, damaged or no experiment.
    """
    return Experiment.from_record(read_json(folder / CONFIG), str(folder / CONFIG))
