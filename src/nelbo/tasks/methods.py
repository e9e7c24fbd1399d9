"""The methods of imputation by name, and the settings of one."""

import dataclasses
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Key

from nelbo.core import Example, InputError, choice
from nelbo.distributions import Completable, Reading, reading
from nelbo.models import Model
from nelbo.tasks.completions import Completions, chains, conditional, hamiltonian, resampled
from nelbo.tasks.evidence import Evidence

PROPOSALS = 1000
_DENSITIES = 10  # densities of z that take the room of one copy of the model


@dataclasses.dataclass(frozen=True)
class ImputationSettings:
    """How missing entries are filled in.

    Args:
        method: see `METHODS`; None: the one that `default_method` names.
        steps: moves of each chain before its draw is taken; trajectories ("hmc"); sweeps ("conditional" of an rbm).
        draws: independent completions of each example.
        proposals: draws of q to resample from, beside as many from the prior ("importance", "resample", "hmc"); None:
            1000, and 100 where each is the end of a chain ("resample").
        noise: None if the entries that are there are exact, or the kind of noise that all of them have, see
            `nelbo.distributions.READINGS`; then nothing is known exactly, and everything is filled in.
        rate: of the noise.
    """

    method: str | None = None
    steps: int = 50
    draws: int = 19
    proposals: int | None = None
    noise: str | None = None
    rate: float | int = 0.0

    @property
    def reading(self) -> Reading | None:
        """The noise of what is given.

        Raises:
            InputError: an unknown kind, or a rate that it cannot have.
        """
        return None if self.noise is None else reading(self.noise, self.rate)

    def resolved(self, model: Model) -> "ImputationSettings":
        """The same with nothing left open, for a model.

        Raises:
            InputError: an unknown method, one that the model's latents do not allow, or a count below one.
        """
        discrete = has_discrete_latents(model)
        name = default_method(model) if self.method is None else choice("method of imputation", self.method, METHODS)
        method = METHODS[name]
        if method.of_latents != bool(model.depth):
            has = "latents" if model.depth else "none"
            about = "z" if method.of_latents else "x alone, without latents"
            raise InputError(f"{name} is about {about}, and this model has {has}: use {default_method(model)}.")
        if self.noise is not None and not model.depth:
            raise InputError("Noisy readings need a likelihood of single entries given latents: leave --noise out.")
        proposals = method.proposals if self.proposals is None else self.proposals
        for what, count in (("steps", self.steps), ("draws", self.draws), ("proposals", proposals)):
            if count < 1:
                raise InputError(f"Imputation needs at least 1 for {what}, got {count}.")
        if method.real_latents and discrete:
            raise InputError(f"{name} moves real-valued latents, but the model's are discrete: use importance.")
        return dataclasses.replace(self, method=name, proposals=proposals)


def has_discrete_latents(model: Model) -> bool:
    """Whether any layer of latents is discrete."""
    return any(layer.is_discrete for layer in model.generative.shapes()[1:])


def default_method(model: Model) -> str:
    """What `impute` uses unless it is told: `hmc` for real-valued latents, else `importance`; `conditional` for none.

    Measured in docs/imputation.md: both are right for recognition models that are wrong, as the chains are not.
    """
    if not model.depth:
        return "conditional"
    return "importance" if has_discrete_latents(model) else "hmc"


