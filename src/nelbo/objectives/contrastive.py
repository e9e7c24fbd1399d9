"""Contrastive divergence for restricted Boltzmann machines, alone and layer by layer in a deep belief network."""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.lax import stop_gradient
from jax.nn import log_sigmoid, sigmoid
from jaxtyping import Array, Float, Int, Key

from nelbo.core import AnyExample, Example, InputError, as_example, choice
from nelbo.models import Model, RestrictedBoltzmann, bits, boltzmann_machine, first_machine
from nelbo.objectives.base import BoundKind, Loss, Objective, ObjectiveState, batch_mean, over_batch
from nelbo.samplers import Info, ParallelTempering

CHAINS = {
    "data": "every batch starts its own at the examples (contrastive divergence, Hinton 2002)",
    "persistent": "they go on where the last step left them (Tieleman 2008)",
    "tempered": "persistent, at several temperatures that exchange their places (Desjardins et al. 2010)",
}
_ENTRIES = 8  # of each held-out example, in the estimate of its pseudo-likelihood


class NegativePhase(eqx.Module):
    """How units are drawn from the model, whose statistics are subtracted in the gradient.

    Args:
        chains: where chains start, see `CHAINS`.
        sweeps: sweeps of block Gibbs at the first step.
        last_sweeps: sweeps at the last step; their number rises linearly in between.
        steps: steps of the run.
        particles: number of persistent chains.
        temperatures: number of temperatures of tempered chains, evenly spaced in inverse temperature from 0 to 1.
    """

    chains: str = eqx.field(static=True, default="data")
    sweeps: int = eqx.field(static=True, default=1)
    last_sweeps: int = eqx.field(static=True, default=1)
    steps: int = eqx.field(static=True, default=1)
    particles: int = eqx.field(static=True, default=100)
    temperatures: int = eqx.field(static=True, default=10)

    def __check_init__(self) -> None:
        """Refuse counts below one."""
        choice("negative chains", self.chains, CHAINS)
        for name in ("sweeps", "last_sweeps", "particles", "temperatures"):
            if vars(self)[name] < 1:
                raise InputError(f"{name} of contrastive divergence must be at least 1, got {vars(self)[name]}.")
        if self.chains == "tempered" and self.temperatures < 2:
            raise InputError("Tempered chains need at least 2 temperatures: give more, or chains=persistent.")

    def start(self, key: Key[Array, ""], node: RestrictedBoltzmann) -> Array | None:
        """Chains drawn by the visible biases alone; None where each batch has its own."""
        if self.chains == "data":
            return None
        size = node.weight.shape[0]
        shape = (self.particles, self.temperatures, size) if self.chains == "tempered" else (self.particles, size)
        return bits(key, jnp.broadcast_to(node.flat_logits, shape))

    def draw(
        self,
        key: Key[Array, ""],
        node: RestrictedBoltzmann,
        v: Float[Array, "batch n"],
        chains: Array | None,
        step: Int[Array, ""],
    ) -> tuple[Float[Array, "particles n"], Array | None]:
        """Units of the model, and the chains as they are then.

        Args:
            key: for the sweeps.
            node: the machine.
            v: the batch, flattened.
            chains: as the last step left them.
            step: of the run.
        """
        done = step.astype(jnp.float32) / max(self.steps - 1, 1)
        rise = (self.last_sweeps - self.sweeps) * jnp.clip(done, 0.0, 1.0)
        count = self.sweeps + jnp.floor(rise + 1e-4).astype(jnp.int32)
        # Gibbs takes a batch as it is, with one draw of all its random bits; exchanges are decided chain by chain
        one: Callable[[Key[Array, ""], Array], tuple[Array, Info]] = node.gibbs().step
        if self.chains == "tempered":
            one = _each(tempered_kernel(node, self.temperatures), self.particles)
        start = v if chains is None else chains
        end = jax.lax.fori_loop(0, count, lambda i, at: one(jr.fold_in(key, i), at)[0], start)
        if chains is None:
            return end, None
        return (end[:, -1] if self.chains == "tempered" else end), end


def _each(kernel: ParallelTempering, count: int) -> Callable[[Key[Array, ""], Array], tuple[Array, Info]]:
    """A step of each of some stacks of chains."""
    return lambda key, at: jax.vmap(kernel.step)(jr.split(key, count), at)


