"""Named model families: functions from a key and JSON-able options to a `Model`, and what belongs to each."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

import equinox as eqx
import jax.random as jr
from jaxtyping import Array, Key

from nelbo.core import added, checked_arguments, choice, defaults, joined
from nelbo.models.autoencoder import vae
from nelbo.models.belief import darn, fdarn, sbn
from nelbo.models.boltzmann import rbm
from nelbo.models.convolutional_codec import convolutional_codec
from nelbo.models.deep_belief import dbn
from nelbo.models.events import events, point_process
from nelbo.models.factorial_mixture import factorial_mixture
from nelbo.models.gaussian import (
    dlgm,
    factor_analysis,
    hvae,
    linear,
    nonlinear_belief_network,
    nonlinear_factor_analysis,
)
from nelbo.models.gaussian_mixture import gaussian_mixture
from nelbo.models.image_codec import image_codec
from nelbo.models.lda import lda
from nelbo.models.matrix import factorization
from nelbo.models.neutral_ad import neutral_ad
from nelbo.models.orderless import eonade
from nelbo.models.sequences import dsae, sequence_flow
from nelbo.models.series import gp_vae, state_space
from nelbo.models.stack import Model
from nelbo.models.supervised import classification, regression
from nelbo.models.svgp import svgp_vae
from nelbo.models.table import table
from nelbo.models.visible import mixture, nade

# options whose arrays are computed from the training data; the user says whether they are used
MOMENTS = ("centre", "spread", "target_centre", "target_spread")


@dataclasses.dataclass(frozen=True)
class Family:
    """A named model family.

    Args:
        make: makes a model from a key, the shape of one example and the family's options, given by keyword. Decorated
            by `drawn_at_once` it draws all weights in one compiled call.
        likelihood: the likelihood of a family that has no choice of one.
        usual: default likelihoods by the kind of values, where they differ from those that `nelbo.runs` takes for rows.
        objective: the default objective.
        spread: whether a `spread` is one number for each entry, or one for all ("whole"; pictures always have one).
        arguments: options that a run takes in place of the signature's defaults, by likelihood or "*".
        training: training settings that a run takes in place of the usual defaults, by likelihood or "*".
        least_steps: if the number of epochs is not given, training takes at least this many steps.
        most_steps: if the number of epochs is not given, training takes at most this many steps, or one epoch; None:
            no limit.
        targets: what a supervised model predicts; None: the examples themselves are modelled. The likelihoods of a
            supervised family are its own.
        objective_arguments: options that the default objective has in place of its own defaults.
        examples: what an example is. "rows": an array, or a row of a table; "columns": a row of a table whose columns
            are of different kinds, words among them; "pairs": the value of a pair, see `nelbo.data.load_pairs` (these
            models bring a posterior over what all pairs share); "pictures": a crop of a photograph, see
            `nelbo.data.load_photographs`; "series": a window of a time series, see `nelbo.data.load_series`;
            "sequences": such a window or a film; "events": a user's sequence of marked events, see
            `nelbo.data.load_events`; "covariates": a row with covariates, see `nelbo.data.load_covariates`.
        series_too: whether windows of time series are examples too.
    """

    make: Callable[..., Model]
    likelihood: str | None = None
    usual: Mapping[str, str] = dataclasses.field(default_factory=dict)
    objective: str = "sgvb"
    spread: Literal["entry", "whole"] = "entry"
    arguments: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    training: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    least_steps: int = 0
    most_steps: int | None = None
    targets: Literal["number", "class"] | None = None
    objective_arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    examples: Literal["rows", "columns", "pairs", "pictures", "series", "sequences", "events", "covariates"] = "rows"
    series_too: bool = False


# Measured, see docs/defaults.md. On a table of 1095 rows and 9 measurements, 3000 such steps reach the closed-form
# solution; 30 epochs at Adam's usual 0.001 end far from it
_LINEAR = {"*": {"learning_rate": 0.01, "schedule": "cosine"}}
# on centred MNIST tanh is 3 nats worse than relu after ten epochs; on a table the rate 0.003 is 2 nats above 0.001
_VAE_ARGUMENTS = {"bernoulli": {"activation": "relu"}}
_VAE_TRAINING = {"gaussian": {"learning_rate": 0.003}}
_GAUSSIAN_NETWORK = {"*": {"learning_rate": 0.003}}
# small data need more epochs: their bound is still rising after 30 of them, while after this many steps Adam's usual
# 0.001 is as good as higher rates
_LEAST = 3000
# the bound of a few held-out entries is too noisy to choose an epoch by: the rate decays to zero and the last
# parameters are kept
_FACTORIZATION = {
    "*": {"learning_rate": 0.02, "schedule": "cosine", "batch_size": 1000, "keep": "last"},
}

# on 100,000 rows of 50 columns the bound after these steps is within 0.3 of 99 nats of that after 24,000
_MOST_OF_TABLE = 10_000
_TABLE = {"*": {"learning_rate": 0.003, "schedule": "cosine"}}
# the prior counts once a data set: it regularizes small tables and does nothing to large ones
_TABLE_PRIOR = {"weight_prior": 0.3}

# batch and rate of the authors (Qiu et al. 2021)
_DETECTOR = {"*": {"learning_rate": 0.001, "batch_size": 128, "keep": "last"}}
_LEAST_OF_DETECTOR = 1000

# the maximum a posteriori estimate: without a prior, weights of standardized features grow large on small data
_MAP = {"weight_prior": 1.0}
# a natural gradient over the whole data set has the step length one; over minibatches the rate has to decay
_CONJUGATE = {"*": {"optimizer": "natural", "schedule": "robbins-monro", "epochs": 20.0}}

# a few long windows: a higher rate finds the kernels' lengths faster, and has to decay in the end
_SERIES = {"*": {"learning_rate": 0.01, "schedule": "cosine", "batch_size": 16}}
_STATE_SPACE = {"*": {"learning_rate": 0.02, "schedule": "cosine", "batch_size": 32}}

# a model of films learns its frames first, at the usual rate, and what is static only afterwards
_SEQUENCES = {"*": {"learning_rate": 0.002, "schedule": "cosine", "batch_size": 32}}

# gaps are rare in training frames, but models of series are used to fill them: q must have seen some. A decoder without
# a prior memorizes a small number of windows, and its noise and intervals become too narrow (docs/sequences.md)
_HIDING = {"input_noise": "hide", "noise_rate": 0.5, "weight_prior": 0.03}
_LEAST_OF_SERIES = 600
# the bound of a batch is only an estimate: the rate decays to zero and the last parameters are kept
_SPARSE = {"*": {"schedule": "cosine", "batch_size": 256, "keep": "last"}}
_EVENTS = {"*": {"learning_rate": 0.003, "schedule": "cosine"}}

# one place of one order is a noisy estimate: a rate that goes to zero averages it out
_EONADE = {"*": {"schedule": "cosine"}}

# the pseudo-likelihood of a few entries chooses badly between epochs: the last parameters are kept
_BOLTZMANN = {"*": {"optimizer": "momentum", "learning_rate": 0.05, "schedule": "linear", "keep": "last"}}

_CODEC = {"*": {"learning_rate": 0.002, "schedule": "cosine", "batch_size": 8, "epochs": 1.0, "keep": "last"}}

_CONVOLUTIONAL_CODEC = {"*": {**_CODEC["*"], "learning_rate": 0.001}}

MODELS: dict[str, Family] = {
    "vae": Family(vae, arguments=_VAE_ARGUMENTS, training=_VAE_TRAINING, least_steps=_LEAST),
    "linear": Family(linear, likelihood="gaussian-shared", spread="whole", training=_LINEAR, least_steps=_LEAST),
    "factor-analysis": Family(factor_analysis, likelihood="gaussian-pixel", training=_LINEAR, least_steps=_LEAST),
    "nonlinear-factor-analysis": Family(
        nonlinear_factor_analysis, likelihood="gaussian-pixel", training=_GAUSSIAN_NETWORK, least_steps=_LEAST
    ),
    "nonlinear-belief-network": Family(nonlinear_belief_network, least_steps=_LEAST),
    "dlgm": Family(dlgm, least_steps=_LEAST),
    "hvae": Family(hvae, least_steps=_LEAST),
    "sbn": Family(sbn, objective="nvil", least_steps=_LEAST),
    "darn": Family(darn, objective="nvil", least_steps=_LEAST),
    "fdarn": Family(fdarn, objective="nvil", least_steps=_LEAST),
    "nade": Family(nade, likelihood="bernoulli", objective="maximum-likelihood", least_steps=_LEAST),
    "eonade": Family(eonade, likelihood="bernoulli", objective="order-agnostic", training=_EONADE, least_steps=_LEAST),
    "mixture": Family(mixture, likelihood="bernoulli", objective="maximum-likelihood", least_steps=_LEAST),
    "rbm": Family(
        rbm, likelihood="bernoulli", objective="contrastive-divergence", training=_BOLTZMANN, least_steps=_LEAST
    ),
    "dbn": Family(dbn, likelihood="bernoulli", objective="greedy", training=_BOLTZMANN, least_steps=_LEAST),
    "regression": Family(
        regression, objective="maximum-likelihood", least_steps=_LEAST, targets="number", objective_arguments=_MAP
    ),
    "classification": Family(
        classification, objective="maximum-likelihood", least_steps=_LEAST, targets="class", objective_arguments=_MAP
    ),
    "table": Family(
        table,
        likelihood="columns",
        objective="iwae",
        training=_TABLE,
        least_steps=_LEAST,
        most_steps=_MOST_OF_TABLE,
        objective_arguments=_TABLE_PRIOR,
        examples="columns",
    ),
    "neutral-ad": Family(
        neutral_ad,
        likelihood="columns",
        objective="mean-score",
        training=_DETECTOR,
        least_steps=_LEAST_OF_DETECTOR,
        examples="columns",
        series_too=True,
    ),
    "gaussian-mixture": Family(gaussian_mixture, likelihood="gaussian", objective="svi", training=_CONJUGATE),
    "factorial-mixture": Family(factorial_mixture, likelihood="gaussian", objective="svi", training=_CONJUGATE),
    "lda": Family(lda, likelihood="multinomial", objective="svi", training=_CONJUGATE),
    "image-codec": Family(
        image_codec, likelihood="pixels", training=_CODEC, objective_arguments={"form": "A"}, examples="pictures"
    ),
    "convolutional-codec": Family(
        convolutional_codec,
        likelihood="pixels",
        training=_CONVOLUTIONAL_CODEC,
        objective_arguments={"form": "A"},
        examples="pictures",
    ),
    "gp-vae": Family(
        gp_vae,
        usual={"real": "gaussian-pixel"},
        training=_SERIES,
        least_steps=_LEAST_OF_SERIES,
        objective_arguments=_HIDING,
        examples="series",
    ),
    "svgp-vae": Family(
        svgp_vae,
        usual={"real": "gaussian-pixel", "unit": "gaussian-shared", "uint8": "gaussian-shared"},
        objective="sparse-process",
        training=_SPARSE,
        least_steps=_LEAST,
        examples="covariates",
    ),
    "state-space": Family(
        state_space,
        likelihood="gaussian-pixel",
        objective="maximum-likelihood",
        training=_STATE_SPACE,
        examples="series",
    ),
    "dsae": Family(
        dsae,
        usual={"real": "gaussian-pixel", "uint8": "gaussian-shared", "unit": "gaussian-shared"},
        training=_SEQUENCES,
        least_steps=_LEAST,
        examples="sequences",
    ),
    "sequence-flow": Family(
        sequence_flow,
        usual={"real": "gaussian-pixel", "uint8": "gaussian-pixel", "unit": "gaussian-pixel"},
        training=_SEQUENCES,
        least_steps=_LEAST,
        examples="sequences",
    ),
    "events": Family(events, training=_EVENTS, examples="events"),
    "point-process": Family(point_process, objective="maximum-likelihood", training=_EVENTS, examples="events"),
    "factorization": Family(factorization, training=_FACTORIZATION, least_steps=_LEAST, examples="pairs"),
}


def families() -> Mapping[str, Family]:
    """Every model family by name: nelbo's own, and those that were added (see `nelbo.core.Registry`)."""
    return joined("models", MODELS, added().models)


def family(name: str) -> Family:
    """The family called `name`.

    Raises:
        InputError: there is none.
    """
    every = families()
    return every[choice("model", name, every)]


def family_options(name: str) -> dict[str, Any]:
    """The options of a family with their defaults.

    Raises:
        InputError: no such family.
    """
    return defaults(family(name).make)


def build(key: Key[Array, ""], name: str, arguments: Mapping[str, Any]) -> Model:
    """Build the named model.

    Raises:
        InputError: an unknown model, or an argument it does not have.
    """
    make = family(name).make
    checked = checked_arguments(f"option of model {name}", make, arguments, hidden=("key",))
    return make(key, **{k: tuple(v) if isinstance(v, list) else v for k, v in checked.items()})


def skeleton(name: str, arguments: Mapping[str, Any]) -> Model:
    """The model with shapes in place of arrays, at no cost."""
    return eqx.filter_eval_shape(lambda key: build(key, name, arguments), jr.key(0))
