"""Networks that read the frames of a series: features of frames, and from these codes of the series and of frames."""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.nets.convolution import ConvEncoder
from nelbo.nets.dense import MLP, Dense, Network
from nelbo.nets.recurrent import BothWays, Recurrent


class FrameEncoder(eqx.Module):
    """Features of each frame by one network: convolutions of pictures, a perceptron of other frames.

    A frame of which nothing is there has no features; whether it is there is one number more behind them.

    Args:
        key: for the weights.
        frame: shape of one frame as it is seen.
        channels: of the convolutions.
        hidden: widths of hidden layers.
        size: how many features.
        activation: of hidden units.
    """

    network: Network

    def __init__(
        self, key: Key[Array, ""], frame: tuple[int, ...], size: int, *, channels: Sequence[int],
        hidden: Sequence[int], activation: str,
    ) -> None:  # fmt: skip
        if len(frame) == 3:
            self.network = ConvEncoder(key, frame, channels, size, hidden=hidden, activation=activation)
        else:
            self.network = MLP(key, (math.prod(frame), *hidden, size), activation=activation)

    def __call__(self, x: Float[Array, "n *frame"], there: Float[Array, " n"]) -> Float[Array, "n more"]:
        """Apply to the frames of one series.

        Args:
            x: as they are seen.
            there: one for each frame of which something is there, else zero.
        """
        features = jax.vmap(self.network)(x) * there[:, None]
        return jnp.concatenate([features, there[:, None]], -1)


class SeriesCode(Network):
    """From the features of frames to numbers of the whole series.

    Args:
        key: for the weights.
        size: features of a frame, with that which says whether it is there.
        state_size: of the recurrent networks.
        out: how many numbers.
        pooled: by the mean of the features of the frames that are there, whatever their order, and a perceptron;
            else by recurrent networks from both ends (Li and Mandt 2018).
        hidden: widths of the perceptron's hidden layers.
        activation: of its hidden units.
    """

    both: BothWays | None
    out: MLP

    def __init__(
        self, key: Key[Array, ""], size: int, state_size: int, out: int, *, pooled: bool, hidden: Sequence[int],
        activation: str,
    ) -> None:  # fmt: skip
        both_key, out_key = jr.split(key)
        self.both = None if pooled else BothWays(both_key, size, state_size)
        sizes = (size - 1, *hidden, out) if pooled else (2 * state_size, out)
        self.out = MLP(out_key, sizes, activation=activation)

    def __call__(
        self, x: Float[Array, "n size"], context: Float[Array, " given"] | None = None
    ) -> Float[Array, " out"]:
        """Apply to the features of one series."""
        del context
        if self.both is not None:
            return self.out(self.both.ends(x))
        return self.out(x[:, :-1].sum(0) / jnp.maximum(x[:, -1].sum(), 1.0))

    @property
    def matrix(self) -> None:
        """It is no matrix."""
        return


class FrameCodes(eqx.Module):
    """From the features of frames, and maybe a code of the series, to numbers of each frame: numbers, time, units.

    Args:
        key: for the weights.
        size: features of a frame.
        static: numbers of the code of the series, which every frame is given; 0: each frame is seen alone, by a
            perceptron, else recurrent networks run over them, from both ends and then forward (Li and Mandt 2018).
        state_size: of the recurrent networks, or units of the hidden layer.
        planes: numbers of each unit.
        units: of each frame.
        activation: of the hidden layer.
    """

    both: BothWays | None
    forward: Recurrent | None
    out: MLP | Dense
    planes: int = eqx.field(static=True)

    def __init__(
        self, key: Key[Array, ""], size: int, state_size: int, units: int, *, static: int, planes: int,
        activation: str,
    ) -> None:  # fmt: skip
        both_key, forward_key, out_key = jr.split(key, 3)
        self.planes, out = planes, planes * units
        if static:
            self.both = BothWays(both_key, size + static, state_size)
            self.forward = Recurrent(forward_key, 2 * state_size, state_size)
            self.out = Dense(out_key, state_size, out)
        else:
            self.both = self.forward = None
            self.out = MLP(out_key, (size, state_size, out), activation=activation)

    def __call__(self, x: Float[Array, "n size"], static: Float[Array, " static"] | None) -> Float[Array, " out"]:
        """Apply to the features of one series."""
        h = x
        if self.both is not None and self.forward is not None and static is not None:
            h = jnp.concatenate([x, jnp.broadcast_to(static[None], (len(x), len(static)))], -1)
            h = self.forward(self.both(h))
        raw = jax.vmap(self.out)(h)
        return jnp.ravel(jnp.moveaxis(raw.reshape(len(x), self.planes, -1), 1, 0))