@dataclasses.dataclass(frozen=True)
class Method:
    """A method of imputation.

    Args:
        about: one line for help texts.
        complete: draws completions of one example, by settings in which nothing is left open.
        proposals: how many, unless the user says.
        weighted: whether it resamples proposals.
        mixed: whether each of them is weighed under the q of each chain.
        real_latents: whether it needs them.
        of_latents: whether it draws latents; else it is for models without any.
        accepted: what its `accepted` is: the share of proposals that were taken, their effective share, or nothing.
    """

    about: str
    complete: Callable[[Key[Array, ""], Model, Evidence, ImputationSettings], Completions]
    proposals: int = PROPOSALS
    weighted: bool = False
    mixed: bool = False
    real_latents: bool = False
    of_latents: bool = True
    accepted: Literal["share taken", "effective share"] | None = None

    def chains(self, settings: ImputationSettings) -> int:
        """How many copies of the model an example needs at once, about."""
        proposals = settings.proposals or 1
        copies = max(settings.draws, proposals) if self.weighted else settings.draws
        return max(copies, proposals**2 // _DENSITIES) if self.mixed else copies


def _chain(key: Key[Array, ""], model: Model, evidence: Evidence, settings: ImputationSettings) -> Completions:
    return chains(key, model, evidence, settings.draws, steps=settings.steps, corrected=False)


def _metropolis(key: Key[Array, ""], model: Model, evidence: Evidence, settings: ImputationSettings) -> Completions:
    return chains(key, model, evidence, settings.draws, steps=settings.steps, corrected=True)


def _proposed(
    key: Key[Array, ""], model: Model, evidence: Evidence, settings: ImputationSettings, centres: Example
) -> Completions:
    proposals = settings.proposals or PROPOSALS
    return resampled(key, model, evidence, centres, settings.draws, proposals=proposals)


def _resample(key: Key[Array, ""], model: Model, evidence: Evidence, settings: ImputationSettings) -> Completions:
    chain_key, key = jr.split(key)
    count = settings.proposals or PROPOSALS
    ends = chains(chain_key, model, evidence, count, steps=settings.steps, corrected=False).drawn.x
    centres = jax.vmap(lambda one: Example(one, context=evidence.x.context))(ends)
    return _proposed(key, model, evidence, settings, centres)


def _importance(key: Key[Array, ""], model: Model, evidence: Evidence, settings: ImputationSettings) -> Completions:
    stack_of_one = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], evidence.x)
    return _proposed(key, model, evidence, settings, stack_of_one)


def _hmc(key: Key[Array, ""], model: Model, evidence: Evidence, settings: ImputationSettings) -> Completions:
    chain_key, key = jr.split(key)
    starts = _importance(key, model, evidence, settings).drawn.z
    return hamiltonian(chain_key, model, evidence, starts, steps=settings.steps)


def _conditional(key: Key[Array, ""], model: Model, evidence: Evidence, settings: ImputationSettings) -> Completions:
    node = evidence.likelihood(model.generative, ())
    if not isinstance(node, Completable):
        raise InputError(f"{type(node).__name__} has no conditional of single entries: it cannot be imputed.")
    return conditional(key, node, evidence, settings.draws, steps=settings.steps)


METHODS: dict[str, Method] = {
    "chain": Method(
        "z ~ q(z|x), x_missing ~ p(x|z), again and again; right if q is exact (Rezende et al. 2014, section 6)", _chain
    ),
    "metropolis": Method(
        "the chain with z accepted or refused, right for q near the posterior (Mattei and Frellsen 2018, section 3.3)",
        _metropolis,
        accepted="share taken",
    ),
    "resample": Method(
        "proposals of chains, resampled by importance weights; right for any q as their number grows",
        _resample,
        proposals=100,
        weighted=True,
        mixed=True,
        accepted="effective share",
    ),
    "importance": Method(
        "the same without chains: z ~ q(z | what is observed) (Mattei and Frellsen 2019, section 4)",
        _importance,
        weighted=True,
        accepted="effective share",
    ),
    "hmc": Method(
        "these, each moved on by Hamiltonian dynamics under p(z | what is observed); right for any q (Neal 2011)",
        _hmc,
        weighted=True,
        real_latents=True,
        accepted="share taken",
    ),
    "conditional": Method(
        "without latents: draws of the model's own p(x_missing | x_observed); exact, of an rbm by block Gibbs",
        _conditional,
        of_latents=False,
    ),
}
