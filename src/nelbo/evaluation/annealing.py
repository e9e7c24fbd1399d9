"""Annealed importance sampling of log p(x), and brackets around it on data that the model made itself."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as nd
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

from nelbo.core import Example, InputError, choice, compiled, log_mean_exp
from nelbo.data import Source
from nelbo.evaluation.bounds import jackknife_variance
from nelbo.evaluation.score import Progress, Score, dimensions, over_batches, scored
from nelbo.models import Latents, Model, Posterior, boltzmann_machine
from nelbo.samplers import BitFlips, Hamiltonian, Kernel, annealed, learned_steps, sigmoid_betas
from nelbo.training import examples

STARTS = ("prior", "q")
CHAINS = 16
TEMPERATURES = 300
ROWS = 400  # chains at once
_MOVES = 10  # leapfrog steps, or proposals of flips, at each temperature
_ACCEPTANCE = 0.65
_LONGEST = 10.0  # step of flips, whose probability is then nearly that of any longer one


class _Path(eqx.Module):
    """The densities p(z) p(x|z)^beta, or q(z|x)^(1 - beta) p(x, z)^beta, of one example."""

    model: Model
    x: Example
    posterior: Posterior | None  # where the path starts; None: at the prior

    def draw(self, key: Key[Array, ""]) -> Latents:
        """From the first density."""
        if self.posterior is not None:
            return self.posterior.sample(key)[0]
        return self.model.generative.sample(key, self.x.context)[1]

    def parts(self, z: Latents) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Log of the first density, and log p(x, z) less that [nats]."""
        log_p = self.model.generative.log_prob(self.x, z)
        if self.posterior is None:
            return log_p[1:].sum(), log_p[0]
        log_q = self.posterior.log_prob(z).sum()
        return log_q, log_p.sum() - log_q

    def ratio(self, old: Array, new: Array, z: Latents) -> Float[Array, ""]:
        """What a change of beta adds to log w."""
        return (new - old) * self.parts(z)[1]

    def kernel(self, beta: Array, step: Array) -> Kernel:
        """Moves at one beta: along gradients where latents are real-valued, by flips where they are binary."""

        def log_density(z: Latents) -> Float[Array, ""]:
            first, rest = self.parts(z)
            return first + beta * rest

        if is_binary(self.model):
            return BitFlips(log_density, moves=_MOVES, length=step)
        return Hamiltonian(log_density, leapfrogs=_MOVES, first_step=step)


@dataclasses.dataclass(frozen=True)
class Bracket:
    """Log p(x) from both sides, on data drawn from the model.

    For one example each side is off in the wrong direction by more than t nats with a probability below exp(-t), so
    that [lower - 3, upper + 3] holds log p(x) for nine examples of ten at least, whatever the chains do. The gap bounds
    what annealing of as many temperatures lacks on data like the model's own.

    Source: Grosse, Ghahramani and Adams (2015); Wu, Burda, Salakhutdinov and Grosse (2017).

    Args:
        lower: forward, of expectation at most log p(x).
        upper: in reverse from an exact draw of the posterior, of expectation at least log p(x).
        gap: upper minus lower, mean over examples [nats].
        gap_error: its standard error over the simulated examples [nats].
        examples: that were simulated.
    """

    lower: Score
    upper: Score
    gap: float
    gap_error: float
    examples: np.ndarray


def require_real_latents(model: Model, what: str) -> None:
    """Refuse moves along gradients where latents are discrete or bounded, or where there are none.

    Raises:
        InputError: that is so; `what` begins the sentence.
    """
    model.require_latents(what)
    if not _all_latents(model, constraints.real):
        raise InputError(
            f"{what} moves latents along gradients and needs them real-valued, but this model's are discrete or "
            "bounded: use iwae or ais, or exact where they are few."
        )


def _require_moves(model: Model) -> None:
    """Refuse models whose latents annealing has no moves for, or no exact draws of."""
    model.require_latents("Annealed importance sampling")
    if boltzmann_machine(model) is not None:
        raise InputError(
            "Annealed importance sampling starts at draws of p(z), which a Boltzmann machine does not give exactly: "
            "use iwae, whose log Z is annealed from both sides."
        )
    if not (is_binary(model) or _all_latents(model, constraints.real)):
        raise InputError(
            "Annealed importance sampling moves latents that are all real-valued or all binary, but this model's are "
            "others: use iwae, or exact where they are few."
        )


def is_binary(model: Model) -> bool:
    """Whether all latents are zeros and ones."""
    return _all_latents(model, constraints.boolean)


def _all_latents(model: Model, support: constraints.Constraint) -> bool:
    """Whether every entry of every latent has this support."""

    def fits(layer: nd.Distribution) -> bool:
        return layer.support in (support, constraints.independent(support, len(layer.event_shape)))

    return all(fits(layer) for layer in model.generative.shapes()[1:])


