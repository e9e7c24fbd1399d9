"""Objectives by name, made from JSON-able options: what the command line and run records call them."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from nelbo.core import InputError, added, joined
from nelbo.models import Model
from nelbo.objectives.base import Objective
from nelbo.objectives.binary_gradients import half, straight_through
from nelbo.objectives.contrastive import ContrastiveDivergence, Greedy, NegativePhase
from nelbo.objectives.detection import MeanScore
from nelbo.objectives.importance import Iwae
from nelbo.objectives.monte_carlo_em import MonteCarloEM
from nelbo.objectives.orderless import OrderAgnostic
from nelbo.objectives.perturbative import Perturbative
from nelbo.objectives.score import ScoreFunction, Vimco
from nelbo.objectives.sgvb import MaximumLikelihood, Sgvb, WarmUp
from nelbo.objectives.sparse import SparseProcess
from nelbo.objectives.stochastic_backpropagation import StochasticBackpropagation
from nelbo.objectives.wake_sleep import WakeSleep


@dataclasses.dataclass(frozen=True)
class Setting:
    """What an objective may need to know about a run.

    Args:
        num_data: N, the number of training examples.
        epoch_steps: steps in one pass over them.
        steps: steps in the whole run.
    """

    num_data: int
    epoch_steps: float
    steps: int = 1


@dataclasses.dataclass(frozen=True)
class NamedObjective:
    """An objective that a run can name.

    Args:
        make: makes the objective from a `Setting` and keyword options.
        draws_latents: whether it needs latents; models without any are then refused.
        prepare: makes the model that is trained from the model and the options, if it is another one (with a posterior
            over its weights); None: the model itself is trained.
        reports: the bound that it reports: "elbo", "iwae" (the importance-weighted bound; the option `samples` gives
            the number of draws), "perturbative", "exact" (log p(x) itself), "pseudo" (a pseudo-log-likelihood) or
            "score" (minus the score of a detector).
        detects: whether it trains detectors, which have a score but no density, and which no other objective trains.
        natural: whether it gives natural gradients of a conjugate posterior. It then trains models that are built with
            such a posterior, which no other objective trains, and needs the optimizer `natural`.
    """

    make: Callable[..., Objective]
    draws_latents: bool = True
    prepare: Callable[[Model, Mapping[str, Any]], Model] | None = None
    reports: Literal["elbo", "iwae", "perturbative", "exact", "pseudo", "score"] = "elbo"
    detects: bool = False
    natural: bool = False


def sgvb(
    setting: Setting,
    *,
    form: str = "B",
    samples: int = 1,
    beta: float | int = 1.0,
    warmup: float | int = 0.0,
    draws: str = "iid",
    growth: float | None = None,
) -> Objective:
    """The evidence lower bound by reparameterization.

    Args:
        setting: of the run.
        form: of the gradient estimator, "A" (log p(x, z) - log q(z | x), sampled), "B" (KL part in closed form) or
            "path" (A without the gradient through q's parameters).
        samples: draws of z for each example.
        beta: weight of the KL term.
        warmup: epochs in which the weight of the KL term rises from zero to beta.
        draws: "iid", or "sobol" (a power of two of points that cover the space of latents evenly, for less noise).
        growth: factor between 0 and 1: step t takes 1 / growth^t draws, up to samples; null: samples in every step.

    Raises:
        InputError: a negative weight or length.
    """
    if not (warmup >= 0 and beta >= 0):
        raise InputError(f"warmup (epochs) and beta must be zero or positive, got {warmup} and {beta}.")
    rising = WarmUp(float(beta), max(1, round(warmup * setting.epoch_steps)))
    return Sgvb(form, num_samples=samples, beta=rising if warmup else float(beta), draws=draws, growth=growth)


def maximum_likelihood(setting: Setting) -> Objective:
    """The exact log-likelihood: nade, mixture, linear, factor analysis, belief networks of at most 16 units.

    Args:
        setting: of the run.
    """
    del setting
    return MaximumLikelihood()


def sparse_process(setting: Setting, *, beta: float | int = 1.0) -> Objective:
    """The bound of examples that share a sparse Gaussian process: svgp-vae.

    Args:
        setting: of the run.
        beta: weight of the KL term.
    """
    return SparseProcess(setting.num_data, float(beta))


def order_agnostic(setting: Setting) -> Objective:
    """The mean over orders of log p(x | order): eonade.

    Args:
        setting: of the run.
    """
    del setting
    return OrderAgnostic()


def contrastive_divergence(
    setting: Setting,
    *,
    sweeps: int = 1,
    last_sweeps: int | None = 25,
    chains: str = "data",
    particles: int = 100,
    temperatures: int = 10,
    decay: float | int = 2e-4,
    centred: bool = True,
) -> Objective:
    """Contrastive divergence: rbm.

    Args:
        setting: of the run.
        sweeps: sweeps of block Gibbs at the first step.
        last_sweeps: sweeps of block Gibbs at the last step, to which their number rises linearly; null: as at the
            first.
        chains: where chains start: "data", "persistent" (where they stopped), or "tempered" (persistent, at several
            temperatures).
        particles: number of persistent chains.
        temperatures: number of temperatures of tempered chains.
        decay: weight of the L2 penalty, half the sum of the squared weights.
        centred: take the enhanced gradient, in which the means of the units are subtracted.
    """
    last = sweeps if last_sweeps is None else last_sweeps
    negative = NegativePhase(chains, sweeps, last, setting.steps, particles, temperatures)
    return ContrastiveDivergence(negative, float(decay), centred)


def greedy(
    setting: Setting,
    *,
    sweeps: int = 1,
    last_sweeps: int | None = 25,
    chains: str = "data",
    particles: int = 100,
    temperatures: int = 10,
    decay: float | int = 2e-4,
    centred: bool = True,
    first: float | int = 0.5,
) -> Objective:
    """Contrastive divergence, one layer after the other: dbn.

    Args:
        setting: of the run.
        sweeps: sweeps of block Gibbs at the first step of each layer.
        last_sweeps: sweeps of block Gibbs at the last step of each layer; null: as at the first.
        chains: as of contrastive-divergence.
        particles: as of contrastive-divergence.
        temperatures: as of contrastive-divergence.
        decay: as of contrastive-divergence.
        centred: as of contrastive-divergence.
        first: share of the steps that train the first layer.
    """
    if not 0 < first < 1:
        raise InputError(f"first is the share of the steps for the first layer, between 0 and 1, got {first}.")
    last, half = sweeps if last_sweeps is None else last_sweeps, max(1, round(first * setting.steps))
    negative = NegativePhase(chains, sweeps, last, max(half, setting.steps - half), particles, temperatures)
    return Greedy(negative, float(decay), half, centred)


def stochastic_backpropagation(
    setting: Setting, *, hessian: bool = True, samples: int = 1, draws: str = "iid"
) -> Objective:
    """The evidence lower bound with gradients by Bonnet's and Price's identities.

    Args:
        setting: of the run.
        hessian: estimate the gradient of the covariance by second derivatives.
        samples: draws of z for each example.
        draws: as of sgvb.
    """
    del setting
    return StochasticBackpropagation(hessian=hessian, num_samples=samples, draws=draws)


def nvil(
    setting: Setting,
    *,
    centring: bool = True,
    baseline: bool = True,
    normalization: bool = True,
    local: bool | None = None,
    decay: float | int = 0.8,
    baseline_hidden: Sequence[int] = (100,),
) -> Objective:
    """Score-function gradients with the variance reductions of NVIL.

    Args:
        setting: of the run.
        centring: subtract a moving average of past learning signals.
        baseline: subtract the learning signal that baseline networks predict from the data.
        normalization: divide the learning signal by its moving standard deviation if that is above one.
        local: use a learning signal of its own for each layer; null: wherever that is unbiased.
        decay: decay rate of the moving averages.
        baseline_hidden: widths of the baselines' hidden layers.
    """
    del setting
    switches = {"centring": centring, "baseline": baseline, "normalization": normalization, "local": local}
    return ScoreFunction(decay=float(decay), hidden=tuple(baseline_hidden), **switches)


def vimco(setting: Setting, *, samples: int = 5) -> Objective:
    """The importance-weighted bound by score-function gradients with leave-one-out baselines.

    Args:
        setting: of the run.
        samples: draws of z for each example, at least 2.
    """
    del setting
    return Vimco(samples)


def iwae(setting: Setting, *, samples: int = 5, form: str = "dreg", draws: str = "iid") -> Objective:
    """The importance-weighted bound by reparameterization.

    Args:
        setting: of the run.
        samples: draws of z for each example.
        form: of the gradient estimator: "plain", "dreg" (doubly reparameterized) or "stl" (sticking the landing).
        draws: as of sgvb.
    """
    del setting
    return Iwae(samples, form=form, draws=draws)


def perturbative(
    setting: Setting, *, order: int = 3, samples: int = 8, reference_hidden: int = 100, draws: str = "iid"
) -> Objective:
    """A perturbative bound of odd order, tighter than the evidence lower bound.

    Args:
        setting: of the run.
        order: of the expansion: 1, 3 or 5.
        samples: draws of z for each example.
        reference_hidden: hidden units of the network that gives the reference energy.
        draws: as of sgvb.
    """
    del setting
    return Perturbative(order, num_samples=samples, hidden=reference_hidden, draws=draws)


def reweighted_wake_sleep(
    setting: Setting, *, samples: int = 5, wake_phi: float | int = 1.0, sleep_phi: float | int = 0.0
) -> Objective:
    """Reweighted wake-sleep, with a wake-phase and a sleep-phase update of q.

    Args:
        setting: of the run.
        samples: draws of z for each example.
        wake_phi: weight of the wake-phase update of q.
        sleep_phi: weight of the sleep-phase update of q.
    """
    del setting
    return WakeSleep(samples, wake_phi=float(wake_phi), sleep_phi=float(sleep_phi))


def wake_sleep(setting: Setting) -> Objective:
    """Classical wake-sleep.

    Args:
        setting: of the run.
    """
    del setting
    return WakeSleep()


def monte_carlo_em(setting: Setting, *, trajectories: int = 5, leapfrogs: int = 10) -> Objective:
    """Monte Carlo EM: latents from the posterior by Hamiltonian chains.

    Args:
        setting: of the run.
        trajectories: Hamiltonian trajectories of each chain.
        leapfrogs: leapfrog steps of each trajectory.
    """
    del setting
    return MonteCarloEM(trajectories, leapfrogs)


def darn(setting: Setting, *, samples: int = 1) -> Objective:
    """DARN's biased gradient through binary draws.

    Args:
        setting: of the run.
        samples: draws of z for each example.
    """
    del setting
    return Sgvb("path", num_samples=samples, through=half)


def straight_through_gradient(setting: Setting, *, samples: int = 1) -> Objective:
    """The straight-through estimator, biased.

    Args:
        setting: of the run.
        samples: draws of z for each example.
    """
    del setting
    return Sgvb("path", num_samples=samples, through=straight_through)


def mean_score(setting: Setting) -> Objective:
    """Minus the mean score of a detector, whose score is trained to be low on training rows.

    Args:
        setting: of the run.
    """
    del setting
    return MeanScore()


NAMED: dict[str, NamedObjective] = {
    "sgvb": NamedObjective(sgvb, draws_latents=False),
    "maximum-likelihood": NamedObjective(maximum_likelihood, draws_latents=False, reports="exact"),
    "order-agnostic": NamedObjective(order_agnostic, draws_latents=False),
    "sparse-process": NamedObjective(sparse_process),
    "contrastive-divergence": NamedObjective(contrastive_divergence, draws_latents=False, reports="pseudo"),
    "greedy": NamedObjective(greedy, reports="pseudo"),
    "stochastic-backpropagation": NamedObjective(stochastic_backpropagation),
    "nvil": NamedObjective(nvil),
    "vimco": NamedObjective(vimco, reports="iwae"),
    "iwae": NamedObjective(iwae, reports="iwae"),
    "perturbative": NamedObjective(perturbative, reports="perturbative"),
    "wake-sleep": NamedObjective(wake_sleep),
    "rws": NamedObjective(reweighted_wake_sleep, reports="iwae"),
    "monte-carlo-em": NamedObjective(monte_carlo_em),
    "darn": NamedObjective(darn),
    "straight-through": NamedObjective(straight_through_gradient),
    "mean-score": NamedObjective(mean_score, draws_latents=False, reports="score", detects=True),
}


def with_added(own: Mapping[str, NamedObjective]) -> Mapping[str, NamedObjective]:
    """A table of named objectives together with those that were added (see `nelbo.core.Registry`)."""
    return joined("objectives", own, added().objectives)