def tempered_kernel(node: RestrictedBoltzmann, temperatures: int) -> ParallelTempering:
    """Exchanging chains of flattened visible units, one at each of some inverse temperatures from 0 to 1.

    At beta the machine has weights beta W and hidden biases beta c; visible biases stay, so that the hottest chain
    draws from these alone.
    """

    def at(beta: Array) -> RestrictedBoltzmann:
        return RestrictedBoltzmann(node.logits, beta * node.weight, beta * node.bias)

    betas = jnp.linspace(0.0, 1.0, temperatures, dtype=jnp.float32)
    return ParallelTempering(
        lambda key, v, beta: at(beta).gibbs().step(key, v)[0], lambda v, beta: at(beta).log_unnormalized(v), betas
    )


def pseudo_log_likelihood(
    key: Key[Array, ""], node: RestrictedBoltzmann, v: Float[Array, " n"], entries: int
) -> Float[Array, ""]:
    """Sum over entries of log p(v_i | all others), from some of them at random [nats].

    Source: Besag, Statistical analysis of non-lattice data (1975).
    """
    places = jr.randint(key, (entries,), 0, v.size)
    return v.size * log_sigmoid((2.0 * v[places] - 1.0) * node.unit_logits(v, places)).mean()


class ContrastiveDivergence(Objective):
    """Gradients of a restricted Boltzmann machine, with the model's statistics from a few sweeps of block Gibbs.

    d log p = <d log p*(v)>_data - <d log p*(v)>_model, log p* = log p + log Z, where the second mean is over chains
    that have not converged: so the gradient is biased, of no function in general. Hidden units are summed out in the
    statistics and drawn in the chains. What is reported is the pseudo-log-likelihood, no bound.
    Sources: Hinton (2002); Tieleman (2008); Salakhutdinov and Murray (2008), section 4.1 for the rising sweeps.

    Args:
        negative: how the chains are run.
        decay: weight of |W|^2 / 2.
        centred: take the enhanced gradient, see `machine_slopes`.
    """

    references: ClassVar[tuple[str, ...]] = ("hinton2002", "tieleman2008", "salakhutdinov2008dbn", "cho2013")
    kind: ClassVar[BoundKind] = "proxy"
    negative: NegativePhase = NegativePhase()
    decay: float = eqx.field(static=True, default=0.0)
    centred: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        """Refuse a negative decay."""
        if not self.decay >= 0:
            raise InputError(f"The weight decay must be zero or positive, got {self.decay}.")

    def init(self, key: Key[Array, ""], model: Model) -> ObjectiveState:
        """The step, and chains where they persist.

        Raises:
            InputError: a model other than `rbm`.
        """
        return ObjectiveState(None, (jnp.zeros((), jnp.int32), self.negative.start(key, _node(model))))

    def __call__(
        self, key: Key[Array, ""], model: Model, batch: AnyExample, state: ObjectiveState
    ) -> tuple[Loss, ObjectiveState]:
        """The slopes are put on the arrays by hand: those of the enhanced gradient are of no function."""
        batch, node = _whole(batch), _node(model)
        step, chains = state.carried
        draw_key, bound_key = jr.split(key)
        v = batch.values.reshape(len(batch.values), -1)
        model_v, chains = self.negative.draw(draw_key, stop_gradient(node), v, chains, step)
        slopes = machine_slopes(stop_gradient(node), v, model_v, batch, decay=self.decay, centred=self.centred)
        surrogate = _weighted((node.flat_logits, node.weight, node.bias), slopes)
        return Loss(surrogate, self._reported(bound_key, node, batch), {}), ObjectiveState(None, (step + 1, chains))

    def _reported(self, key: Key[Array, ""], node: RestrictedBoltzmann, batch: Example) -> Float[Array, ""]:
        still = stop_gradient(node)
        terms = over_batch(lambda k, x: pseudo_log_likelihood(k, still, jnp.ravel(x.values), 1), key, batch)
        return batch_mean(terms, batch)

    def bounds(self, key: Key[Array, ""], model: Model, batch: AnyExample) -> Float[Array, " batch"]:
        """An estimate of the pseudo-log-likelihood of each example."""
        node = _node(model)
        one = lambda k, x: pseudo_log_likelihood(k, node, jnp.ravel(x.values), _ENTRIES)  # noqa: E731
        return over_batch(one, key, _whole(batch))


