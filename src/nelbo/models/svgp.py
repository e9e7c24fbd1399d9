"""The sparse Gaussian process auto-encoder of examples with covariates."""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Key

from nelbo.core import InputError, choice
from nelbo.models.heads import Head, NormalHead
from nelbo.models.inducing import InducingPrior, SparseReadings
from nelbo.models.layers import Conditional
from nelbo.models.parts import constant_array, drawn_at_once, input_rule, positive, visible_head
from nelbo.models.recognition import Amortized
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model, Stack
from nelbo.nets import MLP, ConvDecoder, ConvEncoder, Frozen, Network
from nelbo.priors import InducingMemory, Kernel, kernel_named

# log variance of a reading of a latent whose prior variance is one
_READING_LOG_VARIANCE = (-8.0, 6.0)


@drawn_at_once
def svgp_vae(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    latents: int = 8,
    hidden: Sequence[int] = (200,),
    inducing: int = 32,
    kernels: Sequence[str] = ("rbf",),
    lengths: Sequence[float] = (),
    period: float | None = None,
    learn_kernel: bool = True,
    object_size: int = 8,
    likelihood: str = "bernoulli",
    architecture: str = "mlp",
    channels: Sequence[int] = (16, 32),
    activation: str = "relu",
    init: str | float | int = "glorot",
    missing: str = "mean",
    numbers: int = 1,
    objects: int = 0,
    places: Array | bool = True,
    vectors: Array | bool = True,
    centre: Array | bool = False,
    spread: Array | bool = False,
) -> Model:
    """Auto-encoder whose latents are sparse Gaussian processes over each example's covariates (Jazbec et al. 2021).

    Covariates are numbers (times, angles) and the object that the example belongs to. Training takes minibatches, and a
    step costs O(b m^2 + m^3) for b examples and m inducing points.

    Args:
        key: for the weights.
        shape: of one example; height x width x channels for images.
        latents: number of latent processes.
        hidden: widths of the hidden layers of the recognition network; reversed, of the generative one.
        inducing: m, the number of inducing points.
        kernels: a formula for each covariate, or one for all (see gp-vae); their product is the kernel.
        lengths: initial length scales of the kernels in units of the covariates, one for all latents or one for each;
            empty: chosen by the data.
        period: initial period of periodic and cosine kernels in units of the covariate.
        learn_kernel: train the length scales and the period.
        object_size: size of the embedding of an object.
        likelihood: see `LIKELIHOODS`.
        architecture: "mlp" or "conv".
        channels: of each convolution, starting at the pixels ("conv" only).
        activation: of the hidden units.
        init: "glorot", or a standard deviation.
        missing: what the recognition model sees for missing entries: "zero", "mean" or "mask", see vae.
        numbers: number of numeric covariates.
        objects: number of objects; 0: examples belong to no objects.
        places: initial inducing points, which are contexts of training rows: numbers, then the object.
        vectors: initial embeddings of objects, `(objects, object_size)`.
        centre: the training data's mean; `True` leaves its place to be filled from a file.
        spread: the training data's standard deviation; the same.

    Raises:
        InputError: an unknown name, or a size that makes no sense.
    """
    choice("architecture", architecture, ["conv", "mlp"])
    shape, hidden, channels = positive("shape", shape), positive("hidden", hidden), positive("channels", channels)
    latents, inducing, object_size = positive("sizes", (latents, inducing, object_size))
    if numbers < 0 or objects < 0 or numbers + objects == 0:
        raise InputError("Nothing is known of the examples: name a column of times, angles or objects (--context).")
    encoder_key, decoder_key, vector_key = jr.split(key, 3)
    moments = {"centre": constant_array(centre, shape), "spread": constant_array(spread, shape)}
    if missing == "mean" and moments["centre"] is None:
        missing = "zero"
    visible, inputs = visible_head(likelihood, shape, **moments), input_rule(missing, shape, **moments)
    code = NormalHead((latents,), bounds=_READING_LOG_VARIANCE)
    shared = {"activation": activation, "init": init}
    encoder, decoder = _networks(
        (encoder_key, decoder_key), inputs.shape(shape), shape, (latents, code.size, visible),
        architecture=architecture, hidden=hidden, channels=channels, **shared,
    )  # fmt: skip
    rows, table, first = _beginnings(vector_key, places, vectors, (inducing, numbers), (objects, object_size))
    made = _kernels(kernels, lengths, (latents, numbers), period, learn=learn_kernel)
    empty = Frozen(InducingMemory.empty(latents, inducing))
    prior = InducingPrior(made, table, rows[:, :numbers], first, empty)
    arguments = {"latents": latents, "hidden": hidden, "inducing": inducing, "kernels": list(kernels),
                 "lengths": list(lengths), "period": period, "learn_kernel": learn_kernel, "object_size": object_size,
                 "likelihood": likelihood, "architecture": architecture, "channels": channels, **shared,
                 "missing": missing, "numbers": numbers, "objects": objects}  # fmt: skip
    arguments |= {name: value is not None for name, value in moments.items()}
    amortized = Amortized((Conditional(encoder, code),), inputs)
    return Model(
        Stack((Conditional(decoder, visible), prior), prior.context_size),
        SparseReadings(amortized),
        ModelSpec.of("svgp-vae", shape=shape, **arguments),
    )


