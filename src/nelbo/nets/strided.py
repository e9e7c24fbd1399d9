"""Transforms of learned image codecs: 5 x 5 convolutions of stride two, their transposes, divisive normalization.

XLA's processor backend is fast at a strided convolution and at the derivative by its weights, and slow at the
derivative by its input, which is a transposed convolution; of this one it is slow at everything. So both are written
here in terms of three sums that it is fast at, and their derivatives in terms of each other. The transpose makes each
of the four pixels of a square of 2 x 2 by a convolution of its own, with nine, six, six and four of the 25 taps. Of few
channels it is quicker to make all four at once, before a pixel shuffle, though eleven taps more are zero.
`benchmarks/codec_step.py` measures the whole step.
"""

import functools
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.nets.convolution import convolved, depth_to_space

TAPS = 5  # along each side of a weight
_FEW = 16  # channels, below which all four pixels of a square are done at once
_MOST_APART = 16  # examples that are computed one after the other
_LEAST_NORM = 1e-6
# of the matrix of a normalization at the start, on its diagonal and beside it
_USUAL, _LINEAR = (0.1, 1e-4), (2e-4, 1e-5)


def _each(
    x: Float[Array, "h w in"], weight: Float[Array, "kh kw in out"], around: tuple[tuple[int, int], tuple[int, int]]
) -> Float[Array, "h w out"]:
    """A convolution of stride one with so many zeros before and after, which keeps height and width."""
    return jax.lax.conv_general_dilated(x[None], weight, (1, 1), around, dimension_numbers=("NHWC", "HWIO", "NHWC"))[0]


def _one_by_one(function: Callable[..., Array]) -> Callable[..., Array]:
    """The function, whose batches are computed one example after the other on processors, if they are few.

    XLA computes a convolution on one core, and those that do not wait for each other side by side; and what it makes of
    the weights' slopes of a batch takes twice as long as that of each example.
    """
    each = jax.custom_batching.custom_vmap(function)

    @each.def_vmap
    def batch(size: int, batched: Sequence[bool], *given: Array) -> tuple[Array, bool]:
        if size > _MOST_APART or jax.default_backend() != "cpu":
            return jax.vmap(function, tuple(0 if one else None for one in batched), axis_size=size)(*given), True
        rows = [[value[i] if one else value for value, one in zip(given, batched, strict=True)] for i in range(size)]
        return jnp.stack([each(*row) for row in rows]), True

    return each


@_one_by_one
def _summed(x: Float[Array, "h w in"], weight: Float[Array, "5 5 in out"]) -> Float[Array, "h2 w2 out"]:
    around = ((TAPS // 2, TAPS // 2), (TAPS // 2, TAPS // 2))
    return jax.lax.conv_general_dilated(x[None], weight, (2, 2), around, dimension_numbers=("NHWC", "HWIO", "NHWC"))[0]


@_one_by_one
def _spread(x: Float[Array, "h w in"], weight: Float[Array, "5 5 in out"]) -> Float[Array, "h2 w2 out"]:
    height, width, _ = x.shape
    if weight.shape[3] < _FEW:
        return depth_to_space(convolved(x, laid_up(weight)))
    rows = [
        jnp.stack([_each(x, weight[p::2, q::2][::-1, ::-1], ((1 - p, 1), (1 - q, 1))) for q in (0, 1)], axis=2)
        for p in (0, 1)
    ]
    return jnp.stack(rows, axis=1).reshape(2 * height, 2 * width, weight.shape[3])


@_one_by_one
def _products(x: Float[Array, "h w in"], y: Float[Array, "h2 w2 out"]) -> Float[Array, "5 5 in out"]:
    """The slope of the sum of `y` times the convolution of stride two of `x`, by its weight."""
    weight = jnp.zeros((TAPS, TAPS, x.shape[-1], y.shape[-1]), x.dtype)
    return jax.linear_transpose(lambda weight: _summed.fun(x, weight), weight)(y)[0]


@jax.custom_vjp
def strided(x: Float[Array, "h w in"], weight: Float[Array, "5 5 in out"]) -> Float[Array, "h2 w2 out"]:
    """The convolution of stride two of a picture of even sides, with zeros around."""
    return _summed(x, weight)


@jax.custom_vjp
def transposed(x: Float[Array, "h w in"], weight: Float[Array, "5 5 in out"]) -> Float[Array, "h2 w2 out"]:
    """The transpose of `strided`, with input and output channels in the same places of the weight."""
    return _spread(x, weight)


def _swapped(weight: Float[Array, "5 5 in out"]) -> Float[Array, "5 5 out in"]:
    return weight.swapaxes(2, 3)


strided.defvjp(
    lambda x, weight: (_summed(x, weight), (x, weight)),
    lambda kept, slope: (_spread(slope, _swapped(kept[1])), _products(kept[0], slope)),
)
transposed.defvjp(
    lambda x, weight: (_spread(x, weight), (x, weight)),
    lambda kept, slope: (_summed(slope, _swapped(kept[1])), _swapped(_products(slope, kept[0]))),
)


def laid_up(weight: Float[Array, "5 5 in out"]) -> Float[Array, "3 3 in four_out"]:
    """The weight of a convolution of stride one that makes all four pixels of each square, before `depth_to_space`."""
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
    return x * factor, (x, gamma, factor)


def _divided_slopes(power: float, kept: tuple[Array, ...], slope: Array) -> tuple[Array, Array, Array]:
    x, gamma, factor = kept
    # power times the factor over the energy, without keeping the energy too
    inner = slope * x * (-0.5 * factor**3 if power < 0 else 0.5 / factor)
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
