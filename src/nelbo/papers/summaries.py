"""What a page keeps of each part: a summary of its run, small enough to be checked in."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.core import InputError, read_json, write_json
from nelbo.runs import Experiment

POINTS = 60  # of a curve in a small record
_RECORDED = "recorded"  # of a part that is shown from its small record


def history(folder: Path) -> list[dict[str, Any]]:
    """The rows of a finished run's history."""
    return [json.loads(line) for line in (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()]


def summary_of(
    folder: Path, experiment: Experiment, record: Mapping[str, Any], *, label: str, published: str | None
) -> dict[str, Any]:
    """What the page needs of a run; bounds in nats per example.

    Args:
        folder: of the run.
        experiment: as it was carried out.
        record: of the run.
        label: what figures call it.
        published: the paper's number for it.
    """
    rows = history(folder)
    columns = ("examples", "train_bound", "valid_bound", "test_bound", "seconds")
    return {
        "label": label,
        "published": published,
        "latents": _latents(experiment.model["arguments"]),
        "learning_rate": experiment.training.get("learning_rate"),
        "curve": {name: [row.get(name) for row in rows] for name in columns},
        "results": record["results"],
        "active_units": record["active_units"],
        "sampling": record.get("sampling"),
        "training_seconds": record["training_seconds"],
        "data": {name: record["data"][name] for name in ("name", "sizes", "binarization")},
        "experiment": experiment.record(),
        "measures": {},
    }


def _latents(arguments: Mapping[str, Any]) -> int | str | None:
    """How many latents, layer by layer where there are several."""
    layers = arguments.get("layers", ())
    if "latents" in arguments or not layers:
        return arguments.get("latents")
    return layers[0] if len(layers) == 1 else "-".join(map(str, layers))


def record_path(records: Path, budget: str, name: str) -> Path:
    """Where the small record of a part lies."""
    return records / budget / f"{name.replace('/', '.')}.json"


def write_record(records: Path, budget: str, name: str, summary: Mapping[str, Any]) -> None:
    """Keep a part's summary, its curve thinned to `POINTS` evaluations and without the folder of its data.

    Raises:
        InputError: the file cannot be written.
    """
    count = len(summary["curve"]["examples"])
    kept = np.unique(np.linspace(0, count - 1, min(POINTS, count)).round().astype(int))
    curve = {column: [values[i] for i in kept] for column, values in summary["curve"].items()}
    path = record_path(records, budget, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {**summary, "curve": curve, "experiment": _anywhere(summary["experiment"])})


def read_record(
    records: Path, budget: str, name: str, experiment: Experiment, *, any_rate: bool
) -> dict[str, Any] | None:
    """A part's summary from its small record; None where there is none, or one of other settings.

    Args:
        records: the folder of all of them.
        budget: of the page.
        name: of the part.
        experiment: as the page has it now.
        any_rate: the learning rate was chosen by a trial, so that a record may have another one.

    Raises:
        InputError: a damaged file.
    """
    path = record_path(records, budget, name)
    if not path.is_file():
        return None
    found = read_json(path)
    if not isinstance(found, dict) or not {"label", "curve", "results", "experiment", "measures"} <= set(found):
        raise InputError(f"{path} is not the record of a part: take it away, and the part is run again.")
    same = [_anywhere(one) for one in (experiment.record(), found["experiment"])]
    if any_rate:
        same = [one | {"training": {**one["training"], "learning_rate": None}} for one in same]
    return (
        {**found, _RECORDED: True}
        if json.dumps(same[0], sort_keys=True) == json.dumps(same[1], sort_keys=True)
        else None
    )


def is_recorded(summary: Mapping[str, Any]) -> bool:
    """Whether it was read from a small record, so that there are no arrays of it."""
    return bool(summary.get(_RECORDED))


def _anywhere(experiment: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without where the data lay."""
    return {**experiment, "data": {name: value for name, value in experiment["data"].items() if name != "data_dir"}}