def _beginnings(
    key: Key[Array, ""],
    places: Array | bool,  # noqa: FBT001 (True: they come from a file)
    vectors: Array | bool,  # noqa: FBT001
    inducing: tuple[int, int],
    objects: tuple[int, int],
) -> tuple[Array, Array | None, Array | None]:
    """The contexts of the inducing points, the vectors of objects, and those of the inducing points."""
    (count, numbers), (owners, _) = inducing, objects
    rows = constant_array(places, (count, numbers + (owners > 0)))
    rows = jnp.zeros((count, numbers + 1), jnp.float32) if rows is None else rows
    if not owners:
        return rows, None, None
    drawn = jr.normal(key, objects, jnp.float32) if isinstance(vectors, bool) else jnp.asarray(vectors, jnp.float32)
    return rows, drawn, drawn[jnp.clip(rows[:, -1].astype(jnp.int32), 0, owners - 1)]


def _networks(
    keys: tuple[Key[Array, ""], Key[Array, ""]],
    seen: tuple[int, ...],
    shape: tuple[int, ...],
    sizes: tuple[int, int, Head],
    *,
    architecture: str,
    hidden: Sequence[int],
    channels: Sequence[int],
    **shared: Any,
) -> tuple[Network, Network]:
    """From what is seen of an example to the readings, and from latents to the example."""
    (latents, code, visible), outer = sizes, tuple(reversed(hidden))
    if architecture == "mlp":
        encoder = MLP(keys[0], (math.prod(seen), *hidden, code), **shared)
        return encoder, MLP(keys[1], (latents, *outer, visible.size), **shared)
    return (
        ConvEncoder(keys[0], seen, channels, code, hidden=hidden, **shared),
        ConvDecoder(keys[1], latents, channels, shape, planes=visible.planes, hidden=outer, **shared),
    )


def _kernels(
    names: Sequence[str], lengths: Sequence[float], counts: tuple[int, int], period: float | None, *, learn: bool
) -> tuple[Kernel, ...]:
    """A kernel for each number that is known."""
    latents, numbers = counts
    formulas = list(names) * numbers if len(names) == 1 else list(names)
    if len(formulas) != numbers:
        raise InputError(f"Give one kernel, or one for each of {numbers} numbers, got {len(names)}.")
    if len(lengths) not in {0, 1, latents, latents * numbers}:
        raise InputError(f"Give one length for all latents or one for each of the {latents}, got {len(lengths)}.")
    whole = latents * numbers
    each = tuple(lengths or (1.0,)) * (whole // max(1, len(lengths)))
    return tuple(
        kernel_named(text, each[i * latents : (i + 1) * latents], period=period, learn=learn)
        for i, text in enumerate(formulas)
    )
