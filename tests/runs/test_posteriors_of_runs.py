"""Runs whose parameters have a posterior: by options of every objective, stored beside the model and read again."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.bayes import PRIORS, load_globals, named_posteriors, save_globals, shared_parameters
from nelbo.cli.fit import experiment_from
from nelbo.cli.parser import parse
from nelbo.codecs import model_digest
from nelbo.core import InputError, write_arrays
from nelbo.models import family, load_model, named_arrays, skeleton, vae, without_globals
from nelbo.nets import trainable
from nelbo.objectives import Setting
from nelbo.runs import Experiment, execute, open_run
from nelbo.runs.objectives import objective_arguments, objective_for, old_posterior

SETTING = Setting(50, 5.0)


def experiment(objective, training=None, **arguments) -> Experiment:
    sizes = {"name": "vae", "arguments": {"hidden": [3], "latents": 2}}
    return Experiment(sizes, {"name": "digits"}, {"name": objective, "arguments": arguments}, training or {})


def tiny():
    return vae(jr.key(0), (5,), latents=2, hidden=(3,))


# surrogate, bound and sum of the gradient's absolute values, by nelbo before posteriors had names
BEFORE = [
    ("full-vb", {}, (8.446389198303223, -8.446389198303223, 12.076313972473145)),
    ("full-vb", {"shared": False, "prior_scale": 0.5}, (7.742770195007324, -7.742770195007324, 11.203617095947266)),
    ("sgvb", {"weight_prior": 0.3}, (6.151504993438721, -5.530566215515137, 18.068134307861328)),
]


def loss_numbers(name, arguments):
    objective, model = objective_for(experiment(name, **arguments), SETTING, tiny())
    state = objective.init(jr.key(2), model)
    params, static = eqx.partition(model, trainable(model))
    batch = jr.bernoulli(jr.key(1), 0.5, (4, 5)).astype(jnp.float32)

    @jax.jit
    def run(params):
        def loss_of(params):
            loss, _ = objective(jr.key(3), eqx.combine(params, static), batch, state)
            return loss.surrogate, loss.bound

        (surrogate, bound), slope = jax.value_and_grad(loss_of, has_aux=True)(params)
        return surrogate, bound, sum(jnp.abs(leaf).sum() for leaf in jax.tree.leaves(slope))

    return [float(value) for value in run(params)]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arguments", "before"), BEFORE)
def test_old_options_have_their_old_numbers(name, arguments, before):
    np.testing.assert_allclose(loss_numbers(name, arguments), before, rtol=1e-5)


def test_old_options_are_cases_of_the_named_ones():
    """The same objective and the same model, down to every array."""
    pairs = [
        (("full-vb", {"prior_scale": 0.5}), ("sgvb", {"posterior": "mean-field", "prior_scale": 0.5})),
        (("sgvb", {"weight_prior": 0.3}), ("sgvb", {"prior": "normal", "prior_scale": 0.3, "where": "generative"})),
    ]
    for old, new in pairs:
        found = [objective_for(experiment(name, **arguments), SETTING, tiny()) for name, arguments in (old, new)]
        assert found[0][0] == found[1][0]
        assert eqx.tree_equal(found[0][1], found[1][1])


# each posterior and each prior once on one family, and two pairs on others: tracing is what these cost
CASES = [(name, list(PRIORS)[i % len(PRIORS)], "vae") for i, name in enumerate(named_posteriors())]
CASES += [("k-tied", "horseshoe", "nade"), ("chain", "hierarchical", "sbn")]


@pytest.mark.share(4)
@pytest.mark.parametrize(("posterior", "prior", "model"), CASES)
def test_every_posterior_goes_with_every_objective_and_family(posterior, prior, model):
    """By shapes alone: loss, gradient, bounds, and draws to average predictions over."""
    if posterior == "delta":
        prior = "laplace"
    objective = family(model).objective
    sizes = {"vae": {"latents": 2, "hidden": (3,)}, "nade": {"hidden": (3,)}, "sbn": {"layers": (2,)}}
    plain = skeleton(model, {"shape": (4,), **sizes[model]})

    def trained(plain):
        asked = experiment(objective, posterior=posterior, prior=prior)
        found, shared = objective_for(asked, SETTING, plain)
        state = found.init(jr.key(0), shared)
        params, static = eqx.partition(shared, trainable(shared))
        batch = jnp.ones((3, 4))

        def loss(params):
            return found(jr.key(1), eqx.combine(params, static), batch, state)[0].surrogate

        draws = shared.globals.draws(jr.key(3), shared, 6)
        return jax.grad(loss)(params), found.bounds(jr.key(2), shared, batch), draws

    gradient, bounds, draws = eqx.filter_eval_shape(trained, plain)
    assert len(jax.tree.leaves(gradient)) >= len(jax.tree.leaves(plain))
    assert bounds.shape == (3,)
    shapes = [leaf.shape for leaf in jax.tree.leaves(eqx.filter(plain, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct)))]  # fmt: skip  # noqa: E501
    assert [leaf.shape for leaf in jax.tree.leaves(draws) if isinstance(leaf, jax.ShapeDtypeStruct)] == [
        (6, *shape) for shape in shapes
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("posterior") / "run"
    asked = experiment("sgvb", {"epochs": 0.2}, posterior="k-tied", k=3, prior="hierarchical", prior_scale=0.3)
    return folder, execute(asked, folder, figures=False)


@pytest.mark.slow
def test_a_run_keeps_its_posterior(run):
    folder, record = run
    assert {row["bound"] for row in record["results"]} == {"elbo", "full-vb", "elbo, weights drawn"}
    opened = open_run(folder)
    arguments = opened.experiment.objective["arguments"]
    assert {"posterior": "k-tied", "k": 3, "prior": "hierarchical", "draw_scales": True}.items() <= arguments.items()
    assert "rank" not in arguments
    assert objective_arguments(opened.experiment) == arguments  # settled once is settled
    model, point = opened.model, load_model(folder / "model.safetensors")
    kernel = model.globals.posterior.scales.generative.layers[0].net.layers[0].kernel
    assert kernel.log_u.shape[1] == 3
    assert eqx.tree_equal(without_globals(model), point)
    draws = model.globals.draws(jr.key(0), model, 4)
    weight = point.generative.layers[0].net.layers[0].kernel
    assert draws.globals is None
    assert draws.generative.layers[0].net.layers[0].kernel.shape == (4, *weight.shape)
    # what codes data is the model at its point: streams of the two models are one another's
    assert model_digest(model) == model_digest(point)


@pytest.mark.slow
def test_what_is_saved_is_what_is_loaded_and_nothing_else_is(run, tmp_path):
    folder, path = run[0], tmp_path / "posterior.safetensors"
    model = open_run(folder).model
    save_globals(path, model)
    assert eqx.tree_equal(load_globals(path, without_globals(model)), model)
    with pytest.raises(InputError, match="was written for another model"):
        load_globals(path, vae(jr.key(0), (64,), latents=2, hidden=(4,)))
    path.write_bytes(path.read_bytes()[:-8] + b"damaged!")
    with pytest.raises(InputError, match="damaged"):
        load_globals(path, without_globals(model))
    with pytest.raises(InputError, match="no posterior"):
        load_globals(folder / "model.safetensors", without_globals(model))
    with pytest.raises(InputError, match="has no globals"):
        save_globals(path, without_globals(model))
    write_arrays(path, {}, {"kind": "weight posterior", "format": 9})
    with pytest.raises(InputError, match="format 9"):
        load_globals(path, without_globals(model))


def test_a_posterior_of_an_older_run_is_read(tmp_path):
    """Format 2 held all arrays of the model and said nothing of how the posterior was built."""
    path, model = tmp_path / "posterior.safetensors", tiny()
    shared = shared_parameters(model, posterior="mean-field", prior_scale=0.5)
    shared = jax.tree.map(lambda leaf: leaf + 0.25 if eqx.is_inexact_array(leaf) else leaf, shared)
    write_arrays(path, named_arrays(shared), {"kind": "weight posterior", "format": 2})
    before = old_posterior(experiment("full-vb", prior_scale=0.5))
    loaded = load_globals(path, without_globals(shared), before=before)
    assert eqx.tree_equal(loaded, shared)
    assert loaded.globals.prior.scale == 0.5


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"weight_prior": 1.0, "posterior": "k-tied"}, "weight_prior stands for"),
        ({"k": 3}, "k is of a posterior or a prior"),
        ({"weight_prior": 1.0, "prior_scale": 3.0}, "prior_scale is of a posterior or a prior"),
        ({"posterior": "mean-field", "k": 3}, "Unknown option of posterior mean-field with prior normal 'k'"),
        ({"posterior": "k-tied", "k": "few"}, "whole number"),
        ({"posterior": "k-tide"}, "did you mean 'k-tied'"),
    ],
)
def test_impossible_options_are_refused_before_any_data_are_read(arguments, word):
    with pytest.raises(InputError, match=word):
        objective_arguments(experiment("sgvb", **arguments))


def flagged(*words):
    found = experiment_from(parse(["fit", *words]))
    return found.model["arguments"], found.objective["arguments"]


def test_a_flag_of_models_and_objectives_is_the_models_where_it_has_it():
    assert flagged("nade", "--posterior", "k-tied", "--k", "3") == ({}, {"posterior": "k-tied", "k": 3})
    assert flagged("nade", "--posterior", "low-rank", "--rank", "1")[1] == {"posterior": "low-rank", "rank": 1}
    assert flagged("vae", "--posterior", "low-rank", "--rank", "1") == ({"posterior": "low-rank", "rank": 1}, {})
    words = ("vae", "--posterior", "full", "--objective-set", "posterior=chain", "--prior", "laplace")
    assert flagged(*words) == ({"posterior": "full"}, {"posterior": "chain", "prior": "laplace"})
