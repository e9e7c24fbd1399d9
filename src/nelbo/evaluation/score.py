"""The record of a score, and the one loop over a data set that fills it."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.core import NATS_PER_BIT, Example, InputError
from nelbo.data import Source
from nelbo.models import Model, check_source
from nelbo.training import padded_batches

Progress = Callable[[int, float], None]


@dataclasses.dataclass(frozen=True)
class Score:
    """How well a model accounts for a data set.

    Args:
        nats: mean bound per example [nats].
        standard_error: the Monte Carlo error of `nats`: how far it would move if z were drawn anew for the same
            examples [nats]. None for a single draw, zero for a model without latents.
        spread: the standard error of `nats` over examples: how far it would move if other examples came from the same
            population [nats]. It contains the Monte Carlo error. Zero for a single example, which cannot tell.
        bits_per_dim: -nats / (log 2 * dimensions), observed entries only.
        reconstruction: mean of E_q log p(x|z) [nats]; None where the bound is not split.
        kl: mean of `E_q[log q(z|x) - log p(z)]` [nats]; the same.
        num_samples: draws of z for each example.
        num_examples: how many.
        per_example: bound of each [nats].
        details: further columns of the row in a record, by name.
        warning: why the number or its error cannot be trusted, in one sentence; None: nothing is known against it.
    """

    nats: float
    standard_error: float | None
    spread: float
    bits_per_dim: float
    reconstruction: float | None
    kl: float | None
    num_samples: int
    num_examples: int
    per_example: np.ndarray
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    warning: str | None = None


def dimensions(batch: Example) -> Float[Array, " batch"]:
    """How many entries of each example are observed."""

    def one(x: Example) -> Float[Array, ""]:
        count = jnp.asarray(x.values.size) if x.observed is None else x.observed.sum()
        return count.astype(jnp.float32)

    return jax.vmap(one)(batch)


def over_batches(
    key: Key[Array, ""],
    model: Model,
    data: Source,
    size: int,
    number: Callable[[Key[Array, ""], Any], dict[str, Array]],
    name: str,
    progress: Progress | None,
) -> dict[str, np.ndarray]:
    """What `number` gives for each example of a data set, in float64.

    Args:
        key: folded with the number of the batch.
        model: that the data must suit.
        data: the examples.
        size: of a batch, at most.
        number: from a key and the raw rows of a batch to named arrays with a leading batch dimension.
        name: of the array whose mean progress tells.
        progress: called with the number of examples done and the mean so far.

    Raises:
        InputError: no example, or values that the likelihood cannot give.
    """
    if len(data) == 0:
        raise InputError("There is no example to score.")
    model.require_density("A bound on log p(x)")
    check_source(model, data)
    parts: list[dict[str, np.ndarray]] = []
    done, total = 0, 0.0
    for i, (rows, mask) in enumerate(zip(*padded_batches(len(data), max(1, min(size, len(data)))), strict=True)):
        found = number(jr.fold_in(key, i), data.take(rows))
        parts.append({name: np.asarray(value, np.float64)[mask] for name, value in found.items()})
        done += int(mask.sum())
        total += float(parts[-1][name].sum())
        if progress is not None:
            progress(done, total / done)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def scored(
    values: Float[np.ndarray, " examples"],
    variances: Float[np.ndarray, " examples"] | None,
    observed: Float[np.ndarray, " examples"],
    num_samples: int,
    *,
    parts: tuple[float, float] | None = None,
    details: Mapping[str, Any] | None = None,
    warning: str | None = None,
) -> Score:
    """The score of a data set from the numbers of its examples.

    Args:
        values: [nats].
        variances: of each over its draws [nats^2]; None where that is not known.
        observed: entries of each example.
        num_samples: draws for each example.
        parts: reconstruction and KL [nats], where the score is split.
        details: see `Score`.
        warning: see `Score`.

    Raises:
        InputError: no entry is observed.
    """
    count = len(values)
    if not observed.sum():
        raise InputError("Every entry of these rows is missing: nothing is there to score; give rows with values.")
    reconstruction, kl = (None, None) if parts is None else parts
    return Score(
        nats=float(values.mean()),
        standard_error=None if variances is None else float(np.sqrt(variances.sum()) / count),
        spread=float(values.std(ddof=1) / np.sqrt(count)) if count > 1 else 0.0,
        bits_per_dim=-float(values.sum()) / (NATS_PER_BIT * float(observed.sum())),
        reconstruction=reconstruction,
        kl=kl,
        num_samples=num_samples,
        num_examples=count,
        per_example=values,
        details=details or {},
        warning=warning,
    )
