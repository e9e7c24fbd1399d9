"""Restricted Boltzmann machines: the distribution of the visible units, its head, and the family `rbm`."""

import math
from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.nn import sigmoid
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

from nelbo.core import InputError, softplus
from nelbo.distributions import Bernoulli, BinaryUnits, Completable, uniforms
from nelbo.models.heads import Head
from nelbo.models.parts import constant_array, drawn_at_once, log_odds, positive
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model
from nelbo.models.visible import visible
from nelbo.nets import Frozen, initial_weight
from nelbo.samplers import BlockGibbs, run_chain

MOST_ENUMERATED = 20  # units of the smaller layer, for an exact log Z
_AT_ONCE = 1024  # of their states


class RestrictedBoltzmann(BinaryUnits, Completable):
    """Visible units of a restricted Boltzmann machine, p(v) = exp(b.v) prod_j (1 + exp(c_j + W_j . v)) / Z.

    It is the marginal of p(v, h) proportional to exp(v.W h + b.v + c.h). With at most 20 units in the smaller layer log
    Z is a sum over its states; else it must be given, which `nelbo.evaluation.normalized` estimates.
    Source: Salakhutdinov and Murray (2008), eqs. 1 to 8.

    Args:
        logits: b, the shape of one example.
        weight: W, a row for each visible unit of the flattened example.
        bias: c.
        log_normalizer: log Z [nats], or None.
        sweeps: of block Gibbs that lie behind each sample.
    """

    references: ClassVar[tuple[str, ...]] = ("salakhutdinov2008dbn",)
    pytree_data_fields = ("logits", "weight", "bias", "log_normalizer")
    pytree_aux_fields = ("sweeps",)
    arg_constraints = {
        "logits": constraints.real,
        "weight": constraints.real_matrix,
        "bias": constraints.real_vector,
    }

    def __init__(
        self,
        logits: Float[Array, "*d"],
        weight: Float[Array, "n hidden"],
        bias: Float[Array, " hidden"],
        log_normalizer: Float[Array, ""] | None = None,
        sweeps: int = 1000,
    ) -> None:
        self.logits, self.weight, self.bias, self.log_normalizer = logits, weight, bias, log_normalizer
        self.sweeps = sweeps
        super().__init__(event_shape=jnp.shape(logits), validate_args=False)

    @property
    def support(self) -> constraints.Constraint:  # pyright: ignore
        """Zeros and ones."""
        return constraints.independent(constraints.boolean, len(self.event_shape))

    @property
    def flat_logits(self) -> Float[Array, " n"]:
        """b, flattened."""
        return jnp.ravel(self.logits)

    def hidden_logits(self, v: Float[Array, "*batch n"]) -> Float[Array, "*batch hidden"]:
        """C + W' v, the logits of p(h | v), of flattened visible units."""
        return _plus(v @ self.weight, self.bias)

    def visible_logits(self, h: Float[Array, "*batch hidden"]) -> Float[Array, "*batch n"]:
        """B + W h, the logits of p(v | h), flattened."""
        return _plus(h @ self.weight.T, self.flat_logits)

    def log_unnormalized(self, v: Float[Array, "*batch n"]) -> Float[Array, "*batch"]:
        """Log p(v) + log Z, the negative free energy, of flattened visible units [nats]."""
        return v @ self.flat_logits + softplus(self.hidden_logits(v)).sum(-1)

    def log_prob(self, value: Float[Array, "*d"]) -> Float[Array, ""]:  # pyright: ignore
        """Log probability of one example [nats].

        Raises:
            InputError: log Z was not given, and there are too many states to sum over.
        """
        return self.log_unnormalized(jnp.ravel(value)) - self.log_z()

    @property
    def is_enumerable(self) -> bool:
        """Whether log Z is a sum over few enough states."""
        return min(self.weight.shape) <= MOST_ENUMERATED

    def log_z(self) -> Float[Array, ""]:
        """Log Z: the one that was given, else by enumeration of the smaller layer [nats].

        Raises:
            InputError: see `log_prob`.
        """
        if self.log_normalizer is not None:
            return self.log_normalizer
        if not self.is_enumerable:
            raise InputError(
                f"log p(x) of a Boltzmann machine of {self.weight.shape[0]} by {self.weight.shape[1]} units needs log "
                f"Z, a sum over more than 2^{MOST_ENUMERATED} states: estimate it (`nelbo evaluate`, normalized), or "
                "train by contrastive-divergence or greedy."
            )
        visible_is_less = self.weight.shape[0] <= self.weight.shape[1]
        count = min(self.weight.shape)

        def term(number: Array) -> Array:
            state = ((number >> jnp.arange(count)) & 1).astype(self.weight.dtype)
            if visible_is_less:
                return self.log_unnormalized(state)
            return state @ self.bias + softplus(self.visible_logits(state)).sum()

        logs = jax.lax.map(jax.checkpoint(term), jnp.arange(2**count), batch_size=min(_AT_ONCE, 2**count))
        return jax.nn.logsumexp(logs)

    def gibbs(self, value: Array | None = None, known: Array | None = None) -> BlockGibbs:
        """Block Gibbs on flattened visible units, one example or a batch of them.

        Args:
            value: an example, flattened.
            known: which of its entries are held.
        """

        def up(key: Key[Array, ""], v: Array) -> Array:
            return bits(key, self.hidden_logits(v))

        def down(key: Key[Array, ""], h: Array) -> Array:
            v = bits(key, self.visible_logits(h))
            return v if known is None or value is None else jnp.where(known, value, v)

        return BlockGibbs(up, down)

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """The ends of chains of `sweeps` sweeps of block Gibbs, from units drawn by their biases b alone."""
        start_key, chain_key = jr.split(key)
        flat = (*sample_shape, self.weight.shape[0])
        start = bits(start_key, jnp.broadcast_to(self.flat_logits, flat))
        v, _, _ = run_chain(chain_key, self.gibbs(), start, self.sweeps)
        return v.reshape(*sample_shape, *self.event_shape)

    def conditional(self, value: Float[Array, "*d"]) -> Bernoulli:
        """Each unit given all others in `value`: the terms of the pseudo-likelihood (Besag 1975)."""
        places = jnp.arange(self.weight.shape[0])
        return Bernoulli(self.unit_logits(jnp.ravel(value), places).reshape(jnp.shape(self.logits)))

    def unit_logits(self, v: Float[Array, " n"], places: Array) -> Float[Array, " places"]:
        """The logits of some units, each given all others."""
        rows, own = self.weight[places], v[places][:, None]
        without = _plus(-own * rows, self.hidden_logits(v))
        return self.flat_logits[places] + (softplus(without + rows) - softplus(without)).sum(-1)

    def complete(
        self, key: Key[Array, ""], value: Float[Array, "*d"], known: Array, steps: int = 1
    ) -> tuple[Array, Array]:
        """The end of a chain of block Gibbs that holds the known entries; nearer to exact with more steps."""
        start_key, chain_key, last_key = jr.split(key, 3)
        seen = jnp.ravel(known)
        values = jnp.where(seen, jnp.ravel(value), 0.0)
        start = jnp.where(seen, values, bits(start_key, self.flat_logits))
        kernel = self.gibbs(values, seen)
        v, _, _ = run_chain(chain_key, kernel, start, steps)
        up_key, down_key = jr.split(last_key)
        mean = sigmoid(self.visible_logits(kernel.up(up_key, v)))
        drawn = (uniforms(down_key, mean.shape).astype(mean.dtype) < mean).astype(mean.dtype)
        shape = jnp.shape(value)
        return jnp.where(seen, values, drawn).reshape(shape), jnp.where(seen, values, mean).reshape(shape)


