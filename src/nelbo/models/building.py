"""Parts that the named model families share: checks, constants, heads in the data's units, the configuration record."""

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from nelbo.core import InputError, choice
from nelbo.models.heads import STANDARDIZED_LIKELIHOODS, Head, StandardizedHead, likelihood_head
from nelbo.models.stack import Conditional, Model, Recognition, Stack, StandardNormal
from nelbo.nets import Frozen


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


MISSING = ("zero", "mean", "mask")


@dataclasses.dataclass(frozen=True)
class Seen:
    """How a recognition network takes an example in.

    Args:
        shape: of its input.
        source: its `centre` and `spread`.
        recognition: further arguments of `Recognition`.
    """

    shape: tuple[int, ...]
    source: dict[str, Array | None]
    recognition: dict[str, Any]


def seen(missing: str, shape: tuple[int, ...], centre: Array | None, spread: Array | None) -> Seen:
    """The input of a recognition network under a rule for missing entries.

    Args:
        missing: "zero"; "mean", the training data's mean (`centre`) in their place; or "mask", the same (zero where
            there is no mean) with the mask as so many inputs more.
        shape: of an example.
        centre: see `vae`.
        spread: see `vae`.

    Raises:
        InputError: an unknown rule, or "mean" without a mean.
    """
    choice("rule for missing entries", missing, MISSING)
    if missing == "mean" and centre is None:
        raise InputError("missing=mean fills with the training data's mean, but centre is off: switch it on.")
    fill = None if missing == "zero" or centre is None else Frozen(centre)
    if missing != "mask":
        return Seen(shape, {"centre": centre, "spread": spread}, {"fill": fill})
    zeros, ones = jnp.zeros(shape), jnp.ones(shape)
    centre = None if centre is None else jnp.concatenate([centre, zeros], axis=-1)
    spread = None if spread is None else jnp.concatenate([spread, ones], axis=-1)
    source = {"centre": centre, "spread": spread}
    return Seen((*shape[:-1], 2 * shape[-1]), source, {"fill": fill, "mask": True})


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
    encoder: Callable[..., Array],
    code: Head,
    decoder: Callable[..., Array],
    visible: Head,
    config: str | None = None,
    **recognition: Any,
) -> Model:
    """A model with one latent layer, prior N(0, I), from any networks and heads, and arguments of `Recognition`."""
    prior = StandardNormal(math.prod(code.shape))
    generative = Stack((Conditional(decoder, visible), prior))
    return Model(generative, Recognition((Conditional(encoder, code),), **recognition), config)
