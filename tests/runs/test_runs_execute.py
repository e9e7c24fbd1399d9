"""An experiment's record repeats it, its results say what they are, and figures exist for any model."""

import json

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.bayes import WithGlobals
from nelbo.core import InputError, NotFiniteError, read_arrays
from nelbo.data import SPLITS, Data, Schema, Split, load, source
from nelbo.evaluation import Score
from nelbo.models import Amortized, Conditional, Model, Stack, StandardNormal, build, sbn, vae
from nelbo.models.heads import BernoulliHead, NormalHead
from nelbo.nets import MLP
from nelbo.objectives import Setting
from nelbo.runs import OBJECTIVES, Experiment, execute, figure_arrays, open_run, result_row
from nelbo.runs.inputs import dataset_for, model_arguments, settled
from nelbo.runs.objectives import objective_for
from nelbo.runs.settings import training_for


def experiment(**changes) -> Experiment:
    parts = {
        "model": {"name": "vae", "arguments": {"hidden": [6], "latents": 2}},
        "data": {"name": "digits"},
        "objective": {"name": "sgvb"},
        "training": {"epochs": 0.2},
    }
    return Experiment(**(parts | changes))


@pytest.mark.slow
def test_the_configuration_repeats_the_run(tmp_path):
    asked = experiment(data={"name": "digits", "binarize": "dynamic"})
    record = execute(asked, tmp_path / "one", command="nelbo fit", figures=False)
    config = json.loads((tmp_path / "one" / "config.json").read_text())
    assert config["model"]["arguments"]["likelihood"] == "bernoulli"
    assert config["training"]["learning_rate"] == 1e-3
    assert config["data"] == {"name": "digits", "binarize": "dynamic", "binarize_seed": 0, "split_seed": 0}
    assert config["objective"]["arguments"]["form"] == "B"
    assert config["command"] == record["command"] == "nelbo fit"
    again = execute(Experiment.from_record(config), tmp_path / "two", figures=False)
    assert json.loads((tmp_path / "two" / "config.json").read_text()) == config | {"command": None}
    assert (tmp_path / "one/model.safetensors").read_bytes() == (tmp_path / "two/model.safetensors").read_bytes()
    assert again["results"] == record["results"]
    # trained on fresh draws, scored on one fixed draw, and both are said
    assert record["data"]["binarization"] == "dynamic"
    (row,) = record["results"]
    assert (row["binarization"], row["units"], row["split"]) == ("static(seed=0)", "nats per example", "test")
    assert row["spread"] > row["standard_error"] > 0.0


def test_settling_twice_is_settling_once():
    for data, likelihood in [({"name": "digits"}, None), ({"name": "digits", "binarize": "none"}, None)]:
        train, _ = dataset_for(data, likelihood)
        once = settled(experiment(data=data), train)
        assert settled(once, train) == once
        assert json.loads(json.dumps(once.record())) == once.record()


@pytest.mark.parametrize("name", sorted(set(OBJECTIVES) - {"full-vb", "svi"}))  # which have priors of their own
def test_a_prior_and_noise_wrap_every_objective(name):
    options = {"weight_prior": 0.3, "input_noise": "bit-flip", "noise_rate": 0.01}
    make = vae if name in {"sgvb", "stochastic-backpropagation", "iwae"} else sbn
    sizes = {"latents": 2, "hidden": (3,)} if make is vae else {"layers": (2,)}
    model = make(jr.key(0), (4,), **sizes)
    model = build(jr.key(0), "neutral-ad", {"shape": (4,)}) if name == "mean-score" else model
    asked = experiment(objective={"name": name, "arguments": options})
    found, shared = objective_for(asked, Setting(50, 5.0), model)
    assert isinstance(found, WithGlobals)
    assert (shared.globals.prior.scale, shared.globals.where) == (0.3, "generative")
    assert (found.num_data, found.inner.noise, found.inner.rate) == (50, "bit-flip", 0.01)
    alone, plain = objective_for(experiment(objective={"name": name}), Setting(50, 5.0), model)
    assert type(found.inner.inner) is type(alone)
    assert plain is model


