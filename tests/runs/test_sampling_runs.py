"""Samplers in the one loop and in run folders: draws that are kept, stored, resumed, and put to use."""

import dataclasses
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from scipy.special import logsumexp

from nelbo.bayes import SAMPLERS, Samples, collect, collected, diagnose, load_globals, save_globals, sghmc, with_samples
from nelbo.core import InputError, NotFiniteError
from nelbo.data import Split, source
from nelbo.evaluation import elbo
from nelbo.models import linear, nade, without_globals
from nelbo.objectives import Sgvb
from nelbo.runs import Experiment, execute, open_run
from nelbo.training import Checkpoints, fit, resume_from

pytestmark = pytest.mark.slow  # a fit from the command line, whose parts have fast tests of their own

ROWS = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
SETTINGS = {"batch_size": 10, "steps": 30, "evaluate_every": 10}


def train(optimizer, **options):
    model = linear(jr.key(0), (3,), latents=2)
    with jax.numpy_dtype_promotion("standard"):
        return fit(jr.key(1), model, Sgvb(), source(Split(ROWS), "real"), optimizer, **SETTINGS, **options)


def arrays(tree):
    return [np.asarray(jr.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x)
            for x in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]  # fmt: skip


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(arrays(one), arrays(other), strict=True))


class Killed(BaseException):
    """In place of kill -9."""


def kill(event, state):
    if event == "progress" and state.step >= 17:
        raise Killed


@pytest.mark.slow
def test_a_resumed_run_has_the_draws_of_an_unbroken_one(tmp_path):
    sampler = collect(sghmc(60, learning_rate=0.01, cycle=5), draws=4, burn_in=10, thin=5)
    whole = train(sampler)
    with pytest.raises(Killed):
        train(sampler, callbacks=[Checkpoints(tmp_path, seconds=0), kill])
    again = train(sampler, resume=resume_from(tmp_path))
    assert same(whole.state.carry, again.state.carry)
    found = collected(whole.state.carry.optimizer, burn_in=10, thin=5)
    # the last draw is taken at the last step
    last = jax.tree.map(lambda rows: rows[-1], found.draws)
    assert same(last, whole.state.carry.params)
    assert diagnose(found, 1.0).draws == 4


@pytest.mark.slow
def test_cold_dynamics_in_the_loop_are_descent_bit_for_bit():
    cold = train(collect(sghmc(60, learning_rate=0.01, momentum=0.9, temperature=0.0), draws=1, thin=30))
    assert same(cold.model, train(optax.sgd(0.01, momentum=0.9)).model)


@pytest.mark.slow
def test_samples_are_a_posterior_that_is_stored(tmp_path):
    model = nade(jr.key(0), (4,), hidden=(3,))
    params = eqx.filter(model, eqx.is_inexact_array)
    draws = jax.tree.map(lambda leaf: jnp.stack([leaf + i for i in range(6)]), params)
    whole = with_samples(model, draws)
    assert isinstance(whole.globals, Samples)
    three = whole.globals.draws(jr.key(1), whole, 3)
    x = jnp.asarray([1.0, 0.0, 1.0, 1.0])
    together = eqx.filter_vmap(lambda m: m.log_prob(x))(three)
    alone = [eqx.combine(jax.tree.map(lambda rows, i=i: rows[i], draws), model).log_prob(x) for i in (1, 3, 5)]
    np.testing.assert_allclose(together, jnp.stack(alone), rtol=1e-5)
    one = whole.globals.sample(jr.key(2), whole)
    assert any(same(one, eqx.combine(jax.tree.map(lambda rows, i=i: rows[i], draws), model)) for i in range(6))
    save_globals(tmp_path / "posterior.safetensors", whole)
    assert same(load_globals(tmp_path / "posterior.safetensors", model), whole)
    twice = eqx.filter_vmap(lambda m: m.log_prob(x))(whole.globals.draws(jr.key(1), whole, 12))
    np.testing.assert_array_equal(twice[::2], twice[1::2])  # more than are stored: each twice
    np.testing.assert_array_equal(twice[2::4], together)
    with pytest.raises(InputError, match="at least one draw"):
        whole.globals.draws(jr.key(1), whole, 0)
    with pytest.raises(InputError, match="cannot be trained"):
        whole.globals.cost(jr.key(1), whole)


