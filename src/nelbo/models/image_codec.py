"""The image codec: a variational auto-encoder with uniform q of width one, whose negative ELBO is rate and distortion.

-log p(x | z) is lambda times the squared error, up to a constant; -log p(z) of noisy latents is the rate; log q is
zero (Balle et al. 2017, 2018). The step by which coefficients are divided is the example's context: its logarithm
(base 2, of grey levels), which the deviation of p(x | z) follows, so that one model serves every rate.
"""

import abc
import math
from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample, InputError, as_example, choice
from nelbo.distributions import DENSITY_SHAPES, Normal, Rounded, UnitUniform
from nelbo.models.bands import Band, LowestBand, coarse, lowest_of
from nelbo.models.layers import Context, Latents, Layer, Reads
from nelbo.models.parts import drawn_at_once, positive
from nelbo.models.recognition import Posterior, Recognition
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model, Stack
from nelbo.nets import Conv, LappedTransform, depth_to_space, space_to_depth
from nelbo.priors import COARSE, COLOURS, coarse_bands, image_bands

MIDDLE = 128.0  # grey level that is subtracted
QUANTIZATIONS = ("uniform", "rounded")
_PATCH = 4  # pixels along each side that the restoring network takes for one


def pixel_normal(x: Float[Array, "h w 3"], context: Context) -> Normal:
    """The normal of pixels around a decoded picture; its deviation is the step (context: its log2) over sqrt(12).

    At high rates this balances rate and distortion: a slightly finer step costs as much rate as it saves distortion.
    """
    return Normal(x, jnp.broadcast_to(jnp.exp2(jnp.asarray(context)[0]) / math.sqrt(12.0), x.shape))


def quantized(how: str, centre: Float[Array, "rows columns channels"], dead_zone: float = 0.0) -> UnitUniform:
    """The q of what is coded as whole numbers: "uniform", of width one around `centre`, or `centre` "rounded"."""
    return UnitUniform(centre) if how == "uniform" else Rounded(centre, dead_zone)


def crop(name: str, shape: Sequence[int], unit: int, context: int) -> tuple[int, ...]:
    """The shape of the crops that a codec trains on, checked.

    Args:
        name: of the model.
        shape: height x width x 3.
        unit: of which both sides must be multiples.
        context: how many numbers stand beside an example.

    Raises:
        InputError: another shape, or not one number beside an example.
    """
    shape = positive("shape", shape)
    if len(shape) != 3 or shape[2] != 3 or shape[0] % unit or shape[1] % unit:
        raise InputError(f"{name} trains on colour crops whose sides are multiples of {unit}, got {list(shape)}.")
    if context != 1:
        raise InputError(f"{name} has one number beside an example, the step: context must be 1, got {context}.")
    return shape


class Restoration(eqx.Module):
    """What is added to a decoded picture: a small convolutional network that begins at zero.

    Args:
        key: for the weights.
        hidden: channels.
    """

    first: Conv
    last: Conv

    def __init__(self, key: Key[Array, ""], hidden: int) -> None:
        channels = 3 * _PATCH**2
        first_key, last_key = jr.split(key)
        self.first = Conv(first_key, channels + 1, hidden)
        last = Conv(last_key, hidden, channels)
        self.last = eqx.tree_at(lambda conv: conv.weight, last, jnp.zeros_like(last.weight))

    def __call__(self, x: Float[Array, "h w 3"], log_step: Float[Array, ""]) -> Float[Array, "h w 3"]:
        """The correction, in grey levels."""
        patches = space_to_depth(x, _PATCH) * jnp.exp2(-log_step)
        level = jnp.broadcast_to(log_step, (*patches.shape[:2], 1))
        hidden = jnp.maximum(self.first(jnp.concatenate([patches, level], axis=-1)), 0.0)
        return depth_to_space(self.last(hidden), _PATCH) * jnp.exp2(log_step)


class Pixels(Layer):
    """p(x | z): the inverse transform, and `pixel_normal`.

    Args:
        transform: of which the way back is used.
        shrink: what each coefficient that is not zero is moved towards zero, in steps: its mean lies there.
        restoration: of the decoded picture, or None.
    """

    transform: LappedTransform
    shrink: Float[Array, " coefficients"]
    restoration: Restoration | None
    reads: ClassVar[Reads] = Reads.ALL
    conditioned: ClassVar[bool] = True
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    def coefficients(self, parents: Latents) -> Float[Array, "rows columns coefficients"]:
        """All coefficients in steps, in the order of the transform."""
        count, size = len(coarse_bands()), self.transform.size
        parts = [lowest_of(parents[-count:]), *parents[-count - 1 :: -1]]
        order = np.concatenate([np.arange(COLOURS) * size * size, *image_bands(size)])
        y = jnp.concatenate(parts, axis=-1)[..., np.argsort(order)]
        inner = jnp.clip(y, -1.0, 1.0) * self.shrink[None, None, :]
        return y - inner

    def picture(self, parents: Latents, context: Context) -> Float[Array, "h w 3"]:
        """The decoded picture, 0 .. 255 before rounding."""
        log_step = jnp.asarray(context)[0]
        x = self.transform.synthesis(self.coefficients(parents) * jnp.exp2(log_step))
        if self.restoration is not None:
            x = x + self.restoration(x, log_step)
        return x + MIDDLE

    def __call__(self, parents: Latents, context: Context = None) -> Normal:
        """The distribution of the pixels, 0 .. 255."""
        return pixel_normal(self.picture(parents, context), context)


