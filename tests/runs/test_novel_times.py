"""Anomalies in time: what a row is compared with, against the joint normal of a state-space model."""

import dataclasses
import io
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

from nelbo.cli.series_scores import scored_table
from nelbo.core import Example, InputError
from nelbo.data import Cuts, Schema, load_series
from nelbo.models import build
from nelbo.runs import Experiment, NoveltyQuestion, Run, novel_times, series_rows, simes
from nelbo.runs.folder import FittedData
from nelbo.runs.novel_times import FOLDS, frame_terms

WINDOW, DRAWS = 8, 400


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A state-space model as it is made, on three series of one window each; the last row of "a" is far off."""
    path = tmp_path_factory.mktemp("times") / "s.csv"
    table = pd.DataFrame({"id": np.repeat(list("abc"), WINDOW), "t": np.tile(np.arange(WINDOW), 3)})
    table["x"] = np.random.default_rng(0).normal(size=len(table)).round(3)
    table["y"] = -table["x"].round(1)
    table.loc[2, "y"] = np.nan
    table.loc[WINDOW - 1, "x"] = 40.0
    table.to_csv(path, index=False)
    data = load_series(path, ["id=id", "time=t"], cuts=Cuts(0, 0.0, 0.0), split_by="time", window=WINDOW)
    model = build(jr.key(1), "state-space", {"shape": [WINDOW, 2], "latents": 2})
    about = Experiment({"name": "state-space", "arguments": {}}, {"name": str(path)}, {"name": "maximum-likelihood", "arguments": {}}, {})  # fmt: skip  # noqa: E501
    return Run(Path("nowhere"), about, model, FittedData(Schema.from_record(data.schema.record())))


def exact(run, rows):
    """Log density of each value given all rows of its series but those of its fold."""
    weight, bias, noise = (np.asarray(part, float) for part in run.model.generative.layers[0].affine())
    steps = np.arange(WINDOW)
    at = jnp.asarray(steps, jnp.float32)
    kernels = np.concatenate([np.asarray(one(at, at), float) for one in run.model.generative.layers[-1].kernels])
    joint = np.einsum("kst,ck,dk->sctd", kernels, weight, weight).reshape(2 * WINDOW, -1)
    joint = joint + np.diag(np.tile(noise, WINDOW))
    found = np.zeros(rows.values.shape)
    for i, value in np.ndenumerate(rows.values):
        first = i[0] // WINDOW * WINDOW
        seen = [first + s for s in steps if (first + s) % FOLDS != i[0] % FOLDS]
        given = [(r, c) for r in seen for c in range(2) if not np.isnan(rows.values[r, c])]
        at = [2 * (r - first) + c for r, c in given]
        here = 2 * (i[0] - first) + i[1]
        gain = np.linalg.solve(joint[np.ix_(at, at)], joint[at, here])
        mean = bias[i[1]] + gain @ (np.array([rows.values[one] for one in given]) - bias[[c for _, c in given]])
        scale = joint[here, here] - gain @ joint[at, here]
        found[i] = 0.0 if np.isnan(value) else multivariate_normal(mean, scale).logpdf(value)
    return found


def test_a_row_is_scored_by_its_density_given_the_others(run):
    """400 draws know a variance to 7 %: 0.1 nats from the conditional normal, in the tails a fifth."""
    rows = series_rows(run)
    found = frame_terms(jr.key(0), run, rows, draws=DRAWS)
    wanted = exact(run, rows)
    np.testing.assert_allclose(found.entries, wanted, atol=0.1, rtol=0.2)
    np.testing.assert_allclose(found.elbo, found.entries.sum(1))
    assert found.entries[2, 1] == 0.0
    assert found.elbo[WINDOW - 1] < found.elbo.min(where=np.arange(24) != WINDOW - 1, initial=0) - 50


@pytest.mark.slow
def test_a_far_row_and_its_series_are_flagged(run):
    answer = novel_times(run, NoveltyQuestion(held_out="train", samples=DRAWS))
    assert answer.answer.found.p_values.argmin() == WINDOW - 1
    assert answer.answer.found.p_values[WINDOW - 1] == pytest.approx(1 / 24)
    assert min(answer.series, key=lambda row: row["p_value"])["series"] == "a"
    assert "x" in answer.answer.causes([WINDOW - 1])[0]
    table = pd.read_csv(io.BytesIO(scored_table(answer, everything=True)))
    assert table.columns[4:].tolist() == ["excess bits", "p-value", "novel", "unusual columns", "x bits", "y bits"]
    np.testing.assert_allclose(table["x bits"] + table["y bits"], table["excess bits"], atol=1e-3)
    assert table["unusual columns"][WINDOW - 1].startswith("x +")
    with pytest.raises(InputError, match="leave it out"):
        novel_times(run, NoveltyQuestion(score="kl"))
    with pytest.raises(InputError, match="has no rows of the splits"):
        novel_times(run, NoveltyQuestion())


def test_simes_is_uniform_for_independent_p_values():
    """Kolmogorov and Smirnov's distance of 4000 combined p-values; 1e-4 is its false alarm."""
    from scipy.stats import kstest

    drawn = np.random.default_rng(1).uniform(size=(4000, 7))
    assert kstest([simes(one) for one in drawn], "uniform").pvalue > 1e-4
    assert simes(np.array([0.01, 0.9, 0.9])) == pytest.approx(0.03)


def test_a_flow_is_scored_one_step_ahead(run):
    """Exact: over independent frames the scores of a series given its past add up to log p of its window."""
    options = {"shape": [WINDOW, 2], "base": "normal", "order": 2}
    flow = dataclasses.replace(run, model=build(jr.key(2), "sequence-flow", options))
    rows = series_rows(flow)
    rows = dataclasses.replace(rows, values=np.clip(rows.values, -3.0, 3.0))
    found = frame_terms(jr.key(0), flow, rows, draws=2)
    known = np.logical_not(np.isnan(rows.values)).reshape(3, WINDOW, 2)
    x = Example(jnp.nan_to_num(jnp.asarray(rows.values, jnp.float32)).reshape(3, WINDOW, 2), jnp.asarray(known))
    wanted = np.asarray(eqx.filter_jit(lambda model, rows: jax.vmap(model.log_prob)(rows))(flow.model, x))
    np.testing.assert_allclose(found.elbo.reshape(3, WINDOW).sum(1), wanted, rtol=1e-4)
    with pytest.raises(InputError, match="--given past"):
        frame_terms(jr.key(0), flow, rows, given="others")