def experiment(**training):
    settings = {"epochs": 4, "batch_size": 20} | training
    return Experiment(
        {"name": "nade", "arguments": {"hidden": [3]}},
        {"name": str(experiment.path)},
        {"name": "maximum-likelihood", "arguments": {}},
        settings,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    experiment.path = tmp_path_factory.mktemp("bits") / "bits.csv"
    x = (np.random.default_rng(1).random((100, 4)) < 0.3).astype(int)
    np.savetxt(experiment.path, x, delimiter=",", fmt="%d", header="a,b,c,d", comments="")
    out = experiment.path.parent / "run"
    sampling = {"collect": 5, "temperature": 0.5, "tempered": "likelihood"}
    execute(experiment(optimizer="sghmc", sampling=sampling), out, figures=False)
    return out


def test_a_run_keeps_draws_and_scores_their_average(folder):
    run = open_run(folder)
    config = json.loads((folder / "config.json").read_text())
    record = json.loads((folder / "record.json").read_text())
    options = config["training"]["sampling"]
    assert options["burn_in"] + options["collect"] * options["thin"] == config["steps"]
    assert config["objective"]["arguments"]["prior"] == "normal"
    assert run.model.globals.count == record["sampling"]["draws"] == options["collect"]
    assert record["sampling"]["kinetic"]["mean"] > 0
    at_point, averaged = record["results"]
    _, sources = run.data()
    stacked = run.model.globals.draws(jr.key(0), run.model, options["collect"])
    each = [elbo(jr.key(0), jax.tree.map(lambda x, i=i: x[i] if eqx.is_array(x) else x, stacked), sources["test"],
                 num_samples=1).per_example for i in range(options["collect"])]  # fmt: skip
    exact = logsumexp(np.stack(each), axis=0) - np.log(len(each))
    assert averaged["nats"] == pytest.approx(exact.mean(), rel=1e-6)
    assert averaged["nats"] >= averaged["mean_of_draws"]
    assert averaged["kind"] == at_point["kind"] == "exact"


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"optimizer": "adam", "sampling": {"temperature": 0.1}}, "is an option of samplers"),
        ({"optimizer": "sghmc", "schedule": "cosine"}, "which schedule would change"),
        ({"optimizer": "sghmc", "clip": 1.0}, "which clip would change"),
        ({"optimizer": "sghmc", "sampling": {"temprature": 1.0}}, "temperature"),
        ({"optimizer": "sgld", "sampling": {"temperature": "hot"}}, "must be a finite number"),
        ({"optimizer": "sgld", "sampling": {"burn_in": 1000}}, "the first draw comes after 1000"),
        ({"optimizer": "sgld", "sampling": {"temperature": 0, "tempered": "likelihood"}}, "leaves no prior"),
    ],
)
def test_settings_that_no_sampler_can_have_are_refused(folder, training, message, tmp_path):
    del folder
    with pytest.raises(InputError, match=message):
        execute(experiment(**training), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_step_that_is_too_long_stops_with_the_advice_to_lower_it():
    """The first steps are good, then the rate is not: the state before is kept."""
    kept = []
    long = collect(sghmc(60, learning_rate=1e6), draws=1, thin=30)
    with pytest.raises(NotFiniteError, match="Lower the learning rate"):
        train(long, callbacks=[lambda event, state: kept.append((event, state))])
    event, state = kept[-1]
    assert event == "failed"
    assert all(np.isfinite(leaf).all() for leaf in arrays(state.carry.params))


@pytest.mark.slow
def test_a_learned_prior_is_recorded(folder, tmp_path):
    """At a step that moves nothing the running mean of ||theta||^2 is D once, then ||theta||^2 in every step."""
    del folder
    learned = {"collect": 4, "temperature": 0.0, "learn_prior": True}
    settings = experiment(optimizer="sghmc", learning_rate=1e-12, sampling=learned)
    record = execute(settings, tmp_path / "run", figures=False)
    run = open_run(tmp_path / "run")
    assert run.experiment.objective["arguments"]["prior"] is None
    theta = np.concatenate([leaf.ravel() for leaf in arrays(without_globals(run.model))])
    steps, count = record["steps"], record["sampling"]["parameters"]
    assert len(theta) == count
    variance = (count + steps * np.sum(theta.astype(np.float64) ** 2)) / (count * (steps + 1))
    assert record["sampling"]["prior_scale"] == pytest.approx(variance**0.5, rel=1e-4)
    another = {"name": "maximum-likelihood", "arguments": {"prior": "normal"}}
    with pytest.raises(InputError, match="leave the other prior out"):
        execute(dataclasses.replace(settings, objective=another), tmp_path / "two")


def test_every_sampler_has_its_options():
    from nelbo.bayes import sampler_options

    for name in SAMPLERS:
        assert {"temperature", "collect", "tempered"} <= {option.name for option in sampler_options(name)}
        assert all(option.help for option in sampler_options(name))
