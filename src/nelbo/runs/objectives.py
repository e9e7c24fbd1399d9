"""From an experiment's settings to its objective, and to the model that the objective trains."""

from collections.abc import Mapping
from typing import Any

from nelbo.bayes import WithGlobals, shared_parameters
from nelbo.core import InputError, Option, checked_arguments, choice, defaults, options_of
from nelbo.models import Model, family
from nelbo.objectives import NAMED, InputNoise, NamedObjective, Objective, Setting, sgvb, with_added
from nelbo.runs.settings import Experiment

FIRST_LOG_SCALE = -4.0  # of a weight's posterior


def full_vb(
    setting: Setting,
    *,
    prior_scale: float | int = 1.0,
    shared: bool = True,
    form: str = "B",
    samples: int = 1,
    beta: float | int = 1.0,
    warmup: float | int = 0.0,
) -> Objective:
    """Full variational Bayes: SGVB with a normal posterior over the parameters too.

    Args:
        setting: of the run.
        prior_scale: standard deviation of the parameters' prior.
        shared: one draw of the parameters for a whole batch, or one for each example.
        form: as of sgvb.
        samples: as of sgvb.
        beta: as of sgvb.
        warmup: as of sgvb.
    """
    if not prior_scale > 0:
        raise InputError(f"prior_scale must be a positive standard deviation, got {prior_scale}.")
    inner = sgvb(setting, form=form, samples=samples, beta=beta, warmup=warmup)
    return WithGlobals(inner, setting.num_data, one_draw=shared)


def _with_posterior(model: Model, options: Mapping[str, Any]) -> Model:
    return shared_parameters(model, prior_scale=float(options["prior_scale"]), log_scale=FIRST_LOG_SCALE)


OBJECTIVES: dict[str, NamedObjective] = {
    **NAMED,
    "full-vb": NamedObjective(full_vb, draws_latents=False, prepare=_with_posterior),
}


def regularized(
    inner: Objective,
    setting: Setting,
    *,
    weight_prior: float | int | None = None,
    input_noise: str | None = None,
    noise_rate: float | int = 0.1,
) -> Objective:
    """Any objective with what goes with all of them.

    Args:
        inner: the objective.
        setting: of the run.
        weight_prior: standard deviation of a normal prior on the generative model's parameters, or null.
        input_noise: on what the recognition model sees, see `NOISES`, or null.
        noise_rate: of that noise.

    Raises:
        InputError: an impossible standard deviation or noise.
    """
    if weight_prior is not None and not weight_prior > 0:
        raise InputError(f"weight_prior must be a positive standard deviation, got {weight_prior}.")
    noisy = inner if input_noise is None else InputNoise(inner, noise=input_noise, rate=float(noise_rate))
    return noisy if weight_prior is None else WithGlobals(noisy, setting.num_data)


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


def named_objective_options(name: str) -> tuple[Option, ...]:
    """The options of an objective, those that go with every objective behind its own.

    Raises:
        InputError: no such objective.
    """
    named = objective_named(name)
    # a model with a posterior over its weights has no point to put a prior on
    return options_of(named.make) + (() if named.prepare is not None else options_of(regularized))


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
    """The objective's options with the defaults filled in.

    Raises:
        InputError: an unknown name or option, or a value of another type.
    """
    name = experiment.objective["name"]
    known, given = objective_options(name), experiment.objective.get("arguments", {})
    kind = f"option of objective {name}"
    for option in given:
        choice(kind, option, known)
    wrapping = {option: value for option, value in given.items() if option in defaults(regularized)}
    own = {option: value for option, value in given.items() if option not in wrapping}
    checked_arguments(kind, regularized, wrapping, hidden=("inner", "setting"))
    return known | wrapping | checked_arguments(kind, objective_named(name).make, own, hidden=("setting",))


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
    wrapping = {option: arguments.pop(option) for option in defaults(regularized) if option in arguments}
    if model.globals is not None:
        if named.prepare is not None or wrapping.get("weight_prior") is not None:
            raise InputError(
                f"{experiment.model['name']} has a posterior of its own over what all examples share: leave "
                f"{'weight_prior' if named.prepare is None else name} out."
            )
        return WithGlobals(named.make(setting, **arguments), setting.num_data), model
    objective = regularized(named.make(setting, **arguments), setting, **wrapping)
    if named.prepare is not None:
        return objective, named.prepare(model, arguments)
    if (scale := wrapping.get("weight_prior")) is not None:
        return objective, shared_parameters(model, prior_scale=float(scale), where="generative")
    return objective, model
