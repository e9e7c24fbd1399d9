"""From an experiment's settings to its objective, and to the model that the objective trains."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from nelbo.bayes import (
    PARAMETERS,
    PerturbativeGlobals,
    Svi,
    WithGlobals,
    checked_options,
    named_posteriors,
    named_priors,
    shared_parameters,
    tempered,
)
from nelbo.core import InputError, Option, checked_arguments, choice, defaults, options_of
from nelbo.models import ConjugateGlobals, Model, ModelSpec, families, family
from nelbo.objectives import NAMED, InputNoise, NamedObjective, Objective, Setting, sgvb, with_added
from nelbo.runs.sampling import is_sampler, prior_weight
from nelbo.runs.settings import Experiment

_DRAWING = ("weight_samples", "weight_draws", "weight_order")  # how a posterior over parameters is drawn from
_NO_PARAMETERS = (
    "shared",
    "input_noise",
    "noise_rate",
    *_DRAWING,
)  # options of `regularized` that say nothing of parameters


def full_vb(
    setting: Setting,
    *,
    prior_scale: float | int = 1.0,
    shared: bool = True,
    form: str = "B",
    samples: int = 1,
    beta: float | int = 1.0,
    warmup: float | int = 0.0,
    draws: str = "iid",
) -> Objective:
    """Full variational Bayes: SGVB with a normal posterior over the parameters too.

    Args:
        setting: of the run.
        prior_scale: standard deviation of the parameters' prior.
        shared: draw the parameters once for a whole batch, and not for each example.
        form: as of sgvb.
        samples: as of sgvb.
        beta: as of sgvb.
        warmup: as of sgvb.
        draws: as of sgvb.
    """
    if not prior_scale > 0:
        raise InputError(f"prior_scale must be a positive standard deviation, got {prior_scale}.")
    inner = sgvb(setting, form=form, samples=samples, beta=beta, warmup=warmup, draws=draws)
    return regularized(inner, setting, posterior="mean-field", shared=shared)


def _full_vb_model(model: Model, options: Mapping[str, Any]) -> Model:
    return shared_parameters(model, posterior="mean-field", prior_scale=options["prior_scale"])


def svi(
    setting: Setting,
    *,
    tempering: str = "none",
    hottest: float | int = 10.0,
    temperatures: int = 100,
    anneal: float | int = 5.0,
    draws: int = 16,
) -> Objective:
    """Stochastic variational inference: natural gradients of a conjugate posterior over what all examples share.

    Args:
        setting: of the run.
        tempering: how the likelihood is tempered in training: "none", "annealed", "global" or "local".
        hottest: the highest temperature.
        temperatures: number of temperatures from one to the highest, linear in 1 / temperature.
        anneal: epochs in which an annealed temperature falls to one.
        draws: draws from the prior that estimate the normalizer of each temperature.
    """
    made = tempered(
        tempering,
        highest=float(hottest),
        count=temperatures,
        steps=max(1, round(anneal * setting.epoch_steps)),
        num_data=setting.num_data,
        draws=draws,
    )
    return Svi(setting.num_data, made)


OBJECTIVES: dict[str, NamedObjective] = {
    **NAMED,
    "full-vb": NamedObjective(full_vb, draws_latents=False, prepare=_full_vb_model),
    "svi": NamedObjective(svi, draws_latents=False, natural=True),
}


def regularized(
    inner: Objective,
    setting: Setting,
    *,
    weight_prior: float | int | None = None,
    posterior: str | None = None,
    prior: str | None = None,
    where: str = "everything",
    shared: bool = True,
    weight_samples: int = 1,
    weight_draws: str = "iid",
    weight_order: int = 1,
    input_noise: str | None = None,
    noise_rate: float | int = 0.1,
) -> Objective:
    """An objective with the options that all objectives have: priors and posteriors of parameters, and input noise.

    Args:
        inner: the objective.
        setting: of the run.
        weight_prior: standard deviation of a normal prior on the generative model's parameters, or null.
        posterior: over the parameters: mean-field, k-tied, low-rank, full, chain or delta (a point estimate, the
            default if a prior is given), or null.
        prior: on the parameters, see `PRIORS`; null: normal, with the posterior if one is given.
        where: which parameters have a prior and a posterior: everything or generative.
        shared: draw the parameters once for a whole batch, and not for each example.
        weight_samples: draws of the parameters in a step.
        weight_draws: "iid", or "sobol" (a power of two of points that cover the posterior evenly, for less noise).
        weight_order: odd order of a perturbative bound over the parameters, which needs all data in each batch; 1 is
            the usual bound.
        input_noise: noise on what the recognition model sees, see `NOISES`, or null.
        noise_rate: strength of the input noise.

    Raises:
        InputError: an impossible standard deviation or noise, or two priors.
    """
    if weight_prior is not None and not weight_prior > 0:
        raise InputError(f"weight_prior must be a positive standard deviation, got {weight_prior}.")
    noisy = inner if input_noise is None else InputNoise(inner, noise=input_noise, rate=float(noise_rate))
    asked = _asked({"weight_prior": weight_prior, "posterior": posterior, "prior": prior, "where": where})
    point = asked is None or asked["posterior"] == "delta"
    if point and (weight_samples, weight_draws, weight_order) != (1, "iid", 1):
        raise InputError(
            "weight_samples, weight_draws and weight_order are about draws of a posterior over the parameters, and "
            "there is none: name it (posterior mean-field, say), or leave them out."
        )
    if asked is None:
        return noisy
    if weight_order != 1:
        return PerturbativeGlobals(noisy, setting.num_data, weight_order, weight_samples, weight_draws)
    return WithGlobals(noisy, setting.num_data, shared, num_draws=weight_samples, draws=weight_draws)


def _asked(options: Mapping[str, Any]) -> dict[str, Any] | None:
    """The arguments of `shared_parameters` that the options of an objective amount to; None: nothing is random.

    Raises:
        InputError: `weight_prior` beside a posterior or a prior.
    """
    weight_prior, posterior, prior = (options.get(name) for name in ("weight_prior", "posterior", "prior"))
    if weight_prior is not None and (posterior is not None or prior is not None):
        raise InputError(
            "weight_prior stands for prior normal and posterior delta on the generative model's parameters, and cannot "
            "go with another of either: leave it out, and give prior_scale."
        )
    if weight_prior is not None:
        return {"posterior": "delta", "prior": "normal", "where": "generative", "prior_scale": weight_prior}
    if posterior is None and prior is None:
        return None
    more = {name: value for name, value in options.items() if name not in ("weight_prior", "posterior", "prior")}
    return {"posterior": posterior or "delta", "prior": prior or "normal", **more}


def objectives() -> Mapping[str, NamedObjective]:
    """Every objective by name: nelbo's own, and those that were added."""
    return with_added(OBJECTIVES)


