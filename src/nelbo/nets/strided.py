"""Transforms of learned image codecs: 5 x 5 convolutions of stride two, their transposes, divisive normalization.

A convolution of stride two is space-to-depth and a convolution of stride one, its transpose a convolution of stride one
and a pixel shuffle: the same sums, with the weight laid out anew, and several times as fast to train on XLA's processor
backend as its own strided kernels.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.nets.convolution import convolved, depth_to_space, space_to_depth

TAPS = 5  # along each side of a weight
_LEAST_NORM = 1e-6
# of the matrix of a normalization at the start, on its diagonal and beside it
_USUAL, _LINEAR = (0.1, 1e-4), (2e-4, 1e-5)


def laid_down(weight: Float[Array, "5 5 in out"]) -> Float[Array, "3 3 four_in out"]:
    """The weight of a convolution of stride two, for a picture after `space_to_depth`; a tap more is zero."""
    _, _, before, after = weight.shape
    table = jnp.pad(weight, ((0, 1), (0, 1), (0, 0), (0, 0))).reshape(3, 2, 3, 2, before, after)
    return table.transpose(0, 2, 1, 3, 4, 5).reshape(3, 3, 4 * before, after)


def laid_up(weight: Float[Array, "5 5 in out"]) -> Float[Array, "3 3 in four_out"]:
    """The weight of its transpose, whose output goes through `depth_to_space`."""
    _, _, before, after = weight.shape
    table = jnp.pad(weight, ((0, 1), (0, 1), (0, 0), (0, 0))).reshape(3, 2, 3, 2, before, after)[::-1, :, ::-1]
    return table.transpose(0, 2, 4, 1, 3, 5).reshape(3, 3, before, 4 * after)


class Down(eqx.Module):
    """A 5 x 5 convolution of stride two with zeros around: half the height and width.

    Args:
        key: for the weights, of which the sum of squares for each output is `gain` squared.
        before: channels.
        after: channels.
        gain: see `key`.
    """

    weight: Float[Array, "5 5 in out"]
    bias: Float[Array, " out"]

    def __init__(self, key: Key[Array, ""], before: int, after: int, *, gain: float = 1.0) -> None:
        scale = gain / (TAPS**2 * before) ** 0.5
        self.weight = scale * jr.normal(key, (TAPS, TAPS, before, after), jnp.float32)
        self.bias = jnp.zeros(after, jnp.float32)

    def __call__(self, x: Float[Array, "h w in"]) -> Float[Array, "h2 w2 out"]:
        """Apply to one picture, of even sides."""
        return convolved(space_to_depth(x), laid_down(self.weight)) + self.bias[None, None, :]


class Up(eqx.Module):
    """The transpose of such a convolution: twice the height and width.

    Args:
        key: for the weights, as of `Down`: each output has a quarter of the taps.
        before: channels.
        after: channels.
        gain: as of `Down`.
    """

    weight: Float[Array, "5 5 in out"]
    bias: Float[Array, " out"]

    def __init__(self, key: Key[Array, ""], before: int, after: int, *, gain: float = 1.0) -> None:
        scale = gain * 2.0 / (TAPS**2 * before) ** 0.5
        self.weight = scale * jr.normal(key, (TAPS, TAPS, before, after), jnp.float32)
        self.bias = jnp.zeros(after, jnp.float32)

    def __call__(self, x: Float[Array, "h w in"]) -> Float[Array, "h2 w2 out"]:
        """Apply to one picture."""
        return depth_to_space(convolved(x, laid_up(self.weight))) + self.bias[None, None, :]


class DivisiveNorm(eqx.Module):
    """Generalized divisive normalization (Balle, Laparra and Simoncelli 2016), or its approximate inverse.

    y_i = x_i / sqrt(beta_i + sum_j gamma_ij x_j^2); the inverse multiplies by the root. Both are squares of what is
    trained, so they stay positive.

    Args:
        channels: how many.
        inverse: multiply in place of dividing.
        linear: begin near the identity.
    """

    root_beta: Float[Array, " channels"]
    root_gamma: Float[Array, "channels channels"]
    inverse: bool = eqx.field(static=True)

    def __init__(self, channels: int, *, inverse: bool = False, linear: bool = False) -> None:
        self.root_beta = jnp.ones(channels, jnp.float32)
        table = jnp.where(jnp.eye(channels, dtype=bool), *(_LINEAR if linear else _USUAL))
        self.root_gamma = jnp.sqrt(table).astype(jnp.float32)
        self.inverse = inverse

    def __call__(self, x: Float[Array, "h w channels"]) -> Float[Array, "h w channels"]:
        """Apply to one picture; `root_gamma` has a row for each channel that is summed."""
        energy = (x * x) @ (self.root_gamma * self.root_gamma) + (self.root_beta**2)[None, None, :] + _LEAST_NORM
        return x * (jnp.sqrt(energy) if self.inverse else jax.lax.rsqrt(energy))
