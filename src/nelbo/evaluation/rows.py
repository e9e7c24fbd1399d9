"""What a model says of each row by itself: its bounds, and which entries they come from."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.core import Example, InputError, compiled, log_mean_exp
from nelbo.data import Source
from nelbo.evaluation.normalizers import PUBLISHED, normalized
from nelbo.models import Model, check_source
from nelbo.training import padded_batches

BATCH = 256  # rows at once, of any data: one program for all of them, and the same rounding


@dataclasses.dataclass(frozen=True)
class RowTerms:
    """The bounds of each row and their parts [nats].

    Args:
        elbo: mean of log w over the draws.
        importance: log of the mean weight (Burda et al. 2016, eq. 8).
        reconstruction: mean of log p(x | z); all of log p(x) without latents.
        kl: `reconstruction - elbo`, what the latents cost.
        entries: `(rows, *shape)` the mean of log p(x_j | z), zero where an entry is missing: their sum over a row is
            `reconstruction`. None where the likelihood is of whole rows.
        observed: `(rows, *shape)`, which entries are there.
    """

    elbo: Float[np.ndarray, " rows"]
    importance: Float[np.ndarray, " rows"]
    reconstruction: Float[np.ndarray, " rows"]
    kl: Float[np.ndarray, " rows"]
    entries: np.ndarray | None
    observed: np.ndarray


def terms_of_batch(
    key: Key[Array, ""], model: Model, data: Source, raw: Example, count: int, *, elementwise: bool
) -> dict[str, Array]:
    """What `RowTerms` holds of a batch of rows as they are stored; every row has the same draws of noise.

    Args:
        key: for the draws.
        model: with its recognition model.
        data: how rows are read.
        raw: the rows.
        count: draws of z.
        elementwise: whether the likelihood gives each entry a density of its own.
    """
    data_key, draw_key = jr.split(key)
    keys = jr.split(draw_key, count)

    def one(row: Example) -> dict[str, Array]:
        x = data.example(data_key, row)
        posterior = model.posterior(x)
        there = jnp.ones(x.values.shape, bool) if x.observed is None else x.observed

        def body(total: Array, draw_key: Key[Array, ""]) -> tuple[Array, tuple[Array, Array]]:
            draw = model.draw(draw_key, x, posterior=posterior)
            if elementwise:
                logs = model.generative.likelihood(draw.z, x.context).log_prob(x.values)
                total = total + jnp.where(there, logs, jnp.zeros_like(logs))
            return total, (draw.log_w, draw.log_p[0])

        total, (log_w, visible) = jax.lax.scan(body, jnp.zeros(x.values.shape, jnp.float32), keys)
        first = log_w[0]  # differences keep the digits that a sum of large numbers loses
        found = {"elbo": first + (log_w - first[None]).mean(), "importance": log_mean_exp(log_w)}
        return found | {"reconstruction": visible.mean(), "entries": total / count, "observed": there}

    return jax.vmap(one)(raw)


_terms_of_batch = compiled(terms_of_batch)


def row_terms(
    key: Key[Array, ""],
    model: Model,
    data: Source,
    *,
    num_samples: int = 100,
    progress: Callable[[int], None] | None = None,
) -> RowTerms:
    """The bounds of each row by itself.

    All rows have the same draws of noise, so that what is said of a row does not depend on its place or on the rows
    beside it, and two rows are compared on equal terms.

    Args:
        key: for the draws.
        model: with its recognition model; the log Z of a large Boltzmann machine is annealed first.
        data: the rows.
        num_samples: draws of z for each row; one where there are no latents.
        progress: called with the number of rows done.

    Raises:
        InputError: no rows, no draws, a model that predicts (its score is of the target alone), or values that the
            likelihood cannot give.
    """
    if model.is_supervised or model.is_of_pairs:
        raise InputError(
            "This model predicts and says nothing of whole rows: `nelbo evaluate RUN DATA -o FILE` gives the score of "
            "each prediction; to find novel rows fit another model (nelbo fit table)."
        )
    if num_samples < 1:
        raise InputError(f"The number of samples must be at least 1, got {num_samples}.")
    if len(data) == 0:
        raise InputError("There are no rows to score.")
    check_source(model, data)
    model, _ = normalized(jr.fold_in(jr.clone(key), 1), model, temperatures=PUBLISHED)
    elementwise = not tuple(model.generative.shapes()[0].event_shape)
    count = num_samples if model.depth else 1
    reader = dataclasses.replace(data, arrays=Example(None))  # one program serves data of any length
    parts: list[dict[str, np.ndarray]] = []
    done = 0
    for rows, mask in zip(*padded_batches(len(data), BATCH), strict=True):
        raw: Any = jax.tree.map(jnp.asarray, data.take(rows))
        found = _terms_of_batch(jr.clone(key), model, reader, raw, count, elementwise=elementwise)
        parts.append({name: np.asarray(value)[mask] for name, value in found.items()})
        done += int(mask.sum())
        if progress is not None:
            progress(done)
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    numbers = {name: np.asarray(whole[name], np.float64) for name in ("elbo", "importance", "reconstruction")}
    entries = np.asarray(whole["entries"], np.float64) if elementwise else None
    kl = numbers["reconstruction"] - numbers["elbo"]
    return RowTerms(**numbers, kl=kl, entries=entries, observed=whole["observed"])