def test_defaults_that_the_data_decide():
    assert training_for({}, 80)["batch_size"] == 80
    assert training_for({}, 8000)["batch_size"] == 100
    assert training_for({"optimizer": "adagrad"})["learning_rate"] == 0.02
    # 3000 steps on 120 rows: validated 100 times, and not after every step
    assert training_for({}, 120, least_steps=3000)["evaluate_every"] == 30
    assert training_for({}, 3000, least_steps=3000)["evaluate_every"] is None
    assert training_for({}, 100_000, least_steps=3000, most_steps=10_000)["epochs"] == 10.0
    assert training_for({}, 10**7, most_steps=10_000)["epochs"] == 1.0
    assert training_for({"epochs": 30.0}, 10**7, most_steps=10_000)["epochs"] == 30.0
    assert training_for({"epochs": 2500.0}, 120, least_steps=3000)["evaluate_every"] is None
    grey = {"name": "digits", "binarize": "none"}
    train, score = dataset_for(grey, None)
    assert train is score
    assert settled(experiment(data=grey), train).model["arguments"]["likelihood"] == "discretized-logistic"
    # a linear Gaussian model sees grey values without being told
    assert dataset_for({"name": "digits"}, "gaussian-shared")[0].binarization == "none"


@pytest.mark.parametrize("likelihood", ["gaussian", "discretized-logistic"])
def test_moments_are_those_of_what_the_model_sees(likelihood):
    data = load("digits")
    asked = experiment(model={"name": "vae", "arguments": {"likelihood": likelihood}})
    arguments = model_arguments(asked, data)
    seen = data.train.x / (255.0 if likelihood == "gaussian" else 1.0)
    np.testing.assert_allclose(arguments["centre"], seen.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(arguments["spread"], seen.std(), rtol=1e-5)


def test_moments_leave_missing_entries_out(tmp_path):
    x = np.random.default_rng(0).normal(3.0, 2.0, (100, 4)).astype(np.float32)
    x[np.random.default_rng(1).random(x.shape) < 0.3] = np.nan
    x[:, 3] = np.nan
    x[0, 3] = 7.0
    np.savez(tmp_path / "x.npz", x_train=x, x_valid=x, x_test=x)
    data = load(tmp_path / "x.npz")
    arguments = model_arguments(experiment(model={"name": "vae"}, data={"name": str(tmp_path / "x.npz")}), data)
    np.testing.assert_allclose(arguments["centre"], np.nanmean(x, 0), rtol=1e-5)
    np.testing.assert_allclose(arguments["spread"], [*np.nanstd(x, 0)[:3], 1.0], rtol=1e-5)


@pytest.mark.slow
def test_missing_entries_train_on_what_was_observed(tmp_path):
    x = np.random.default_rng(0).normal(3.0, 2.0, (100, 4)).astype(np.float32)
    x[np.random.default_rng(1).random(x.shape) < 0.3] = np.nan
    np.save(tmp_path / "x.npy", x)
    record = execute(experiment(data={"name": str(tmp_path / "x.npy")}, training={"epochs": 2}), tmp_path / "run")
    (row,) = record["results"]
    assert np.isfinite(row["nats"])
    # bits per observed dimension: the test rows have missing ones
    share = -row["nats"] / row["bits_per_dim"] / np.log(2.0)
    assert share == pytest.approx(4 * (1 - record["data"]["missing"]["test"]), rel=1e-6)
    assert np.isnan(read_arrays(tmp_path / "run" / "arrays.safetensors", "figure data")[0]["originals"]).any()


@pytest.mark.slow
def test_full_variational_bayes_reports_the_bounds_over_weights(tmp_path):
    record = execute(experiment(objective={"name": "full-vb"}), tmp_path / "run", figures=False)
    rows = {(row["split"], row["bound"]): row for row in record["results"]}
    assert set(rows) == {("test", "elbo"), ("train", "full-vb"), ("test", "elbo, weights drawn")}
    full, drawn = rows["train", "full-vb"], rows["test", "elbo, weights drawn"]
    assert full["nats"] == pytest.approx(full["reconstruction"] - full["kl"] - full["weight_kl"], rel=1e-5)
    assert full["bits_per_dim"] == pytest.approx(-full["nats"] / 64 / np.log(2.0), rel=1e-5)
    assert full["nats"] < drawn["nats"]
    assert (tmp_path / "run" / "posterior.safetensors").is_file()
    spec = open_run(tmp_path / "run").model.spec
    assert (spec.name, spec.shape) == (experiment().model["name"], (8, 8, 1))


def deep(widths: tuple[int, ...]) -> Model:
    """A network of normal layers under 8 x 8 binary pictures."""
    keys = iter(jr.split(jr.key(0), 10))
    sizes = (64, *widths)
    heads = [BernoulliHead((8, 8, 1)), *(NormalHead((w,)) for w in widths[:-1])]
    down = [Conditional(MLP(next(keys), (sizes[i + 1], head.size)), head) for i, head in enumerate(heads)]
    up = [
        Conditional(MLP(next(keys), (sizes[i], NormalHead((w,)).size)), NormalHead((w,))) for i, w in enumerate(widths)
    ]
    return Model(Stack((*down, StandardNormal(widths[-1]))), Amortized(tuple(up)))


@pytest.mark.share(6)
@pytest.mark.parametrize("widths", [(3,), (2,), (1,), (1, 1), (2, 2), (5, 2)])
def test_figures_of_any_latents(widths):
    data = load("digits", binarize="static")
    test = source(data.test, data).head(12)
    arrays = figure_arrays(jr.key(0), deep(widths), data, test)
    assert arrays["samples"].shape == (100, 8, 8, 1)
    assert arrays["originals"].shape == arrays["reconstructions"].shape == (10, 8, 8, 1)
    assert ("embedding" in arrays) == ("manifold" in arrays) == (widths == (2,))


@pytest.mark.slow
def test_figures_of_examples_that_are_no_pictures():
    x = np.random.default_rng(0).normal(size=(20, 3, 4, 2)).astype(np.float32)
    data = Data("x", dict.fromkeys(SPLITS, Split(x)), Schema(x.shape[1:], "real"))
    model = vae(jr.key(0), (3, 4, 2), latents=2, hidden=(3,), likelihood="gaussian")
    arrays = figure_arrays(jr.key(0), model, data, source(data.test, data))
    assert arrays["originals"].shape == (10, 24)
    assert "manifold" not in arrays


def test_a_score_that_is_not_finite_is_no_result():
    values = np.array([-1.0, -np.inf])
    score = Score(-np.inf, None, 0.0, np.inf, -np.inf, 0.0, 1, 2, values)
    with pytest.raises(NotFiniteError, match=r"1 of 2 examples \(first: example 1\)"):
        result_row(score, "elbo", "test", load("digits"))


@pytest.mark.parametrize(
    ("record", "word"),
    [
        ([], "needs model"),
        ({"model": {}}, "needs model"),
        ({"model": 1, "data": {}, "objective": {}, "training": {}, "seed": 0}, "damaged"),
        ({"model": {"name": 3}, "data": {"name": "x"}, "objective": {"name": "x"}, "training": {}, "seed": 0}, "name"),
    ],
)
def test_records_that_are_no_experiment(record, word):
    with pytest.raises(InputError, match=word):
        Experiment.from_record(record)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": -1},
        {"seed": 2**32},
        {"training": {"epochs": float("nan")}},
        {"training": {"batch_size": 1.5}},
        {"training": {"epohcs": 3}},
        {"data": {"name": "digits", "binarise": "none"}},
        {"model": {"name": "vae", "arguments": {"hidden": "500"}}},
        {"model": {"name": "vae", "arguments": {"hidden": [3.5]}}},
        {"objective": {"name": "sgvb", "arguments": {"samples": "2"}}},
    ],
)
def test_records_with_impossible_values(changes, tmp_path):
    with pytest.raises(InputError):
        execute(experiment(**changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_nothing_of_jax_in_a_record(tmp_path):
    record = execute(experiment(training={"epochs": 0.1}), tmp_path / "run", figures=False)
    assert json.loads((tmp_path / "run" / "record.json").read_text()) == json.loads(json.dumps(record))
    assert jnp.isfinite(record["results"][0]["nats"])