class Quantized(Layer):
    """q of a band: uniform around the picture's own coefficients, or these rounded.

    Args:
        number: of the band on its grid.
        of_squares: whether that is the coarse one.
        size: of a block.
        how: "uniform" or "rounded".
        dead_zone: of "rounded".
    """

    number: int = eqx.field(static=True)
    of_squares: bool = eqx.field(static=True)
    size: int = eqx.field(static=True)
    how: str = eqx.field(static=True)
    dead_zone: float = eqx.field(static=True)
    reads: ClassVar[Reads] = Reads.FURTHEST
    conditioned: ClassVar[bool] = False
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    def __call__(self, parents: Latents, context: Context = None) -> UnitUniform:
        """The distribution, from all coefficients in steps."""
        del context
        if self.of_squares:
            lowest = parents[-1][..., np.arange(COLOURS) * self.size**2]
            centre = coarse(lowest)[..., coarse_bands()[self.number]]
        else:
            centre = parents[-1][..., image_bands(self.size)[self.number]]
        return quantized(self.how, centre, self.dead_zone)


class PictureRecognition(Recognition):
    """Abstract: q of a codec of pictures, whose context is log2 of the step."""

    @abc.abstractmethod
    def measured(self, pixels: Float[Array, "h w 3"], context: Float[Array, "1"]) -> Array:
        """What is rounded, in steps.

        Args:
            pixels: grey levels.
            context: log2 of the step.
        """

    @property
    def reads(self) -> tuple[Reads, ...]:
        """What each layer reads."""
        return tuple(layer.reads for layer in self.layers)

    def see(self, x: AnyExample) -> Array:
        """What is rounded, before it is; pixels that are not observed are grey."""
        whole = as_example(x)
        if whole.context is None:
            raise InputError(
                "A picture codec takes the log2 of its step as context, and this example has none: use sgvb."
            )
        view = whole.view
        values = view.values if view.observed is None else jnp.where(view.observed, view.values, MIDDLE)
        return self.measured(values, jnp.asarray(whole.context))

    def __call__(self, x: AnyExample) -> Posterior:
        """The posterior of one example."""
        return Posterior(self.layers, self.see(x), as_example(x).context)


class Coefficients(PictureRecognition):
    """q(z | x): the transform, the step, and noise or rounding.

    Args:
        transform: of which the way there is used.
        layers: one for each band, the finest first.
    """

    transform: LappedTransform
    layers: tuple[Layer, ...]

    def measured(self, pixels: Float[Array, "h w 3"], context: Float[Array, "1"]) -> Array:
        """All coefficients."""
        return self.transform.analysis(pixels - MIDDLE) * jnp.exp2(-context[0])


@drawn_at_once
def image_codec(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    block: int = 16,
    units: int = 32,
    density: str = "logistic",
    restore: int = 0,
    transform: str = "fixed",
    quantization: str = "rounded",
    dead_zone: float = 0.0,
    context: int = 1,
) -> Model:
    """Lossy image codec: a lapped transform, bands of coefficients each coded given the coarser ones.

    Args:
        key: for the weights.
        shape: of one crop: height x width x 3, both multiples of four blocks. Any other picture is coded with the same
            weights.
        block: height and width of a block in pixels, 8 or 16.
        units: hidden units for each block, in the networks that give scales.
        density: of coefficients: "normal" or "logistic".
        restore: channels of the network that restores decoded pictures; 0: no such network.
        transform: "fixed" (an orthonormal lapped cosine transform), or "trained" from there.
        quantization: q in training: "uniform" noise of width one, or "rounded" as in the codec, with straight-through
            gradients.
        dead_zone: for "rounded": numbers that exceed a half by less than this are rounded towards zero too.
        context: how many numbers stand beside an example: one, log2 of the step in grey levels.

    Raises:
        InputError: a size that makes no sense.
    """
    if block not in (8, 16):
        raise InputError(f"block is 8 or 16 pixels, got {block}.")
    unit = COARSE * block
    shape = crop("image-codec", shape, unit, context)
    choice("density", density, DENSITY_SHAPES)
    choice("quantization", quantization, QUANTIZATIONS)
    choice("transform", transform, ("fixed", "trained"))
    (units,) = positive("units", (units,))
    if restore < 0 or not 0.0 <= dead_zone < 0.5:
        raise InputError("restore is a number of channels, zero or more, and dead_zone lies between 0 and 1/2.")
    grids = ((True, len(coarse_bands())), (False, len(image_bands(block))))
    places = [(number, of_squares) for of_squares, count in grids for number in range(count)]
    layers: list[Layer] = [LowestBand(density, (shape[0] // unit, shape[1] // unit))]
    for number, of_squares in places[1:]:
        band_key = jr.fold_in(key, len(layers))
        layers.append(Band(band_key, block, number, units, density, of_squares=of_squares))
    restoration = Restoration(jr.fold_in(key, len(layers)), restore) if restore else None
    lapped = LappedTransform(block, fixed=transform == "fixed")
    pixels = Pixels(lapped, jnp.zeros(COLOURS * block * block, jnp.float32), restoration)
    quanta = tuple(Quantized(i, of_squares, block, quantization, dead_zone) for i, of_squares in reversed(places))
    spec = ModelSpec.of("image-codec", shape=shape, block=block, units=units, density=density, restore=restore,
                        transform=transform, quantization=quantization, dead_zone=dead_zone,
                        context=context)  # fmt: skip
    return Model(Stack((pixels, *reversed(layers)), 1), Coefficients(lapped, quanta), spec)
