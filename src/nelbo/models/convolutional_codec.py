"""A codec of pictures with learned transforms and hyper-latents: a stack of two layers with uniform q of width one.

Analysis and synthesis are convolutions with divisive normalization between (Balle, Laparra and Simoncelli 2017). The
latents have a factorized density, or normals whose deviations (Balle et al. 2018) or means and deviations (Minnen,
Balle and Toderici 2018) come from hyper-latents, which have a factorized density. -ELBO is rate and distortion as in
`image_codec`; the step is the example's context here too, and divides each latent with a slope of its own, so one
model serves every rate.
"""

from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.core import InputError, choice
from nelbo.distributions import Normal, UnitMass, UnitUniform
from nelbo.models.image_codec import QUANTIZATIONS, PictureRecognition, crop, pixel_normal, quantized
from nelbo.models.layers import Context, Latents, Layer, Reads
from nelbo.models.parts import drawn_at_once
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model, Stack
from nelbo.nets import (
    HYPER_LEVELS,
    PICTURE_LEVELS,
    PICTURE_STARTS,
    USUAL_LOG_STEP,
    HyperAnalysis,
    HyperSynthesis,
    PictureAnalysis,
    PictureSynthesis,
    log_spreads,
)
from nelbo.priors import FactorizedDensity, FactorizedMass

LEAST_SCALE = -25 / 8  # log2; the published codecs have 0.11
MOST_SCALE = 10.0
PRIORS = ("factorized", "hyperprior", "mean-scale")
HYPER_LATENTS = ("sent", "bits-back")
# filters, which are the channels of hyper-latents too, and latents
SIZES = {"tiny": (6, 8), "small": (48, 128), "published": (192, 192)}
# log2 of the deviation of normal hyper-latents at the start, and how it follows the net
_DEVIATION, _LESS = -1.0, 1 / 8


@jax.custom_vjp
def held_above(x: Float[Array, "*d"], least: Float[Array, ""]) -> Float[Array, "*d"]:
    """max(x, least), whose gradient passes below `least` too where it leads upwards."""
    return jnp.maximum(x, least)


held_above.defvjp(
    lambda x, least: (jnp.maximum(x, least), x >= least),
    lambda above, slope: (jnp.where(above | (slope < 0.0), slope, 0.0), jnp.zeros((), slope.dtype)),
)


def units(slope: Float[Array, " latents"], context: Context) -> Float[Array, " latents"]:
    """What a latent is divided by before it is rounded, for the step whose log2 is the context."""
    return jnp.exp2(slope * (jnp.asarray(context)[0] - USUAL_LOG_STEP))


class Picture(Layer):
    """p(x | y): the synthesis, and `pixel_normal`.

    Args:
        net: the synthesis.
        slope: how log2 of a latent's unit follows log2 of the step.
    """

    net: PictureSynthesis
    slope: Float[Array, " latents"]
    reads: ClassVar[Reads] = Reads.NEAREST
    conditioned: ClassVar[bool] = True
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    def __call__(self, parents: Latents, context: Context = None) -> Normal:
        """The distribution of the pixels, 0 .. 255."""
        return pixel_normal(self.net(parents[0] * units(self.slope, context)[None, None, :]), context)


class FactorizedLatents(Layer):
    """p of latents that are independent of each other, each channel with a density of its own.

    Args:
        density: of the channels.
        extent: rows and columns.
        slope: as of `Picture`; None of hyper-latents, whose unit is always one.
    """

    density: FactorizedDensity
    slope: Float[Array, " latents"] | None
    extent: tuple[int, int] = eqx.field(static=True)
    conditioned: bool = eqx.field(static=True)
    reads: ClassVar[Reads] = Reads.NONE
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    def __init__(
        self, density: FactorizedDensity, extent: tuple[int, int], slope: Float[Array, " latents"] | None = None
    ) -> None:
        self.density, self.extent, self.slope = density, extent, slope
        self.conditioned = slope is not None

    def __call__(self, parents: Latents, context: Context = None) -> FactorizedMass:
        """The distribution, at whole numbers their masses."""
        del parents
        shape = (*self.extent, self.density.biases[0].shape[0])
        return FactorizedMass(self.density, shape, None if self.slope is None else units(self.slope, context))


class HyperNormal(Layer):
    """p(y | z): normals with noise of width one, whose scales, and means perhaps, the hyper-latents give.

    Args:
        net: from hyper-latents to these.
        slope: how log2 of scales falls with log2 of the step.
        means: whether the means are not zero.
    """

    net: HyperSynthesis
    slope: Float[Array, " latents"]
    means: bool = eqx.field(static=True)
    reads: ClassVar[Reads] = Reads.NEAREST
    conditioned: ClassVar[bool] = True
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    def __call__(self, parents: Latents, context: Context = None) -> UnitMass:
        """The distribution, at whole numbers their masses."""
        out = self.net(parents[0])
        loc, log_scale = jnp.split(out, 2, axis=-1) if self.means else (jnp.zeros_like(out), out)
        log_scale = log_scale - (self.slope * (jnp.asarray(context)[0] - USUAL_LOG_STEP))[None, None, :]
        log_scale = jnp.minimum(held_above(log_scale, jnp.asarray(LEAST_SCALE, out.dtype)), MOST_SCALE)
        return UnitMass(loc, jnp.exp2(log_scale), "normal")


