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
from nelbo.samplers import Annealed, BlockGibbs, annealed, piecewise_betas, run_chain

PUBLISHED = 14500  # temperatures of Salakhutdinov and Murray (2008), section 4.1
SHORT = 1000
_FAR = 1.0  # nats between the two directions
_PILOT = 200  # temperatures, about
_SHARES = ((0.5, 500), (0.9, 4000), (1.0, 10000))


@dataclasses.dataclass(frozen=True)
class Normalizer:
    """Log Z of a Boltzmann machine [nats].

    Args:
        log_z: by enumeration, or the log of the mean weight of forward annealing: a lower bound in expectation, so that
            log p(x) looks better than it is where there are too few temperatures or chains.
        standard_error: of `log_z` over chains; zero by enumeration.
        reverse: the same by annealing back from where the forward chains ended, chosen by their weights and moved on;
            an upper bound in expectation where these draw from the model, which a value far below `log_z` denies. None
            by enumeration.
        method: "enumeration" or "annealing".
        temperatures: of the ladder.
        chains: of either direction.
        reverse_error: standard error of `reverse` over chains; None by enumeration.
    """

    log_z: float
    standard_error: float
    reverse: float | None
    method: str
    temperatures: int = 0
    chains: int = 0
    reverse_error: float | None = None

    @property
    def warning(self) -> str | None:
        """Why it cannot be trusted, in one sentence; None: nothing is known against it."""
        if self.reverse is None or abs(self.reverse - self.log_z) <= max(_FAR, 5.0 * self.standard_error):
            return None
        return (
            f"Annealing gives log Z = {self.log_z:.2f} nats forward and {self.reverse:.2f} in reverse: log p(x) is "
            "uncertain by that difference, and likely lower than it looks; use more temperatures."
        )

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

    The path goes from a machine without hidden connections to the machine itself, as in Salakhutdinov and Murray
    (2008), eqs. 15 to 18. Its visible biases fit the ends of a shorter pilot run. The reverse chains start where
    forward ones ended, chosen by their weights and then moved by `node.sweeps` sweeps: block Gibbs from anywhere else
    stays in the mode that it meets first.
    """
    pilot_key, forward_key, reverse_key = jr.split(key, 3)
    flat = RestrictedBoltzmann(node.flat_logits, node.weight, node.bias, None, node.sweeps)
    step = max(1, (len(betas) - 1) // _PILOT)
    short = jnp.append(betas[:-1:step], betas[-1])
    blank = jnp.zeros_like(node.flat_logits)
    pilot = _forward(pilot_key, flat, blank, short, chains)
    found = _ends(jr.fold_in(pilot_key, 1), flat, pilot)
    hidden = bits(jr.fold_in(pilot_key, 2), flat.hidden_logits(found))
    least = 0.5 / chains
    base = logit(jnp.clip(sigmoid(flat.visible_logits(hidden)).mean(0), least, 1.0 - least))
    forward = _forward(forward_key, flat, base, betas, chains)
    ends = _ends(jr.fold_in(reverse_key, 1), flat, forward)
    reverse = _run(reverse_key, flat, base, betas, ends, reverse=True)
    log_z_base = softplus(base).sum() + flat.bias.shape[0] * jnp.log(2.0)
    return log_z_base + forward.log_weight, log_z_base + reverse.log_weight


def _forward(key: Key[Array, ""], node: RestrictedBoltzmann, base: Array, betas: Array, chains: int) -> Annealed:
    """Chains from the machine of visible biases alone."""
    start_key, run_key = jr.split(key)
    start = bits(start_key, jnp.broadcast_to(base, (chains, base.shape[0])))
    return _run(run_key, node, base, betas, start, reverse=False)


def _run(
    key: Key[Array, ""], node: RestrictedBoltzmann, base: Array, betas: Array, start: Array, *, reverse: bool
) -> Annealed:
    """Annealing of each chain between visible biases alone and the machine."""

    def log_ratio(old: Array, new: Array, v: Array) -> Array:
        # the difference unit by unit: that of two sums would have few digits
        a = node.hidden_logits(v)
        return (new - old) * (v @ (node.flat_logits - base)) + (softplus(new * a) - softplus(old * a)).sum()

    def transition(beta: Array) -> BlockGibbs:
        return BlockGibbs(
            lambda k, v: bits(k, beta * node.hidden_logits(v)),
            lambda k, h: bits(k, (1.0 - beta) * base + beta * node.visible_logits(h)),
        )

    def one(k: Key[Array, ""], v: Array) -> Annealed:
        return annealed(k, v, log_ratio, transition, betas, reverse=reverse)

    return jax.vmap(one)(jr.split(key, len(start)), start)


def _ends(key: Key[Array, ""], node: RestrictedBoltzmann, found: Annealed) -> Array:
    """As many chains near the machine's law: chosen by their weights (systematic resampling), then moved on."""
    choose_key, move_key = jr.split(key)
    count = len(found.log_weight)
    places = (jnp.arange(count, dtype=jnp.float32) + jr.uniform(choose_key, dtype=jnp.float32)) / count
    chosen = jnp.searchsorted(jnp.cumsum(jax.nn.softmax(found.log_weight)), places).clip(0, count - 1)
    return run_chain(move_key, node.gibbs(), found.position[chosen], node.sweeps)[0]


def log_normalizer(
    key: Key[Array, ""], node: RestrictedBoltzmann, *, temperatures: int = PUBLISHED, chains: int = 100
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
    return Normalizer(
        log_z=float(log_mean_exp(forward)),
        standard_error=_error(forward),
        reverse=-float(log_mean_exp(-reverse)),
        method="annealing",
        temperatures=temperatures,
        chains=chains,
        reverse_error=_error(-reverse),
    )


def _error(log_weights: Array) -> float:
    """Standard error of the log of their mean."""
    weights = np.exp(np.asarray(log_weights, np.float64) - float(log_weights.max()))
    return float(weights.std(ddof=1) / weights.mean() / np.sqrt(len(weights)))


def normalized(
    key: Key[Array, ""], model: Model, *, temperatures: int = PUBLISHED, chains: int = 100
) -> tuple[Model, Normalizer | None]:
    """The model with log Z of the Boltzmann machine at its top filled in, and how it was found.

    None was found for other models, nor for a machine that has its log Z already.

    Raises:
        InputError: see `log_normalizer`.
    """
    node = boltzmann_machine(model)
    if node is None or node.log_normalizer is not None:
        return model, None
    found = log_normalizer(key, node, temperatures=temperatures, chains=chains)
    return with_log_normalizer(model, found.log_z), found
