"""Detection of novel examples by learned transformations, NeuTraL AD."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Key

from nelbo.core import InputError, choice
from nelbo.distributions import column_widths
from nelbo.models.parts import constant_array, drawn_at_once, frozen, positive
from nelbo.models.recognition import Amortized, InputRule
from nelbo.models.scored import ScoreLayer
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model, Stack
from nelbo.nets import initial_weight


@drawn_at_once
def neutral_ad(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    transformations: int = 11,
    hidden: Sequence[int] = (24, 24, 24, 24, 24),
    inner: int = 24,
    transformation: str = "multiplicative",
    temperature: float | int = 0.1,
    kinds: Sequence[str] = (),
    missing: str = "mean",
    init: str | float | int = "glorot",
    centre: Array | bool = False,
    spread: Array | bool = False,
) -> Model:
    """Neural transformation learning for anomaly detection: a novelty score without a density (Qiu et al. 2021).

    Transformations of a row are trained together with an encoder, so that each transformed row stays close to the row
    and can be told from the other transformed ones. The score is how badly this works; it is high for rows unlike those
    of training. Takes rows of a table with columns of any kinds, or arrays of any shape (a series of
    `(time, channels)`, say), which are flattened.

    Args:
        key: for the weights.
        shape: of one row, a column of words counting as many entries as it has words.
        transformations: number of transformations, at least two.
        hidden: widths of the encoder's layers; the last is the size of the code.
        inner: hidden units of each transformation.
        transformation: "multiplicative" (masks between zero and one), or "residual".
        temperature: by which similarities are divided.
        kinds: of the columns of a table, see the model `table`; () makes all of them real.
        missing: what a missing entry becomes: "mean" (that of the training data), or "mask" (the mean, and the mask as
            additional inputs).
        init: "glorot", or a standard deviation.
        centre: the training data's mean of each entry (of its logarithm, where it is positive); `True` leaves its
            place to be filled from a file.
        spread: the training data's standard deviation; the same.

    Raises:
        InputError: an unknown name, or a size that makes no sense.
    """
    shape, hidden = positive("shape", shape), positive("hidden", hidden)
    (transformations, inner) = positive("transformations and inner", (transformations, inner))
    choice("transformation", transformation, ("residual", "multiplicative"))
    choice("rule for missing entries", missing, ("mean", "mask"))
    if transformations < 2 or not temperature > 0:
        raise InputError(
            f"NeuTraL AD needs at least two transformations and a positive temperature, got {transformations} and "
            f"{temperature}."
        )
    kinds = tuple(kinds)
    logs = tuple(name == "positive" for name, width in column_widths(kinds) for _ in range(width))
    moments = {"centre": constant_array(centre, shape), "spread": constant_array(spread, shape)}
    flat = {name: None if value is None else jnp.ravel(value) for name, value in moments.items()}
    middle = jnp.zeros(math.prod(shape), jnp.float32) if flat["centre"] is None else flat["centre"]
    inputs = InputRule(frozen(middle), frozen(flat["spread"]), missing, logs)
    (size,) = inputs.shape((math.prod(shape),))
    down_key, shift_key, up_key, *keys = jr.split(key, 3 + len(hidden))
    fans = {"init": init, "fan_in": size, "fan_out": inner}
    down = initial_weight(down_key, (transformations, size, inner), **fans)
    up = initial_weight(up_key, (transformations, inner, size), **fans)
    sizes = (size, *hidden)
    encoder = tuple(
        initial_weight(k, sizes[i : i + 2], fan_in=sizes[i], fan_out=sizes[i + 1], init=init)
        for i, k in enumerate(keys)
    )
    shift = jr.normal(shift_key, (transformations, inner), jnp.float32)
    layer = ScoreLayer(inputs, down, shift, up, encoder, transformation, float(temperature), shape)
    own = {"transformations": transformations, "hidden": hidden, "inner": inner, "transformation": transformation}
    own |= {"temperature": temperature, "kinds": kinds, "missing": missing, "init": init}
    given = {name: value is not None for name, value in moments.items()}
    return Model(Stack((layer,)), Amortized(()), ModelSpec.of("neutral-ad", shape=shape, **own, **given))