class Quantized(Layer):
    """q of what is rounded and sent: uniform around what is seen of the picture, or this rounded.

    Args:
        how: "uniform" or "rounded".
        net: from latents before they are rounded to hyper-latents; None of the latents themselves.
    """

    how: str = eqx.field(static=True)
    net: HyperAnalysis | None = None
    reads: ClassVar[Reads] = Reads.FURTHEST
    conditioned: ClassVar[bool] = False
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    def __call__(self, parents: Latents, context: Context = None) -> UnitUniform:
        """The distribution."""
        del context
        return quantized(self.how, parents[-1] if self.net is None else self.net(parents[-1]))


class HyperPosterior(Layer):
    """q(z | y) of hyper-latents that get their bits back: normals, by the latents that the receiver has.

    Args:
        net: from latents to means and log2 of deviations.
    """

    net: HyperAnalysis
    reads: ClassVar[Reads] = Reads.NEAREST
    conditioned: ClassVar[bool] = False
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    def __call__(self, parents: Latents, context: Context = None) -> Normal:
        """The distribution."""
        del context
        loc, log_scale = jnp.split(self.net(parents[0]), 2, axis=-1)
        return Normal(loc, jnp.exp2(jnp.clip(_LESS * log_scale + _DEVIATION, -6.0, 6.0)))


class Encoder(PictureRecognition):
    """q(y, z | x).

    Args:
        net: the analysis.
        slope: as of `Picture`.
        layers: of latents, and of hyper-latents where there are any.
    """

    net: PictureAnalysis
    slope: Float[Array, " latents"]
    layers: tuple[Layer, ...]

    def measured(self, pixels: Float[Array, "h w 3"], context: Float[Array, "1"]) -> Array:
        """The latents, in units."""
        return self.net(pixels) / units(self.slope, context)[None, None, :]


@drawn_at_once
def convolutional_codec(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    size: str = "small",
    prior: str = "mean-scale",
    hyper: str = "sent",
    quantization: str = "uniform",
    start: str = "wavelet",
    context: int = 1,
) -> Model:
    """Lossy image codec: learned convolutional transforms, and hyper-latents that give the latents' densities.

    Args:
        key: for the weights.
        shape: of one crop: height x width x 3, both multiples of 64 (16 without hyper-latents). Any other picture is
            coded with the same weights.
        size: numbers of filters and latents: "tiny" (6, 8), "small" (48, 128) or "published" (192, 192).
        prior: of the latents: "factorized", "hyperprior" (deviations) or "mean-scale" (means and deviations).
        hyper: how hyper-latents are coded: "sent" as whole numbers, or as real numbers by "bits-back" coding.
        quantization: q in training: "uniform" noise of width one, or "rounded" with straight-through gradients.
        start: initial transforms: "wavelet" packets (Haar), or "random" weights.
        context: how many numbers stand beside an example: one, log2 of the step in grey levels.

    Raises:
        InputError: a size that makes no sense.
    """
    choice("size", size, SIZES)
    choice("prior", prior, PRIORS)
    choice("hyper", hyper, HYPER_LATENTS)
    choice("quantization", quantization, QUANTIZATIONS)
    choice("start", start, PICTURE_STARTS)
    if prior == "factorized" and hyper != "sent":
        raise InputError("A factorized prior has no hyper-latents that could get bits back: choose another prior.")
    levels = PICTURE_LEVELS + HYPER_LEVELS * (prior != "factorized")
    shape = crop("convolutional-codec", shape, 2**levels, context)
    filters, latents = SIZES[size]
    spreads = log_spreads(filters, latents, start)
    keys = jr.split(key, 3)
    slope = jnp.ones(latents, jnp.float32)
    picture = Picture(PictureSynthesis(keys[0], filters, latents, start), slope)
    above, quanta = _above(keys[1], shape, filters, spreads, (prior, hyper, quantization))
    spec = ModelSpec.of("convolutional-codec", shape=shape, size=size, prior=prior, hyper=hyper,
                        quantization=quantization, start=start, context=context)  # fmt: skip
    encoder = Encoder(PictureAnalysis(keys[2], filters, latents, start), slope, quanta)
    return Model(Stack((picture, *above), 1), encoder, spec)


def _above(
    key: Key[Array, ""], shape: tuple[int, ...], filters: int, spreads: np.ndarray, how: tuple[str, str, str]
) -> tuple[tuple[Layer, ...], tuple[Layer, ...]]:
    """The generative layers above the picture, and those of q; `how` is prior, hyper and quantization."""
    prior, hyper, quantization = how
    keys, slope = jr.split(key, 3), jnp.ones(spreads.size, jnp.float32)
    rows, columns = shape[0] >> PICTURE_LEVELS, shape[1] >> PICTURE_LEVELS
    own = (Quantized(quantization),)
    if prior == "factorized":
        density = FactorizedDensity(keys[0], spreads.size, spread=4.0 * np.exp2(spreads))
        return (FactorizedLatents(density, (rows, columns), slope),), own
    means = prior == "mean-scale"
    extent = (rows >> HYPER_LEVELS, columns >> HYPER_LEVELS)
    normal = HyperNormal(HyperSynthesis(keys[1], filters, spreads, means=means), slope, means)
    generative = (normal, FactorizedLatents(FactorizedDensity(keys[0], filters), extent))
    outputs = filters * (1 + (hyper == "bits-back"))
    net = HyperAnalysis(keys[2], filters, outputs, spreads, magnitudes=not means)
    return generative, (*own, Quantized(quantization, net) if hyper == "sent" else HyperPosterior(net))
