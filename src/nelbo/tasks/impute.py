"""Imputation: draws from p(x_missing | x_observed), with means, standard deviations and intervals."""

import collections
import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.core import Example, InputError, compiled, log_mean_exp
from nelbo.data import Source
from nelbo.distributions import Completable, example_shape
from nelbo.models import Latents, Model, check_source
from nelbo.tasks.cautions import Columns, cautions
from nelbo.tasks.completions import frames
from nelbo.tasks.evidence import Evidence
from nelbo.tasks.filled import Imputation
from nelbo.tasks.methods import METHODS, ImputationSettings
from nelbo.tasks.rows import hide, in_shape, reader, rows_as_seen, stored_rows
from nelbo.training import examples, padded_batches

COVERAGE = 0.9
NUMBERS = 2**22  # in one array of all copies of the rows that are filled in at once
_AT_ONCE = 2  # batches that are under way: a chain has no work for a second core, and another batch has
_LEAST_CHANCE = 1e-7  # of an entry, whose mean over draws can be rounded to zero
_LEAST = 64  # numbers that a copy counts for at least: the layers of a model are wider than a short row


def _interval(draws: Float[Array, "draws *shape"]) -> tuple[Array, Array]:
    """Interpolated order statistics between which a new draw of the same law lies with probability 0.9."""
    ordered, count = jnp.sort(draws, axis=0), draws.shape[0]

    def at(probability: float) -> Array:
        place = min(max(probability * (count + 1) - 1.0, 0.0), count - 1.0)
        below = int(place)
        above = min(below + 1, count - 1)
        return ordered[below] + (place - below) * (ordered[above] - ordered[below])

    return at((1.0 - COVERAGE) / 2.0), at((1.0 + COVERAGE) / 2.0)


def _hidden_nats(model: Model, evidence: Evidence, z: Latents, truth: Example, mean: Array) -> dict[str, Array]:
    """Log density of the hidden entries, each by itself and all jointly, from several draws of z.

    For models without latents, which model bits, only that of each entry, by its mean.
    """
    hidden = jnp.asarray(truth.observed) & ~evidence.known
    if not model.depth:
        chance = jnp.where(truth.values > 0.5, mean, 1.0 - mean)
        return {"entry_nats": jnp.where(hidden, jnp.log(jnp.maximum(chance, _LEAST_CHANCE)), 0.0).sum()}

    def log_density(one: Latents) -> Array:
        return jnp.where(hidden, evidence.hidden(model.generative, one).log_prob(truth.values), 0.0)

    logs = jax.vmap(log_density)(z)
    together = logs.reshape(logs.shape[0], -1).sum(1)
    return {"entry_nats": jnp.where(hidden, log_mean_exp(logs), 0.0).sum(), "joint_nats": log_mean_exp(together)}


def complete_batch(
    model: Model, key: Key[Array, ""], data: Source, raw: Example, truth: Example | None, settings: ImputationSettings
) -> dict[str, Array]:
    """All numbers of an `Imputation` for a batch of rows as they are stored.

    Args:
        model: with its recognition model.
        key: for the draws.
        data: how rows are read.
        raw: the rows, with a mask.
        truth: the same as a model sees them, before entries were hidden; or None.
        settings: with nothing left open.
    """
    data_key, chain_key = jr.split(key)
    batch = examples(data_key, data, raw)
    method = METHODS[settings.method or ""]

    def one(k: Key[Array, ""], x: Example, known: Example | None) -> dict[str, Array]:
        evidence = Evidence(x, settings.reading)
        found = method.complete(k, model, evidence, settings)
        drawn = found.drawn
        low, high = _interval(drawn.x)
        spread = drawn.x.std(0, ddof=1) if settings.draws > 1 else jnp.zeros_like(x.values)
        # a mean of equal numbers can miss them by a rounding error
        std = jnp.where(evidence.known, 0.0, spread)
        result = {"mean": evidence.filled(found.mean), "std": std, "low": low, "high": high, "draws": drawn.x,
                  "row_accepted": found.accepted}  # fmt: skip
        return result if known is None else result | _hidden_nats(model, evidence, drawn.z, known, found.mean)

    return jax.vmap(one)(jr.split(chain_key, jax.tree.leaves(batch)[0].shape[0]), batch, truth)


_complete_batch = compiled(complete_batch, seldom=True)


