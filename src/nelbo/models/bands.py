"""Latents of an image codec: bands of coefficients, each coded given all coarser ones, in the whole picture at once.

The coefficients of a lapped transform are divided by the step and rounded. The lowest one of each block is transformed
once more over squares of 4 x 4 blocks. Bands follow each other from low to high frequencies, those of the squares
first; a band's location and scale come from small networks that see the magnitudes of all earlier bands of its grid in
a neighbourhood, so nothing is sent about them. (A hyperprior in the sense of Balle et al. 2018 that costs no bits: what
is decoded already takes the place of side information, as in Minnen and Singh 2020.) Inside a band every other block
comes first, as on a chess board, and the others see their four neighbours' numbers of the same band (the two passes of
He et al. 2021, "Checkerboard context model"). So a band is two calls of networks and coder, of pictures of any size.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as nd
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

from nelbo.distributions import UnitMass
from nelbo.models.layers import Context, Latents, Layer, Reads
from nelbo.nets import Conv, depth_to_space, initial_weight, space_to_depth
from nelbo.priors import (
    COARSE,
    COLOURS,
    coarse_bands,
    coarse_basis,
    coarse_log_spread,
    image_bands,
    log_spread,
    typical_logs,
)

LOG_SCALES = (-5.0, 10.0)  # log2 of scales, in steps
LEAST_OF_SQUARES = -4.0  # those of squares are never so small that nothing is coded
LEVEL = 4.5  # log2 of a middling step
NEIGHBOURS = tuple((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j)
AROUND = COLOURS * len(NEIGHBOURS)  # differences that a network is given


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


def lowest_of(squares: Latents) -> Float[Array, "rows columns colours"]:
    """The lowest coefficients of blocks from the bands of the squares, the coarsest last."""
    order = np.argsort(np.concatenate(coarse_bands()))
    return from_coarse(jnp.concatenate(squares[::-1], axis=-1)[..., order])


def differences(lowest: Float[Array, "rows columns colours"]) -> Float[Array, "rows columns d"]:
    """What the eight neighbours of each block have more than itself; at borders the picture goes on as it ends."""
    rows, columns = lowest.shape[:2]
    padded = jnp.pad(lowest, ((1, 1), (1, 1), (0, 0)), mode="edge")
    around = [padded[1 + i : 1 + i + rows, 1 + j : 1 + j + columns] - lowest for i, j in NEIGHBOURS]
    return jnp.concatenate(around, axis=-1)


def magnitude(y: Float[Array, "*d"]) -> Float[Array, "*d"]:
    """log2(1 + |y|), as networks see coefficients."""
    return jnp.log2(1.0 + jnp.abs(y))


def odd_places(rows: int, columns: int) -> np.ndarray:
    """Which blocks come second, `(rows, columns, 1)` bool."""
    return np.add.outer(np.arange(rows), np.arange(columns))[..., None] % 2 == 1


def beside(y: Float[Array, "rows columns d"]) -> Float[Array, "rows columns both"]:
    """Sums of the two neighbours above and below each block, then of those left and right; zero beyond the border."""
    padded = jnp.pad(y, ((1, 1), (1, 1), (0, 0)))
    upright = padded[:-2, 1:-1] + padded[2:, 1:-1]
    return jnp.concatenate([upright, padded[1:-1, :-2] + padded[1:-1, 2:]], axis=-1)


def within(log_scale: Float[Array, "*d"], least: float) -> Float[Array, "*d"]:
    """log2 of scales within their bounds; gradients pass, so that one out of bounds comes back."""
    return log_scale + jax.lax.stop_gradient(jnp.clip(log_scale, least, LOG_SCALES[1]) - log_scale)


class LowestBand(Layer):
    """p of the lowest coefficients of squares: independent, each with a scale of its own.

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
        self.log_scale = jnp.asarray(coarse_log_spread(coarse_bands()[0]), jnp.float32)
        self.form, self.extent = form, extent

    def __call__(self, parents: Latents, context: Context = None) -> UnitMass:
        """The distribution, for the step whose log2 is the context."""
        del parents
        scale = jnp.exp2(within(self.log_scale - jnp.asarray(context)[0], LEAST_OF_SQUARES))
        shape = (*self.extent, scale.size)
        return UnitMass(jnp.zeros(shape, jnp.float32), jnp.broadcast_to(scale[None, None, :], shape), self.form)


