"""Transforms of learned image codecs: 5 x 5 convolutions of stride two, their transposes, divisive normalization.

A convolution of stride two is a sum of convolutions of stride one, one for each of the four pixels of a square of
2 x 2, which has nine, six, six and four of the 25 taps; its transpose makes each of the four by a convolution of its
own. Of few channels it is quicker to do all four at once, after space-to-depth or before a pixel shuffle, though eleven
taps more are zero. Either way these are the same sums, faster to train on XLA's processor backend than its strided
kernels (`benchmarks/codec_step.py` measures the whole step).
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.nets.convolution import convolved, depth_to_space, space_to_depth

TAPS = 5  # along each side of a weight
_FEW = 16  # channels, below which all four pixels of a square are done at once
_LEAST_NORM = 1e-6
# of the matrix of a normalization at the start, on its diagonal and beside it
_USUAL, _LINEAR = (0.1, 1e-4), (2e-4, 1e-5)


def _each(
    x: Float[Array, "h w in"], weight: Float[Array, "kh kw in out"], around: tuple[tuple[int, int], tuple[int, int]]
) -> Float[Array, "h w out"]:
    """A convolution of stride one with so many zeros before and after, which keeps height and width."""
    return jax.lax.conv_general_dilated(x[None], weight, (1, 1), around, dimension_numbers=("NHWC", "HWIO", "NHWC"))[0]


def strided(x: Float[Array, "h w in"], weight: Float[Array, "5 5 in out"]) -> Float[Array, "h2 w2 out"]:
    """The convolution of stride two of a picture of even sides, with zeros around."""
    height, width, channels = x.shape
    if channels < _FEW:
        return convolved(space_to_depth(x), laid_down(weight))
    squares = x.reshape(height // 2, 2, width // 2, 2, channels)
    parts = [_each(squares[:, p, :, q], weight[p::2, q::2], ((1, 1 - p), (1, 1 - q))) for p in (0, 1) for q in (0, 1)]
    return parts[0] + parts[1] + parts[2] + parts[3]


def transposed(x: Float[Array, "h w in"], weight: Float[Array, "5 5 in out"]) -> Float[Array, "h2 w2 out"]:
    """The transpose of `strided`, with input and output channels in the same places of the weight."""
    height, width, _ = x.shape
    if weight.shape[3] < _FEW:
        return depth_to_space(convolved(x, laid_up(weight)))
    rows = [
        jnp.stack([_each(x, weight[p::2, q::2][::-1, ::-1], ((1 - p, 1), (1 - q, 1))) for q in (0, 1)], axis=2)
        for p in (0, 1)
    ]
    return jnp.stack(rows, axis=1).reshape(2 * height, 2 * width, weight.shape[3])


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
        return strided(x, self.weight) + self.bias[None, None, :]


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
        return transposed(x, self.weight) + self.bias[None, None, :]


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def divided(
    x: Float[Array, "pixels channels"],
    gamma: Float[Array, "channels channels"],
    beta: Float[Array, " channels"],
    power: float,
) -> Float[Array, "pixels channels"]:
    """Entries times a power of beta + x^2 gamma: -1/2 to normalize, 1/2 for the way back.

    Its derivative is written by hand: differentiating the formula takes half as long again.
    """
    return _divided(x, gamma, beta, power)[0]


def _divided(x: Array, gamma: Array, beta: Array, power: float) -> tuple[Array, tuple[Array, ...]]:
    energy = (x * x) @ gamma + beta[None, :]
    factor = jax.lax.rsqrt(energy) if power < 0 else jnp.sqrt(energy)
    return x * factor, (x, gamma, energy, factor)


def _divided_slopes(power: float, kept: tuple[Array, ...], slope: Array) -> tuple[Array, Array, Array]:
    x, gamma, energy, factor = kept
    inner = power * slope * x * factor / energy
    return slope * factor + 2.0 * x * (inner @ gamma.T), (x * x).T @ inner, inner.sum(0)


divided.defvjp(_divided, _divided_slopes)


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
        beta, gamma = self.root_beta**2 + _LEAST_NORM, self.root_gamma**2
        found = divided(x.reshape(-1, x.shape[-1]), gamma, beta, 0.5 if self.inverse else -0.5)
        return found.reshape(x.shape)  # pyright: ignore[reportAttributeAccessIssue]
