"""Numbers of a data set that no draw is needed for: the exact log-likelihood, the bound of a conjugate model."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.core import NATS_PER_BIT, AnyExample, InputError, compiled
from nelbo.data import Source
from nelbo.evaluation.bounds import Score
from nelbo.models import ConjugateGlobals, Model, check_source
from nelbo.training import examples, padded_batches

ROWS = 500  # examples scored at once


@compiled
def _batch(
    key: Key[Array, ""], number: Callable[[Model, AnyExample], Array], model: Model, data: Source, raw: Any
) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
    """The number of each example, and how many of its entries are observed."""
    batch = examples(key, data, raw)
    count = batch.values.shape[0]
    if batch.observed is None:
        observed = jnp.full(count, batch.values.size / count, jnp.float32)
    else:
        observed = batch.observed.reshape(count, -1).sum(1).astype(jnp.float32)
    return jax.vmap(lambda x: number(model, x))(batch), observed


def _log_prob(model: Model, x: AnyExample) -> Float[Array, ""]:
    return model.log_prob(x)


def _expected_bound(model: Model, x: AnyExample) -> Float[Array, ""]:
    shared = model.globals
    if not isinstance(shared, ConjugateGlobals):
        raise InputError(
            "The bound over the posterior of what all examples share is for models with a conjugate one (lda, "
            "gaussian-mixture, factorial-mixture): use elbo."
        )
    return shared.local.bound(shared.expected(), x, jnp.ones((), jnp.float32))


def exact_log_likelihood(
    key: Key[Array, ""],
    model: Model,
    data: Source,
    *,
    num_samples: int = 1,
    progress: Callable[[int, float], None] | None = None,
) -> Score:
    """Mean of log p(x) over the examples, with all latents summed or integrated out (`Model.log_prob`) [nats].

    Args:
        key: of dynamic binarization; nothing else is random.
        model: one whose log p(x) has a closed form.
        data: the examples.
        num_samples: not used: nothing is sampled.
        progress: called with the number of examples done and their mean so far.

    Raises:
        InputError: the model has no such form, there is no example, or values that the likelihood cannot give.
    """
    del num_samples
    return _score(key, _log_prob, model, data, progress)


def posterior_bound(
    key: Key[Array, ""],
    model: Model,
    data: Source,
    *,
    num_samples: int = 1,
    progress: Callable[[int, float], None] | None = None,
) -> Score:
    """Mean of the evidence lower bound in expectation over the conjugate posterior of what all examples share [nats].

    For new data it is a lower bound on their log predictive density under that posterior. The posterior's own
    divergence is no part of it: it was paid for by the training set.

    Args:
        key: of dynamic binarization; nothing else is random.
        model: with conjugate globals.
        data: the examples.
        num_samples: not used: nothing is sampled.
        progress: called with the number of examples done and their mean so far.

    Raises:
        InputError: the model has no such posterior, or there is no example.
    """
    del num_samples
    score = _score(key, _expected_bound, model, data, progress)
    return dataclasses.replace(score, reconstruction=None, kl=None)


def _score(
    key: Key[Array, ""],
    number: Callable[[Model, AnyExample], Array],
    model: Model,
    data: Source,
    progress: Callable[[int, float], None] | None,
) -> Score:
    """The mean of a number without Monte Carlo error."""
    if len(data) == 0:
        raise InputError("There is no example to score.")
    check_source(model, data)
    indices, real = padded_batches(len(data), min(ROWS, len(data)))
    found, dimensions = [], 0.0
    for i, (rows, mask) in enumerate(zip(indices, real, strict=True)):
        nats, count = _batch(jr.fold_in(key, i), number, model, data, data.take(rows))
        found.append(np.asarray(nats, np.float64)[mask])
        dimensions += float(np.asarray(count, np.float64)[mask].sum())
        if progress is not None:
            done = np.concatenate(found)
            progress(len(done), float(done.mean()))
    values = np.concatenate(found)
    mean = float(values.mean())
    return Score(
        nats=mean,
        standard_error=0.0,
        spread=float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0,
        bits_per_dim=-float(values.sum()) / (NATS_PER_BIT * max(dimensions, 1.0)),
        reconstruction=mean,
        kl=0.0,
        num_samples=1,
        num_examples=len(values),
        per_example=values,
    )