def _plus(rows: Float[Array, "*batch n"], bias: Float[Array, " n"]) -> Float[Array, "*batch n"]:
    """A bias to every row: JAX is told to refuse broadcasts that nobody asked for."""
    return rows + jnp.broadcast_to(bias, rows.shape)


def bits(key: Key[Array, ""], logits: Float[Array, "*d"]) -> Float[Array, "*d"]:
    """Zeros and ones with these logits."""
    return (uniforms(key, logits.shape, paired=False).astype(logits.dtype) < sigmoid(logits)).astype(logits.dtype)


class BoltzmannHead(Head):
    """A restricted Boltzmann machine whose visible biases are the network's output.

    Args:
        weight: W, a row for each unit of the flattened example.
        bias: c, of the hidden units.
        shape: of one example.
        sweeps: of block Gibbs that lie behind each sample.
        log_normalizer: log Z [nats], not trained; None: unknown.
    """

    weight: Float[Array, "n hidden"]
    bias: Float[Array, " hidden"]
    shape: tuple[int, ...] = eqx.field(static=True)
    sweeps: int = eqx.field(static=True, default=1000)
    log_normalizer: Frozen | None = None
    planes: ClassVar[int] = 1
    is_homoscedastic: ClassVar[bool] = False

    def __call__(self, raw: Float[Array, " raw"]) -> RestrictedBoltzmann:
        """One bias per visible unit."""
        known = None if self.log_normalizer is None else self.log_normalizer()
        return RestrictedBoltzmann(self._split(raw)[0], self.weight, self.bias, known, self.sweeps)


