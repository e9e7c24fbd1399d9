"""Rows with covariates on the command line: fit, score, fill in, embed, sample, and what is refused."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from nelbo.cli import main
from nelbo.core import Example
from nelbo.priors import inducing_posterior, inducing_statistics
from nelbo.runs import open_run

pytestmark = pytest.mark.slow  # a fit from the command line, whose parts have fast tests of their own

ROWS, CONTEXT = 90, "time,id=who"


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Two waves of three people; one has no values for a while."""
    random = np.random.default_rng(0)
    time, who = np.sort(random.uniform(0.0, 20.0, ROWS)).round(3), np.array(["ann", "bob", "cy"])[np.arange(ROWS) % 3]
    phase = 0.5 * (np.arange(ROWS) % 3)
    frame = pd.DataFrame({"time": time, "who": who, "a": np.sin(time / 3.0 + phase), "b": np.cos(time / 3.0 + phase)})
    frame[["a", "b"]] += 0.1 * random.normal(size=(ROWS, 2))
    frame.loc[(frame.who == "bob") & frame.time.between(8.0, 11.0), ["a", "b"]] = np.nan
    path = tmp_path_factory.mktemp("covariates") / "people.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def run(table):
    words = ("fit", "svgp-vae", "--data", table, "--context", CONTEXT, "--latents", "2", "--hidden", "8", "--inducing",
             "6", "--epochs", "40", "--batch-size", "36", "--learning-rate", "0.02", "--out", table.parent / "run",
             "--no-figures", "--quiet")  # fmt: skip
    assert main([str(word) for word in words]) == 0
    return table.parent / "run"


def test_the_process_remembers_all_training_rows(run):
    """What the fitted model says at a context is the posterior of one batch of everything, by its own formula."""
    opened = open_run(run)
    data, _ = opened.data()
    train, model = data.train, opened.model
    prior = model.generative.layers[1]

    @jax.jit
    def wanted(batch, contexts):
        y, precision = jax.vmap(model.recognition.readings)(batch)
        a, _ = prior.seen(batch.context)
        posterior = inducing_posterior(inducing_statistics(a, y, precision))
        return posterior.moments(*prior.seen(contexts)), jax.vmap(lambda c: prior((), c).mean)(contexts)

    batch = Example(jnp.asarray(train.x), jnp.asarray(train.observed), context=jnp.asarray(train.context))
    (mean, _), found = wanted(batch, jnp.asarray(data.test.context))
    np.testing.assert_allclose(found, mean, atol=2e-4)
    assert float(jnp.abs(mean).max()) > 0.1  # it has learned something


def test_gaps_are_filled_in_by_the_process(nelbo, run, table):
    outcome = nelbo("impute", run, table, "--intervals", "--method", "importance", "-o", run / "filled.csv", "--json")
    assert outcome.code == 0, outcome.err
    before, after = pd.read_csv(table, dtype=str), pd.read_csv(run / "filled.csv", dtype=str)
    blank = before.a.isna()
    assert json.loads(outcome.out)["missing_entries"] == 2 * blank.sum() > 0
    assert after.loc[~blank, before.columns].equals(before.loc[~blank])
    filled = after.loc[blank].astype({"a": float, "a low": float, "a high": float, "time": float})
    truth = np.sin(filled.time / 3.0 + 0.5)
    assert np.abs(filled.a - truth).mean() < np.abs(filled.a.mean() - truth).max()
    assert (filled["a low"] < filled.a).all()
    assert (filled.a < filled["a high"]).all()


def test_rows_are_scored_embedded_and_drawn(nelbo, run, table):
    scored = json.loads(nelbo("evaluate", run, "--json").out)
    assert np.isfinite(json.dumps(scored).count("nats"))
    assert nelbo("embed", run, table, "-o", run / "codes.csv", "--quiet").code == 0
    assert len(pd.read_csv(run / "codes.csv")) == ROWS
    assert nelbo("sample", run, "--context", "time=4.5,who=bob", "--count", "3", "-o", run / "drawn.npy").code == 0
    assert np.load(run / "drawn.npy").shape == (3, 2)
    assert nelbo("sample", run, "--context", "time=4.5,who=dan", "-o", run / "drawn.npy").is_refusal("dan", "ann")
    assert nelbo("sample", run, "--context", "time=soon,who=bob", "-o", run / "drawn.npy").is_refusal("soon", "time")


def test_what_makes_no_sense_is_refused(nelbo, run, table, tmp_path):
    frame = pd.read_csv(table)
    frame.drop(columns="time").to_csv(tmp_path / "without.csv", index=False)
    assert nelbo("impute", run, tmp_path / "without.csv", "-o", tmp_path / "o.csv").is_refusal("time")
    frame.assign(time=frame.time.where(frame.index != 4)).to_csv(tmp_path / "holes.csv", index=False)
    fit = ("fit", "svgp-vae", "--out", tmp_path / "run", "--epochs", "1")
    assert nelbo(*fit, "--data", tmp_path / "holes.csv", "--context", "time").is_refusal("row 4", "time")
    assert nelbo(*fit, "--data", table).is_refusal("--context")
    assert nelbo(*fit, "--data", table, "--context", "who").is_refusal("who")
    assert nelbo(*fit, "--data", table, "--context", "time", "--inducing", "500").is_refusal("72", "500")
    assert nelbo(*fit, "--data", table, "--context", "time", "--kernels", "periodic").is_refusal("period")
    np.savez(tmp_path / "x.npz", x=np.zeros((9, 4)), angle=np.full(9, np.nan))
    assert nelbo(*fit, "--data", tmp_path / "x.npz", "--context", "angle").is_refusal("angle")
    assert nelbo(*fit, "--data", tmp_path / "x.npz", "--context", "tilt").is_refusal("tilt")
    assert not (tmp_path / "run").exists()
