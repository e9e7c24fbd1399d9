"""Model families of sequences: static and dynamic codes (Li and Mandt 2018), flows over frames (Marino et al. 2020).

An example is a window of a series, time x channels, or a film, time x height x width x channels.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Key

from nelbo.core import AnyExample, InputError, as_example, choice
from nelbo.distributions import Distribution
from nelbo.models.flows import FlowedFrames, FlowPrior, SameFrames, ThroughFlow
from nelbo.models.heads import NormalHead
from nelbo.models.layers import Conditional, Context, FrameLayer, Latents, Layer, OverTime, Reads, StandardNormal
from nelbo.models.likelihoods import likelihood as likelihood_called
from nelbo.models.parts import constant_array, drawn_at_once, frozen, input_rule, positive, visible_head
from nelbo.models.recognition import Amortized, InputRule, Posterior, Recognition
from nelbo.models.series import gp_vae, state_space
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model, Stack
from nelbo.models.temporal import Framewise, IndependentHead, ProcessPrior, geometric_lengths
from nelbo.nets import MLP, ConvDecoder, FrameCodes, FrameEncoder, Network, SeriesCode
from nelbo.priors import RecentPast, RecurrentPast, kernel_named

SEQUENCE_POSTERIORS = ("full", "factorized")
SEQUENCE_PRIORS = ("recurrent", "ar1", "flow", "independent")
STATIC_ENCODERS = ("recurrent", "pooled")
FLOW_BASES = ("normal", "gp-vae", "state-space", "dsae")


class OfFrames(Recognition):
    """q(f | x) q(z | f, x): networks over the features of the frames.

    Args:
        encoder: gives the features of each frame.
        layers: of the static code f and of the dynamic codes z, both of which read the features.
        inputs: how an example is taken in.
    """

    encoder: FrameEncoder
    layers: tuple[Layer, ...]
    inputs: InputRule

    @property
    def reads(self) -> tuple[Reads, ...]:
        """What each layer reads."""
        return tuple(layer.reads for layer in self.layers)

    def see(self, x: AnyExample) -> Array:
        """The frames by the input rule."""
        return self.inputs(as_example(x))

    def __call__(self, x: AnyExample) -> Posterior:
        """The posterior of one window."""
        view = as_example(x).view
        seen = self.see(x)
        if view.observed is None:
            there = jnp.ones(len(seen), seen.dtype)
        else:
            there = jnp.any(jnp.reshape(view.observed, (len(seen), -1)), -1).astype(seen.dtype)
        return Posterior(self.layers, self.encoder(seen, there), view.context)


class DynamicCodes(Layer):
    """q(z_1, ..., z_T | f, x), normals that are independent given what is read.

    Args:
        net: from features, and f where it is read, to means and log variances.
        head: of the codes.
        given_static: whether f is read ("full"), or each code sees its frame alone ("factorized").
    """

    net: FrameCodes
    head: IndependentHead
    given_static: bool = eqx.field(static=True)
    conditioned: ClassVar[bool] = False
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    @property
    def reads(self) -> Reads:
        """The features, and the static code where it is given."""
        return Reads.ALL if self.given_static else Reads.FURTHEST

    def __call__(self, parents: Latents, context: Context = None) -> Distribution:
        """The distribution of the codes of one window."""
        del context
        return self.head(self.net(parents[-1], parents[0] if self.given_static else None))


@drawn_at_once
def dsae(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    latents: int = 8,
    static_latents: int = 16,
    hidden: Sequence[int] = (64,),
    state_size: int = 64,
    channels: Sequence[int] = (16, 32),
    likelihood: str = "gaussian",
    posterior: str = "full",
    prior: str = "recurrent",
    static_encoder: str = "recurrent",
    activation: str = "relu",
    missing: str = "mask",
    irregular: bool = False,
    centre: Array | bool = False,
    spread: Array | bool = False,
) -> Model:
    """Disentangled sequential auto-encoder (Li and Mandt 2018): a code of the whole series, and one of each frame.

    Every frame is decoded from the static code f and its own dynamic code z_t, p(x_t | z_t, f).

    Args:
        key: for the weights.
        shape: of one window: time x channels, or time x height x width x channels.
        latents: number of dynamic latents of each frame; with many of them, they carry what belongs in f.
        static_latents: number of static latents of the whole series.
        hidden: widths of the hidden layers of the recognition network of a frame; reversed, of the generative one.
        state_size: number of features of a frame, and size of the states of the recurrent networks.
        channels: of each convolution, starting at the pixels; of pictures only.
        likelihood: see `LIKELIHOODS`, of one frame.
        posterior: "full" (the dynamic codes of all frames given f and all frames) or "factorized" (each given its
            frame alone).
        prior: of the dynamic codes: "recurrent" (p(z_t | z_<t) by a gated recurrent network), "ar1" (stationary chains
            with a trained length each), "flow" (an autoregressive flow over such chains) or "independent".
        static_encoder: "recurrent" (reads the frames in both directions) or "pooled" (takes their mean, in whatever
            order).
        activation: of the hidden units.
        missing: what the recognition model sees for missing entries: "mask" (the mean, and the mask as additional
            inputs), "mean" or "zero".
        irregular: the times of each window are its context; for the priors "ar1" and "independent".
        centre: the training data's mean of a frame; `True` leaves its place to be filled from a file.
        spread: the training data's standard deviation of a frame; the same.

    Raises:
        InputError: an unknown name, a size that makes no sense, or a window of one frame.
    """
    choice("posterior of sequences", posterior, SEQUENCE_POSTERIORS)
    choice("static encoder", static_encoder, STATIC_ENCODERS)
    shape, hidden, channels = _checked(shape), positive("hidden", hidden), positive("channels", channels)
    (latents,), (static_latents,) = positive("latents", (latents,)), positive("static_latents", (static_latents,))
    (state_size,) = positive("state_size", (state_size,))
    if shape[0] < 2:
        raise InputError("A sequence of one frame has nothing that changes: dsae needs at least two (use a vae).")
    length, frame = shape[0], shape[1:]
    moments = {name: constant_array(value, frame) for name, value in (("centre", centre), ("spread", spread))}
    visible = visible_head(likelihood, frame, **moments)
    inputs = input_rule(missing, (1, *frame), **{k: None if v is None else v[None] for k, v in moments.items()})
    recognition_key, decoder_key, prior_key = jr.split(key, 3)
    arguments = {"latents": latents, "static_latents": static_latents, "hidden": hidden, "state_size": state_size,
                 "channels": channels, "likelihood": likelihood, "posterior": posterior, "prior": prior,
                 "static_encoder": static_encoder, "activation": activation, "missing": missing,
                 "irregular": irregular}  # fmt: skip
    arguments |= {name: value is not None for name, value in moments.items()}
    size, outer = latents + static_latents, tuple(reversed(hidden))
    if len(frame) == 3:
        planes = {"planes": visible.planes, "hidden": outer, "activation": activation}
        decoder: Network = ConvDecoder(decoder_key, size, channels, frame, **planes)
    else:
        decoder = MLP(decoder_key, (size, *outer, visible.size), activation=activation)
    over_time = sequence_prior(prior_key, prior, length, latents, state_size, irregular=irregular)
    generative = (Framewise(decoder, visible, has_static=True), StandardNormal(static_latents), over_time)
    return Model(
        Stack(generative, length if irregular else 0),
        _of_frames(recognition_key, shape, inputs, arguments),
        ModelSpec.of("dsae", shape=shape, **arguments),
    )


def _of_frames(key: Key[Array, ""], shape: tuple[int, ...], inputs: InputRule, options: Mapping[str, Any]) -> OfFrames:
    """The recognition model of `dsae` by its options."""
    encoder_key, static_key, dynamic_key = jr.split(key, 3)
    size, units, static = options["state_size"], options["latents"], options["static_latents"]
    shared = {"hidden": options["hidden"], "activation": options["activation"]}
    encoder = FrameEncoder(encoder_key, inputs.shape(shape)[1:], size, channels=options["channels"], **shared)
    of_series, of_frames = NormalHead((static,)), IndependentHead((shape[0], units))
    pooled, full = options["static_encoder"] == "pooled", options["posterior"] == "full"
    summary = SeriesCode(static_key, size + 1, size, of_series.size, pooled=pooled, **shared)
    codes = FrameCodes(
        dynamic_key, size + 1, size, units, static=static if full else 0, planes=of_frames.planes,
        activation=options["activation"],
    )  # fmt: skip
    layers = (Conditional(summary, of_series, Reads.FURTHEST), DynamicCodes(codes, of_frames, full))
    return OfFrames(encoder, layers, inputs)


def sequence_prior(
    key: Key[Array, ""], name: str, length: int, latents: int, state_size: int, *, irregular: bool
) -> OverTime:
    """The prior of the codes of frames; see `dsae`.

    Raises:
        InputError: no such prior, or irregular times for one that counts frames.
    """
    choice("prior of sequences", name, SEQUENCE_PRIORS)
    if name in {"ar1", "independent", "flow"}:
        kernel = "white" if name == "independent" else "matern12"
        lengths = geometric_lengths(1.0, max(2.0, length / 2), latents)
        chains = ProcessPrior((kernel_named(kernel, lengths),), length, irregular)
        if name != "flow":
            return chains
    if irregular:
        raise InputError(f"The prior {name} counts frames, but these series are at irregular times: use ar1.")
    base = chains if name == "flow" else None
    return FlowPrior(RecurrentPast(key, latents, state_size), base, length, latents)


@drawn_at_once
def sequence_flow(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    base: str = "dsae",
    order: int = 2,
    flow_hidden: Sequence[int] = (32,),
    latents: int = 8,
    hidden: Sequence[int] = (64,),
    likelihood: str = "gaussian-pixel",
    irregular: bool = False,
    centre: Array | bool = False,
    spread: Array | bool = False,
) -> Model:
    """Autoregressive affine flow over the frames of a series (Marino, Chen, He and Mandt 2020).

    x_t = mu(x_<t) + s(x_<t) y_t, where y comes from a base model: the flow removes what the last frames predict.

    Args:
        key: for the weights.
        shape: of one window: time x channels, or time x height x width x channels.
        base: model of y: "dsae", "gp-vae", "state-space", or "normal" (independent frames); the likelihood of the last
            two is exact (`--objective maximum-likelihood`). Their other options have their defaults.
        order: number of past frames that mu and s look at; 0: the base alone, without a flow.
        flow_hidden: widths of the hidden layers of mu and s; if frames are pictures, channels of their convolutions.
        latents: number of latents of each frame, for a base with latents.
        hidden: widths of the hidden layers, for a base with networks.
        likelihood: of y, a normal in units of the data: "gaussian", "gaussian-pixel", "gaussian-shared" or
            "gaussian-fixed"; only "gaussian-pixel" for the base "state-space".
        irregular: the times of each window are its context; they are the base's.
        centre: the training data's mean of a frame; `True` leaves its place to be filled from a file.
        spread: the training data's standard deviation of a frame; the same.

    Raises:
        InputError: an unknown name, a size that makes no sense, or a base that has no such frames.
    """
    shape, flow_hidden = _checked(shape), positive("flow_hidden", flow_hidden)
    choice("base of a flow", base, FLOW_BASES)
    if order < 0:
        raise InputError(f"A flow looks at a number of frames, zero or more (no flow), got order {order}.")
    length, frame = shape[0], shape[1:]
    if not likelihood_called(likelihood).standardizes:
        raise InputError(f"A flow needs a normal likelihood (gaussian, gaussian-pixel, ...), got {likelihood}.")
    if len(frame) == 3 and base not in {"normal", "dsae"}:
        raise InputError(f"The base {base} takes series of channels, not pictures: use normal or dsae.")
    if irregular and base == "normal":
        raise InputError("Independent frames know nothing of times, and these series are at irregular ones: use the "
                         "base gp-vae.")  # fmt: skip
    moments = {name: constant_array(value, frame) for name, value in (("centre", centre), ("spread", spread))}
    flow_key, base_key = jr.split(key)
    past = RecentPast(flow_key, frame, order, hidden=flow_hidden, **moments) if order else None
    arguments = {"base": base, "order": order, "flow_hidden": flow_hidden, "latents": latents, "hidden": hidden,
                 "likelihood": likelihood, "irregular": irregular}  # fmt: skip
    arguments |= {name: value is not None for name, value in moments.items()}
    spec = ModelSpec.of("sequence-flow", shape=shape, **arguments)
    if base == "normal":
        head = visible_head(likelihood, frame, **moments)
        frames = SameFrames(jnp.zeros(head.size, jnp.float32), head, length)
        layer = frames if past is None else FlowedFrames(frames, past, frozen(moments["centre"]))
        return Model(Stack((layer,)), Amortized(()), spec)
    given = {name: False if value is None else value for name, value in moments.items()}
    options: dict[str, Any] = {"latents": latents, "irregular": irregular, **given}
    if base != "state-space":
        options |= {"hidden": hidden, "likelihood": likelihood}
    found: Model = _BASES[base](base_key, shape, **options)
    inner, *above = found.generative.layers
    if past is None or not isinstance(inner, FrameLayer):
        return Model(found.generative, found.recognition, spec)
    generative = (FlowedFrames(inner, past, frozen(moments["centre"])), *above)
    return Model(Stack(generative, found.generative.context_size), ThroughFlow(found.recognition), spec)


_BASES: dict[str, Callable[..., Model]] = {"gp-vae": gp_vae, "state-space": state_space, "dsae": dsae}


def _checked(shape: Sequence[int]) -> tuple[int, ...]:
    if len(shape) not in {2, 4} or min(shape) < 1 or math.prod(shape) < 1:
        raise InputError("A model of sequences takes windows of time x channels, or films of time x height x width x "
                         f"channels, got the shape {list(shape)}.")  # fmt: skip
    return tuple(shape)
