"""Products: every family with every objective, likelihood, rule for missing entries and posterior, by shapes alone.

Each pair either works or is refused in one sentence. What the numbers are is for the law suite to say; here no pair may
fail in a way that nobody wrote a sentence for.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import pytest
from product import product

from nelbo.core import Example, InputError
from nelbo.models import (
    CLASS_LIKELIHOODS,
    LIKELIHOODS,
    MODELS,
    NUMBER_LIKELIHOODS,
    POSTERIORS,
    family_options,
    skeleton,
)
from nelbo.nets import trainable
from nelbo.objectives import ObjectiveState, Setting
from nelbo.runs import OBJECTIVES

SHAPE, BATCH = (4,), 4
WINDOW = (3, 2)  # of a series
CROP = (64, 64, 3)
SMALL = {
    "latents": 2,
    "layers": (2, 2),
    "hidden": (3,),
    "recognition_hidden": (3,),
    "components": 3,
    "static_latents": 2,
    "state_size": 3,
    "inducing": 3,
}
SETTING = Setting(50, 5.0)
DISCRETE = {"sbn", "darn", "fdarn", "dbn"}
DEEP = {"dlgm", "hvae", "nonlinear-belief-network"}
# what each objective cannot train, and is expected to say so
REPARAMETERIZED = {"sgvb", "iwae", "monte-carlo-em", "full-vb", "stochastic-backpropagation", "perturbative"}
REFUSED = {(objective, model) for objective in REPARAMETERIZED for model in DISCRETE}
REFUSED |= {(objective, model) for objective in ("darn", "straight-through") for model in set(MODELS) - DISCRETE}
LATENT_SERIES = {"gp-vae", "dsae", "sequence-flow"}
BOUNDED = (*DEEP, *LATENT_SERIES, "vae", "nonlinear-factor-analysis", "table", "events")
REFUSED |= {("maximum-likelihood", model) for model in BOUNDED}
REFUSED |= {("stochastic-backpropagation", model) for model in ("hvae", "state-space", *LATENT_SERIES)}
REFUSED |= {
    (objective, model)
    for objective in ("perturbative", "nvil", "maximum-likelihood", "stochastic-backpropagation")
    for model in ("image-codec", "convolutional-codec")
}
REFUSED |= {("sparse-process", model) for model in set(MODELS) - {"svgp-vae"}}
REFUSED |= {("maximum-likelihood", "svgp-vae"), ("stochastic-backpropagation", "svgp-vae")}
REFUSED |= {("mean-score", model) for model in set(MODELS) - {"neutral-ad"}}
OWN = {"order-agnostic": "eonade", "contrastive-divergence": "rbm", "greedy": "dbn"}
REFUSED |= {(objective, model) for objective, own in OWN.items() for model in set(MODELS) - {own}}
CONJUGATE = {name for name, family in MODELS.items() if family.objective == "svi"}
SUPERVISED = {name for name, family in MODELS.items() if family.targets}
PAIRS = {name for name, family in MODELS.items() if family.examples == "pairs"}
SERIES = {name for name, family in MODELS.items() if family.examples in {"series", "sequences"}}
PICTURES = {name for name, family in MODELS.items() if family.examples == "pictures"}
EVENTS = {name for name, family in MODELS.items() if family.examples == "events"}
COVARIATES = {name for name, family in MODELS.items() if family.examples == "covariates"}
WITHOUT_LATENTS = {"neutral-ad", "nade", "mixture", "eonade", "rbm", "point-process", *SUPERVISED, *PAIRS}


def small(name, **more):
    known = family_options(name)
    chosen = {option: value for option, value in {**SMALL, **more}.items() if option in known}
    if name in PICTURES:
        return {"shape": CROP}
    if name in EVENTS:
        return (
            {"shape": WINDOW, "state_size": 3, "latents": 2} if name == "events" else {"shape": WINDOW, "state_size": 3}
        )
    if name in SERIES:  # what their frames are read by is in tests/models/test_series.py
        return {"shape": WINDOW, **{option: value for option, value in chosen.items() if option != "posterior"}}
    return {"shape": (1,), "rank": 1, **chosen} if name in PAIRS else {"shape": SHAPE, **chosen}


@functools.cache
def model_of(name, **more):
    return skeleton(name, small(name, **more))


def batch_of(*, masked=False, context=0):
    observed = jnp.ones((BATCH, *SHAPE), bool) if masked else None
    return Example(jnp.ones((BATCH, *SHAPE)), observed, context=jnp.ones((BATCH, context)) if context else None)


def examples_for(model):
    """A batch that a family can be trained on."""
    if model in PAIRS:
        return Example(jnp.ones((BATCH, 1)), context=jnp.zeros((BATCH, 2)))
    if model in PICTURES:
        return Example(jnp.ones((BATCH, *CROP)), context=jnp.full((BATCH, 1), 4.0))
    if model in SERIES | EVENTS:
        return Example(jnp.ones((BATCH, *WINDOW)), jnp.ones((BATCH, *WINDOW), bool))
    if model not in SUPERVISED:
        return batch_of(context=int(model in COVARIATES))
    return Example(jnp.ones((BATCH, 1)), context=Example(jnp.ones((BATCH, *SHAPE))))


def gradient_shapes(name, model, batch):
    """The objective's loss and gradient, traced and not run; gives the gradient's shapes."""
    named = OBJECTIVES[name]
    options = {"samples": 2} if name in {"vimco", "rws", "iwae"} else {}
    objective = named.make(SETTING, **options)

    def gradient(key, model):
        if named.prepare is not None:
            model = named.prepare(model, {"prior_scale": 1.0})
        state = objective.init(key, model)
        params, static = eqx.partition((model, state.trained), trainable((model, state.trained)))

        def loss(params):
            whole, trained = eqx.combine(params, static)
            found, after = objective(jr.key(1), whole, batch, ObjectiveState(trained, state.carried))
            return found.surrogate, (found, after)

        objective.bounds(jr.key(2), model, batch)
        return jax.grad(loss, has_aux=True)(params)[0]

    return eqx.filter_eval_shape(gradient, jr.key(0), model)


@pytest.mark.share(4)
@pytest.mark.parametrize(("objective", "model"), product(OBJECTIVES, MODELS, every=5))
def test_every_objective_trains_every_family_or_says_why_not(objective, model):
    if OBJECTIVES[objective].natural != (model in CONJUGATE):
        pytest.skip("runs refuse natural gradients for other models, and other objectives for conjugate ones")
    if OBJECTIVES[objective].detects != (model == "neutral-ad"):
        pytest.skip("runs refuse objectives of densities for a detector; tests/models/test_neutral_ad.py holds that")
    if model in WITHOUT_LATENTS and OBJECTIVES[objective].draws_latents:
        pytest.skip("runs refuse what draws latents for models without any; tests/runs holds that")
    batch = examples_for(model)
    if (objective, model) not in REFUSED:
        assert jax.tree.leaves(gradient_shapes(objective, model_of(model), batch))
        return
    with pytest.raises(InputError) as refusal:
        gradient_shapes(objective, model_of(model), batch)
    assert "\n" not in str(refusal.value)


@pytest.mark.share(2)
@pytest.mark.parametrize(
    ("objective", "model", "missing"),
    product(
        ["sgvb", "nvil", "vimco", "iwae", "wake-sleep", "rws"],
        ["vae", "dlgm", "hvae"],
        ["zero", "mean", "mask"],
        every=5,
    ),
)
def test_every_rule_for_missing_entries_goes_with_every_objective(objective, model, missing):
    chosen = model_of(model, missing=missing, centre=True)
    assert jax.tree.leaves(gradient_shapes(objective, chosen, batch_of(masked=True)))


@pytest.mark.share(2)
@pytest.mark.parametrize(
    ("model", "likelihood"),
    product(
        [m for m in MODELS if "likelihood" in family_options(m) and m not in SUPERVISED | PAIRS | SERIES | PICTURES],
        LIKELIHOODS,
        every=5,
    ),
)
def test_every_likelihood_goes_with_every_family_that_has_a_choice(model, likelihood):
    if model == "darn" and likelihood != "bernoulli":
        with pytest.raises(InputError, match="DARN needs a bernoulli likelihood"):
            model_of(model, likelihood=likelihood)
        return
    chosen = model_of(model, likelihood=likelihood)
    objective = "nvil" if model in DISCRETE else "sgvb"
    assert jax.tree.leaves(gradient_shapes(objective, chosen, examples_for(model)))


@pytest.mark.share(2)
@pytest.mark.parametrize(
    ("model", "likelihood", "architecture", "missing"),
    product(
        [
            *(("regression", name) for name in NUMBER_LIKELIHOODS),
            *(("classification", name) for name in CLASS_LIKELIHOODS),
        ],
        ["linear", "mlp", "conv"],
        ["zero", "mean", "mask"],
        every=5,
    ),
)
def test_every_target_goes_with_every_network_and_rule(model, likelihood, architecture, missing):
    options = {"likelihood": likelihood, "architecture": architecture, "channels": [2], "missing": missing}
    chosen = skeleton(model, {"shape": [4, 4, 1], "hidden": [3], "centre": True, "spread": True, **options})
    gaps = jnp.ones((BATCH, 4, 4, 1))
    batch = Example(jnp.ones((BATCH, 1)), jnp.ones((BATCH, 1), bool), context=Example(gaps, gaps))
    assert jax.tree.leaves(gradient_shapes("full-vb", chosen, batch))


@pytest.mark.share(2)
@pytest.mark.parametrize(
    ("model", "posterior"),
    product([name for name in MODELS if "posterior" in family_options(name) and name not in SERIES], POSTERIORS),
)
def test_every_posterior_goes_with_every_family_that_has_a_choice(model, posterior):
    chosen = model_of(model, posterior=posterior, rank=1)
    assert jax.tree.leaves(gradient_shapes("sgvb", chosen, batch_of()))


@pytest.mark.share(2)
@pytest.mark.parametrize("objective", [name for name, named in OBJECTIVES.items() if not named.natural])
def test_every_objective_takes_a_context(objective):
    chosen = model_of("vae", context=3)
    if (objective, "vae") not in REFUSED:
        assert jax.tree.leaves(gradient_shapes(objective, chosen, batch_of(context=3)))
