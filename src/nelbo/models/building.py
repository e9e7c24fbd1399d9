"""Parts that the named model families share: checks, constants, heads in the data's units, the configuration record."""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from nelbo.core import InputError
from nelbo.models.heads import STANDARDIZED_LIKELIHOODS, Head, StandardizedHead, likelihood_head
from nelbo.models.stack import Conditional, Model, Recognition, Stack, StandardNormal


def configuration(name: str, **arguments: Any) -> str:
    """The JSON record that rebuilds a model."""
    return json.dumps({"name": name, "arguments": arguments}, sort_keys=True)


def positive(name: str, values: Sequence[int]) -> tuple[int, ...]:
    """The sizes as a tuple.

    Raises:
        InputError: one of them is below one.
    """
    if any(not 1 <= value < 2**31 for value in values):
        raise InputError(f"{name} must be positive whole numbers below 2^31, got {list(values)}.")
    return tuple(values)


def constant_array(value: Array | bool, shape: tuple[int, ...]) -> Array | None:  # noqa: FBT001
    """An array for `Frozen` from what a constructor was given: none for False, a place to be filled for True."""
    if isinstance(value, bool):
        return jnp.ones(shape) if value else None
    return jnp.broadcast_to(jnp.asarray(value, jnp.float32), shape)


def visible_head(likelihood: str, shape: tuple[int, ...], centre: Array | None, spread: Array | None) -> Head:
    """The head of p(x | z); a Gaussian one is in units of `spread` around `centre` where a spread is given.

    Raises:
        InputError: no such likelihood.
    """
    head = likelihood_head(likelihood, shape)
    if likelihood not in STANDARDIZED_LIKELIHOODS or spread is None:
        return head
    return StandardizedHead(head, jnp.zeros(shape) if centre is None else centre, spread)


def one_layer(
    encoder: Callable[..., Array], code: Head, decoder: Callable[..., Array], visible: Head, config: str | None = None
) -> Model:
    """A model with one latent layer, prior N(0, I), from any networks and heads."""
    prior = StandardNormal(math.prod(code.shape))
    generative = Stack((Conditional(decoder, visible), prior))
    return Model(generative, Recognition((Conditional(encoder, code),)), config)
