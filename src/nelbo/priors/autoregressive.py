"""Affine autoregressive flows over a series (Marino, Chen, He and Mandt 2020), and recurrent priors, which are such.

A base distribution of frames y_1, ..., y_T becomes one of frames x_t = mu(x_<t) + s(x_<t) y_t. Since mu and s of a
frame see earlier frames alone, the Jacobian is triangular: log p(x) = log p(y) - sum_t sum_i log s_i(x_<t). With a base
of independent standard normals this is p(x_t | x_<t) = N(mu, s^2), a recurrent prior.
"""

import abc
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpyro.distributions as nd
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

from nelbo.core import InputError
from nelbo.distributions import Distribution, Marginalizable, Normal, example_shape, total_log_prob
from nelbo.nets import MLP, Conv, Dense, Frozen, Recurrent

# of s(x_<t) in the units of the flow: it cannot make a frame's density infinite, nor forget the past for ever
LOG_SCALES = 4.0
_START = 0.01  # of the weights of the last layer: a flow begins near the identity, where it says nothing of the past


class Past(eqx.Module):
    """Abstract: what the frames before each frame say of it."""

    @abc.abstractmethod
    def start(self) -> Any:
        """The state before the first frame."""

    @abc.abstractmethod
    def step(self, state: Any, frame: Float[Array, "*frame"]) -> Any:
        """The state after one more frame."""

    @abc.abstractmethod
    def read(self, state: Any) -> tuple[Float[Array, "*frame"], Float[Array, "*frame"]]:
        """The shift mu and the log scale of the next frame."""

    def after(self, frames: Float[Array, "n *frame"]) -> Any:
        """The state after some frames."""
        return jax.lax.scan(lambda state, frame: (self.step(state, frame), None), self.start(), frames)[0]

    def __call__(self, frames: Float[Array, "n *frame"]) -> tuple[Float[Array, "n *frame"], Float[Array, "n *frame"]]:
        """Shift and log scale of every frame given those before it."""
        states = jax.lax.scan(lambda state, frame: (self.step(state, frame), state), self.start(), frames)[1]
        return jax.vmap(self.read)(states)


def _bounded(raw: Array) -> Array:
    """A log scale that bends towards its bounds; near zero it is what it says."""
    return LOG_SCALES * jnp.tanh(raw / LOG_SCALES)


class RecurrentPast(Past):
    """The whole past, in the state of a gated recurrent network.

    Args:
        key: for the weights.
        size: numbers of a frame.
        state_size: of the network.
    """

    network: Recurrent
    first: Float[Array, " state"]
    out: Dense

    def __init__(self, key: Key[Array, ""], size: int, state_size: int) -> None:
        network_key, out_key = jr.split(key)
        self.network = Recurrent(network_key, size, state_size)
        self.first = jnp.zeros(state_size, jnp.float32)
        self.out = Dense(out_key, state_size, 2 * size, init=_START)

    def start(self) -> Float[Array, " state"]:
        """Trained: the first frame has a mean and a scale of its own."""
        return jnp.tanh(self.first)

    def step(self, state: Float[Array, " state"], frame: Float[Array, " frame"]) -> Float[Array, " state"]:
        """The network reads a frame."""
        return self.network.cell(frame, state)

    def read(self, state: Float[Array, " state"]) -> tuple[Float[Array, " frame"], Float[Array, " frame"]]:
        """Linear in the state."""
        shift, raw = jnp.split(self.out(state), 2)
        return shift, _bounded(raw)


class RecentPast(Past):
    """The last few frames, by a perceptron, or by convolutions where frames are pictures.

    Before the first frame are frames at the centre.

    Args:
        key: for the weights.
        frame: shape of one; with three axes it is a picture.
        order: how many frames are looked at.
        hidden: widths of hidden layers, of convolutions the channels.
        centre: subtracted from frames as they are looked at.
        spread: they are divided by it, and shifts are in units of it.
    """

    layers: tuple[Conv, ...] | MLP
    centre: Frozen
    spread: Frozen
    frame: tuple[int, ...] = eqx.field(static=True)
    order: int = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        frame: tuple[int, ...],
        order: int,
        *,
        hidden: tuple[int, ...] = (32,),
        centre: Array | None = None,
        spread: Array | None = None,
    ) -> None:
        """All parameters are described above."""
        self.frame, self.order = frame, order
        self.centre = Frozen(jnp.zeros(frame, jnp.float32) if centre is None else jnp.broadcast_to(centre, frame))
        self.spread = Frozen(jnp.ones(frame, jnp.float32) if spread is None else jnp.broadcast_to(spread, frame))
        hidden_key, last_key = jr.split(key)
        if len(frame) == 3:
            sizes = (order * frame[-1], *hidden, 2 * frame[-1])
            keys = (*jr.split(hidden_key, len(sizes) - 1)[:-1], last_key)
            convs = [Conv(k, a, b) for k, a, b in zip(keys, sizes[:-1], sizes[1:], strict=True)]
            self.layers = (*convs[:-1], _shrunk(convs[-1]))
        else:
            size = math.prod(frame)
            network = MLP(hidden_key, (order * size, *hidden, 2 * size), activation="silu")
            last = Dense(last_key, network.layers[-1].kernel.shape[0], 2 * size, init=_START)
            self.layers = eqx.tree_at(lambda net: net.layers[-1], network, last)

    def start(self) -> Float[Array, "order *frame"]:
        """Frames at the centre."""
        return jnp.zeros((self.order, *self.frame), jnp.float32)

    def step(self, state: Float[Array, "order *frame"], frame: Float[Array, "*frame"]) -> Float[Array, "order *frame"]:
        """The newest frame is the last."""
        return jnp.concatenate([state[1:], ((frame - self.centre()) / self.spread())[None]])

    def read(self, state: Float[Array, "order *frame"]) -> tuple[Float[Array, "*frame"], Float[Array, "*frame"]]:
        """By the network."""
        if isinstance(self.layers, MLP):
            shift, raw = self.layers(state).reshape(2, *self.frame)
        else:
            h = jnp.concatenate(list(state), -1)
            for conv in self.layers[:-1]:
                h = jax.nn.silu(conv(h))
            shift, raw = jnp.split(self.layers[-1](h), 2, axis=-1)
        return self.spread() * shift, _bounded(raw)


