"""Rows with covariates in a run: how they are read, and what they decide about a model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from nelbo.core import InputError
from nelbo.data import MADE, Covariates, Cuts, Data, Schema, load_covariates, load_made

_SHORTEST, _LONGEST = 2.0, 0.5  # lengths, in distances between inducing points and in the width of the data
_BINS = 16  # of the first number, in which objects are compared


def read_covariate_data(settings: Mapping[str, Any], schema: Schema | None = None, *, whole: bool = False) -> Data:
    """The data of a run on rows with covariates.

    Args:
        settings: of the data.
        schema: of the data that a model was fitted to.
        whole: all rows of the file as one split "rows".

    Raises:
        InputError: see `nelbo.data.load_covariates`; settings that are about other data.
    """
    name = settings["name"]
    if name in MADE:
        data = load_made(name, data_dir=settings.get("data_dir"))
        if data.schema.covariates is None:
            raise InputError(f"{name} holds series, whose rows have no covariates: use gp-vae.")
        return data
    cuts = Cuts(settings.get("split_seed") or 0, settings.get("valid_fraction"), settings.get("test_fraction"))
    more = {key: settings.get(key) for key in ("header", "columns", "ignore") if settings.get(key) is not None}
    return load_covariates(
        Path(name).expanduser(), settings.get("context"), cuts=None if whole else cuts, like=schema, **more
    )


def covariates_of(data: Data) -> Covariates:
    """What is known of each row.

    Raises:
        InputError: nothing is.
    """
    if data.schema.covariates is None:
        raise InputError(f"{data.name} says nothing of its rows (times, angles, objects).")
    return data.schema.covariates


def covariate_arguments(data: Data, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What the data decide about a model: where its inducing points, lengths and vectors of objects begin.

    Args:
        data: rows with covariates.
        arguments: of the model.

    Raises:
        InputError: more inducing points than training rows.
    """
    known, context = covariates_of(data), np.asarray(data.train.context)
    numbers, count = len(known.names), arguments["inducing"]
    if not 1 <= count <= len(context):
        raise InputError(
            f"There are {len(context)} training rows, so inducing is a number from 1 to that, got {count}."
        )
    places = _spread_out(context, count)
    found: dict[str, Any] = {"numbers": numbers, "objects": len(known.objects), "places": jnp.asarray(places)}
    if not arguments.get("lengths"):
        found["lengths"] = [float(one) for i in range(numbers) for one in _lengths(context[:, i], arguments)]
    if known.objects:
        found["vectors"] = jnp.asarray(_vectors(data, len(known.objects), arguments["object_size"]))
    return found


def _spread_out(context: np.ndarray, count: int) -> np.ndarray:
    """Rows that are spread over the data: evenly by their first number, at random by the others."""
    order = np.lexsort((np.random.default_rng(0).random(len(context)), context[:, 0]))
    return context[order[np.linspace(0, len(order) - 1, count).round().astype(int)]]


def _lengths(values: np.ndarray, arguments: Mapping[str, Any]) -> np.ndarray:
    width = float(values.max() - values.min()) or 1.0
    shortest = min(_SHORTEST * width / arguments["inducing"], _LONGEST * width)
    return np.geomspace(shortest, _LONGEST * width, arguments["latents"] + 2)[1:-1]


def _vectors(data: Data, objects: int, size: int) -> np.ndarray:
    """The principal components of the objects: of what each shows in bins of the first number, less what all show."""
    train, known = data.train, covariates_of(data)
    context, rows = np.asarray(train.context), np.asarray(train.x, np.float32).reshape(len(train), -1)
    owner = context[:, -1].astype(int)
    if known.names:
        ends = np.unique(np.quantile(context[:, 0], np.linspace(0.0, 1.0, _BINS + 1)[1:-1]))
        bins = np.searchsorted(ends, context[:, 0], side="right")
    else:
        bins = np.zeros(len(rows), int)
    gram = np.zeros((objects, objects))
    for one in np.unique(bins):
        inside = bins == one
        total, count = np.zeros((objects, rows.shape[1])), np.zeros((objects, 1))
        np.add.at(total, owner[inside], rows[inside])
        np.add.at(count, owner[inside], 1.0)
        mean = total.sum(0) / count.sum()
        own = np.where(count > 0.0, total / np.maximum(count, 1.0) - mean, 0.0)
        gram += own @ own.T
    values, vectors = np.linalg.eigh(gram)
    best = np.argsort(values)[::-1][: min(size, objects)]
    found = vectors[:, best] * np.sqrt(np.maximum(values[best], 0.0))
    scale = max(float(np.sqrt((found**2).mean())), 1e-12)
    noise = np.random.default_rng(0).normal(size=(objects, size))
    wide = np.zeros((objects, size))
    wide[:, : found.shape[1]] = found / scale
    return (wide + 0.01 * noise).astype(np.float32)
