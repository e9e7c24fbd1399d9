"""The sparse Gaussian process auto-encoder of examples with covariates."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Key

from nelbo.core import InputError, choice
from nelbo.models.heads import NormalHead
from nelbo.models.inducing import InducingPrior, SparseReadings
from nelbo.models.layers import Conditional
from nelbo.models.parts import constant_array, drawn_at_once, input_rule, positive, visible_head
from nelbo.models.recognition import Amortized
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model, Stack
from nelbo.nets import MLP, ConvDecoder, ConvEncoder, Frozen, Network
from nelbo.priors import InducingMemory, kernel_named

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
    """Auto-encoder whose latents are sparse Gaussian processes over what is known of each example (Jazbec et al. 2021).

    What is known are numbers (times, angles) and whose the example is; training takes minibatches, and a step costs
    O(b m^2 + m^3) for b examples and m inducing points.

    Args:
        key: for the weights.
        shape: of one example; height x width x channels for images.
        latents: how many processes.
        hidden: widths of the hidden layers of the recognition network, the generative one has them reversed.
        inducing: m, how many inducing points.
        kernels: a formula for each number that is known, or one for all (see gp-vae); their product is the kernel.
        lengths: of the kernels, in units of the numbers, one for all latents or one for each; empty: the data decide.
        period: of periodic and cosine kernels, in units of the number.
        learn_kernel: train the lengths and the period.
        object_size: numbers in the vector of an object.
        likelihood: see `LIKELIHOODS`.
        architecture: "mlp" or "conv".
        channels: of the convolutions, from the pixels inwards ("conv" only).
        activation: of the hidden units.
        init: "glorot", or a standard deviation.
        missing: what the recognition model sees of missing entries: "zero", "mean" or "mask", see vae.
        numbers: how many numbers are known of each example.
        objects: how many objects there are; 0: nobody tells whose an example is.
        places: contexts of training rows, where the inducing points begin, numbers then object.
        vectors: where the vectors of objects begin, `(objects, object_size)`.
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
    shared, seen = {"activation": activation, "init": init}, inputs.shape(shape)
    if architecture == "mlp":
        encoder: Network = MLP(encoder_key, (math.prod(seen), *hidden, code.size), **shared)
        decoder: Network = MLP(decoder_key, (latents, *reversed(hidden), visible.size), **shared)
    else:
        encoder = ConvEncoder(encoder_key, seen, channels, code.size, hidden=hidden, **shared)
        outer = {"planes": visible.planes, "hidden": tuple(reversed(hidden))}
        decoder = ConvDecoder(decoder_key, latents, channels, shape, **outer, **shared)
    rows = constant_array(places, (inducing, numbers + (objects > 0)))
    table = jr.normal(vector_key, (objects, object_size), jnp.float32) if isinstance(vectors, bool) else vectors
    rows = jnp.zeros((inducing, numbers + 1), jnp.float32) if rows is None else rows
    first = jnp.asarray(table, jnp.float32)[rows[:, -1].astype(jnp.int32)] if objects else None
    formulas = list(kernels) * numbers if len(kernels) == 1 else list(kernels)
    if len(formulas) != numbers:
        raise InputError(f"Give one kernel, or one for each of {numbers} numbers, got {len(kernels)}.")
    if len(lengths) not in {0, 1, latents, latents * numbers}:
        raise InputError(f"Give one length for all latents or one for each of the {latents}, got {len(lengths)}.")
    each = tuple(lengths or (1.0,)) * (latents * numbers if len(lengths) <= 1 else numbers if len(lengths) == latents else 1)  # fmt: skip  # noqa: E501
    made = tuple(
        kernel_named(text, each[i * latents : (i + 1) * latents], period=period, learn=learn_kernel)
        for i, text in enumerate(formulas)
    )
    prior = InducingPrior(
        made,
        jnp.asarray(table, jnp.float32) if objects else None,
        rows[:, :numbers],
        first,
        Frozen(InducingMemory.empty(latents, inducing)),
    )
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
