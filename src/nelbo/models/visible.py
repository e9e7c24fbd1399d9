"""Models without latents, whose log p(x) is exact: NADE and the mixture of Bernoullis.

One node, x given nothing, and a recognition model with no layers: log w of any draw is log p(x), so every objective,
score and codec takes them as they are.
"""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.core import InputError
from nelbo.models.heads import BernoulliMixtureHead, Head, NadeHead
from nelbo.models.layers import Unconditional
from nelbo.models.parts import constant_array, drawn_at_once, log_odds, positive
from nelbo.models.recognition import Amortized
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model, Stack


def visible(raw: Float[Array, " raw"], head: Head, spec: ModelSpec | None = None) -> Model:
    """A model of the example alone: `head` with the trained parameters `raw`, and no latents."""
    return Model(Stack((Unconditional(raw, head),)), Amortized(()), spec)


@drawn_at_once
def nade(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    hidden: Sequence[int] = (500,),
    order: str | int = "raster",
    init: str | float | int = "glorot",
    centre: Array | bool = False,
) -> Model:
    """Neural autoregressive distribution estimator of binary data, without latents (Larochelle and Murray 2011).

    Each entry depends on those before it through one layer of hidden units; log p(x) is exact [nats].

    Args:
        key: for the weights.
        shape: of one example.
        hidden: how many hidden units, as a list of one.
        order: of the entries: "raster", that of the flattened example; or a whole number, the seed of a random one.
        init: "glorot", or a standard deviation.
        centre: the training data's mean, at whose log odds the output biases start; `True` leaves them to be filled
            from a file.

    Raises:
        InputError: more than one hidden layer, an unknown order, or a size that makes no sense.
    """
    shape, hidden = positive("shape", shape), positive("hidden", hidden)
    if len(hidden) != 1:
        raise InputError(f"NADE has one hidden layer, got {list(hidden)}: give one size with hidden.")
    if isinstance(order, str) and order != "raster":
        raise InputError(f"The order of the entries must be 'raster' or the seed of a random one, got {order!r}.")
    if not isinstance(order, str) and not 0 <= order < 2**32:
        raise InputError(f"The seed of the order must be a whole number from 0 to 2^32 - 1, got {order}.")
    places = None if isinstance(order, str) else jr.permutation(jr.key(order), math.prod(shape))
    mean = constant_array(centre, shape)
    head = NadeHead(key, shape, hidden[0], init=init, order=places)
    spec = ModelSpec.of("nade", shape=shape, hidden=hidden, order=order, init=init, centre=mean is not None)
    return visible(log_odds(mean, shape), head, spec)


@drawn_at_once
def mixture(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    components: int = 500,
    init: float | int = 0.1,
    centre: Array | bool = False,
) -> Model:
    """Mixture of products of Bernoullis over binary data, without latents; log p(x) is exact (Bishop 2006, 9.3.3).

    Missing entries are summed out exactly.

    Args:
        key: for the components.
        shape: of one example.
        components: how many.
        init: standard deviation of the components' logits at the start; components that start alike stay alike.
        centre: the training data's mean, around whose log odds the components start; `True` leaves them to be filled
            from a file.

    Raises:
        InputError: a size that makes no sense, or an `init` that is not positive.
    """
    shape, (components,) = positive("shape", shape), positive("components", (components,))
    if not 0.0 < init < math.inf:
        raise InputError(f"init of a mixture must be a positive standard deviation, got {init}.")
    mean = constant_array(centre, shape)
    # rows, not pictures: XLA's CPU backend is several times slower on height x width x channels
    logits = log_odds(mean, shape)[:, None] + init * jr.normal(key, (math.prod(shape), components), jnp.float32)
    spec = ModelSpec.of("mixture", shape=shape, components=components, init=init, centre=mean is not None)
    return visible(jnp.zeros(components, jnp.float32), BernoulliMixtureHead(components=logits, shape=shape), spec)