class Band(Layer):
    """p of the coefficients of a band given all coarser ones.

    Args:
        key: for the weights.
        size: of a block.
        number: of the band on its grid.
        hidden: units for each block.
        form: "normal" or "logistic".
        of_squares: whether it is one of the coarse grid's.
    """

    enter: Float[Array, "inputs hidden"]
    enter_bias: Float[Array, " hidden"]
    mix: Conv
    beside: Float[Array, "neighbours hidden"]
    beside_bias: Float[Array, " hidden"]
    leave: Float[Array, "both outputs"]
    leave_bias: Float[Array, " outputs"]
    slope: Float[Array, "differences outputs"]
    form: str = eqx.field(static=True)
    size: int = eqx.field(static=True)
    number: int = eqx.field(static=True)
    of_squares: bool = eqx.field(static=True)
    reads: ClassVar[Reads] = Reads.ALL
    conditioned: ClassVar[bool] = True
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    def __init__(
        self, key: Key[Array, ""], size: int, number: int, hidden: int, form: str, *, of_squares: bool
    ) -> None:
        places = (coarse_bands() if of_squares else image_bands(size))[number]
        start = coarse_log_spread(places) if of_squares else log_spread(size, places)
        inputs, outputs = 1 + typical_logs(size, number, of_squares=of_squares).size, places.size
        enter_key, mix_key, beside_key = jr.split(key, 3)
        self.enter = initial_weight(enter_key, (inputs, hidden), fan_in=inputs, fan_out=hidden, init="glorot")
        self.enter_bias = jnp.zeros(hidden, jnp.float32)
        self.mix = Conv(mix_key, hidden, hidden)
        fans = {"fan_in": 2 * outputs, "fan_out": hidden}
        self.beside = initial_weight(beside_key, (2 * outputs, hidden), **fans, init="glorot")
        self.beside_bias = jnp.zeros(hidden, jnp.float32)
        self.leave = jnp.zeros((2 * hidden, outputs), jnp.float32)
        self.leave_bias = jnp.asarray(start, jnp.float32)
        self.slope = jnp.zeros((AROUND, outputs), jnp.float32)
        self.form, self.size, self.number, self.of_squares = form, size, number, of_squares

    def __call__(self, parents: Latents, context: Context = None) -> "BandMass":
        """The distribution of `(rows, columns, coefficients)`, nearest parent the band before."""
        step = jnp.asarray(context)[0]
        if self.of_squares:
            lowest, before = parents[-1], parents[:-1]
        else:
            count = len(coarse_bands())
            lowest, before = lowest_of(parents[-count:]), parents[:-count]
        around = differences(lowest)
        level = jnp.broadcast_to(step - LEVEL, (*around.shape[:2], 1))
        sizes = jnp.concatenate([magnitude(around), *(magnitude(band) for band in before[::-1])], axis=-1)
        typical = jnp.asarray(typical_logs(self.size, self.number, of_squares=self.of_squares), jnp.float32)
        inputs = jnp.concatenate([level, sizes - jnp.maximum(typical - step, 0.0)[None, None, :]], axis=-1)
        own = jnp.maximum(inputs @ self.enter + self.enter_bias[None, None, :], 0.0)
        return BandMass(own, self.mix(own), around @ self.slope, step, self)


class BandMass(nd.Distribution):
    """What a band gives: masses of every other block's numbers, then those of the others given their neighbours.

    Args:
        own: hidden units of each block.
        mixed: those of its neighbourhood, before what is added for neighbours of the same band.
        location: of each number.
        step: log2.
        band: whose weights take it from there.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support: ClassVar[Any] = constraints.real  # pyright: ignore[reportIncompatibleMethodOverride]
    pytree_data_fields: ClassVar[tuple[str, ...]] = ("own", "mixed", "location", "step", "band")

    def __init__(
        self,
        own: Float[Array, "rows columns hidden"],
        mixed: Float[Array, "rows columns hidden"],
        location: Float[Array, "rows columns d"],
        step: Float[Array, ""],
        band: Band,
    ) -> None:
        self.own, self.mixed, self.location, self.step, self.band = own, mixed, location, step, band
        super().__init__(batch_shape=tuple(jnp.shape(location)), validate_args=False)

    def given(self, value: Float[Array, "rows columns d"]) -> UnitMass:
        """The masses where the first half of the blocks has these numbers."""
        band, odd = self.band, odd_places(*self.location.shape[:2])
        around = beside(magnitude(jnp.where(odd, 0.0, value))) @ band.beside + band.beside_bias[None, None, :]
        mixed = jnp.maximum(self.mixed + jnp.where(odd, around, 0.0), 0.0)
        log_scale = jnp.concatenate([self.own, mixed], axis=-1) @ band.leave + band.leave_bias[None, None, :]
        least = LEAST_OF_SQUARES if band.of_squares else LOG_SCALES[0]
        return UnitMass(self.location, jnp.exp2(within(log_scale - self.step, least)), band.form)

    def log_prob(self, value: Float[Array, "rows columns d"]) -> Float[Array, "rows columns d"]:  # pyright: ignore
        """Log mass of each number [nats]."""
        return self.given(value).log_prob(value)

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """A draw of the first half of the blocks, and one of the others given it."""
        if sample_shape:
            return jax.vmap(lambda one: self.sample(one, sample_shape[1:]))(jr.split(key, sample_shape[0]))
        first_key, second_key = jr.split(key)
        first = self.given(jnp.zeros(self.batch_shape, jnp.float32)).sample(first_key)
        odd = odd_places(*self.location.shape[:2])
        return jnp.where(odd, self.given(first).sample(second_key), first)

    @property
    def mean(self) -> Float[Array, "rows columns d"]:
        """The location."""
        return self.location
