"""Samplers by name, with a collector around them."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal

import optax

from nelbo.bayes.collector import collect
from nelbo.bayes.constant_sgd import constant_sgd, sgfs
from nelbo.bayes.hyperparameters import learned_precision
from nelbo.bayes.langevin import sghmc, sgld
from nelbo.core import InputError, Option, checked_arguments, choice, defaults, options_of

SAMPLERS: Mapping[str, Callable[..., optax.GradientTransformation]] = {
    "constant-sgd": constant_sgd,
    "sgfs": sgfs,
    "sgld": sgld,
    "sghmc": sghmc,
}
_NOT_ASKED = ("learning_rate", "seed")  # have an option of their own


@dataclasses.dataclass(frozen=True, kw_only=True)
class Collecting:
    """Which draws of a sampler are kept, and what density they are drawn from.

    Args:
        collect: number of draws that are kept.
        burn_in: steps before the first draw is kept; by default half of the run, in whole cycles.
        thin: steps between draws; by default the length of a cycle, one pass for averages, or as many as spread the
            draws evenly over the rest of the run.
        average: keep the mean of the iterates since the last draw in place of the iterate itself (iterate averaging).
        tempered: what the temperature applies to: the posterior, exp(-U / T), or the likelihood alone,
            p(x | theta)^(1 / T).
        learn_prior: learn the precision of a normal prior on all parameters during sampling (variational EM), in place
            of any other prior.

    Raises:
        InputError: a number out of its range.
    """

    collect: int = 50
    burn_in: int | None = None
    thin: int | None = None
    average: bool = False
    tempered: Literal["posterior", "likelihood"] = "posterior"
    learn_prior: bool = False

    def __post_init__(self) -> None:
        for name, least in (("collect", 1), ("burn_in", 0), ("thin", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name} must be at least {least}, got {value}.")


def sampler_options(name: str) -> tuple[Option, ...]:
    """The options of a sampler, and of what is kept of its draws.

    Raises:
        InputError: there is no such sampler.
    """
    own = options_of(SAMPLERS[choice("sampler", name, SAMPLERS)])
    return (*(option for option in own if option.name not in _NOT_ASKED), *options_of(Collecting))


def checked_sampling(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a sampler with the defaults filled in.

    Raises:
        InputError: an unknown option or a value of another type.
    """
    known = {option.name: option.default for option in sampler_options(name)}
    kind = f"option of sampler {name}"
    for option in given:
        choice(kind, option, known)
    collecting = {option: value for option, value in given.items() if option in defaults(Collecting)}
    own = {option: value for option, value in given.items() if option not in collecting}
    checked_arguments(kind, Collecting, collecting)
    checked_arguments(kind, SAMPLERS[name], own, hidden=("num_data", *_NOT_ASKED))
    Collecting(**collecting)
    return known | dict(given)


def spread_out(options: Mapping[str, Any], *, steps: int, pass_steps: int) -> dict[str, Any]:
    """The options with `collect`, `burn_in` and `thin` as they come to in a run.

    Args:
        options: by `checked_sampling`.
        steps: of the run.
        pass_steps: of one pass over the data.

    Raises:
        InputError: the run ends before the first draw.
    """
    cycle, burn_in, thin, count = options.get("cycle"), options["burn_in"], options["thin"], options["collect"]
    if thin is None and (cycle is not None or options["average"]):
        thin = cycle or pass_steps
    if burn_in is None:
        unit = thin or 1
        burn_in = steps // 2 // unit * unit
    if thin is None:
        thin = max(1, (steps - burn_in) // count)
    count = min(count, (steps - burn_in) // thin)
    if count < 1:
        raise InputError(
            f"The run has {steps} steps, but the first draw comes after {burn_in} of burn-in and {thin} more: train "
            "longer (epochs), or give smaller burn_in, thin or cycle."
        )
    # the last draw at the last step
    return dict(options) | {"collect": count, "burn_in": max(burn_in, steps - count * thin), "thin": thin}


def sampler(
    name: str, *, num_data: int, learning_rate: float, sampling: Mapping[str, Any]
) -> optax.GradientTransformation:
    """A named sampler that collects its draws; equal arguments give the same object, so that its programs are found.

    Args:
        name: see `SAMPLERS`.
        num_data: N, the number of training examples.
        learning_rate: see there.
        sampling: by `spread_out`.

    Raises:
        InputError: an unknown name, or a number out of its range.
    """
    choice("sampler", name, SAMPLERS)
    return _sampler(name, num_data, learning_rate, tuple(sorted(sampling.items())))


@functools.cache
def _sampler(
    name: str, num_data: int, learning_rate: float, items: tuple[tuple[str, Any], ...]
) -> optax.GradientTransformation:
    options = dict(items)
    how = Collecting(**{option: options.pop(option) for option in defaults(Collecting)})
    plain = SAMPLERS[name](num_data, learning_rate=learning_rate, **options)
    made = collect(plain, draws=how.collect, burn_in=how.burn_in or 0, thin=how.thin or 1, average=how.average)
    weight = float(options["temperature"]) if how.tempered == "likelihood" else 1.0
    return learned_precision(made, num_data, weight=weight) if how.learn_prior else made
