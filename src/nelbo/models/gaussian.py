"""Deep latent Gaussian models (Rezende, Mohamed and Wierstra 2014) and the classical models that are cases of them.

The latents of the stack are the independent xi_l ~ N(0, I), so that every layer's KL has a closed form; the correlated
h_l are made of them inside the one layer that gives the data.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.core import InputError, choice
from nelbo.distributions import Distribution
from nelbo.models.heads import Head, NormalHead, SharedNormalHead
from nelbo.models.layers import Conditional, Context, Latents, Layer, Reads, StandardNormal
from nelbo.models.parts import (
    constant_array,
    drawn_at_once,
    input_rule,
    one_layer,
    positive,
    standardized,
    visible_head,
)
from nelbo.models.posteriors import SharedCovarianceHead, posterior_head
from nelbo.models.recognition import Amortized
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model, Stack
from nelbo.nets import ACTIVATIONS, MLP

COVARIANCES = ("diagonal", "low-rank", "full")


class Mixing(eqx.Module):
    """G in h = T(.) + G xi, so that G G' is the covariance of h; it starts as the identity.

    Args:
        key: for the directions.
        size: K.
        covariance: "diagonal"; "low-rank", a diagonal plus A B' with `rank` columns; or "full".
        rank: of "low-rank" only.
    """

    diagonal: Float[Array, " k"] | None
    left: Float[Array, "k r"] | None
    right: Float[Array, "k r"]

    def __init__(self, key: Key[Array, ""], size: int, *, covariance: str, rank: int) -> None:
        choice("covariance", covariance, COVARIANCES)
        if covariance == "full":
            self.diagonal, self.left, self.right = None, None, jnp.eye(size, dtype=jnp.float32)
            return
        rank = min(rank, size) if covariance == "low-rank" else 0
        self.diagonal, self.left = jnp.ones(size, jnp.float32), jnp.zeros((size, rank), jnp.float32)
        self.right = jr.normal(key, (size, rank), jnp.float32) / math.sqrt(size)

    def __call__(self, noise: Float[Array, " k"]) -> Float[Array, " k"]:
        """G times a vector."""
        if self.diagonal is None or self.left is None:
            return self.right @ noise
        return self.diagonal * noise + self.left @ (self.right.T @ noise)


class DeepGaussian(Layer):
    """p(v | xi_1 .. xi_L): h_L = G_L xi_L, h_l = T_l(h_{l+1}) + G_l xi_l, v ~ head(T_0(h_1)) (eq. 3 to 6).

    Args:
        links: T_0 .. T_{L-1}.
        mixings: G_1 .. G_L.
        head: of v.
        between: name of an elementwise function that every T is preceded by; "identity" but for belief networks.
    """

    links: tuple[MLP, ...]
    mixings: tuple[Mixing, ...]
    head: Head
    between: str = eqx.field(static=True, default="identity")
    conditioned: ClassVar[bool] = False
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    @property
    def reads(self) -> Reads:
        """All layers' latents."""
        return Reads.NEAREST if len(self.mixings) == 1 else Reads.ALL

    def __call__(self, parents: Latents, context: Context = None) -> Distribution:
        """Distribution of the data given all layers' latents, xi_1 first."""
        del context
        function = ACTIVATIONS[self.between]
        below = zip(self.links[1:], self.mixings[:-1], parents[:-1], strict=True)
        h = self.mixings[-1](parents[-1])
        for link, mixing, noise in reversed(tuple(below)):
            h = link(function(h)) + mixing(noise)
        return self.head(self.links[0](function(h)))