def energy_gap(
    node: RestrictedBoltzmann, v: Float[Array, "batch n"], model_v: Float[Array, "particles n"], batch: Example
) -> Float[Array, ""]:
    """Mean free energy of the data less that of the model's units, whose slope contrastive divergence follows."""
    return node.log_unnormalized(stop_gradient(model_v)).mean() - batch_mean(node.log_unnormalized(v), batch)


Slopes = tuple[Float[Array, " n"], Float[Array, "n hidden"], Float[Array, " hidden"]]


def machine_slopes(
    node: RestrictedBoltzmann,
    v: Float[Array, "batch n"],
    model_v: Float[Array, "particles n"],
    batch: Example,
    *,
    decay: float,
    centred: bool,
) -> Slopes:
    """Slopes of the energy gap and of the decay along visible biases b, weights W and hidden biases c.

    The plain slope along W is <v h'>_model - <v h'>_data, which grows with the mean of units that are mostly on and
    then pulls at all weights at once. The enhanced gradient is the same for the machine in terms of v - mu and
    h - lambda, mu and lambda half way between the means of data and model: along W it is Cov_model(v, h) -
    Cov_data(v, h), along the biases the plain one less that times lambda or mu. It does not depend on which state of a
    unit is called 1.
    Source: Cho, Raiko and Ilin, Enhanced gradient for training restricted Boltzmann machines (2013).

    Args:
        node: the machine.
        v: the data, flattened.
        model_v: units of the model.
        batch: the data with their weights.
        decay: weight of |W|^2 / 2.
        centred: take the enhanced gradient.
    """

    def gap(b: Array, w: Array, c: Array) -> Array:
        return energy_gap(RestrictedBoltzmann(b, w, c), v, model_v, batch)

    b, w, c = jax.grad(gap, (0, 1, 2))(node.flat_logits, node.weight, node.bias)
    if centred:
        # b = <v>_model - <v>_data, and the like of c: half of it above the data's mean is the middle
        data_v = batch_mean(v, batch)
        data_h = batch_mean(sigmoid(node.hidden_logits(v)), batch)
        mu, lam = data_v + 0.5 * b, data_h + 0.5 * c
        w = w - jnp.outer(mu, c) - jnp.outer(b, lam)
        b, c = b - w @ lam, c - mu @ w
    return b, w + decay * node.weight, c


def _weighted(arrays: tuple[Array, ...], slopes: tuple[Array, ...]) -> Float[Array, ""]:
    """A number whose gradient along the arrays these slopes are."""
    return jnp.stack([(a * stop_gradient(s)).sum() for a, s in zip(arrays, slopes, strict=True)]).sum()


