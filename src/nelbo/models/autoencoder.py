"""The variational auto-encoder."""

import math
from collections.abc import Sequence

import jax.random as jr
from jaxtyping import Array, Key

from nelbo.core import InputError, choice
from nelbo.models.iterative import iterative
from nelbo.models.parts import constant_array, drawn_at_once, input_rule, one_layer, positive, visible_head
from nelbo.models.posteriors import posterior_head
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model
from nelbo.nets import MLP, ConvDecoder, ConvEncoder, Network


@drawn_at_once
def vae(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    latents: int = 20,
    hidden: Sequence[int] = (500,),
    likelihood: str = "bernoulli",
    posterior: str = "diagonal",
    rank: int = 5,
    architecture: str = "mlp",
    channels: Sequence[int] = (32, 64),
    activation: str = "tanh",
    init: str | float | int = "glorot",
    recognition: str = "amortized",
    recognition_steps: int = 5,
    update_hidden: Sequence[int] = (256,),
    missing: str = "zero",
    context: int = 0,
    centre: Array | bool = False,
    spread: Array | bool = False,
) -> Model:
    """Variational auto-encoder with one Gaussian latent layer (Kingma and Welling 2014).

    Args:
        key: for the weights.
        shape: of one example; height x width x channels for images.
        latents: number of latents.
        hidden: widths of the hidden layers of the recognition network, which the generative one has in reverse order;
            for "conv", widths of the dense layers between the convolutions and the latents.
        likelihood: see `LIKELIHOODS`; "bernoulli", "gaussian", "gaussian-unit", "gaussian-fixed",
            "gaussian-shared", "gaussian-pixel", "discretized-logistic", "beta-binomial" or "categorical" (the last
            three on integers 0 .. 255).
        posterior: covariance of q(z | x): "diagonal", "rank-one", "low-rank" (precisions) or "full".
        rank: of a "low-rank" posterior.
        architecture: "mlp" or "conv".
        channels: of each convolution, starting at the pixels ("conv" only).
        activation: of the hidden units.
        init: "glorot", or a standard deviation (Kingma and Welling: 0.1, reading their N(0, 0.01) as a variance).
        recognition: "amortized" (one pass of the recognition network), or "iterative" (a second network then refines
            q by the gradient of each example's bound, Marino et al. 2018).
        recognition_steps: refinement steps of "iterative".
        update_hidden: widths of the hidden layers of the network that refines.
        missing: what the recognition model sees for missing entries: "zero", "mean" (of the training data), or
            "mask" (the mean, with the mask as additional inputs).
        context: how many numbers both networks are given with each example (labels, covariates), as in a conditional
            auto-encoder (Sohn, Lee and Yan 2015).
        centre: the training data's mean, subtracted from the recognition model's input; `True` leaves its place
            to be filled from a file.
        spread: the training data's standard deviation, by which that input is divided; Gaussian likelihoods other than
            "gaussian-unit" are then in these units too. `True` as for `centre`.

    Raises:
        InputError: an unknown name, or a size that makes no sense.
    """
    choice("architecture", architecture, ["conv", "mlp"])
    choice("recognition", recognition, ["amortized", "iterative"])
    shape, hidden = positive("shape", shape), positive("hidden", hidden)
    channels = positive("channels", channels)
    (latents,) = positive("latents", (latents,))
    if context < 0:
        raise InputError(f"context is a number of values beside each example, zero or more, got {context}.")
    encoder_key, decoder_key = jr.split(key)
    code = posterior_head(posterior, latents, rank=rank)
    shared = {"activation": activation, "init": init}
    moments = {"centre": constant_array(centre, shape), "spread": constant_array(spread, shape)}
    visible, inputs = visible_head(likelihood, shape, **moments), input_rule(missing, shape, **moments)
    seen = inputs.shape(shape)
    if architecture == "mlp":
        sizes = (math.prod(seen) + context, *hidden, code.size)
        encoder: Network = MLP(encoder_key, sizes, **shared)
        decoder: Network = MLP(decoder_key, (latents + context, *reversed(hidden), visible.size), **shared)
    else:
        encoder = ConvEncoder(encoder_key, seen, channels, code.size, hidden=hidden, context_size=context, **shared)
        outer = {"planes": visible.planes, "hidden": tuple(reversed(hidden))}
        decoder = ConvDecoder(decoder_key, latents + context, channels, shape, **outer, **shared)
    arguments = {"latents": latents, "hidden": hidden, "likelihood": likelihood, "architecture": architecture}
    arguments |= {"posterior": posterior, "rank": rank, "missing": missing, "context": context}
    arguments |= {"channels": channels, **shared, **{name: value is not None for name, value in moments.items()}}
    if recognition == "amortized":
        return one_layer(
            encoder, code, decoder, visible, inputs, ModelSpec.of("vae", shape=shape, **arguments), context
        )
    update_hidden = positive("update_hidden", update_hidden)
    (recognition_steps,) = positive("recognition_steps", (recognition_steps,))
    # files of models without steps stay as they were
    arguments |= {"recognition": recognition, "recognition_steps": recognition_steps, "update_hidden": update_hidden}
    model = one_layer(encoder, code, decoder, visible, inputs, ModelSpec.of("vae", shape=shape, **arguments), context)
    steps = iterative(jr.fold_in(key, 1), model.recognition, code.size, hidden=update_hidden, steps=recognition_steps)
    return Model(model.generative, steps, model.spec)
