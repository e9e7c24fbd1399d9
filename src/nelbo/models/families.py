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

# options whose arrays are the training data's; the user says whether they are used
MOMENTS = ("centre", "spread", "target_centre", "target_spread")


@dataclasses.dataclass(frozen=True)
class Family:
    """A named model family.

    Args:
        make: from a key, the shape of one example and the family's options, by keyword, to a model. Decorated by
            `drawn_at_once` it draws all weights in one compiled call.
        likelihood: of families that have no choice of one.
        usual: the likelihood by the kind of values, where another one is better than `nelbo.runs` takes for rows.
        objective: what trains it, unless the user says otherwise.
        spread: whether a `spread` is one number for each entry, or one for all ("whole"; pictures always have one).
        arguments: options that are better than the signature's defaults where a run decides, by likelihood or "*".
        training: the same of training settings.
        least_steps: epochs that nobody asked for are so many that training takes at least this number of steps.
        most_steps: and so few that it takes at most this number, or one epoch; None: no matter how many.
        targets: what a supervised model predicts; None: the examples themselves are modelled. The likelihoods of a
            supervised family are its own.
        objective_arguments: options of its objective that are better than their defaults.
        examples: "rows": arrays, or rows of a table; "columns": rows of a table whose columns are of different kinds,
            words among them; "pairs": the values of pairs, see `nelbo.data.load_pairs`; "pictures": crops of
            photographs, see `nelbo.data.load_photographs`. Models of pairs bring a posterior over what all pairs
            share. "series": windows of series over time, see `nelbo.data.load_series`. "sequences": these or
            films. "events": sequences of marked events of users, see `nelbo.data.load_events`. "covariates": rows and
            what is known of each, see `nelbo.data.load_covariates`.
        series_too: whether windows of series are examples too.
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


# Measured, see docs/defaults.md. On a table of 1095 rows of 9 measurements 3000 such steps end where the closed-form
# solution does; 30 epochs at Adam's usual 0.001 are far from it
_LINEAR = {"*": {"learning_rate": 0.01, "schedule": "cosine"}}
# on a centred MNIST tanh is 3 nats behind relu after ten epochs; on a table a rate of 0.003 is 2 nats ahead of 0.001
_VAE_ARGUMENTS = {"bernoulli": {"activation": "relu"}}
_VAE_TRAINING = {"gaussian": {"learning_rate": 0.003}}
_GAUSSIAN_NETWORK = {"*": {"learning_rate": 0.003}}
# small data are passed over more often: there a bound still rises when 30 epochs are over, and after this many steps
# Adam's usual 0.001 is as good as higher rates
_LEAST = 3000
# the bound of a few held-out entries chooses badly between epochs: the last parameters are kept, at a rate gone to zero
_FACTORIZATION = {
    "*": {"learning_rate": 0.02, "schedule": "cosine", "batch_size": 1000, "keep": "last"},
}

# on 100,000 rows of 50 columns the bound after these steps is within 0.3 of 99 nats of that after 24,000
_MOST_OF_TABLE = 10_000
_TABLE = {"*": {"learning_rate": 0.003, "schedule": "cosine"}}
# it counts once a data set: small tables are fitted less closely, and large ones as without
_TABLE_PRIOR = {"weight_prior": 0.3}

# batch and rate of the authors (Qiu et al. 2021)
_DETECTOR = {"*": {"learning_rate": 0.001, "batch_size": 128, "keep": "last"}}
_LEAST_OF_DETECTOR = 1000

# the maximum a posteriori estimate: weights of standardized features without a prior grow on small data
_MAP = {"weight_prior": 1.0}
# natural gradients have one step length that is right for a whole pass, one; and rates that fall after it
_CONJUGATE = {"*": {"optimizer": "natural", "schedule": "robbins-monro", "epochs": 20.0}}

# a few long windows: lengths of kernels are found faster at a higher rate, which then has to end
_SERIES = {"*": {"learning_rate": 0.01, "schedule": "cosine", "batch_size": 16}}
_STATE_SPACE = {"*": {"learning_rate": 0.02, "schedule": "cosine", "batch_size": 32}}

# of these a model of films learns its frames first, at the usual rate, and what is static afterwards
_SEQUENCES = {"*": {"learning_rate": 0.002, "schedule": "cosine", "batch_size": 32}}

# gaps are rare in training frames and what models of series are asked about: q must have seen some. A decoder without a
# prior learns few windows by heart, and its noise and intervals become too narrow (docs/sequences.md)
_HIDING = {"input_noise": "hide", "noise_rate": 0.5, "weight_prior": 0.03}
_LEAST_OF_SERIES = 600
# the bound of a batch is an estimate: the last parameters are kept, at a rate gone to zero
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
