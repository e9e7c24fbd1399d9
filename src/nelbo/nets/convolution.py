"""Convolutional pair without strides: space-to-depth, stride-1 convolution, pixel shuffle.

Strided and transposed convolutions train about ten times slower on XLA's CPU backend.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.core import InputError, choice
from nelbo.nets.dense import ACTIVATIONS, Dense, Network, beside, initial_weight


def space_to_depth(x: Float[Array, "h w c"], factor: int = 2) -> Float[Array, "h2 w2 d"]:
    """Move each factor x factor block of pixels into channels."""
    h, w, c = x.shape
    blocks = x.reshape(h // factor, factor, w // factor, factor, c).transpose(0, 2, 1, 3, 4)
    return blocks.reshape(h // factor, w // factor, factor * factor * c)


def depth_to_space(x: Float[Array, "h w d"], factor: int = 2) -> Float[Array, "h2 w2 c"]:
    """Inverse of `space_to_depth` (pixel shuffle)."""
    h, w, d = x.shape
    c = d // (factor * factor)
    blocks = x.reshape(h, w, factor, factor, c).transpose(0, 2, 1, 3, 4)
    return blocks.reshape(h * factor, w * factor, c)


def convolved(x: Float[Array, "h w in"], weight: Float[Array, "kh kw in out"]) -> Float[Array, "h w out"]:
    """A convolution of stride one, with zeros around."""
    return jax.lax.conv_general_dilated(x[None], weight, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))[0]


class Conv(eqx.Module):
    """Stride-1 convolution with zero padding that keeps height and width; channels last."""

    weight: Float[Array, "kh kw in out"]
    bias: Float[Array, " out"]

    def __init__(
        self,
        key: Key[Array, ""],
        in_channels: int,
        out_channels: int,
        *,
        size: int = 3,
        init: str | float | int = "glorot",
    ) -> None:
        shape = (size, size, in_channels, out_channels)
        area = size * size
        self.weight = initial_weight(key, shape, fan_in=area * in_channels, fan_out=area * out_channels, init=init)
        self.bias = jnp.zeros(out_channels, jnp.float32)

    def __call__(self, x: Float[Array, "h w in"]) -> Float[Array, "h w out"]:
        """Apply to one image."""
        return convolved(x, self.weight) + self.bias[None, None, :]


def _padded(shape: tuple[int, int, int], levels: int) -> tuple[int, int]:
    block = 2**levels
    return -(-shape[0] // block) * block, -(-shape[1] // block) * block


def _check_image(shape: Sequence[int], channels: Sequence[int]) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise InputError(
            f"A convolutional network needs examples of shape height x width x channels, got {tuple(shape)}: "
            "reshape the data or use architecture='mlp'."
        )
    if not channels:
        raise InputError("A convolutional network needs at least one number of channels, for example 32,64.")
    return (shape[0], shape[1], shape[2])


class ConvEncoder(Network):
    """Image to vector: per level, halve by space-to-depth and convolve; then one dense layer."""

    convs: tuple[Conv, ...]
    dense: tuple[Dense, ...]
    shape: tuple[int, int, int] = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        shape: Sequence[int],
        channels: Sequence[int],
        out_size: int,
        *,
        hidden: Sequence[int] = (),
        activation: str = "relu",
        init: str | float | int = "glorot",
        context_size: int = 0,
    ) -> None:
        choice("activation", activation, ACTIVATIONS)
        self.shape = _check_image(shape, channels)
        conv_key, dense_key = jr.split(key)
        sizes = (self.shape[2], *channels)
        keys = jr.split(conv_key, len(channels))
        self.convs = tuple(Conv(k, 4 * a, b, init=init) for k, a, b in zip(keys, sizes[:-1], sizes[1:], strict=True))
        h, w = _padded(self.shape, len(channels))
        flat = (h >> len(channels)) * (w >> len(channels)) * channels[-1]
        widths = (flat + context_size, *hidden, out_size)
        dense_keys = jr.split(dense_key, len(widths) - 1)
        self.dense = tuple(
            Dense(k, a, b, init=init) for k, a, b in zip(dense_keys, widths[:-1], widths[1:], strict=True)
        )
        self.activation = activation

    def __call__(self, x: Float[Array, "h w c"], context: Float[Array, " given"] | None = None) -> Float[Array, " out"]:
        """Apply to one image; a context joins behind the convolutions."""
        function = ACTIVATIONS[self.activation]
        h, w = _padded(self.shape, len(self.convs))
        x = jnp.pad(x, ((0, h - self.shape[0]), (0, w - self.shape[1]), (0, 0)))
        for conv in self.convs:
            x = function(conv(space_to_depth(x)))
        y = beside(x, context)
        for layer in self.dense[:-1]:
            y = function(layer(y))
        return self.dense[-1](y)

    @property
    def matrix(self) -> None:
        """None: it is no matrix."""
        return None


class ConvDecoder(Network):
    """Vector to `planes` images of one shape, parameter-major and flat: the mirror of `ConvEncoder`.

    The channels are named from the pixels inwards, as for the encoder.
    """

    convs: tuple[Conv, ...]
    dense: tuple[Dense, ...]
    shape: tuple[int, int, int] = eqx.field(static=True)
    planes: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        in_size: int,
        channels: Sequence[int],
        shape: Sequence[int],
        *,
        planes: int = 1,
        hidden: Sequence[int] = (),
        activation: str = "relu",
        init: str | float | int = "glorot",
    ) -> None:
        choice("activation", activation, ACTIVATIONS)
        self.shape = _check_image(shape, channels)
        self.planes = planes
        dense_key, conv_key = jr.split(key)
        h, w = _padded(self.shape, len(channels))
        flat = (h >> len(channels)) * (w >> len(channels)) * channels[-1]
        widths = (in_size, *hidden, flat)
        dense_keys = jr.split(dense_key, len(widths) - 1)
        self.dense = tuple(
            Dense(k, a, b, init=init) for k, a, b in zip(dense_keys, widths[:-1], widths[1:], strict=True)
        )
        sizes = (*reversed(channels), planes * self.shape[2])
        keys = jr.split(conv_key, len(channels))
        self.convs = tuple(Conv(k, a, 4 * b, init=init) for k, a, b in zip(keys, sizes[:-1], sizes[1:], strict=True))
        self.activation = activation

    def __call__(self, z: Float[Array, " in"], context: Float[Array, " given"] | None = None) -> Float[Array, " out"]:
        """Apply to one vector."""
        function = ACTIVATIONS[self.activation]
        y = beside(z, context)
        for layer in self.dense:
            y = function(layer(y))
        h, w = _padded(self.shape, len(self.convs))
        y = y.reshape(h >> len(self.convs), w >> len(self.convs), -1)
        for i, conv in enumerate(self.convs):
            y = depth_to_space(conv(y))
            y = function(y) if i + 1 < len(self.convs) else y
        y = y[: self.shape[0], : self.shape[1]]
        planes = y.reshape(self.shape[0], self.shape[1], self.planes, self.shape[2])
        return jnp.ravel(planes.transpose(2, 0, 1, 3))

    @property
    def matrix(self) -> None:
        """None: it is no matrix."""
        return None
