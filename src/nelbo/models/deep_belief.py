"""Deep belief networks of two layers: a Boltzmann machine on top of a sigmoid belief layer."""

import math
from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Key

from nelbo.core import InputError
from nelbo.models.boltzmann import BoltzmannHead, RestrictedBoltzmann, boltzmann_machine
from nelbo.models.heads import BernoulliHead
from nelbo.models.layers import Conditional, Unconditional
from nelbo.models.parts import constant_array, drawn_at_once, log_odds, positive
from nelbo.models.recognition import Amortized
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model, Stack
from nelbo.nets import MLP, initial_weight


@drawn_at_once
def dbn(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    layers: Sequence[int] = (500, 2000),
    init: float | int = 0.01,
    sample_sweeps: int = 1000,
    centre: Array | bool = False,
) -> Model:
    """Deep belief network of two hidden layers over binary data (Hinton, Osindero and Teh 2006).

    p(v, h1, h2) = p(v | h1) p(h1, h2) with a restricted Boltzmann machine on top, whose h2 is summed out. q(h1 | v) is
    that of the first machine of greedy training: the transposed weights.

    Args:
        key: for the weights.
        shape: of one example.
        layers: units of the two hidden layers, the one next to the data first. As many in the second as there are
            entries in an example start it as the first machine upside down, which leaves p(v) as it is.
        init: standard deviation of the weights at the start.
        sample_sweeps: sweeps of block Gibbs that lie behind each sample.
        centre: the training data's mean, at whose log odds the visible biases start; `True` leaves them to be filled
            from a file.

    Raises:
        InputError: other than two layers, or a size that makes no sense.
    """
    shape, layers = positive("shape", shape), positive("layers", layers)
    (sweeps,) = positive("sample_sweeps", (sample_sweeps,))
    if len(layers) != 2:
        raise InputError(f"A dbn has two hidden layers, got {list(layers)}: give two sizes, such as 500,2000.")
    mean, size, (first, second) = constant_array(centre, shape), math.prod(shape), layers
    first_key, second_key, *net_keys = jr.split(key, 4)
    weight = initial_weight(first_key, (size, first), fan_in=size, fan_out=first, init=init)
    biases = log_odds(mean, shape)
    zeros = jnp.zeros(first, jnp.float32)
    if second == size:
        top, top_bias = weight.T, biases
    else:
        top = initial_weight(second_key, (first, second), fan_in=first, fan_out=second, init=init)
        top_bias = jnp.zeros(second, jnp.float32)
    down, up = _dense(net_keys[0], weight.T, biases), _dense(net_keys[1], weight, zeros)
    generative = (
        Conditional(down, BernoulliHead(shape)),
        Unconditional(zeros, BoltzmannHead(top, top_bias, (first,), sweeps)),
    )
    spec = ModelSpec.of("dbn", shape=shape, layers=layers, init=init, sample_sweeps=sweeps, centre=mean is not None)
    return Model(Stack(generative), Amortized((Conditional(up, BernoulliHead((first,))),)), spec)


def _dense(key: Key[Array, ""], kernel: Array, bias: Array) -> MLP:
    """One layer with these numbers."""
    net = MLP(key, kernel.shape)
    return eqx.tree_at(lambda n: (n.layers[0].kernel, n.layers[0].bias), net, (kernel, bias))


def first_machine(model: Model) -> RestrictedBoltzmann:
    """The Boltzmann machine of v and h1 that a deep belief network's q(h1 | v) and visible biases are of.

    Raises:
        InputError: the model is no such network.
    """
    visible, up = _nets(model)
    biases = visible.layers[0].bias.reshape(model.generative.layers[0].head.shape)  # pyright: ignore
    return RestrictedBoltzmann(biases, up.layers[0].kernel, up.layers[0].bias)


def _nets(model: Model) -> tuple[MLP, MLP]:
    layers = (*model.generative.layers[:1], *model.recognition.layers)
    if model.depth == 1 and len(layers) == 2 and boltzmann_machine(model) is not None:
        nets = [layer.net for layer in layers if isinstance(layer, Conditional)]
        if len(nets) == 2 and all(isinstance(net, MLP) and len(net.layers) == 1 for net in nets):
            return nets[0], nets[1]  # pyright: ignore[reportReturnType]
    raise InputError("greedy trains a deep belief network layer by layer: fit dbn with it.")
