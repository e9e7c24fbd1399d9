"""Belief networks with layers of binary units: sigmoid belief nets, DARN and fDARN."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Key

from nelbo.core import InputError, choice
from nelbo.models.heads import AutoregressiveBernoulliHead, BernoulliHead, Head
from nelbo.models.layers import Conditional, Unconditional
from nelbo.models.likelihoods import likelihood_head
from nelbo.models.parts import constant_array, drawn_at_once, input_rule, positive
from nelbo.models.recognition import Amortized
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model, Stack
from nelbo.nets import MLP

DEPENDENCE = ("autoregressive", "factorial")
# the networks of Mnih and Gregor (2014), table 1
DEPTHS: dict[str, tuple[int, ...]] = {
    "200": (200,),
    "500": (500,),
    "200-200": (200, 200),
    "200-200-200": (200, 200, 200),
    "200-200-500": (200, 200, 500),
}


def belief_network(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    layers: Sequence[int],
    visible: Head,
    prior: str = "factorial",
    recognition: str = "factorial",
    recognition_hidden: Sequence[int] = (),
    activation: str = "tanh",
    init: str | float | int = "glorot",
    centre: Array | None = None,
    spec: ModelSpec | None = None,
) -> Model:
    """A chain of layers of binary units, each given the layer above it, with a recognition model given the one below.

    Args:
        key: for the weights.
        shape: of one example.
        layers: how many units in each latent layer, the one next to the data first.
        visible: head of p(x | first layer).
        prior: "factorial", or "autoregressive": units of a latent layer also depend on those before them.
        recognition: the same of q.
        recognition_hidden: widths of deterministic layers between two layers of q.
        activation: of those.
        init: "glorot" or a standard deviation.
        centre: subtracted from x as the recognition model sees it.
        spec: see `Model`.

    Raises:
        InputError: an unknown word, or a size that makes no sense.
    """
    for word in (prior, recognition):
        choice("dependence within a layer", word, DEPENDENCE)
    shape, sizes, hidden = (
        positive("shape", shape),
        positive("layers", layers),
        positive("recognition_hidden", recognition_hidden),
    )
    if not sizes:
        raise InputError("A belief network needs at least one latent layer: give its size with layers.")
    keys = iter(jr.split(key, 4 * len(sizes)))

    def units(dependence: str, size: int) -> Head:
        head_key = next(keys)
        if dependence == "factorial":
            return BernoulliHead((size,))
        return AutoregressiveBernoulliHead(head_key, (size,), init=init)

    heads = [visible, *(units(prior, size) for size in sizes)]
    downward = [
        Conditional(MLP(next(keys), (size, head.size), init=init), head)
        for size, head in zip(sizes, heads[:-1], strict=True)
    ]
    top = Unconditional(jnp.zeros(heads[-1].size, jnp.float32), heads[-1])
    upward = []
    for below, size in zip((math.prod(shape), *sizes[:-1]), sizes, strict=True):
        net = MLP(next(keys), (below, *hidden, size), activation=activation, init=init)
        upward.append(Conditional(net, units(recognition, size)))
    inputs = input_rule("zero", shape, centre=centre)
    return Model(Stack((*downward, top)), Amortized(tuple(upward), inputs), spec)


def _named(
    name: Literal["sbn", "fdarn", "darn"],
    key: Key[Array, ""],
    shape: Sequence[int],
    likelihood: str,
    centre: Array | bool,  # noqa: FBT001
    **options: Any,
) -> Model:
    head_key, key = jr.split(key)
    shape = positive("shape", shape)
    visible = likelihood_head(likelihood, shape)
    if isinstance(options["layers"], str):
        options["layers"] = DEPTHS[choice("depth of a belief network", options["layers"], DEPTHS)]
    options["layers"] = tuple(options["layers"])
    if name == "darn":
        if likelihood != "bernoulli":
            raise InputError(f"DARN needs a bernoulli likelihood, got {likelihood}: use fdarn.")
        visible = AutoregressiveBernoulliHead(head_key, shape, init=options["init"])
    mean = constant_array(centre, shape)
    spec = ModelSpec.of(name, shape=shape, likelihood=likelihood, centre=mean is not None, **options)
    prior = "factorial" if name == "sbn" else "autoregressive"
    return belief_network(key, shape, visible=visible, prior=prior, centre=mean, spec=spec, **options)


@drawn_at_once
def sbn(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    layers: Sequence[int] | str = (200,),
    likelihood: str = "bernoulli",
    recognition: str = "factorial",
    recognition_hidden: Sequence[int] = (),
    activation: str = "tanh",
    init: str | float | int = "glorot",
    centre: Array | bool = False,
) -> Model:
    """Sigmoid belief network with layers of binary latents (Neal 1992; Mnih and Gregor 2014).

    Args:
        key: for the weights.
        shape: of one example.
        layers: how many units in each latent layer, the one next to the data first; or the name of a published
            network, see `DEPTHS`: "200", "500", "200-200", "200-200-200" or "200-200-500".
        likelihood: see `LIKELIHOODS`; "bernoulli", or "multinomial" for word counts of shape (vocabulary,).
        recognition: "factorial", or "autoregressive": units of a layer of q also depend on those before them.
        recognition_hidden: widths of deterministic layers between two layers of q.
        activation: of those.
        init: "glorot", or a standard deviation.
        centre: the training data's mean, subtracted from the recognition model's input; `True` leaves its place
            to be filled from a file.

    Raises:
        InputError: an unknown name, or a size that makes no sense.
    """
    options = {"layers": layers, "recognition": recognition, "recognition_hidden": tuple(recognition_hidden)}
    return _named("sbn", key, shape, likelihood, centre, activation=activation, init=init, **options)


@drawn_at_once
def fdarn(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    layers: Sequence[int] | str = (200,),
    likelihood: str = "bernoulli",
    recognition: str = "factorial",
    recognition_hidden: Sequence[int] = (),
    activation: str = "tanh",
    init: str | float | int = "glorot",
    centre: Array | bool = False,
) -> Model:
    """A belief network whose latent units also depend on those before them in their layer (Gregor et al. 2014).

    Its parameters and errors are those of `sbn`.
    """
    options = {"layers": layers, "recognition": recognition, "recognition_hidden": tuple(recognition_hidden)}
    return _named("fdarn", key, shape, likelihood, centre, activation=activation, init=init, **options)


@drawn_at_once
def darn(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    layers: Sequence[int] | str = (200,),
    likelihood: str = "bernoulli",
    recognition: str = "factorial",
    recognition_hidden: Sequence[int] = (),
    activation: str = "tanh",
    init: str | float | int = "glorot",
    centre: Array | bool = False,
) -> Model:
    """Deep autoregressive network: `fdarn` whose visible units depend on those before them too (Gregor et al. 2014).

    Its parameters and errors are those of `sbn`; the likelihood is "bernoulli".
    """
    options = {"layers": layers, "recognition": recognition, "recognition_hidden": tuple(recognition_hidden)}
    return _named("darn", key, shape, likelihood, centre, activation=activation, init=init, **options)
