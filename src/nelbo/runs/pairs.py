"""Data of pairs in a run: what the table decides about a factorization, and the run whose posterior is the prior."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from nelbo.core import InputError, read_json
from nelbo.data import Cuts, Data, Pairs, Schema, load_pairs
from nelbo.models import families, family, layer_of, load_model
from nelbo.runs.series import is_of_frames


def prior_settings(*, prior_run: str | None = None, inflate: float | int = 1.0) -> dict[str, Any]:
    """Settings of a factorization whose prior is the posterior of an earlier run.

    Args:
        prior_run: folder of a factorization whose posterior becomes the prior (to distil a physical model first, and
            to train on measurements then), or null.
        inflate: factor by which the standard deviations of that prior are multiplied.

    Raises:
        InputError: a factor that is not positive.
    """
    if not 0.0 < inflate < math.inf:
        raise InputError(f"inflate is a factor on standard deviations above zero, got {inflate}.")
    if prior_run is None and inflate != 1.0:
        raise InputError("inflate widens the posterior of prior_run: name that run too, or leave inflate out.")
    return {"prior_run": prior_run, "inflate": float(inflate)}


def run_pairs(folder: str | Path) -> Pairs:
    """The ids of an earlier run on pairs.

    Raises:
        InputError: no such run, or one on other data.
    """
    config = read_json(Path(folder) / "config.json")
    schema = config.get("schema") if isinstance(config, dict) else None
    found = None if schema is None else Schema.from_record(schema, f"The schema in {folder}").pairs
    if found is None:
        raise InputError(f"{folder} is no run of a factorization: give one as prior_run.")
    return found


def read_pairs(settings: Mapping[str, Any], schema: Schema | None = None, *, whole: bool = False) -> Data:
    """The data of a run on pairs.

    Args:
        settings: of the data.
        schema: of the data that a model was fitted to.
        whole: all entries of the file as one split "rows".

    Raises:
        InputError: see `nelbo.data.load_pairs`; settings that are about other data.
    """
    asked = {name for name, value in settings.items() if value is not None}
    if odd := asked & {"ignore", "context", "data_dir"} - ({"data_dir"} if whole else set()):
        raise InputError(f"A table of row, column and value is read whole, so leave {', '.join(sorted(odd))} out.")
    parts = (settings.get("split_seed") or 0, settings.get("valid_fraction"), settings.get("test_fraction"))
    given = {name: settings[name] for name in ("prior_run", "inflate") if settings.get(name) is not None}
    prior = prior_settings(**given)["prior_run"]
    data = load_pairs(
        Path(settings["name"]).expanduser(),
        settings.get("columns") or (),
        cuts=Cuts(*((0, 0.0, 0.0) if whole else parts)),
        header=settings.get("header"),
        like=schema,
        known=run_pairs(prior) if prior is not None and schema is None else None,
    )
    return dataclasses.replace(data, splits={"rows": data.train}) if whole else data


def check_examples(name: str, data: Data, advice: Callable[[Data], str]) -> None:
    """Refuse rows for a family of pairs or of series, and pairs or series for any other.

    Args:
        name: of the family.
        data: that it would be fitted to.
        advice: which models take rows like these, asked only where the data are refused.

    Raises:
        InputError: so it is.
    """
    wanted, schema = family(name).examples, data.schema
    there = {"pairs": schema.pairs, "series": schema.series, "events": schema.events, "covariates": schema.covariates}
    held = next((kind for kind, part in there.items() if part is not None), "rows")
    if wanted == "sequences" and (held == "series" or (held == "rows" and is_of_frames(data))):
        return
    if held == "rows" and wanted in _WANTED:
        raise InputError(
            f"{name} takes {_WANTED[wanted]}, but {data.name} holds rows: for these {advice(data)}, or give other data."
        )
    if held not in ("rows", wanted) and not (held == "series" and family(name).series_too):
        takes = {held, "sequences"} if held == "series" else {held}
        able = [other for other in families() if family(other).examples in takes]
        raise InputError(f"{data.name} holds {_HELD[held]}: use the model {' or '.join(able)}.")


_WANTED = {
    "pairs": "the values of pairs (--columns ROW,COLUMN,VALUE)",
    "series": "series over time (--columns id=NAME,time=NAME)",
    "events": "events of users (--columns USER,TIME,MARK)",
    "sequences": "series over time (--columns id=NAME,time=NAME) or films (time x height x width x 1 or 3 channels)",
    "covariates": "rows with covariates (--context time,id=station)",
}
_HELD = {
    "events": "events of users",
    "pairs": "the values of pairs",
    "series": "series over time",
    "covariates": "rows with covariates",
}


def pair_arguments(settings: Mapping[str, Any], data: Data, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What the data decide about a factorization.

    Centre and spread are those of the training values, or of what a physical prediction leaves of them; of a run with
    an earlier one's posterior as its prior they are that one's, in whose units the factors are.

    Args:
        settings: of the data.
        data: with pairs.
        arguments: of the model.
    """
    pairs, train, shift = data.schema.pairs, data.train, (data.schema.offset or (0.0,))[0]
    if pairs is None or train.context is None:
        raise InputError(f"{data.name} is no table of row, column and value.")
    found: dict[str, Any] = {
        "pairs": [len(pairs.row_ids), len(pairs.column_ids)],
        "physical": pairs.has_physical,
        "distilled": settings.get("prior_run") is not None,
        "levels": [level - shift for level in pairs.levels] if arguments.get("likelihood") == "ordinal" else [],
    }
    if found["distilled"]:
        taught = load_model(Path(settings["prior_run"]) / "model.safetensors")
        head = layer_of(taught).head
        middle, unit = (float(head.summary(head(jnp.zeros(1)))[0][0]), float(head.unit))
        known = {"centre": middle, "spread": unit}
    else:
        left = np.asarray(train.x[:, 0], np.float64)
        left = left - train.context[:, 2] if pairs.has_physical else left
        spread = float(left.std())
        known = {"centre": float(left.mean()), "spread": spread if spread > 0 else 1.0}
    shaped = {name: jnp.full(1, value, jnp.float32) for name, value in known.items() if arguments.get(name)}
    return found | {"centre": False, "spread": False} | shaped