def _chains(path: _Path, key: Key[Array, ""], betas: Array, count: int, z: Latents | None) -> dict[str, Array]:
    """Log w of `count` chains of one example, forward; in reverse from z, where that is given."""
    start_key, pilot_key, way_key = jr.split(key, 3)
    pilot = max(2, count // 4)
    first = jax.vmap(path.draw)(jr.split(start_key, pilot + count))
    pilots, longest = jax.tree.map(lambda leaf: leaf[:pilot], first), _LONGEST if is_binary(path.model) else math.inf
    steps = learned_steps(pilot_key, pilots, path.kernel, betas, target=_ACCEPTANCE, longest=longest)

    def transition(beta: Array) -> Kernel:
        return path.kernel(beta, jnp.interp(beta, betas, steps))

    def chain(k: Key[Array, ""], at: Latents, *, reverse: bool) -> tuple[Array, Array]:
        found = annealed(k, at, path.ratio, transition, betas, reverse=reverse)
        return found.log_weight, found.accepted

    keys = jr.split(way_key, 2 * count)
    starts = jax.tree.map(lambda leaf: leaf[pilot:], first)
    log_w, accepted = jax.vmap(lambda k, at: chain(k, at, reverse=False))(keys[:count], starts)
    found = {"nats": log_mean_exp(log_w), "variance": jackknife_variance(log_w), "accepted": accepted.mean()}
    if z is None:
        return found
    back, _ = jax.vmap(lambda k: chain(k, z, reverse=True))(keys[count:])
    return found | {"upper": -log_mean_exp(-back), "upper_variance": jackknife_variance(-back)}


@compiled
def _batch(
    key: Key[Array, ""], model: Model, data: Source, raw: Any, betas: Array, start: str, count: int, *, simulate: bool
) -> dict[str, Array]:
    data_key, draw_key, simulate_key = jr.split(key, 3)
    batch = examples(data_key, data, raw)
    size = batch.values.shape[0]

    def one(k: Key[Array, ""], own: Key[Array, ""], x: Example) -> dict[str, Array]:
        z = None
        if simulate:
            values, z = model.generative.sample(own, x.context)
            x = dataclasses.replace(x, values=values.astype(x.values.dtype), seen=None)
        path = _Path(model, x, model.posterior(x) if start == "q" else None)
        found = _chains(path, k, betas, count, z)
        return found | {"x": x.values} if simulate else found

    found = jax.vmap(one)(jr.split(draw_key, size), jr.split(simulate_key, size), batch)
    return found | {"observed": dimensions(batch)}


def _annealed(
    key: Key[Array, ""],
    model: Model,
    data: Source,
    num_samples: int,
    temperatures: int,
    start: str,
    progress: Progress | None,
    *,
    simulate: bool,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The numbers of each example, and what is told of the way."""
    _require_moves(model)
    choice("start of annealing", start, STARTS)
    if num_samples < 2:
        raise InputError(f"Annealed importance sampling needs at least two chains for its error, got {num_samples}.")
    betas = jnp.asarray(sigmoid_betas(temperatures), jnp.float32)

    def number(batch_key: Key[Array, ""], raw: Any) -> dict[str, Array]:
        return _batch(batch_key, model, data, raw, betas, start, num_samples, simulate=simulate)

    found = over_batches(key, model, data, ROWS // num_samples, number, "nats", progress)
    details = {"temperatures": temperatures, "start": start, "acceptance": float(found["accepted"].mean())}
    return found, details


def annealed_importance(
    key: Key[Array, ""],
    model: Model,
    data: Source,
    *,
    num_samples: int = CHAINS,
    temperatures: int = TEMPERATURES,
    start: str = "prior",
    progress: Progress | None = None,
) -> Score:
    """Log p(x) by annealed importance sampling [nats]: a lower bound in expectation.

    Chains climb from the prior or from q(z|x) to the posterior over a sigmoid ladder. At each temperature they take ten
    leapfrog steps where latents are real-valued, ten proposals of flips where they are binary. Step sizes come from a
    pilot run for each example. The log of the mean weight over chains rises with the number of temperatures and of
    chains towards log p(x).

    Source: Wu, Burda, Salakhutdinov and Grosse, On the quantitative analysis of decoder-based generative models (2017).

    Args:
        key: for the chains.
        model: with latents that are all real-valued or all binary.
        data: the examples.
        num_samples: chains for each example, at least 2.
        temperatures: of the ladder; with one it is importance sampling from the start.
        start: "prior" or "q".
        progress: called with the number of examples done and their mean so far [nats].

    Raises:
        InputError: latents are of other kinds, too few chains or temperatures, no such start, or no example.
    """
    found, details = _annealed(key, model, data, num_samples, temperatures, start, progress, simulate=False)
    return scored(found["nats"], found["variance"], found["observed"], num_samples, details=details)


def bracket(
    key: Key[Array, ""],
    model: Model,
    data: Source,
    *,
    num_samples: int = CHAINS,
    temperatures: int = TEMPERATURES,
    start: str = "prior",
    progress: Progress | None = None,
) -> Bracket:
    """Annealing from both sides, on as many examples drawn from the model as the data set has.

    Contexts and masks are those of the data. Arguments and errors are those of `annealed_importance`.
    """
    found, details = _annealed(key, model, data, num_samples, temperatures, start, progress, simulate=True)
    sides: Callable[..., Score] = lambda name, variance: scored(  # noqa: E731
        found[name], found[variance], found["observed"], num_samples, details=details
    )
    gaps = found["upper"] - found["nats"]
    error = float(gaps.std(ddof=1) / np.sqrt(len(gaps))) if len(gaps) > 1 else 0.0
    return Bracket(sides("nats", "variance"), sides("upper", "upper_variance"), float(gaps.mean()), error, found["x"])