def _shrunk(conv: Conv) -> Conv:
    return eqx.tree_at(lambda one: one.weight, conv, _START * conv.weight)


class AutoregressiveFlow(Marginalizable):
    """The distribution of x_t = mu(x_<t) + s(x_<t) y_t, y from a base distribution over the whole series.

    Of a series with missing entries mu and s see a value at the centre in their place, and the density is that of what
    is observed, each frame given the observed past.

    Args:
        base: of y, `(time, *frame)`.
        past: mu and s.
        begin: the state of `past` before the first frame; None: that before any.
        centre: what stands in for missing values; None: zero.
    """

    support: Any = constraints.real_matrix
    arg_constraints: dict[str, Any] = {}
    pytree_data_fields = ("base", "past", "begin", "centre")

    def __init__(self, base: Distribution, past: Past, begin: Any = None, centre: Array | None = None) -> None:
        self.base, self.past, self.begin, self.centre = base, past, begin, centre
        super().__init__(event_shape=example_shape(base), validate_args=False)

    def whitened(
        self, value: Float[Array, "n *frame"], observed: Array | None = None
    ) -> tuple[Float[Array, "n *frame"], Float[Array, "n *frame"]]:
        """The y of a series, and its log scales; zeros where nothing is observed."""
        whole = value
        if observed is not None:
            whole = jnp.where(observed, value, jnp.zeros_like(value) if self.centre is None else self.centre[None])
        shift, log_scale = self.past(whole)
        y = (whole - shift) * jnp.exp(-log_scale)
        return (y, log_scale) if observed is None else (jnp.where(observed, y, 0.0), log_scale)

    def log_prob(self, value: Float[Array, "n *frame"]) -> Float[Array, ""]:  # pyright: ignore
        """Joint log density of a whole series [nats]."""
        y, log_scale = self.whitened(value)
        return total_log_prob(self.base, y) - log_scale.sum()

    def observed_log_prob(self, value: Float[Array, "n *frame"], observed: Array) -> Float[Array, ""]:
        """Log density of what is observed, each frame given the observed past [nats]."""
        y, log_scale = self.whitened(value, observed)
        return total_log_prob(self.base, y, observed) - jnp.where(observed, log_scale, 0.0).sum()

    def unrolled(
        self, y: Float[Array, "n *frame"]
    ) -> tuple[Float[Array, "n *frame"], Float[Array, "n *frame"], Float[Array, "n *frame"]]:
        """The x of a series of y, frame by frame, with shifts and log scales."""

        def step(state: Any, frame: Array) -> tuple[Any, tuple[Array, Array, Array]]:
            shift, log_scale = self.past.read(state)
            x = shift + jnp.exp(log_scale) * frame
            return self.past.step(state, x), (x, shift, log_scale)

        return jax.lax.scan(step, self.past.start() if self.begin is None else self.begin, y)[1]

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw the base, then frame by frame."""
        if sample_shape:
            flat = jax.vmap(self.sample)(jr.split(key, math.prod(sample_shape)))
            return flat.reshape(*sample_shape, *self.event_shape)
        return self.unrolled(jnp.asarray(self.base.sample(key)))[0]

    @property
    def mean(self) -> Float[Array, "n *frame"]:
        """The series of the base's means: the mean itself where mu is linear and s does not change with the past."""
        return self.unrolled(jnp.asarray(self.base.mean))[0]

    @property
    def variance(self) -> Array:
        """Nothing.

        Raises:
            InputError: always: it has no closed form.
        """
        raise InputError("The variance of a flow over a series has no closed form: draw from it (`nelbo sample`).")

    def conditionals(self, key: Key[Array, ""]) -> tuple[Float[Array, "n *frame"], Normal]:
        """A draw, and the distribution of each of its frames given those before it, of a base of normals."""
        y = jnp.asarray(self.base.sample(key))
        x, shift, log_scale = self.unrolled(y)
        scale = jnp.exp(log_scale)
        return x, Normal(shift + scale * jnp.asarray(self.base.mean), scale * jnp.sqrt(jnp.asarray(self.base.variance)))


def independent_normals(length: int, size: int) -> nd.Distribution:
    """N(0, 1) of every number of every frame."""
    return Normal(jnp.zeros((length, size), jnp.float32), jnp.ones((length, size), jnp.float32))
