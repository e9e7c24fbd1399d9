"""Model families of series: the Gaussian process auto-encoder, and the linear-Gaussian state-space model."""

import math
from collections.abc import Sequence

import jax.random as jr
from jaxtyping import Array, Key

from nelbo.core import InputError, choice
from nelbo.models.layers import Conditional
from nelbo.models.likelihoods import likelihood as likelihood_called
from nelbo.models.parts import constant_array, drawn_at_once, input_rule, positive, visible_head
from nelbo.models.recognition import Amortized
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model, Stack
from nelbo.models.temporal import (
    BandedHead,
    ChannelReadings,
    ExactSmoother,
    Framewise,
    IndependentHead,
    ProcessPrior,
    PseudoObservations,
    ReadingHead,
    geometric_lengths,
)
from nelbo.nets import MLP, SkipMLP, TemporalNetwork
from nelbo.priors import Kernel, kernel_named

SERIES_POSTERIORS = ("auto", "channels", "banded", "smoothed", "independent")
MOST_READ = 64  # channels beyond which a Kalman filter that takes them in one by one is slower than networks
_SHORTEST = 1.0  # steps: the first lengths run from here to half a window


@drawn_at_once
def gp_vae(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    latents: int = 8,
    hidden: Sequence[int] = (64,),
    convolutions: Sequence[int] = (64,),
    kernel_size: int = 3,
    likelihood: str = "gaussian",
    posterior: str = "auto",
    kernels: Sequence[str] = ("matern12",),
    lengths: Sequence[float] = (),
    period: float | None = None,
    learn_kernel: bool = True,
    prior_form: str = "auto",
    activation: str = "relu",
    missing: str = "mask",
    irregular: bool = False,
    centre: Array | bool = False,
    spread: Array | bool = False,
) -> Model:
    """Gaussian process variational auto-encoder of series (Fortuin et al. 2020).

    Every frame x_t is decoded from its own latents z_t, by the sum of a perceptron and a linear map; each latent is a
    Gaussian process over time.

    Args:
        key: for the weights.
        shape: of one window: time x channels.
        latents: number of latents of each frame.
        hidden: widths of the hidden layers of the recognition network of a frame; reversed, of the generative one.
        convolutions: channels of the convolutions along time that precede the recognition network; without any, it sees
            each frame alone.
        kernel_size: number of frames that one convolution sees, an odd one.
        likelihood: see `LIKELIHOODS`, of one frame.
        posterior: "channels" (readings of the channels, through which a linearized decoder and the prior go; Markov
            kernels), "smoothed" (readings of the latents, through which the prior goes), "banded" (a normal of banded
            precision, Fortuin et al.), "independent" (of all times), or "auto" (channels where kernels are Markov, the
            likelihood is normal and channels are at most 64; else smoothed).
        kernels: rbf, matern12, matern32, matern52, cauchy, periodic, cosine, linear, white, or a formula of them such
            as "matern32*periodic+rbf"; several are shared equally among the latents.
        lengths: initial length scales of the kernels in steps, one for all latents or one for each; empty: from 1 to
            half a window.
        period: initial period of periodic and cosine kernels in steps.
        learn_kernel: train the length scales and the period.
        prior_form: "dense" (any kernel, cubic in time), "state-space" (Markov kernels, linear in time), or "auto".
        activation: of the hidden units.
        missing: what the recognition model sees for missing entries: "mask" (the mean, and the mask as additional
            inputs), "mean" or "zero".
        irregular: whether the times of each window are its context.
        centre: the training data's mean of each channel; `True` leaves its place to be filled from a file.
        spread: the training data's standard deviation of each channel; the same.

    Raises:
        InputError: an unknown name, or a size that makes no sense.
    """
    choice("posterior of series", posterior, SERIES_POSTERIORS)
    shape, hidden, convolutions = _checked(shape), positive("hidden", hidden), positive("convolutions", convolutions)
    (latents,) = positive("latents", (latents,))
    length, channels = shape
    encoder_key, decoder_key = jr.split(key)
    frame = {name: constant_array(value, (channels,)) for name, value in (("centre", centre), ("spread", spread))}
    row = {name: None if value is None else value[None] for name, value in frame.items()}
    visible = visible_head(likelihood, (channels,), **frame)
    inputs = input_rule(missing, (1, channels), **row)
    made = _kernels(kernels, lengths, latents, length, period, learn=learn_kernel)
    if posterior == "auto":
        able = likelihood_called(likelihood).standardizes and channels <= MOST_READ and prior_form != "dense"
        posterior = "channels" if able and all(one.is_markov for one in made) else "smoothed"
    if posterior == "channels":
        _check_readable(made, likelihood, prior_form)
        prior_form = "state-space"
    heads = {"banded": BandedHead, "independent": IndependentHead}
    read = channels if posterior == "channels" else latents
    code = heads.get(posterior, ReadingHead)((length, read))
    network = TemporalNetwork(
        encoder_key, inputs.shape(shape)[-1], code.planes, read, convolutions=convolutions, width=kernel_size,
        hidden=hidden, activation=activation, irregular=irregular,
    )  # fmt: skip
    decoder = SkipMLP(decoder_key, (latents, *reversed(hidden), visible.size), activation=activation)
    prior = ProcessPrior(made, length, irregular, prior_form)
    amortized = Amortized((Conditional(network, code, conditioned=irregular),), inputs)
    arguments = {"latents": latents, "hidden": hidden, "convolutions": convolutions, "kernel_size": kernel_size,
                 "likelihood": likelihood, "posterior": posterior, "kernels": list(kernels), "lengths": list(lengths),
                 "period": period, "learn_kernel": learn_kernel, "prior_form": prior_form, "activation": activation,
                 "missing": missing, "irregular": irregular}  # fmt: skip
    arguments |= {name: value is not None for name, value in frame.items()}
    return Model(
        Stack((Framewise(decoder, visible), prior), length if irregular else 0),
        {"smoothed": PseudoObservations, "channels": ChannelReadings}.get(posterior, lambda same: same)(amortized),
        ModelSpec.of("gp-vae", shape=shape, **arguments),
    )