@drawn_at_once
def dlgm(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    layers: Sequence[int] = (200,),
    hidden: Sequence[int] = (200,),
    recognition_hidden: Sequence[int] | None = None,
    likelihood: str = "bernoulli",
    covariance: str = "diagonal",
    posterior: str = "diagonal",
    rank: int = 5,
    between: str = "identity",
    activation: str = "relu",
    init: str | float | int = "glorot",
    missing: str = "zero",
    centre: Array | bool = False,
    spread: Array | bool = False,
) -> Model:
    """Deep latent Gaussian model with a recognition network for every layer (Rezende et al. 2014).

    Args:
        key: for the weights.
        shape: of one example.
        layers: numbers of Gaussian latents, the layer next to the data first.
        hidden: widths of the deterministic layers inside every T_l.
        recognition_hidden: widths of the recognition networks' hidden layers; None takes `hidden` in reverse.
        likelihood: as for `vae`.
        covariance: structure of G_l: "diagonal", "low-rank" or "full".
        posterior: of the q(xi_l | v): "diagonal", "rank-one", "low-rank" (precisions) or "full".
        rank: of everything that is "low-rank".
        between: elementwise function that is applied before every T_l.
        activation: of the hidden units.
        init: as for `vae`.
        missing: as for `vae`.
        centre: as for `vae`.
        spread: as for `vae`.

    Raises:
        InputError: an unknown name, or a size that makes no sense.
    """
    shape, layers, hidden = positive("shape", shape), positive("layers", layers), positive("hidden", hidden)
    encoder_hidden = hidden[::-1] if recognition_hidden is None else positive("recognition_hidden", recognition_hidden)
    choice("activation", between, ACTIVATIONS)
    moments = {"centre": constant_array(centre, shape), "spread": constant_array(spread, shape)}
    visible, inputs = visible_head(likelihood, shape, **moments), input_rule(missing, shape, **moments)
    seen = math.prod(inputs.shape(shape))
    shared = {"activation": activation, "init": init}
    link_key, mixing_key, encoder_key = jr.split(key, 3)
    outputs = (visible.size, *layers[:-1])
    links = [
        MLP(k, (above, *hidden, below), **shared)
        for k, above, below in zip(jr.split(link_key, len(layers)), layers, outputs, strict=True)
    ]
    mixings = [
        Mixing(k, size, covariance=covariance, rank=rank)
        for k, size in zip(jr.split(mixing_key, len(layers)), layers, strict=True)
    ]
    heads = [posterior_head(posterior, size, rank=rank) for size in layers]
    encoders = [
        Conditional(MLP(k, (seen, *encoder_hidden, head.size), **shared), head, Reads.FURTHEST)
        for k, head in zip(jr.split(encoder_key, len(layers)), heads, strict=True)
    ]
    generative = Stack((DeepGaussian(tuple(links), tuple(mixings), visible, between), *map(StandardNormal, layers)))
    arguments = {"layers": layers, "hidden": hidden, "recognition_hidden": encoder_hidden, "likelihood": likelihood}
    arguments |= {"covariance": covariance, "posterior": posterior, "rank": rank, "between": between, **shared}
    arguments["missing"] = missing
    arguments |= {name: part is not None for name, part in moments.items()}
    spec = ModelSpec.of("dlgm", shape=shape, **arguments)
    return Model(generative, Amortized(tuple(encoders), inputs), spec)


@drawn_at_once
def hvae(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    layers: Sequence[int] = (50, 20),
    hidden: Sequence[int] = (200,),
    recognition_hidden: Sequence[int] | None = None,
    likelihood: str = "bernoulli",
    posterior: str = "diagonal",
    rank: int = 5,
    activation: str = "tanh",
    init: str | float | int = "glorot",
    missing: str = "zero",
    centre: Array | bool = False,
    spread: Array | bool = False,
) -> Model:
    """Hierarchical variational auto-encoder whose latent layers form a Markov chain in p and in q.

    Two layers are the model of Burda et al. (2016, table 1); coded, the chain needs one layer's worth of starting bits
    (Bit-Swap, Kingma et al. 2019). In `dlgm`, by contrast, every layer of q sees the data.

    Args:
        key: for the weights.
        shape: of one example.
        layers: numbers of Gaussian latents, the layer next to the data first.
        hidden: widths of the hidden layers inside every p(z_l | z_{l+1}), nearest to the parent first.
        recognition_hidden: of every q(z_l | z_{l-1}), nearest to the data first; None takes `hidden` in reverse.
        likelihood: as for `vae`.
        posterior: of the q(z_l | z_{l-1}): "diagonal", "rank-one", "low-rank" (precisions) or "full".
        rank: of a "low-rank" posterior.
        activation: of the hidden units.
        init: as for `vae`.
        missing: as for `vae`.
        centre: as for `vae`.
        spread: as for `vae`.

    Raises:
        InputError: an unknown name, or a size that makes no sense.
    """
    shape, layers, hidden = positive("shape", shape), positive("layers", layers), positive("hidden", hidden)
    encoder_hidden = hidden[::-1] if recognition_hidden is None else positive("recognition_hidden", recognition_hidden)
    moments = {"centre": constant_array(centre, shape), "spread": constant_array(spread, shape)}
    visible, inputs = visible_head(likelihood, shape, **moments), input_rule(missing, shape, **moments)
    seen = math.prod(inputs.shape(shape))
    shared = {"activation": activation, "init": init}
    down_key, up_key = jr.split(key)
    below = [visible, *(NormalHead((size,), min_scale=0.01) for size in layers[:-1])]
    down = [
        Conditional(MLP(k, (size, *hidden, head.size), **shared), head)
        for k, size, head in zip(jr.split(down_key, len(layers)), layers, below, strict=True)
    ]
    heads = [posterior_head(posterior, size, rank=rank) for size in layers]
    up = [
        Conditional(MLP(k, (size, *encoder_hidden, head.size), **shared), head)
        for k, size, head in zip(jr.split(up_key, len(layers)), (seen, *layers[:-1]), heads, strict=True)
    ]
    arguments = {"layers": layers, "hidden": hidden, "recognition_hidden": encoder_hidden, "likelihood": likelihood}
    arguments |= {"posterior": posterior, "rank": rank, "missing": missing, **shared}
    arguments |= {name: part is not None for name, part in moments.items()}
    spec = ModelSpec.of("hvae", shape=shape, **arguments)
    return Model(Stack((*down, StandardNormal(layers[-1]))), Amortized(tuple(up), inputs), spec)