def boltzmann_machine(model: Model) -> RestrictedBoltzmann | None:
    """The Boltzmann machine at the top of a model, with all of its log density but log Z in closed form; or None."""
    if model.generative.layers[model.depth].conditioned:
        return None  # no distribution without its context
    top = model.generative.root(model.depth)
    return top if isinstance(top, RestrictedBoltzmann) else None


def with_log_normalizer(model: Model, log_z: Float[Array, ""] | float) -> Model:
    """The model with log Z of the Boltzmann machine at its top filled in [nats].

    Raises:
        InputError: there is none.
    """
    if boltzmann_machine(model) is None:
        raise InputError("There is no log Z to fill in: the top of this model is no Boltzmann machine.")
    place = lambda m: m.generative.layers[-1].head.log_normalizer  # noqa: E731
    return eqx.tree_at(place, model, Frozen(jnp.asarray(log_z, jnp.float32)), is_leaf=lambda leaf: leaf is None)


@drawn_at_once
def rbm(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    hidden: Sequence[int] = (500,),
    init: float | int = 0.01,
    sample_sweeps: int = 1000,
    centre: Array | bool = False,
) -> Model:
    """Restricted Boltzmann machine over binary data (Hinton 2002; Salakhutdinov and Murray 2008).

    Log p(x) is exact where the smaller layer has at most 20 units; else log Z is estimated by annealed importance
    sampling. The hidden units are summed out, so the model counts as one without latents.

    Args:
        key: for the weights.
        shape: of one example.
        hidden: number of hidden units, as a list of one.
        init: initial standard deviation of the weights.
        sample_sweeps: sweeps of block Gibbs that a sample takes.
        centre: the training data's mean, at whose log odds the visible biases start; `True` leaves them to be filled
            from a file.

    Raises:
        InputError: more than one hidden layer, or a size that makes no sense.
    """
    shape, hidden = positive("shape", shape), positive("hidden", hidden)
    (sweeps,) = positive("sample_sweeps", (sample_sweeps,))
    if len(hidden) != 1:
        raise InputError(f"An rbm has one hidden layer, got {list(hidden)}: give one size, or fit dbn.")
    mean = constant_array(centre, shape)
    size = math.prod(shape)
    weight = initial_weight(key, (size, hidden[0]), fan_in=size, fan_out=hidden[0], init=init)
    head = BoltzmannHead(weight, jnp.zeros(hidden[0], jnp.float32), shape, sweeps)
    spec = ModelSpec.of("rbm", shape=shape, hidden=hidden, init=init, sample_sweeps=sweeps, centre=mean is not None)
    return visible(log_odds(mean, shape), head, spec)
