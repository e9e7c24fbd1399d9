"""Log Z of a Boltzmann machine: by enumeration where that is possible, else by annealing, from both sides."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.nn import sigmoid
from jax.scipy.special import logit
from jaxtyping import Array, Float, Key

from nelbo.core import InputError, compiled, log_mean_exp, softplus
from nelbo.models import Model, RestrictedBoltzmann, bits, boltzmann_machine, with_log_normalizer
from nelbo.samplers import BlockGibbs, annealed, piecewise_betas

PUBLISHED = 14500  # temperatures of Salakhutdinov and Murray (2008), section 4.1
SHORT = 1000
_SHARES = ((0.5, 500), (0.9, 4000), (1.0, 10000))


@dataclasses.dataclass(frozen=True)
class Normalizer:
    """Log Z of a Boltzmann machine [nats].

    Args:
        log_z: by enumeration, or the log of the mean weight of forward annealing: a lower bound in expectation, so that
            log p(x) looks better than it is where there are too few temperatures or chains.
        standard_error: of `log_z` over chains; zero by enumeration.
        reverse: the same by annealing back from the ends of long chains of block Gibbs; an upper bound in expectation
            where these have come to draw from the model. None by enumeration.
        method: "enumeration" or "annealing".
        temperatures: of the ladder.
        chains: of either direction.
    """

    log_z: float
    standard_error: float
    reverse: float | None
    method: str
    temperatures: int = 0
    chains: int = 0

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


def ladder(temperatures: int) -> Float[np.ndarray, " rungs"]:
    """Inverse temperatures with the shares of Salakhutdinov and Murray's: 1/29 up to 0.5, 8/29 up to 0.9, the rest.

    Raises:
        InputError: fewer than 29, which no such ladder has.
    """
    total = sum(count for _, count in _SHARES)
    if temperatures < total // 500:
        raise InputError(f"An annealing ladder needs at least {total // 500} temperatures, got {temperatures}.")
    counts = [round(count * temperatures / total) for _, count in _SHARES[:2]]
    ends = [end for end, _ in _SHARES]
    return piecewise_betas(list(zip(ends, [*counts, temperatures - sum(counts)], strict=True)))


@compiled
def enumerated(node: RestrictedBoltzmann) -> Float[Array, ""]:
    """Log Z by a sum over the states of the smaller layer [nats]."""
    return RestrictedBoltzmann(node.logits, node.weight, node.bias).log_z()


@compiled
def annealed_weights(
    key: Key[Array, ""], node: RestrictedBoltzmann, betas: Float[Array, " rungs"], *, chains: int
) -> tuple[Float[Array, " chains"], Float[Array, " chains"]]:
    """Log Z of each chain, forward and in reverse: their mean weights are Z and 1 / Z [nats].

    The path goes from a machine without hidden connections, whose visible biases fit the ends of long chains, to the
    machine itself, as in Salakhutdinov and Murray (2008), eqs. 15 to 18.
    """
    long_key, base_key, start_key, forward_key, reverse_key = jr.split(key, 5)
    hidden = node.bias.shape[0]
    flat = RestrictedBoltzmann(node.flat_logits, node.weight, node.bias, None, node.sweeps)
    ends = flat.sample(long_key, (2 * chains,))
    # the base comes of other chains than those that go in reverse
    seen = sigmoid(flat.visible_logits(bits(base_key, flat.hidden_logits(ends[:chains])))).mean(0)
    base = logit(jnp.clip(seen, 0.5 / chains, 1.0 - 0.5 / chains))

    def log_ratio(old: Array, new: Array, v: Array) -> Array:
        # the difference unit by unit: that of two sums would have few digits
        a = flat.hidden_logits(v)
        return (new - old) * (v @ (flat.flat_logits - base)) + (softplus(new * a) - softplus(old * a)).sum()

    def transition(beta: Array) -> BlockGibbs:
        return BlockGibbs(
            lambda k, v: bits(k, beta * flat.hidden_logits(v)),
            lambda k, h: bits(k, (1.0 - beta) * base + beta * flat.visible_logits(h)),
        )

    def run(k: Key[Array, ""], start: Array, *, reverse: bool) -> Array:
        one = lambda k, v: annealed(k, v, log_ratio, transition, betas, reverse=reverse).log_weight  # noqa: E731
        return jax.vmap(one)(jr.split(k, chains), start)

    log_z_base = softplus(base).sum() + hidden * jnp.log(2.0)
    start = bits(start_key, jnp.broadcast_to(base, (chains, base.shape[0])))
    forward = run(forward_key, start, reverse=False)
    return log_z_base + forward, log_z_base + run(reverse_key, ends[chains:], reverse=True)


def log_normalizer(
    key: Key[Array, ""], node: RestrictedBoltzmann, *, temperatures: int = SHORT, chains: int = 100
) -> Normalizer:
    """Log Z of a restricted Boltzmann machine.

    Args:
        key: for the chains.
        node: the machine; with at most 20 units in the smaller layer nothing is random.
        temperatures: of the ladder; `PUBLISHED` is that of Salakhutdinov and Murray.
        chains: of either direction.

    Raises:
        InputError: too few temperatures, or fewer than two chains.
    """
    if chains < 2:
        raise InputError(f"An error of log Z needs at least two chains, got {chains}.")
    betas = jnp.asarray(ladder(temperatures), jnp.float32)
    if node.is_enumerable:
        return Normalizer(float(enumerated(node)), 0.0, None, "enumeration")
    forward, reverse = annealed_weights(key, node, betas, chains=chains)
    weights = np.exp(np.asarray(forward, np.float64) - float(forward.max()))
    error = float(weights.std(ddof=1) / weights.mean() / np.sqrt(chains))
    back = -float(log_mean_exp(-reverse))
    return Normalizer(float(log_mean_exp(forward)), error, back, "annealing", temperatures, chains)


def normalized(
    key: Key[Array, ""], model: Model, *, temperatures: int = SHORT, chains: int = 100
) -> tuple[Model, Normalizer | None]:
    """The model with log Z of the Boltzmann machine at its top filled in, and how it was found; None for all others.

    Raises:
        InputError: see `log_normalizer`.
    """
    node = boltzmann_machine(model)
    if node is None:
        return model, None
    found = log_normalizer(key, node, temperatures=temperatures, chains=chains)
    return with_log_normalizer(model, found.log_z), found
