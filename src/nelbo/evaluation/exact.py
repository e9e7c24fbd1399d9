"""Numbers of a data set that no draw is needed for: the exact log-likelihood, the bound of a conjugate model."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample, InputError, compiled
from nelbo.data import Source
from nelbo.evaluation.score import Progress, Score, dimensions, over_batches, scored
from nelbo.models import ConjugateGlobals, Model
from nelbo.training import examples

ROWS = 500  # examples scored at once


@compiled
def _batch(
    key: Key[Array, ""], number: Callable[[Model, AnyExample], Array], model: Model, data: Source, raw: Any
) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
    """The number of each example, and how many of its entries are observed."""
    batch = examples(key, data, raw)
    return jax.vmap(lambda x: number(model, x))(batch), dimensions(batch)


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
    progress: Progress | None = None,
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
    progress: Progress | None = None,
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
    progress: Progress | None,
) -> Score:
    """The mean of a number without Monte Carlo error."""

    def batch(batch_key: Key[Array, ""], raw: Any) -> dict[str, Array]:
        nats, observed = _batch(batch_key, number, model, data, raw)
        return {"nats": nats, "observed": observed}

    found = over_batches(key, model, data, ROWS, batch, "nats", progress)
    values = found["nats"]
    return scored(values, np.zeros_like(values), found["observed"], 1, parts=(float(values.mean()), 0.0))
