"""Runs whose optimizer is a sampler: their settings, their draws, and what the draws are worth."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from jaxtyping import Array, Key
from scipy.special import logsumexp

from nelbo.bayes import SAMPLERS, checked_sampling, collected, diagnose, precision_found, spread_out, with_samples
from nelbo.core import NATS_PER_BIT, InputError, defaults
from nelbo.data import Data, Source
from nelbo.evaluation import elbo
from nelbo.models import Model
from nelbo.training import DEFAULT_RATES, OPTIMIZERS, Fit

RUN_OPTIMIZERS: tuple[str, ...] = (*OPTIMIZERS, *SAMPLERS)
SCORED_DRAWS = 20
_OF_A_SAMPLER = {"schedule": "constant", "clip": None}  # what would change the density that is drawn from


def is_sampler(training: Mapping[str, Any]) -> bool:
    """Whether training settings name a sampler."""
    return training.get("optimizer") in SAMPLERS


def usual_rate(optimizer: str) -> float:
    """The learning rate of an optimizer that is given none."""
    return defaults(SAMPLERS[optimizer])["learning_rate"] if optimizer in SAMPLERS else DEFAULT_RATES[optimizer]


def sampling_for(training: Mapping[str, Any], steps: int | None, num_data: int | None) -> dict[str, Any] | None:
    """The options of the sampler that trains, spelled out; None of another optimizer.

    Args:
        training: settings with the defaults filled in.
        steps: of the run, where known.
        num_data: N, where known.

    Raises:
        InputError: an unknown option, options of a sampler for another optimizer, or settings that no sampler can have.
    """
    name, given = training["optimizer"], training["sampling"]
    if not is_sampler(training):
        if given:
            raise InputError(
                f"{next(iter(given))} is an option of samplers ({', '.join(SAMPLERS)}), and {name} is none: name one "
                "with optimizer, or leave the option out."
            )
        return None
    for option, value in _OF_A_SAMPLER.items():
        if training[option] != value:
            raise InputError(f"{name} draws from a posterior, which {option} would change: leave it out.")
    options = checked_sampling(name, given or {})
    if options["tempered"] == "likelihood" and not options["temperature"]:
        raise InputError("A likelihood of temperature 0 leaves no prior: temper the posterior, or give a temperature.")
    if steps is None or num_data is None:
        return options
    return spread_out(options, steps=steps, pass_steps=max(1, round(num_data / training["batch_size"])))


def prior_weight(training: Mapping[str, Any]) -> float:
    """What the prior's cost is multiplied with; see `WithGlobals.cost_weight`."""
    options = training.get("sampling") or {}
    return float(options.get("temperature", 1.0)) if options.get("tempered") == "likelihood" else 1.0


def draws_of(fitted: Fit, training: Mapping[str, Any]) -> tuple[Any, dict[str, Any] | None]:
    """The trained model with the draws of its sampler, and what is recorded about them; as it is without a sampler.

    Raises:
        InputError: the run ended before the first draw.
    """
    options = training["sampling"]
    if options is None:
        return fitted.model, None
    carry = fitted.state.carry
    found = collected(carry.optimizer, burn_in=options["burn_in"], thin=options["thin"])
    record = diagnose(found, options["temperature"]).record()
    if options["learn_prior"]:
        record["prior_scale"] = precision_found(carry.optimizer, carry.params) ** -0.5
    return with_samples(fitted.model, found.draws.model), record


def draws_row(key: Key[Array, ""], model: Any, source: Source, row: Mapping[str, Any], data: Data) -> dict[str, Any]:
    """How well the average over draws of the parameters predicts: log (1/S) sum_s p(x | theta_s) for each example.

    Where log p(x | theta) is an evidence lower bound, so is the average; without latents it is exact.

    Args:
        key: for latents.
        model: with `Samples` as its globals.
        source: of the test set.
        row: of the model at its point, which says what the data are.
        data: the data set.
    """
    count = min(SCORED_DRAWS, model.globals.count)
    # one model after the other: many at once would not fit
    models = model.globals.draws(key, model, count)
    scores = [elbo(jr.clone(key), _one(models, i), source, num_samples=row["samples"]) for i in range(count)]
    each = np.stack([score.per_example for score in scores])
    together = logsumexp(each, axis=0) - np.log(count)
    nats, alone = float(together.mean()), float(each.mean())
    dims = -row["nats"] / (row["bits_per_dim"] * NATS_PER_BIT) if row["bits_per_dim"] else None
    changed = {
        "bound": f"{row['bound']}, averaged over draws of parameters",
        "nats": nats,
        "standard_error": None,
        "spread": float(together.std(ddof=1) / len(together) ** 0.5) if len(together) > 1 else 0.0,
        "bits_per_dim": None if dims is None else -nats / (dims * NATS_PER_BIT),
        "reconstruction": None,
        "kl": None,
        "parameter_draws": count,
        "mean_of_draws": alone,
        "data": data.name,
    }
    return {name: value for name, value in row.items() if name != "perplexity"} | changed


def _one(models: Any, index: int) -> Model:
    """One of the models that `Globals.draws` stacks."""
    arrays, rest = eqx.partition(models, eqx.is_array)
    return eqx.combine(jax.tree.map(lambda leaf: leaf[index], arrays), rest)
