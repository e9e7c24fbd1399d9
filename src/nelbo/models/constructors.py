"""Named model families: functions from a key and JSON-able arguments to a `Model`."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax.random as jr
from jaxtyping import Array, Key

from nelbo.core import checked_arguments, choice, split
from nelbo.models.belief import darn, fdarn, sbn
from nelbo.models.building import configuration, constant_array, one_layer, positive, seen, visible_head
from nelbo.models.gaussian import (
    dlgm,
    factor_analysis,
    hvae,
    linear,
    nonlinear_belief_network,
    nonlinear_factor_analysis,
)
from nelbo.models.posteriors import posterior_head
from nelbo.models.stack import Model
from nelbo.models.visible import mixture, nade
from nelbo.nets import MLP, ConvDecoder, ConvEncoder


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
    missing: str = "zero",
    centre: Array | bool = False,
    spread: Array | bool = False,
) -> Model:
    """Variational auto-encoder with one Gaussian latent layer (Kingma and Welling 2014).

    Args:
        key: for the weights.
        shape: of one example; height x width x channels for images.
        latents: how many.
        hidden: widths of the hidden layers of the recognition network, the generative one has them reversed;
            for "conv", widths of dense layers between the convolutions and the latents.
        likelihood: see `LIKELIHOODS`; "bernoulli", "gaussian", "gaussian-unit", "gaussian-fixed",
            "gaussian-shared", "gaussian-pixel", "discretized-logistic", "beta-binomial" or "categorical" (the last
            three on integers 0 .. 255).
        posterior: covariance of q(z | x): "diagonal", "rank-one", "low-rank" (precisions) or "full".
        rank: of a "low-rank" posterior.
        architecture: "mlp" or "conv".
        channels: of the convolutions, from the pixels inwards ("conv" only).
        activation: of the hidden units.
        init: "glorot", or a standard deviation (Kingma and Welling: 0.1, reading their N(0, 0.01) as a variance).
        missing: what the recognition model sees of missing entries: "zero", "mean" (that of the training data), or
            "mask" (the mean, and the mask as so many inputs more).
        centre: the training data's mean, subtracted from the recognition model's input; `True` leaves its place
            to be filled from a file.
        spread: the training data's standard deviation, by which that input is divided; a Gaussian likelihood is then
            in these units too (not "gaussian-unit"). `True` as for `centre`.

    Raises:
        InputError: an unknown name, or a size that makes no sense.
    """
    choice("architecture", architecture, ["conv", "mlp"])
    shape, hidden = positive("shape", shape), positive("hidden", hidden)
    channels = positive("channels", channels)
    (latents,) = positive("latents", (latents,))
    encoder_key, decoder_key = split(key)
    code = posterior_head(posterior, latents, rank=rank)
    shared = {"activation": activation, "init": init}
    source = {"centre": constant_array(centre, shape), "spread": constant_array(spread, shape)}
    visible, view = visible_head(likelihood, shape, **source), seen(missing, shape, **source)
    if architecture == "mlp":
        sizes = (math.prod(view.shape), *hidden, code.size)
        encoder: Callable[..., Array] = MLP(encoder_key, sizes, **view.source, **shared)
        decoder: Callable[..., Array] = MLP(decoder_key, (latents, *reversed(hidden), visible.size), **shared)
    else:
        encoder = ConvEncoder(encoder_key, view.shape, channels, code.size, hidden=hidden, **view.source, **shared)
        outer = {"planes": visible.planes, "hidden": tuple(reversed(hidden))}
        decoder = ConvDecoder(decoder_key, latents, channels, shape, **outer, **shared)
    arguments = {"latents": latents, "hidden": hidden, "likelihood": likelihood, "architecture": architecture}
    arguments |= {"posterior": posterior, "rank": rank, "missing": missing}
    arguments |= {"channels": channels, **shared, **{name: value is not None for name, value in source.items()}}
    config = configuration("vae", shape=shape, **arguments)
    return one_layer(encoder, code, decoder, visible, config, **view.recognition)


MODELS: dict[str, Callable[..., Model]] = {
    "vae": vae,
    "linear": linear,
    "factor-analysis": factor_analysis,
    "nonlinear-factor-analysis": nonlinear_factor_analysis,
    "nonlinear-belief-network": nonlinear_belief_network,
    "dlgm": dlgm,
    "hvae": hvae,
    "sbn": sbn,
    "darn": darn,
    "fdarn": fdarn,
    "nade": nade,
    "mixture": mixture,
}


def build(key: Key[Array, ""], name: str, arguments: dict[str, Any]) -> Model:
    """Build the named model.

    Raises:
        InputError: an unknown model, or an argument it does not have.
    """
    constructor = MODELS[choice("model", name, MODELS)]
    return constructor(key, **checked_arguments(f"option of model {name}", constructor, arguments, hidden=("key",)))


def skeleton(name: str, arguments: dict[str, Any]) -> Model:
    """The model with shapes in place of arrays, at no cost."""
    return eqx.filter_eval_shape(lambda key: build(key, name, arguments), jr.key(0))
