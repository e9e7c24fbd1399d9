"""A model family: an auto-encoder whose decoder has a linear path beside its perceptron."""

import math
from collections.abc import Sequence

import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.models import (
    Amortized,
    Conditional,
    Model,
    ModelSpec,
    Stack,
    StandardNormal,
    drawn_at_once,
    input_rule,
    likelihood_head,
    posterior_head,
)
from nelbo.nets import MLP, Network


class Skip(Network):
    """A perceptron plus a matrix.

    Args:
        deep: the perceptron.
        straight: the matrix.
    """

    deep: MLP
    straight: MLP

    def __call__(self, x: Float[Array, "..."], context: Float[Array, " given"] | None = None) -> Float[Array, " out"]:
        """The sum of both."""
        return self.deep(x, context) + self.straight(x, context)

    @property
    def matrix(self) -> None:
        """None: it is no matrix."""
        return None


@drawn_at_once
def skip(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    latents: int = 2,
    hidden: Sequence[int] = (16,),
    likelihood: str = "geometric",
    centre: Array | bool = False,
    spread: Array | bool = False,
) -> Model:
    """Auto-encoder with a linear path around its decoder.

    Args:
        key: for the weights.
        shape: of one example.
        latents: how many.
        hidden: widths of the hidden layers.
        likelihood: of the data given the latents.
        centre: the training data's mean, subtracted from what the recognition model sees.
        spread: the training data's standard deviation, by which that is divided.
    """
    shape, hidden, size = tuple(shape), tuple(hidden), math.prod(shape)
    deep_key, straight_key, encoder_key = jr.split(key, 3)
    visible, code = likelihood_head(likelihood, shape), posterior_head("diagonal", latents)
    decoder = Skip(
        MLP(deep_key, (latents, *hidden, visible.size)),
        MLP(straight_key, (latents, visible.size)),
    )
    encoder = Conditional(MLP(encoder_key, (size, *hidden, code.size)), code)
    inputs = input_rule("zero", shape, centre=centre, spread=spread)
    flags = {"centre": inputs.centre is not None, "spread": inputs.spread is not None}
    spec = ModelSpec.of("skip", shape=shape, latents=latents, hidden=hidden, likelihood=likelihood, **flags)
    generative = Stack((Conditional(decoder, visible), StandardNormal(latents)))
    return Model(generative, Amortized((encoder,), inputs), spec)
