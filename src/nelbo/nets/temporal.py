"""Networks over the time axis of one series."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.core import InputError, choice
from nelbo.nets.dense import ACTIVATIONS, MLP, Dense, Network


class TimeConv(eqx.Module):
    """Convolution along time with zero padding: every frame sees `width` frames around it.

    It is one matrix product over shifted copies: XLA's processor backend trains that faster than a convolution, in
    compiled loops too.

    Args:
        key: for the weights.
        in_size: numbers of a frame.
        out_size: of a frame of the answer.
        width: odd.
    """

    dense: Dense
    width: int = eqx.field(static=True)

    def __init__(self, key: Key[Array, ""], in_size: int, out_size: int, *, width: int = 3) -> None:
        if width < 1 or width % 2 == 0:
            raise InputError(f"A convolution along time is an odd number of frames wide, got {width}.")
        self.dense, self.width = Dense(key, width * in_size, out_size), width

    def __call__(self, x: Float[Array, "n in"]) -> Float[Array, "n out"]:
        """Apply to the frames of one series."""
        side = self.width // 2
        padded = jnp.pad(x, ((side, side), (0, 0)))
        shifted = jnp.concatenate([padded[i : i + len(x)] for i in range(self.width)], -1)
        return shifted @ self.dense.kernel + self.dense.bias[None]


class TemporalNetwork(Network):
    """From the frames of a series to a few numbers for each: convolutions along time, then a perceptron for each frame.

    It serves series of any length. The answer is flat, numbers first, then time, then units.

    Args:
        key: for the weights.
        in_size: numbers of a frame.
        planes: numbers for each unit.
        units: of each frame of the answer.
        convolutions: widths of their layers; () sees each frame alone.
        width: frames that a convolution sees.
        hidden: widths of the perceptron's hidden layers.
        activation: of hidden units.
        irregular: the frames come with their times, and steps between them are inputs too.
    """

    convolutions: tuple[TimeConv, ...]
    frames: MLP
    planes: int = eqx.field(static=True)
    units: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)
    irregular: bool = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        in_size: int,
        planes: int,
        units: int,
        *,
        convolutions: Sequence[int] = (),
        width: int = 3,
        hidden: Sequence[int] = (),
        activation: str = "relu",
        irregular: bool = False,
    ) -> None:
        """All parameters are described above."""
        choice("activation", activation, ACTIVATIONS)
        conv_key, frame_key = jr.split(key)
        sizes = (in_size + 2 * irregular, *convolutions)
        keys = jr.split(conv_key, max(1, len(convolutions)))
        self.convolutions = tuple(
            TimeConv(k, a, b, width=width) for k, a, b in zip(keys, sizes[:-1], sizes[1:], strict=False)
        )
        self.frames = MLP(frame_key, (sizes[-1], *hidden, planes * units), activation=activation)
        self.planes, self.units, self.activation, self.irregular = planes, units, activation, irregular

    def __call__(self, x: Float[Array, "n in"], context: Float[Array, " n"] | None = None) -> Float[Array, " out"]:
        """Apply to one series."""
        h = x
        if self.irregular and context is not None:
            steps = jnp.log1p(jnp.maximum(jnp.diff(context), 0.0))
            ends = jnp.zeros(1, x.dtype)
            h = jnp.concatenate(
                [x, jnp.concatenate([ends, steps])[:, None], jnp.concatenate([steps, ends])[:, None]], -1
            )
        for conv in self.convolutions:
            h = ACTIVATIONS[self.activation](conv(h))
        raw = jax.vmap(self.frames)(h)
        return jnp.ravel(jnp.moveaxis(raw.reshape(len(x), self.planes, self.units), 1, 0))

    @property
    def matrix(self) -> None:
        """It is no matrix."""
        return
