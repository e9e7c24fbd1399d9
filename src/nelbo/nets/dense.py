"""Multilayer perceptrons, and arrays that are kept but not trained."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from nelbo.core import InputError, choice, normal, split, uniform

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
    """An array that belongs to a model but is not trained (a data mean, a mask)."""

    value: Array

    def __call__(self) -> Array:
        """The array, with no gradient."""
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
) -> Float[Array | np.ndarray, "..."]:
    """Draw a weight array: "glorot" (uniform, Glorot and Bengio 2010) or N(0, init^2) for a number.

    It is one of NumPy where the key is known: what is done to it before it becomes JAX's is not compiled either.

    Raises:
        InputError: neither "glorot" nor a standard deviation.
    """
    if isinstance(init, str):
        choice("initialization", init, ["glorot"])
        bound = (6.0 / (fan_in + fan_out)) ** 0.5
        return uniform(key, shape, -bound, bound)
    if not 0 <= init < float("inf"):
        raise InputError(f"init must be 'glorot' or a standard deviation, zero or positive, got {init}.")
    return init * normal(key, shape)


class Dense(eqx.Module):
    """y = W x + b.

    Args:
        kernel: W transposed: a processor multiplies small batches by it faster than by W.
        bias: b.
    """

    kernel: Float[Array, "in out"]
    bias: Float[Array, " out"]

    def __init__(self, key: Key[Array, ""], in_size: int, out_size: int, *, init: str | float | int = "glorot") -> None:
        weight_key, bias_key = split(key)
        weight = initial_weight(weight_key, (out_size, in_size), fan_in=in_size, fan_out=out_size, init=init)
        self.kernel = jnp.asarray(weight.T)
        # Kingma and Welling (2014) draw biases like weights; Glorot's scheme starts them at zero
        bias = np.zeros(out_size, np.float32) if isinstance(init, str) else init * normal(bias_key, (out_size,))
        self.bias = jnp.asarray(bias)

    def __call__(self, x: Float[Array, " in"]) -> Float[Array, " out"]:
        """Apply to one vector."""
        return x @ self.kernel + self.bias

    @property
    def weight(self) -> Any:
        """W, of shape (out, in), in an array of the kernel's kind; of a stack of layers, all of theirs."""
        return self.kernel.mT


def normalized(x: Array, centre: Frozen | None, spread: Frozen | None) -> Array:
    """(x - centre) / spread, each where it is given."""
    centred = x if centre is None else x - centre()
    return centred if spread is None else centred / spread()


class MLP(eqx.Module):
    """Perceptron with any number of hidden layers; the input is flattened.

    Args:
        key: for the weights.
        sizes: input size, hidden sizes, output size.
        activation: name of the hidden units' function (see `ACTIVATIONS`).
        init: "glorot", or the standard deviation of a normal distribution.
        centre: subtracted from the input and not trained (the data mean, in recognition models).
        spread: the (centred) input is divided by it; not trained.
    """

    layers: tuple[Dense, ...]
    centre: Frozen | None
    spread: Frozen | None
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        sizes: Sequence[int],
        *,
        activation: str = "tanh",
        init: str | float | int = "glorot",
        centre: Array | None = None,
        spread: Array | None = None,
    ) -> None:
        choice("activation", activation, ACTIVATIONS)
        keys = split(key, len(sizes) - 1)
        pairs = zip(keys, sizes[:-1], sizes[1:], strict=True)
        self.layers = tuple(Dense(k, a, b, init=init) for k, a, b in pairs)
        self.centre = None if centre is None else Frozen(jnp.ravel(centre))
        self.spread = None if spread is None else Frozen(jnp.ravel(spread))
        self.activation = activation

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, " out"]:
        """Apply to one example of any shape."""
        h = normalized(jnp.ravel(x), self.centre, self.spread)
        function = ACTIVATIONS[self.activation]
        for layer in self.layers[:-1]:
            h = function(layer(h))
        return self.layers[-1](h)