def nonlinear_factor_analysis(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    latents: int = 20,
    hidden: Sequence[int] = (200,),
    posterior: str = "diagonal",
    centre: Array | bool = False,
    spread: Array | bool = False,
) -> Model:
    """Non-linear factor analysis: one Gaussian layer, a network, and one noise level per entry (a case of `dlgm`)."""
    return dlgm(key, shape, layers=(latents,), hidden=hidden, likelihood="gaussian-pixel", posterior=posterior,
                centre=centre, spread=spread)  # fmt: skip


def nonlinear_belief_network(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    layers: Sequence[int] = (50, 20),
    between: str = "tanh",
    recognition_hidden: Sequence[int] = (200,),
    likelihood: str = "bernoulli",
    posterior: str = "diagonal",
    centre: Array | bool = False,
    spread: Array | bool = False,
) -> Model:
    """Non-linear Gaussian belief network (Frey and Hinton 1999): `dlgm` with T_l(h) = A f(h) + b, f = `between`.

    Its parameters are those of `dlgm`.
    """
    return dlgm(key, shape, layers=layers, hidden=(), recognition_hidden=recognition_hidden, likelihood=likelihood,
                posterior=posterior, between=between, centre=centre, spread=spread)  # fmt: skip


@drawn_at_once
def linear(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    latents: int = 2,
    scale: float | int = 1.0,
    learn_scale: bool = True,
    per_unit: bool = False,
    posterior: str = "diagonal",
    init: str | float | int = "glorot",
    centre: Array | bool = False,
    spread: Array | bool = False,
) -> Model:
    """Probabilistic PCA as an auto-encoder: linear decoder and recognition, one noise level (Tipping and Bishop 1999).

    Args:
        key: for the weights.
        shape: of one example.
        latents: number of latents.
        scale: standard deviation of the noise, or its initial value.
        learn_scale: train the standard deviation of the noise.
        per_unit: one noise level for each entry, as in factor analysis.
        posterior: covariance of q(z | x), which all examples share, as they do in the exact posterior: "full" is always
            exact, and "diagonal" is for probabilistic PCA, whose factors can be rotated; see `vae`.
        init: see `vae`.
        centre: the training data's mean, from which the model describes deviations.
        spread: the unit of data, noise and recognition input: one number for all entries keeps this probabilistic PCA,
            one for each entry gives the noise of each its own unit.
    """
    shape = positive("shape", shape)
    (latents,) = positive("latents", (latents,))
    if not scale > 0:
        raise InputError(f"scale must be positive, got {scale}.")
    encoder_key, decoder_key = jr.split(key)
    visible = SharedNormalHead(shape, scale=float(scale), learn=learn_scale, per_unit=per_unit)
    code: Head = SharedNormalHead((latents,), learn=True, per_unit=True)
    if posterior != "diagonal":
        code = SharedCovarianceHead(jr.fold_in(encoder_key, 0), posterior_head(posterior, latents))
    moments = {"centre": constant_array(centre, shape), "spread": constant_array(spread, shape)}
    encoder = MLP(encoder_key, (math.prod(shape), code.size), init=init)
    decoder = MLP(decoder_key, (latents, visible.size), init=init)
    arguments = {"latents": latents, "scale": scale, "learn_scale": learn_scale, "init": init, "per_unit": per_unit}
    arguments |= {"posterior": posterior, **{name: value is not None for name, value in moments.items()}}
    inputs, spec = input_rule("zero", shape, **moments), ModelSpec.of("linear", shape=shape, **arguments)
    return one_layer(encoder, code, decoder, standardized(visible, **moments), inputs, spec)


def factor_analysis(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    latents: int = 2,
    scale: float | int = 1.0,
    posterior: str = "full",
    init: str | float | int = "glorot",
    centre: Array | bool = False,
    spread: Array | bool = False,
) -> Model:
    """Factor analysis: `linear` with one noise level per entry and a posterior that can be exact."""
    return linear(key, shape, latents=latents, scale=scale, per_unit=True, posterior=posterior, init=init,
                  centre=centre, spread=spread)  # fmt: skip