@drawn_at_once
def state_space(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    latents: int = 4,
    kernels: Sequence[str] = ("matern12",),
    lengths: Sequence[float] = (),
    period: float | None = None,
    learn_kernel: bool = True,
    irregular: bool = False,
    centre: Array | bool = False,
    spread: Array | bool = False,
) -> Model:
    """Linear-Gaussian state-space model of series, with its exact likelihood and posterior by the Kalman smoother.

    Each latent is a Markov Gaussian process over time, the channels are linear in them, with a noise level for each:
    x_t = W z_t + b + N(0, diag(s^2)).

    Args:
        key: for the weights.
        shape: of one window: time x channels.
        latents: number of latents of each frame.
        kernels: matern12, matern32, matern52, cosine, or sums and products of them such as "matern32*cosine+matern12";
            several are shared equally among the latents.
        lengths: initial length scales of the kernels in steps, one for all latents or one for each; empty: from 1 to
            half a window.
        period: initial period of cosine kernels in steps.
        learn_kernel: train the length scales and the period.
        irregular: whether the times of each window are its context.
        centre: the training data's mean of each channel; `True` leaves its place to be filled from a file.
        spread: the training data's standard deviation of each channel; the same.

    Raises:
        InputError: an unknown name, a kernel that is not Markov, or a size that makes no sense.
    """
    length, channels = shape = _checked(shape)
    (latents,) = positive("latents", (latents,))
    frame = {name: constant_array(value, (channels,)) for name, value in (("centre", centre), ("spread", spread))}
    visible = visible_head("gaussian-pixel", (channels,), **frame)
    made = _kernels(kernels, lengths, latents, length, period, learn=learn_kernel)
    for one in made:
        if not one.is_markov:
            one.state()  # says why not
    prior = ProcessPrior(made, length, irregular, "state-space")
    arguments = {"latents": latents, "kernels": list(kernels), "lengths": list(lengths), "period": period,
                 "learn_kernel": learn_kernel, "irregular": irregular}  # fmt: skip
    arguments |= {name: value is not None for name, value in frame.items()}
    return Model(
        Stack((Framewise(MLP(key, (latents, visible.size)), visible), prior), length if irregular else 0),
        ExactSmoother(),
        ModelSpec.of("state-space", shape=shape, **arguments),
    )


def _check_readable(kernels: Sequence[Kernel], likelihood: str, form: str) -> None:
    """Refuse what readings of channels are not for.

    Raises:
        InputError: another likelihood than a normal one, a dense prior, or a kernel that is not Markov.
    """
    if not likelihood_called(likelihood).standardizes or form == "dense":
        raise InputError("The posterior channels is for normal likelihoods and the state-space form of the prior: use "
                         "smoothed here.")  # fmt: skip
    for one in kernels:
        if not one.is_markov:
            one.state()  # says why not


def _checked(shape: Sequence[int]) -> tuple[int, int]:
    if len(shape) != 2 or min(shape) < 1:
        raise InputError(f"A model of series takes windows of time x channels, got the shape {list(shape)}.")
    return shape[0], shape[1]


def _kernels(
    names: Sequence[str], lengths: Sequence[float], latents: int, window: int, period: float | None, *, learn: bool
) -> tuple[Kernel, ...]:
    """A kernel for each group of latents; they get equal shares, the first ones one more where that does not divide."""
    if not names or len(names) > latents:
        raise InputError(f"Give at least one kernel, and at most one for each of {latents} latents, got {len(names)}.")
    if not lengths:
        lengths = geometric_lengths(_SHORTEST, max(2.0 * _SHORTEST, window / 2), latents)
    elif len(lengths) == 1:
        lengths = tuple(lengths) * latents
    elif len(lengths) != latents:
        raise InputError(f"Give one length for all latents or one for each of the {latents}, got {len(lengths)}.")
    if period is not None and not 0.0 < period < math.inf:
        raise InputError(f"The period is a positive number of steps, got {period}.")
    # groups are dealt out in turn, so that each gets short lengths and long ones
    return tuple(
        kernel_named(name, tuple(lengths[i :: len(names)]), period=period, learn=learn) for i, name in enumerate(names)
    )
