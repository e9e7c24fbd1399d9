"""Deep latent Gaussian models (Rezende, Mohamed and Wierstra 2014) and the classical models that are cases of them.

The latents of the stack are the independent xi_l ~ N(0, I), so that every layer's KL has a closed form; the correlated
h_l are made of them inside the one layer that gives the data.
"""

import math
from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.core import InputError, choice, normal, split
from nelbo.distributions import Distribution
from nelbo.models.building import configuration, constant_array, one_layer, positive, seen, visible_head
from nelbo.models.heads import Head, NormalHead, SharedNormalHead
from nelbo.models.posteriors import SharedCovarianceHead, posterior_head
from nelbo.models.stack import Conditional, Latents, Model, Recognition, Stack, StandardNormal
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
            self.diagonal, self.left, self.right = None, None, jnp.eye(size)
            return
        rank = min(rank, size) if covariance == "low-rank" else 0
        self.diagonal, self.left = jnp.ones(size), jnp.zeros((size, rank))
        self.right = jnp.asarray(normal(key, (size, rank)) / math.sqrt(size))

    def __call__(self, noise: Float[Array, " k"]) -> Float[Array, " k"]:
        """G times a vector."""
        if self.diagonal is None or self.left is None:
            return self.right @ noise
        return self.diagonal * noise + self.left @ (self.right.T @ noise)


class DeepGaussian(eqx.Module):
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

    def __call__(self, parents: Latents) -> Distribution:
        """Distribution of the data given all layers' latents, xi_1 first."""
        function = ACTIVATIONS[self.between]
        below = zip(self.links[1:], self.mixings[:-1], parents[:-1], strict=True)
        h = self.mixings[-1](parents[-1])
        for link, mixing, noise in reversed(tuple(below)):
            h = link(function(h)) + mixing(noise)
        return self.head(self.links[0](function(h)))


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
        covariance: of the G_l: "diagonal", "low-rank" or "full".
        posterior: of the q(xi_l | v): "diagonal", "rank-one", "low-rank" (precisions) or "full".
        rank: of everything that is "low-rank".
        between: elementwise function in front of every T_l.
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
    source = {"centre": constant_array(centre, shape), "spread": constant_array(spread, shape)}
    visible, view = visible_head(likelihood, shape, **source), seen(missing, shape, **source)
    shared = {"activation": activation, "init": init}
    link_key, mixing_key, encoder_key = split(key, 3)
    outputs = (visible.size, *layers[:-1])
    links = [
        MLP(k, (above, *hidden, below), **shared)
        for k, above, below in zip(split(link_key, len(layers)), layers, outputs, strict=True)
    ]
    mixings = [
        Mixing(k, size, covariance=covariance, rank=rank)
        for k, size in zip(split(mixing_key, len(layers)), layers, strict=True)
    ]
    heads = [posterior_head(posterior, size, rank=rank) for size in layers]
    encoders = [
        Conditional(
            MLP(k, (math.prod(view.shape), *encoder_hidden, head.size), **view.source, **shared), head, "furthest"
        )
        for k, head in zip(split(encoder_key, len(layers)), heads, strict=True)
    ]
    generative = Stack((DeepGaussian(tuple(links), tuple(mixings), visible, between), *map(StandardNormal, layers)))
    arguments = {"layers": layers, "hidden": hidden, "recognition_hidden": encoder_hidden, "likelihood": likelihood}
    arguments |= {"covariance": covariance, "posterior": posterior, "rank": rank, "between": between, **shared}
    arguments["missing"] = missing
    arguments |= {name: part is not None for name, part in source.items()}
    config = configuration("dlgm", shape=shape, **arguments)
    return Model(generative, Recognition(tuple(encoders), **view.recognition), config)


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
    source = {"centre": constant_array(centre, shape), "spread": constant_array(spread, shape)}
    visible, view = visible_head(likelihood, shape, **source), seen(missing, shape, **source)
    shared = {"activation": activation, "init": init}
    down_key, up_key = split(key)
    below = [visible, *(NormalHead((size,), min_scale=0.01) for size in layers[:-1])]
    down = [
        Conditional(MLP(k, (size, *hidden, head.size), **shared), head)
        for k, size, head in zip(split(down_key, len(layers)), layers, below, strict=True)
    ]
    inputs = (math.prod(view.shape), *layers[:-1])
    heads = [posterior_head(posterior, size, rank=rank) for size in layers]
    sees = [view.source, *({} for _ in layers[1:])]  # the mean is taken off the data, not off latents
    up = [
        Conditional(MLP(k, (size, *encoder_hidden, head.size), **own, **shared), head)
        for k, size, head, own in zip(split(up_key, len(layers)), inputs, heads, sees, strict=True)
    ]
    arguments = {"layers": layers, "hidden": hidden, "recognition_hidden": encoder_hidden, "likelihood": likelihood}
    arguments |= {"posterior": posterior, "rank": rank, "missing": missing, **shared}
    arguments |= {name: part is not None for name, part in source.items()}
    config = configuration("hvae", shape=shape, **arguments)
    return Model(Stack((*down, StandardNormal(layers[-1]))), Recognition(tuple(up), **view.recognition), config)


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
    """Non-linear Gaussian belief network (Frey and Hinton 1999): `dlgm` with T_l(h) = A f(h) + b, f = `between`."""
    return dlgm(key, shape, layers=layers, hidden=(), recognition_hidden=recognition_hidden, likelihood=likelihood,
                posterior=posterior, between=between, centre=centre, spread=spread)  # fmt: skip


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
) -> Model:
    """Probabilistic PCA as an auto-encoder: linear decoder, one noise level, linear recognition (Tipping, Bishop 1999).

    Args:
        key: for the weights.
        shape: of one example.
        latents: how many.
        scale: (initial) standard deviation of the noise.
        learn_scale: train it.
        per_unit: one noise level for each entry, as in factor analysis.
        posterior: covariance of q(z | x), one for all examples, as the exact posterior has it: "diagonal" can be
            exact for probabilistic PCA (its factors may be turned), "full" always; see `vae`.
        init: see `vae`.
        centre: see `vae`.
    """
    shape = positive("shape", shape)
    (latents,) = positive("latents", (latents,))
    if not scale > 0:
        raise InputError(f"scale must be positive, got {scale}.")
    encoder_key, decoder_key = split(key)
    visible = SharedNormalHead(shape, scale=float(scale), learn=learn_scale, per_unit=per_unit)
    code: Head = SharedNormalHead((latents,), learn=True, per_unit=True)
    if posterior != "diagonal":
        code = SharedCovarianceHead(jr.fold_in(encoder_key, 0), posterior_head(posterior, latents))
    mean = constant_array(centre, shape)
    encoder = MLP(encoder_key, (math.prod(shape), code.size), init=init, centre=mean)
    decoder = MLP(decoder_key, (latents, visible.size), init=init)
    arguments = {"latents": latents, "scale": scale, "learn_scale": learn_scale, "init": init, "per_unit": per_unit}
    arguments |= {"posterior": posterior, "centre": mean is not None}
    return one_layer(encoder, code, decoder, visible, configuration("linear", shape=shape, **arguments))


def factor_analysis(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    latents: int = 2,
    scale: float | int = 1.0,
    posterior: str = "full",
    init: str | float | int = "glorot",
    centre: Array | bool = False,
) -> Model:
    """Factor analysis: `linear` with one noise level per entry and a posterior that can be exact."""
    return linear(key, shape, latents=latents, scale=scale, per_unit=True, posterior=posterior, init=init,
                  centre=centre)  # fmt: skip
