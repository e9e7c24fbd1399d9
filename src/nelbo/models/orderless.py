"""EoNADE: a NADE trained on all orders at once, without latents."""

import math
from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key

from nelbo.core import InputError
from nelbo.distributions import OrderAgnosticNade
from nelbo.models.heads import Head
from nelbo.models.parts import constant_array, drawn_at_once, log_odds, positive
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model
from nelbo.models.visible import visible
from nelbo.nets import initial_weight


class OrderAgnosticHead(Head):
    """Bits each of which is given by a network from any others (Uria, Murray and Larochelle 2014).

    Args:
        key: for the weights.
        shape: of one example.
        hidden: units of each hidden layer, all alike.
        init: "glorot" or the standard deviation of the weights.
        orders: of the ensemble, see `OrderAgnosticNade`.
    """

    weight: Float[Array, "n hidden"]
    mask_weight: Float[Array, "n hidden"]
    bias: Float[Array, " hidden"]
    inner: Float[Array, "more hidden hidden"]
    inner_bias: Float[Array, "more hidden"]
    readout: Float[Array, "n hidden"]
    orders: Int[Array, "k n"]
    shape: tuple[int, ...] = eqx.field(static=True)
    planes: ClassVar[int] = 1
    is_homoscedastic: ClassVar[bool] = False

    def __init__(
        self,
        key: Key[Array, ""],
        shape: tuple[int, ...],
        hidden: tuple[int, ...],
        *,
        init: str | float | int = "glorot",
        orders: Int[Array, "k n"],
    ) -> None:
        self.shape, self.orders = shape, orders
        size, width, more = math.prod(shape), hidden[0], len(hidden) - 1
        keys = jr.split(key, 4)

        def drawn(k: Key[Array, ""], *sizes: int, fan_in: int, fan_out: int) -> Array:
            return initial_weight(k, sizes, fan_in=fan_in, fan_out=fan_out, init=init)

        self.weight = drawn(keys[0], size, width, fan_in=size, fan_out=width)
        self.mask_weight = drawn(keys[1], size, width, fan_in=size, fan_out=width)
        self.inner = drawn(keys[2], more, width, width, fan_in=width, fan_out=width)
        self.readout = drawn(keys[3], size, width, fan_in=width, fan_out=size)
        self.bias, self.inner_bias = jnp.zeros(width, jnp.float32), jnp.zeros((more, width), jnp.float32)

    def __call__(self, raw: Float[Array, " raw"]) -> OrderAgnosticNade:
        """One logit per unit, to which the known units add."""
        network = (self.weight, self.mask_weight, self.bias, self.inner, self.inner_bias, self.readout)
        return OrderAgnosticNade(self._split(raw)[0], *network, self.orders)


@drawn_at_once
def eonade(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    hidden: Sequence[int] = (500,),
    orders: int = 8,
    order_seed: int = 0,
    init: str | float | int = "glorot",
    centre: Array | bool = False,
) -> Model:
    """Ensemble of neural autoregressive estimators of binary data over orders, without latents (Uria et al. 2014).

    One network is trained for every order; log p(x) is the exact log of the mean of p(x | order) over `orders` orders
    [nats]. Missing entries come last in each order, so they are left out exactly and filled in exactly.

    Args:
        key: for the weights.
        shape: of one example.
        hidden: widths of the hidden layers, all of one size.
        orders: number of orders in the ensemble; training does not depend on it.
        order_seed: seed of the random orders.
        init: "glorot", or a standard deviation.
        centre: the training data's mean, at whose log odds the output biases start; `True` leaves them to be filled
            from a file.

    Raises:
        InputError: hidden layers of several sizes, or a size that makes no sense.
    """
    shape, hidden, (orders,) = positive("shape", shape), positive("hidden", hidden), positive("orders", (orders,))
    if not hidden or len(set(hidden)) != 1:
        raise InputError(
            f"EoNADE has hidden layers of one size, got {list(hidden)}: repeat one number, such as 500,500."
        )
    if not 0 <= order_seed < 2**32:
        raise InputError(f"The seed of the orders must be a whole number from 0 to 2^32 - 1, got {order_seed}.")
    size = math.prod(shape)
    places = jax.vmap(lambda k: jr.permutation(k, size))(jr.split(jr.key(order_seed), orders))
    mean = constant_array(centre, shape)
    head = OrderAgnosticHead(key, shape, hidden, init=init, orders=places)
    options = {"hidden": hidden, "orders": orders, "order_seed": order_seed, "init": init}
    return visible(log_odds(mean, shape), head, ModelSpec.of("eonade", shape=shape, **options, centre=mean is not None))
