"""The product law: every family takes every task, or refuses it in a sentence; by shapes alone, which costs no run."""

import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.core import Example, InputError
from nelbo.data import Source
from nelbo.distributions import example_shape
from nelbo.evaluation import posterior_mean
from nelbo.models import MODELS, skeleton, vae
from nelbo.tasks import METHODS, ImputationSettings, default_method, embed, impute, reconstruct, sample
from nelbo.tasks.generate import reconstruct_batch, sample_batch
from nelbo.tasks.impute import complete_batch
from nelbo.tasks.rows import reader

ROWS, SIZE, DRAWS = 3, 5, 2
SMALL = {"hidden": [3], "latents": 2, "layers": [3, 2], "recognition_hidden": [3], "components": 2}
WITHOUT_GAPS = {"lda", "factorial-mixture"}
DISCRETE = {"sbn", "darn", "fdarn", "dbn", "gaussian-mixture"}
WITHOUT_LATENTS = {"nade", "mixture", "eonade", "rbm"}
# see test_factorization.py, test_image_codec.py, test_series.py, test_sequences.py, test_events.py, test_inducing.py; a
# detector neither samples nor fills in
OTHERS = {name for name, family in MODELS.items() if family.examples not in {"rows", "columns"}} | {"neutral-ad"}
# a row for each family: its options, None for those of `SMALL` that it knows, and how many numbers its context has
CASES = {
    "vae-in-context": ("vae", {"latents": 2, "hidden": [3], "context": 2}, 2),
    "vae-categorical": ("vae", {"latents": 2, "hidden": [3], "likelihood": "categorical"}, 0),
    "vae-mask": ("vae", {"latents": 2, "hidden": [3], "missing": "mask"}, 0),
    # supervised models and those of pairs predict instead, and the others take no rows with a mask
    **{name: (name, None, 0) for name, f in MODELS.items() if not f.targets and name not in WITHOUT_GAPS | OTHERS},
}


def units(distribution):
    return int(np.prod(example_shape(distribution)))


def small_options(name):
    known = inspect.signature(MODELS[name].make).parameters
    return {option: value for option, value in SMALL.items() if option in known}


def case(row):
    """A model without weights, and rows with gaps and perhaps a context, as they are stored."""
    name, options, context = CASES[row]
    shapes = skeleton(name, {"shape": [SIZE], **(small_options(name) if options is None else options)})
    model = jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype) if isinstance(leaf, jax.ShapeDtypeStruct) else leaf, shapes
    )
    rows = Example(
        jnp.zeros((ROWS, SIZE)), jnp.ones((ROWS, SIZE), bool), context=jnp.ones((ROWS, context)) if context else None
    )
    return model, rows, reader(Source(rows, "real", dynamic=False))


@pytest.mark.share(8)
@pytest.mark.parametrize("row", CASES)
def test_every_family_is_sampled_embedded_and_reconstructed(row):
    model, rows, how = case(row)
    context = jax.tree.map(lambda leaf: leaf[0], rows.context)
    keys = jr.split(jr.key(0), ROWS)
    assert eqx.filter_eval_shape(sample_batch, model, keys, context, mean=False).shape == (ROWS, SIZE)
    if not model.depth:
        for task in (reconstruct, lambda *_: embed(*_[:3])):
            with pytest.raises(InputError, match="needs a model with latents"):
                task(jr.key(0), model, how, np.zeros(1, int))
        with pytest.raises(InputError, match="needs a model with latents"):
            sample(jr.key(0), model, 1, mean=True)
        return
    assert eqx.filter_eval_shape(sample_batch, model, keys, context, mean=True).shape == (ROWS, SIZE)
    batch, means = eqx.filter_eval_shape(reconstruct_batch, model, jr.key(0), how, rows)
    assert batch.values.shape == means.shape == (ROWS, SIZE)
    one = jax.tree.map(lambda leaf: leaf[0], rows)
    layers = eqx.filter_eval_shape(posterior_mean, jr.key(0), model, one)
    assert len(layers) == model.depth
    assert [layer.shape for layer in layers] == [(units(prior),) for prior in model.generative.shapes()[1:]]


FILLED = [
    pytest.param(row, method, marks=() if (i + j) % 3 == 0 else pytest.mark.slow)
    for i, row in enumerate(CASES)
    for j, method in enumerate(METHODS)
    if row not in WITHOUT_LATENTS and method != "conditional" and (method != "resample" or row == "vae-in-context")
]