def impute(
    key: Key[Array, ""],
    model: Model,
    data: Source,
    settings: ImputationSettings | None = None,
    *,
    truth: Source | None = None,
    columns: Columns | None = None,
    progress: Callable[[int], None] | None = None,
) -> Imputation:
    """Fill in the missing entries of a data set by several independent draws.

    The same call denoises (mark doubtful entries as missing, or specify the noise of all entries) and increases
    resolution (`missing_grid`). `Imputation.warnings` says what should not be trusted.

    Args:
        key: for the draws.
        model: with its recognition model; the likelihood must be elementwise, or `Completable`.
        data: rows with a mask; rows without one are complete and returned unchanged. Grey images may be given without
            their channel axis, and are then returned without it.
        settings: how to impute; None takes the defaults.
        truth: the same rows before entries were hidden, to compute the log density of what was hidden.
        columns: a description of a table's entries, for the warnings.
        progress: called with the number of examples done.

    Raises:
        InputError: a model without latents that cannot complete an example, an unknown method, a count below one, rows
            of another shape, or values that the likelihood cannot give.
    """
    likelihood = model.generative.shapes()[0]
    completes = isinstance(likelihood, Completable)
    if model.is_supervised:
        raise InputError(
            "This model predicts a target from features and fills nothing in: use `nelbo predict`, or fit a table "
            "(nelbo fit table)."
        )
    if not completes:
        model.require_latents("Filling in")
    settings = (settings or ImputationSettings()).resolved(model)
    if truth is not None and (len(truth), *truth.shape) != (len(data), *data.shape):
        raise InputError(
            f"The truth must have the shape of the data, {[len(data), *data.shape]}, got {[len(truth), *truth.shape]}."
        )
    shape = data.shape
    wanted = example_shape(likelihood)
    data, truth = in_shape(wanted, data), None if truth is None else in_shape(wanted, truth)
    if settings.reading is not None:
        settings.reading.check(likelihood)
    if likelihood.event_shape and not completes:
        name = type(likelihood).__name__
        raise InputError(f"{name} has no conditional of single entries: it cannot be imputed.")
    check_source(model, data)
    mask = data.arrays.observed
    if settings.noise is None and (mask is None or bool(np.asarray(mask).all())):
        return _in_shape(_unchanged(data, settings), shape)
    if mask is None:
        data = hide(data, np.ones(data.shape, bool))
    whole = _all_batches(key, model, data, truth, settings, progress)
    given = np.asarray(data.arrays.observed)
    result = _gathered(whole, given, settings)
    sentences = cautions(result, given, settings, columns or Columns(), real=not likelihood.is_discrete)
    return _in_shape(dataclasses.replace(result, warnings=sentences), shape)


def _gathered(whole: dict[str, np.ndarray], given: np.ndarray, settings: ImputationSettings) -> Imputation:
    """The numbers of all rows in one record, with those that describe all rows together."""
    some = given.reshape(len(given), -1).any(1)
    observed = given if settings.noise is None else np.zeros_like(given)
    moving = some & ~observed.reshape(len(given), -1).all(1)
    tells = METHODS[settings.method or ""].accepted is not None
    shared: dict[str, Any] = {name: value for name, value in whole.items() if name != "draws"}
    return Imputation(
        **shared,
        draws=np.moveaxis(whole["draws"], 1, 0),
        observed=observed,
        method=settings.method or "",
        accepted=float(whole["row_accepted"][moving].mean()) if tells and moving.any() else None,
        empty=int((~some).sum()),
    )


def _all_batches(
    key: Key[Array, ""],
    model: Model,
    data: Source,
    truth: Source | None,
    settings: ImputationSettings,
    progress: Callable[[int], None] | None,
) -> dict[str, np.ndarray]:
    """The results of `complete_batch` for all rows in order."""
    copies = METHODS[settings.method or ""].chains(settings)
    together = max(1, NUMBERS // (copies * max(_LEAST, math.prod(data.shape))))
    indices, real = padded_batches(len(data), min(together, len(data)))
    parts: list[dict[str, np.ndarray]] = []
    how, running = reader(data), collections.deque[dict[str, Array]]()

    def gather() -> None:
        result, mask = running.popleft(), real[len(parts)]
        parts.append({name: np.asarray(value)[mask] for name, value in result.items()})
        if progress is not None:
            progress(int(real[: len(parts)].sum()))

    for i, rows in enumerate(indices):
        known = None if truth is None else jax.tree.map(jnp.asarray, rows_as_seen(truth, rows))
        running.append(_complete_batch(model, jr.fold_in(key, i), how, stored_rows(data, rows), known, settings))
        if len(running) == _AT_ONCE:
            gather()
    while running:
        gather()
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _unchanged(data: Source, settings: ImputationSettings) -> Imputation:
    """The result for complete data, which are returned unchanged."""
    values = np.asarray(rows_as_seen(data).values)
    repeated = np.broadcast_to(values, (settings.draws, *values.shape))
    everything = np.ones(values.shape, bool)
    return Imputation(
        values, np.zeros_like(values), values, values, repeated, everything, settings.method or "", None, 0
    )


def _in_shape(result: Imputation, shape: tuple[int, ...]) -> Imputation:
    """The result with examples of a shape, from one that may have an additional channel axis."""
    if result.mean.shape[1:] == shape:
        return result
    fields = ("mean", "std", "low", "high", "observed")
    changed: dict[str, Any] = {name: vars(result)[name].reshape(-1, *shape) for name in fields}
    draws = result.draws.reshape(len(result.draws), -1, *shape)
    return dataclasses.replace(result, **changed, draws=draws)


def _chain_frames(model: Model, key: Key[Array, ""], batch: Example, steps: int, *, corrected: bool) -> Array:
    def one(k: Key[Array, ""], x: Example) -> Array:
        return frames(k, model, Evidence(x), steps, corrected=corrected)

    return jax.vmap(one)(jr.split(key, batch.values.shape[0]), batch)


_chain_frames_compiled = compiled(_chain_frames)


def chain_frames(
    key: Key[Array, ""], model: Model, batch: Example, *, steps: int = 15, corrected: bool = False
) -> Float[np.ndarray, "examples frames ..."]:
    """One chain for each example of a batch: its start, then E[x | z] in the missing entries after every step."""
    batch = jax.tree.map(jnp.asarray, batch)
    return np.asarray(_chain_frames_compiled(model, key, batch, steps, corrected=corrected))
