"""Multilayer perceptrons, and arrays that are kept but not trained."""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key, PyTree

from nelbo.core import InputError, choice, product

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "leaky_relu": jax.nn.leaky_relu,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "identity": lambda x: x,
}


def activation(name: str) -> Callable[[Array], Array]:
    """The elementwise function called `name`.

    Raises:
        InputError: no such activation.
    """
    return ACTIVATIONS[choice("activation", name, ACTIVATIONS)]


class Frozen(eqx.Module):
    """An array, or a tree of them, that belongs to a model but is not trained (a data mean, a mask)."""

    value: PyTree

    def __call__(self) -> Any:
        """The array or tree, with no gradient."""
        return jax.lax.stop_gradient(self.value)


def trainable(tree: PyTree) -> PyTree:
    """Tree of booleans that marks what an optimizer may change: float arrays outside of `Frozen`."""

    def mark(node: Any) -> PyTree:
        if isinstance(node, Frozen):
            return jax.tree.map(lambda _: False, node)
        return eqx.is_inexact_array(node)

    return jax.tree.map(mark, tree, is_leaf=lambda node: isinstance(node, Frozen))


def initial_weight(
    key: Key[Array, ""], shape: tuple[int, ...], *, fan_in: int, fan_out: int, init: str | float | int
) -> Float[Array, "..."]:
    """Draw a weight array, float32: "glorot" (uniform, Glorot and Bengio 2010) or N(0, init^2) for a number.

    Raises:
        InputError: neither "glorot" nor a standard deviation.
    """
    if isinstance(init, str):
        choice("initialization", init, ["glorot"])
        bound = (6.0 / (fan_in + fan_out)) ** 0.5
        return jr.uniform(key, shape, jnp.float32, -bound, bound)
    if not 0 <= init < float("inf"):
        raise InputError(f"init must be 'glorot' or a standard deviation, zero or positive, got {init}.")
    return init * jr.normal(key, shape, jnp.float32)


class Network(eqx.Module):
    """Abstract: from one array, and maybe the numbers of a context, to a flat array."""

    @abc.abstractmethod
    def __call__(self, x: Float[Array, "..."], context: Float[Array, " given"] | None = None) -> Float[Array, " out"]:
        """Apply to one example."""

    @property
    @abc.abstractmethod
    def matrix(self) -> Float[Array, "out in"] | None:
        """W where the network is W x + b; else None."""


class Dense(eqx.Module):
    """y = W x + b.

    Args:
        kernel: W transposed: a processor multiplies small batches by it faster than by W.
        bias: b.
    """

    kernel: Float[Array, "in out"]
    bias: Float[Array, " out"]

    def __init__(self, key: Key[Array, ""], in_size: int, out_size: int, *, init: str | float | int = "glorot") -> None:
        weight_key, bias_key = jr.split(key)
        weight = initial_weight(weight_key, (out_size, in_size), fan_in=in_size, fan_out=out_size, init=init)
        self.kernel = weight.T
        # Kingma and Welling (2014) draw biases like weights; Glorot's scheme starts them at zero
        size = (out_size,)
        zero = isinstance(init, str)
        self.bias = jnp.zeros(size, jnp.float32) if zero else init * jr.normal(bias_key, size, jnp.float32)

    def __call__(self, x: Float[Array, " in"]) -> Float[Array, " out"]:
        """Apply to one vector."""
        return product(x, self.kernel) + self.bias

    @property
    def weight(self) -> Any:
        """W, of shape (out, in), in an array of the kernel's kind; of a stack of layers, all of theirs."""
        return self.kernel.mT


def beside(x: Float[Array, "..."], context: Float[Array, " given"] | None) -> Float[Array, " n"]:
    """The numbers of an array, and those of a context behind them."""
    flat = jnp.ravel(x)
    return flat if context is None else jnp.concatenate([flat, context])


class MLP(Network):
    """Perceptron with any number of hidden layers; the input is flattened.

    Args:
        key: for the weights.
        sizes: input size (the context's included), hidden sizes, output size.
        activation: name of the hidden units' function (see `ACTIVATIONS`).
        init: "glorot", or the standard deviation of a normal distribution.
    """

    layers: tuple[Dense, ...]
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        sizes: Sequence[int],
        *,
        activation: str = "tanh",
        init: str | float | int = "glorot",
    ) -> None:
        choice("activation", activation, ACTIVATIONS)
        keys = jr.split(key, len(sizes) - 1)
        pairs = zip(keys, sizes[:-1], sizes[1:], strict=True)
        self.layers = tuple(Dense(k, a, b, init=init) for k, a, b in pairs)
        self.activation = activation

    def __call__(self, x: Float[Array, "..."], context: Float[Array, " given"] | None = None) -> Float[Array, " out"]:
        """Apply to one example of any shape."""
        h = beside(x, context)
        function = ACTIVATIONS[self.activation]
        for layer in self.layers[:-1]:
            h = function(layer(h))
        return self.layers[-1](h)

    @property
    def matrix(self) -> Float[Array, "out in"] | None:
        """W without hidden layers; else None."""
        return self.layers[0].weight if len(self.layers) == 1 else None


class SkipMLP(Network):
    """A perceptron with one hidden layer or more, plus a linear map from the input straight to the output.

    Where data are nearly linear the map says so from the first step, and the hidden layers add what it leaves.

    Args:
        key: for the weights.
        sizes: as of `MLP`.
        activation: as of `MLP`.
        init: as of `MLP`; of the linear map too.
    """

    straight: Dense
    bent: MLP

    def __init__(
        self,
        key: Key[Array, ""],
        sizes: Sequence[int],
        *,
        activation: str = "tanh",
        init: str | float | int = "glorot",
    ) -> None:
        straight_key, bent_key = jr.split(key)
        self.straight = Dense(straight_key, sizes[0], sizes[-1], init=init)
        self.bent = MLP(bent_key, sizes, activation=activation, init=init)

    def __call__(self, x: Float[Array, "..."], context: Float[Array, " given"] | None = None) -> Float[Array, " out"]:
        """Apply to one example of any shape."""
        return self.straight(beside(x, context)) + self.bent(x, context)

    @property
    def matrix(self) -> None:
        """It is no matrix."""
        return