@pytest.mark.share(8)
@pytest.mark.parametrize(("row", "method"), FILLED)
def test_every_family_fills_in_by_every_method_or_says_which_one_to_use(row, method):
    model, rows, how = case(row)
    settings = ImputationSettings(method, steps=2, draws=DRAWS, proposals=3)
    discrete = row in DISCRETE
    assert default_method(model) == ("importance" if discrete else "hmc")
    if discrete and method == "hmc":
        with pytest.raises(InputError, match="hmc moves real-valued latents, but the model's are discrete: use"):
            settings.resolved(model)
        return
    if row == "darn":  # its bits depend on each other given z
        with pytest.raises(InputError, match="AutoregressiveBernoulli has no conditional of single entries"):
            impute(jr.key(0), model, Source(rows, "real", dynamic=False), settings)
        return
    truth = Example(rows.values, rows.observed, context=rows.context)
    found = eqx.filter_eval_shape(complete_batch, model, jr.key(0), how, rows, truth, settings.resolved(model))
    assert {name: value.shape for name, value in found.items()} == {
        **dict.fromkeys(("mean", "std", "low", "high"), (ROWS, SIZE)),
        **dict.fromkeys(("row_accepted", "entry_nats", "joint_nats"), (ROWS,)),
        "draws": (ROWS, DRAWS, SIZE),
    }


@pytest.mark.parametrize("row", sorted(WITHOUT_LATENTS))
def test_families_without_latents_fill_in_by_their_own_conditional_or_say_why_not(row):
    model, rows, how = case(row)
    asked = ImputationSettings(draws=DRAWS, steps=2)
    if row == "nade":  # of one order
        with pytest.raises(InputError, match="Filling in needs a model with latents"):
            impute(jr.key(0), model, Source(rows, "binary", dynamic=False), asked)
        return
    settings = asked.resolved(model)
    assert settings.method == default_method(model) == "conditional"
    for refused in ({"method": "hmc"}, {"noise": "bit-flip", "rate": 0.1}):
        with pytest.raises(InputError, match=r"use conditional|leave --noise out"):
            ImputationSettings(**refused).resolved(model)
    found = eqx.filter_eval_shape(complete_batch, model, jr.key(0), how, rows, rows, settings)
    assert {name: value.shape for name, value in found.items()} == {
        **dict.fromkeys(("mean", "std", "low", "high"), (ROWS, SIZE)),
        **dict.fromkeys(("row_accepted", "entry_nats"), (ROWS,)),
        "draws": (ROWS, DRAWS, SIZE),
    }


CONDITIONAL = vae(jr.key(0), (SIZE,), latents=2, hidden=(4,), context=2, init=1.0)


def conditional_rows(context, seen=None):
    values = (np.arange(ROWS * SIZE).reshape(ROWS, SIZE) % 2).astype(np.float32)
    observed = np.tile(np.arange(SIZE) < 3, (ROWS, 1))
    rows = Example(jnp.asarray(values), jnp.asarray(observed), seen, jnp.asarray(context, jnp.float32))
    return Source(rows, "real", dynamic=False)


@pytest.mark.slow
def test_a_context_changes_every_answer_and_reaches_the_right_row():
    here, there = np.tile([1.0, 0.0], (ROWS, 1)), np.tile([1.0, 0.0], (ROWS, 1))
    there[1] = [0.0, 1.0]
    settings = ImputationSettings("importance", draws=3, proposals=20)
    answers = {
        "impute": lambda data: impute(jr.key(0), CONDITIONAL, data, settings).mean[:, 3:],
        "embed": lambda data: embed(jr.key(0), CONDITIONAL, data),
        "reconstruct": lambda data: reconstruct(jr.key(0), CONDITIONAL, data, np.arange(ROWS))[1],
    }
    for name, answer in answers.items():
        one, other = answer(conditional_rows(here)), answer(conditional_rows(there))
        assert (one[[0, 2]] == other[[0, 2]]).all(), name
        assert (one[1] != other[1]).all(), name
    means = [sample(jr.key(0), CONDITIONAL, 4, mean=True, context=jnp.asarray(rows[1])) for rows in (here, there)]
    assert (means[0] != means[1]).all()
    with pytest.raises(InputError, match="conditioned on a context of 2 numbers: give it"):
        sample(jr.key(0), CONDITIONAL, 1)
    with pytest.raises(InputError, match="A context of 3 numbers was given, but this model has one of 2"):
        sample(jr.key(0), CONDITIONAL, 1, context=jnp.zeros(3))


@pytest.mark.slow
def test_what_is_seen_reaches_q_row_by_row():
    """Of the second row q sees nothing, of the others all that is observed: only the second answer changes."""
    context = np.tile([1.0, 0.0], (ROWS, 1))
    whole = conditional_rows(context).arrays
    mask = np.ones((ROWS, SIZE), bool)
    mask[1] = False
    everything = conditional_rows(context, Example(whole.values, jnp.ones((ROWS, SIZE), bool)))
    parts = conditional_rows(context, Example(whole.values, jnp.asarray(mask)))
    one, other = (embed(jr.key(0), CONDITIONAL, data) for data in (everything, parts))
    assert (one[[0, 2]] == other[[0, 2]]).all()
    assert (one[1] != other[1]).any()
    settings = ImputationSettings("importance", draws=3, proposals=400)
    filled = [impute(jr.key(0), CONDITIONAL, data, settings).mean[:, 3:] for data in (everything, parts)]
    assert (filled[0][1] != filled[1][1]).all()
    # other proposals of the same conditional: 400 of them and 400 of the prior agree to a few hundredths
    np.testing.assert_allclose(filled[0], filled[1], atol=0.1)
