"""Latents of an image codec: bands of coefficients, each coded given all coarser ones, in the whole picture at once.

The coefficients of a lapped transform are divided by the step and rounded. The lowest one of each block is transformed
once more over 4 x 4 blocks. Bands follow each other from low to high frequencies; a band's location and scale come
from small networks that see the magnitudes of all earlier bands in a neighbourhood, so nothing is sent about them, and
a band is one call of networks and coder, whatever the picture's size. (A hyperprior in the sense of Balle et al. 2018
that costs no bits: what is decoded already takes the place of side information, as in Minnen and Singh 2020.)
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.distributions import UnitMass
from nelbo.models.layers import Context, Latents, Layer, Reads
from nelbo.nets import Conv, depth_to_space, initial_weight, space_to_depth
from nelbo.priors import COARSE, COLOURS, FALL, LESS, LOWEST, coarse_basis, image_bands, log_spread

LOG_SCALES = (-5.0, 10.0)  # log2 of scales, in steps
NEIGHBOURS = tuple((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j)


def coarse(lowest: Float[Array, "rows columns colours"]) -> Float[Array, "rows4 columns4 d"]:
    """The lowest coefficients of 4 x 4 blocks, transformed: frequencies first, then colours."""
    grouped = space_to_depth(lowest, COARSE).reshape(lowest.shape[0] // COARSE, lowest.shape[1] // COARSE, 16, -1)
    basis = jnp.asarray(coarse_basis(), lowest.dtype)
    return jnp.einsum("fp,ijpc->ijfc", basis, grouped).reshape(*grouped.shape[:2], -1)


def from_coarse(y: Float[Array, "rows4 columns4 d"]) -> Float[Array, "rows columns colours"]:
    """Undo `coarse`."""
    basis = jnp.asarray(coarse_basis(), y.dtype)
    grouped = jnp.einsum("fp,ijfc->ijpc", basis, y.reshape(*y.shape[:2], COARSE**2, -1))
    return depth_to_space(grouped.reshape(*y.shape[:2], -1), COARSE)


def differences(lowest: Float[Array, "rows columns colours"]) -> Float[Array, "rows columns d"]:
    """What the eight neighbours of each block have more than itself; at borders the picture goes on as it ends."""
    rows, columns = lowest.shape[:2]
    padded = jnp.pad(lowest, ((1, 1), (1, 1), (0, 0)), mode="edge")
    around = [padded[1 + i : 1 + i + rows, 1 + j : 1 + j + columns] - lowest for i, j in NEIGHBOURS]
    return jnp.concatenate(around, axis=-1)


def magnitude(y: Float[Array, "*d"]) -> Float[Array, "*d"]:
    """log2(1 + |y|), as networks see coefficients."""
    return jnp.log2(1.0 + jnp.abs(y))


class LowestBand(Layer):
    """p of the coarse transform of the lowest coefficients: independent, each with a scale of its own.

    Args:
        form: "normal" or "logistic".
        extent: rows and columns of squares of 4 x 4 blocks.
    """

    log_scale: Float[Array, " coefficients"]
    form: str = eqx.field(static=True)
    extent: tuple[int, int] = eqx.field(static=True)
    reads: ClassVar[Reads] = Reads.NONE
    conditioned: ClassVar[bool] = True
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    def __init__(self, form: str, extent: tuple[int, int]) -> None:
        frequency, colour = np.divmod(np.arange(COARSE**2 * COLOURS), COLOURS)
        radius = (frequency // COARSE + frequency % COARSE) / COARSE
        start = LOWEST - FALL * np.log2(np.maximum(radius, 0.125)) - LESS[colour]
        self.log_scale = jnp.asarray(start, jnp.float32)
        self.form, self.extent = form, extent

    def __call__(self, parents: Latents, context: Context = None) -> UnitMass:
        """The distribution, for the step whose log2 is the context."""
        del parents
        scale = jnp.exp2(jnp.clip(self.log_scale - jnp.asarray(context)[0], *LOG_SCALES))
        shape = (*self.extent, scale.size)
        return UnitMass(jnp.zeros(shape, jnp.float32), jnp.broadcast_to(scale[None, None, :], shape), self.form)


class Band(Layer):
    """p of the coefficients of a band given all coarser ones.

    Args:
        key: for the weights.
        size: of a block.
        number: of the band, from 1.
        hidden: units for each block.
        form: "normal" or "logistic".
    """

    enter: Float[Array, "inputs hidden"]
    enter_bias: Float[Array, " hidden"]
    mix: Conv
    leave: Float[Array, "both outputs"]
    leave_bias: Float[Array, " outputs"]
    slope: Float[Array, "differences outputs"]
    form: str = eqx.field(static=True)
    reads: ClassVar[Reads] = Reads.ALL
    conditioned: ClassVar[bool] = True
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    def __init__(self, key: Key[Array, ""], size: int, number: int, hidden: int, form: str) -> None:
        every = image_bands(size)
        around = COLOURS * len(NEIGHBOURS)
        inputs = 1 + around + sum(part.size for part in every[1:number])
        outputs = every[number].size
        enter_key, mix_key = jr.split(key)
        self.enter = initial_weight(enter_key, (inputs, hidden), fan_in=inputs, fan_out=hidden, init="glorot")
        self.enter_bias = jnp.zeros(hidden, jnp.float32)
        self.mix = Conv(mix_key, hidden, hidden)
        self.leave = jnp.zeros((2 * hidden, outputs), jnp.float32)
        self.leave_bias = jnp.asarray(log_spread(size, every[number]), jnp.float32)
        self.slope = jnp.zeros((around, outputs), jnp.float32)
        self.form = form

    def __call__(self, parents: Latents, context: Context = None) -> UnitMass:
        """The distribution of `(rows, columns, coefficients)`, nearest parent the band before."""
        step = jnp.asarray(context)[0]
        around = differences(from_coarse(parents[-1]))
        seen = [magnitude(around), *(magnitude(band) for band in parents[-2::-1])]
        level = jnp.broadcast_to(step, (*around.shape[:2], 1))
        inputs = jnp.concatenate([level, *seen], axis=-1)
        own = jnp.maximum(inputs @ self.enter + self.enter_bias[None, None, :], 0.0)
        both = jnp.concatenate([own, jnp.maximum(self.mix(own), 0.0)], axis=-1)
        log_scale = both @ self.leave + self.leave_bias[None, None, :] - step
        return UnitMass(around @ self.slope, jnp.exp2(jnp.clip(log_scale, *LOG_SCALES)), self.form)