def objective_named(name: str) -> NamedObjective:
    """The objective called `name`.

    Raises:
        InputError: there is none.
    """
    every = objectives()
    return every[choice("objective", name, every)]


def usual_arguments(experiment: Experiment) -> dict[str, Any]:
    """The given options, with the model family's own defaults in place of the objective's.

    A family's own prior is dropped if a posterior or a prior is asked for.
    """
    given, found = experiment.objective.get("arguments", {}), family(experiment.model["name"])
    if experiment.objective["name"] != found.objective or {"posterior", "prior"} & set(given):
        return dict(given)
    return {**found.objective_arguments, **given}


def named_objective_options(name: str) -> tuple[Option, ...]:
    """The options of an objective, those that go with every objective behind its own.

    Those of the posteriors and priors over parameters are there for all of them, though each has only some.

    Raises:
        InputError: no such objective.
    """
    named = objective_named(name)
    # an objective that brings a posterior over the parameters, or over what is shared, takes no other
    more = () if named.prepare is not None or named.natural else (*options_of(regularized), *_options_of_pairs())
    own = options_of(named.make)
    taken = {option.name for option in own}
    return (*own, *(option for option in more if option.name not in taken))


def _options_of_pairs() -> tuple[Option, ...]:
    """The options of every posterior and prior over parameters, each name once."""
    makers = (*named_posteriors().values(), *named_priors().values())
    every = [option for make in makers for option in options_of(make)]
    return tuple({option.name: option for option in reversed(every)}.values())[::-1]


def objective_options(name: str) -> dict[str, Any]:
    """The options of an objective with their defaults.

    Raises:
        InputError: no such objective.
    """
    return {option.name: option.default for option in named_objective_options(name)}


def default_objective(model: str) -> str:
    """The objective that suits a model family.

    Raises:
        InputError: no such family.
    """
    return family(model).objective


def objective_arguments(experiment: Experiment) -> dict[str, Any]:
    """The objective's options with the defaults filled in; of posteriors and priors, those of the ones that are taken.

    Raises:
        InputError: an unknown name or option, or a value of another type.
    """
    name = experiment.objective["name"]
    known, given = objective_options(name), usual_arguments(experiment)
    kind = f"option of objective {name}"
    for option in given:
        choice(kind, option, known)
    named = objective_named(name)
    own = {option: value for option, value in given.items() if option in defaults(named.make)}
    found = defaults(named.make) | checked_arguments(kind, named.make, own, hidden=("setting",))
    if named.prepare is not None:
        if is_sampler(experiment.training):
            raise InputError(f"{name} fits a posterior over the parameters, which a sampler draws from: take sgvb.")
        return found
    if named.natural:
        return found
    rest = {option: value for option, value in given.items() if option not in own}
    rest = _with_prior(rest, experiment.training)
    wrapping = {option: value for option, value in rest.items() if option in defaults(regularized)}
    checked_arguments(kind, regularized, wrapping, hidden=("inner", "setting"))
    of_pair = {option: value for option, value in rest.items() if option not in wrapping}
    more = {option: value for option, value in defaults(regularized).items() if option not in found}
    return found | more | wrapping | _pair_arguments(wrapping, of_pair)


