"""Parts that the named model families share: checks of sizes, constants, heads in the data's units."""

import math
from collections.abc import Callable, Sequence

import jax.numpy as jnp
from jax.scipy.special import logit
from jaxtyping import Array, Float

from nelbo.core import InputError, compiled
from nelbo.models.heads import Head, StandardizedHead
from nelbo.models.layers import Conditional, StandardNormal
from nelbo.models.likelihoods import likelihood as likelihood_called
from nelbo.models.recognition import Amortized, InputRule
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model, Stack
from nelbo.nets import Frozen, Network

_LEAST_MEAN = 1e-3  # of an entry at the start: a pixel that is black in all of the data can still be moved
INPUT_NORM = 10.0  # of a standardized example, as a network sees it: that of a hundred entries


def drawn_at_once(make: Callable[..., Model]) -> Callable[..., Model]:
    """The function that builds a model, with all of its weights drawn in one compiled call."""
    return compiled(make, once=True)


def positive(name: str, values: Sequence[int]) -> tuple[int, ...]:
    """The sizes as a tuple.

    Raises:
        InputError: one of them is below one.
    """
    if any(not 1 <= value < 2**31 for value in values):
        raise InputError(f"{name} must be positive whole numbers below 2^31, got {list(values)}.")
    return tuple(values)


def constant_array(value: Array | bool | None, shape: tuple[int, ...]) -> Array | None:  # noqa: FBT001
    """An array for `Frozen` from what a constructor was given: none for False, a place to be filled for True."""
    if value is None or isinstance(value, bool):
        return jnp.ones(shape, jnp.float32) if value else None
    return jnp.broadcast_to(jnp.asarray(value, jnp.float32), shape)


def log_odds(mean: Array | None, shape: tuple[int, ...]) -> Float[Array, " n"]:
    """The log odds of binary entries with these means, flattened; zeros where there are none."""
    if mean is None:
        return jnp.zeros(math.prod(shape), jnp.float32)
    return logit(jnp.clip(jnp.ravel(mean), _LEAST_MEAN, 1.0 - _LEAST_MEAN))


def frozen(value: Array | None) -> Frozen | None:
    """The array as one that is not trained."""
    return None if value is None else Frozen(value)


def input_rule(
    missing: str, shape: tuple[int, ...], *, centre: Array | bool | None = None, spread: Array | bool | None = None
) -> InputRule:
    """How a recognition model takes examples of a shape in; see `InputRule`.

    Args:
        missing: what a missing entry becomes.
        shape: of one example.
        centre: the training data's mean; `True` leaves its place to be filled from a file.
        spread: the training data's standard deviation; the same. Beyond a hundred entries it is widened so that what is
            seen has the norm that a hundred entries have: the hidden units of a photograph would else begin so large
            that training diverges.
    """
    widened = constant_array(spread, shape)
    if widened is not None:
        widened = widened * max(1.0, math.sqrt(math.prod(shape)) / INPUT_NORM)
    return InputRule(frozen(constant_array(centre, shape)), frozen(widened), missing)


def visible_head(likelihood: str, shape: tuple[int, ...], centre: Array | None, spread: Array | None) -> Head:
    """The head of p(x | z); a Gaussian one is in units of `spread` around `centre` where a spread is given.

    Raises:
        InputError: no such likelihood.
    """
    found = likelihood_called(likelihood)
    return standardized(found.head(shape), centre, spread) if found.standardizes else found.head(shape)


def standardized(head: Head, centre: Array | None, spread: Array | None) -> Head:
    """A normal head in units of `spread` around `centre`; as it is without a spread."""
    if spread is None:
        return head
    return StandardizedHead(head, jnp.zeros(head.shape, jnp.float32) if centre is None else centre, spread)


def one_layer(
    encoder: Network, code: Head, decoder: Network, visible: Head, inputs: InputRule, spec: ModelSpec, context: int = 0
) -> Model:
    """A model with one latent layer, prior N(0, I).

    Args:
        encoder: network of q.
        code: head of q.
        decoder: network of p.
        visible: head of p.
        inputs: how q takes examples in.
        spec: what rebuilds the model.
        context: how many numbers both networks are given beside.
    """
    prior = StandardNormal(math.prod(code.shape))
    conditioned = context > 0
    generative = Stack((Conditional(decoder, visible, conditioned=conditioned), prior), context)
    return Model(generative, Amortized((Conditional(encoder, code, conditioned=conditioned),), inputs), spec)