class Greedy(Objective):
    """A deep belief network layer by layer: the first machine on the data, then the second on draws of q(h1 | v).

    In the first half of the steps contrastive divergence trains the machine of v and h1, whose weights p(v | h1) and
    q(h1 | v) share. A second machine with as many hidden units as the data have entries is that machine upside down and
    follows it, so that p(v) is the first machine's when its own training begins (and improves the bound from there on);
    any other starts at the first machine's hidden biases. In the second half the first machine rests.
    Source: Hinton, Osindero and Teh (2006), section 5.

    Args:
        negative: how the chains are run; its number of sweeps rises in each half.
        decay: weight of |W|^2 / 2.
        steps: of the first half.
        centred: as of `ContrastiveDivergence`.
    """

    references: ClassVar[tuple[str, ...]] = ("hinton2006", "cho2013")
    kind: ClassVar[BoundKind] = "proxy"
    negative: NegativePhase = NegativePhase()
    decay: float = eqx.field(static=True, default=0.0)
    steps: int = eqx.field(static=True, default=1)
    centred: bool = eqx.field(static=True, default=False)

    def init(self, key: Key[Array, ""], model: Model) -> ObjectiveState:
        """The step, and chains of both machines where they persist.

        Raises:
            InputError: a model other than `dbn`.
        """
        keys = jr.split(key)
        chains = tuple(self.negative.start(k, node) for k, node in zip(keys, _machines(model), strict=True))
        return ObjectiveState(None, (jnp.zeros((), jnp.int32), chains))

    def __call__(
        self, key: Key[Array, ""], model: Model, batch: AnyExample, state: ObjectiveState
    ) -> tuple[Loss, ObjectiveState]:
        """The step of the machine whose turn it is; the slopes are put on the arrays by hand, as they are tied."""
        batch = _whole(batch)
        step, chains = state.carried
        still = stop_gradient(model)
        draw_key, hidden_key, bound_key = jr.split(key, 3)
        lower, upper = _machines(still)
        v = batch.values.reshape(len(batch.values), -1)
        h = bits(hidden_key, lower.hidden_logits(v))

        def slopes(
            node: RestrictedBoltzmann, data: Array, at: Array | None, count: Array
        ) -> tuple[Slopes, Array | None]:
            model_v, after = self.negative.draw(draw_key, node, data, at, count)
            return machine_slopes(node, data, model_v, batch, decay=self.decay, centred=self.centred), after

        def first(at: tuple[Array | None, Array | None]) -> tuple[tuple[Array, ...], tuple[Array | None, ...]]:
            (b, w, c), after = slopes(lower, v, at[0], step)
            follows = upper.weight.shape == w.T.shape
            top = (c, w.T, b) if follows else (c, jnp.zeros_like(upper.weight), jnp.zeros_like(upper.bias))
            return (b, w, c, *top), (after, at[1])

        def second(at: tuple[Array | None, Array | None]) -> tuple[tuple[Array, ...], tuple[Array | None, ...]]:
            found, after = slopes(upper, h, at[1], step - self.steps)
            rest = (lower.flat_logits, lower.weight, lower.bias)
            return (*(jnp.zeros_like(a) for a in rest), *found), (at[0], after)

        found, chains = jax.lax.cond(step < self.steps, first, second, chains)
        bound = batch_mean(self.bounds(bound_key, still, batch), batch)
        return Loss(_along(model, found), bound, {}), ObjectiveState(None, (step + 1, chains))

    def bounds(self, key: Key[Array, ""], model: Model, batch: AnyExample) -> Float[Array, " batch"]:
        """E_q log p(v | h1) by one draw, and the pseudo-log-likelihood of h1 under the upper machine: no bound."""
        lower, upper = _machines(model)

        def one(k: Key[Array, ""], x: Example) -> Array:
            hidden_key, entry_key = jr.split(k)
            v = jnp.ravel(x.values)
            logits = lower.hidden_logits(v)
            h = bits(hidden_key, logits)
            log_q = log_sigmoid((2.0 * h - 1.0) * logits).sum()
            fit = log_sigmoid((2.0 * v - 1.0) * lower.visible_logits(h)).sum()
            return fit + pseudo_log_likelihood(entry_key, upper, h, _ENTRIES) - log_q

        return over_batch(one, key, _whole(batch))


def _along(model: Model, slopes: tuple[Array, ...]) -> Float[Array, ""]:
    """A number whose gradient these slopes are: of visible biases, weights and hidden biases of both machines."""
    b, w, c, top_b, top_w, top_c = slopes
    down, top = model.generative.layers
    (up,) = model.recognition.layers
    below, above = down.net.layers[0], up.net.layers[0]  # pyright: ignore
    pairs = [(below.bias, b), (below.kernel, w.T), (above.kernel, w), (above.bias, c)]
    pairs += [(top.raw, top_b), (top.head.weight, top_w), (top.head.bias, top_c)]  # pyright: ignore
    return _weighted(*zip(*pairs, strict=True))


def _node(model: Model) -> RestrictedBoltzmann:
    node = None if model.depth else boltzmann_machine(model)
    if node is None:
        raise InputError("contrastive-divergence trains a restricted Boltzmann machine: fit rbm with it.")
    return node


def _machines(model: Model) -> tuple[RestrictedBoltzmann, RestrictedBoltzmann]:
    lower, upper = first_machine(model), boltzmann_machine(model)
    if upper is None:
        raise InputError("greedy trains a deep belief network layer by layer: fit dbn with it.")
    return lower, upper


def _whole(batch: AnyExample) -> Example:
    batch = as_example(batch)
    if batch.observed is not None:
        raise InputError("A Boltzmann machine is trained on whole examples: fill missing entries in first.")
    return batch