def _with_prior(given: Mapping[str, Any], training: Mapping[str, Any]) -> dict[str, Any]:
    """The options with a prior that a sampler needs: a standard normal one where none is given.

    Raises:
        InputError: a posterior that is fitted, or a prior beside one that is learned.
    """
    if not is_sampler(training):
        return dict(given)
    if given.get("posterior") not in {None, "delta"}:
        raise InputError(
            f"{training['optimizer']} draws the parameters themselves, so no posterior over them is fitted: leave "
            f"posterior {given['posterior']} out, or take an optimizer such as adam."
        )
    prior = given.get("prior") or given.get("weight_prior")
    if (training.get("sampling") or {}).get("learn_prior"):
        if prior:
            raise InputError("learn_prior learns the scale of a normal prior: leave the other prior out.")
        return dict(given)
    return dict(given) if prior else {**given, "prior": "normal"}


def _pair_arguments(wrapping: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the posterior and the prior that are taken, with their defaults.

    Raises:
        InputError: an option of a posterior or prior that is not taken.
    """
    asked = _asked(wrapping)
    if asked is None or wrapping.get("weight_prior") is not None:
        if given:
            raise InputError(
                f"{next(iter(given))} is of a posterior or a prior over parameters: name it (posterior, prior)."
            )
        return {}
    return checked_options(asked["posterior"], asked["prior"], given)


def objective_for(experiment: Experiment, setting: Setting, model: Model) -> tuple[Objective, Model]:
    """The experiment's objective, and the model that it trains, with a posterior over its weights if one is asked for.

    Args:
        experiment: names the objective and its options.
        setting: of the run.
        model: the model.

    Raises:
        InputError: an unknown name or option, an impossible value, or an objective about latents for a model without.
    """
    name, arguments = experiment.objective["name"], objective_arguments(experiment)
    named = objective_named(name)
    if not model.depth and named.draws_latents:
        raise InputError(
            f"{name} draws latents, but {experiment.model['name']} has none and its log p(x) is exact: train it with "
            f"{default_objective(experiment.model['name'])} (the default) or full-vb."
        )
    if named.detects != model.is_detector:
        raise InputError(
            f"{experiment.model['name']} is trained by {default_objective(experiment.model['name'])} (the default) and "
            f"not by {name}: a detector has a score and no density, and every other model has a density."
        )
    _check_natural(experiment, named, model)
    own = {option: value for option, value in arguments.items() if option in defaults(named.make)}
    objective = named.make(setting, **own)
    if named.prepare is not None:
        _check_own(experiment, model, name)
        return objective, named.prepare(model, own)
    rest = {option: value for option, value in arguments.items() if option not in own}
    wrapping = {option: rest[option] for option in defaults(regularized) if option in rest}
    asked = _asked({option: value for option, value in rest.items() if option not in _NO_PARAMETERS})
    objective = regularized(objective, setting, **wrapping)
    if asked is not None:
        _check_own(experiment, model, next((o for o in ("posterior", "prior") if rest.get(o)), "weight_prior"))
    if model.globals is not None and not named.natural:  # its family's own
        return WithGlobals(objective, setting.num_data), model
    if isinstance(objective, WithGlobals):
        objective = dataclasses.replace(objective, cost_weight=prior_weight(experiment.training))
    return objective, model if asked is None else shared_parameters(model, **asked)


def _check_own(experiment: Experiment, model: Model, what: str) -> None:
    """Refuse a second posterior over what all examples share.

    Raises:
        InputError: the model's family brings one.
    """
    if model.globals is not None:
        raise InputError(
            f"{experiment.model['name']} has a posterior of its own over what all examples share, and no sampler or "
            f"other posterior takes its place: leave {what} out, and take an optimizer such as adam."
        )


def old_posterior(experiment: Experiment) -> ModelSpec:
    """What the posterior of a run was built from whose files do not say it: that of full-vb."""
    scale = experiment.objective.get("arguments", {}).get("prior_scale", 1.0)
    options = checked_options("mean-field", "normal", {"prior_scale": scale})
    return ModelSpec.of(PARAMETERS, posterior="mean-field", prior="normal", where="everything", options=options)


def _check_natural(experiment: Experiment, named: NamedObjective, model: Model) -> None:
    """Refuse to mix natural gradients with what is not made for them.

    Raises:
        InputError: a conjugate model with another objective, that objective with another model or optimizer.
    """
    name, objective = experiment.model["name"], experiment.objective["name"]
    conjugate = isinstance(model.globals, ConjugateGlobals)
    if named.natural and not conjugate:
        able = ", ".join(other for other in families() if objectives()[family(other).objective].natural)
        raise InputError(
            f"{objective} is for models with a conjugate posterior, and {name} has none: use {able}, or train it with "
            f"{default_objective(name)}."
        )
    if conjugate and not named.natural:
        raise InputError(f"{name} has a conjugate posterior: train it with {default_objective(name)} (the default).")
    optimizer = experiment.training.get("optimizer")
    if named.natural != (optimizer == "natural"):
        raise InputError(
            f"{objective} is trained by the optimizer natural (the default there)."
            if named.natural
            else f"The optimizer natural follows natural gradients, and {objective} gives none: use adam, say."
        )
