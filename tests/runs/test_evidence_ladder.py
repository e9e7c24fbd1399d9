"""All estimates of log p(x) together, and what is said of their order."""

import jax.random as jr
import numpy as np
import pytest
import zoo

from nelbo.data import Data, Schema, Split, source
from nelbo.evaluation import Score
from nelbo.models import rbm
from nelbo.runs import evidence_ladder
from nelbo.runs.evidence import _checked, _lowered


def ladder(case, values, settings):
    split = Split(np.asarray(case.batch))
    data = Data("made up", {"test": split}, Schema(split.x.shape[1:], values))
    silent = lambda _: None  # noqa: E731
    return evidence_ladder(jr.key(1), case.model, source(split, data), "test", data, settings=settings, progress=silent)


@pytest.mark.slow
def test_every_estimate_of_a_linear_model_is_in_order():
    """Five differences, each within 3 of its errors on the wrong side: false alarm below 1 %, fixed seed."""
    case = zoo.linear_gaussian()
    found = ladder(case, "real", {"temperatures": 20})
    assert [row["bound"] for row in found.rows] == ["elbo", "iwae", "ais", "hmc", "exact"]
    assert [row["kind"] for row in found.rows] == ["lower", "lower", "lower", "estimate", "exact"]
    assert found.in_order, found.order
    assert not found.skipped
    assert found.rows[2]["temperatures"] == 20
    assert found.rows[-1]["nats"] == pytest.approx(case.mean_log_evidence(), abs=1e-4)
    assert abs(found.bracket.gap) < 5 * found.bracket.gap_error + 0.2
    assert found.record()["bracket"]["examples"] == 3


@pytest.mark.slow
def test_what_does_not_apply_is_said():
    found = ladder(zoo.belief_network(), "binary", {"temperatures": 20})
    assert set(found.skipped) == {"hmc"}
    assert "real-valued" in found.skipped["hmc"]
    assert found.in_order, found.order
    assert found.bracket.gap < 1.0
    assert [row["bound"] for row in found.rows] == ["elbo", "iwae", "ais", "exact"]


@pytest.mark.slow
def test_log_z_from_both_sides_brackets_a_machine():
    """A machine of 21 by 21 units, whose log Z is summed here; each side within 5 errors and 0.1 nats."""
    model = zoo.randomized(rbm(jr.key(0), (21,), hidden=(21,), sample_sweeps=20), jr.key(1), 0.4)
    rows = np.random.default_rng(0).integers(0, 2, size=(3, 21)).astype(np.uint8)
    found = ladder(zoo.Case(model, rows), "binary", {"temperatures": 200})
    node = model.generative.root(0)
    weight, bias = np.asarray(node.weight, float), np.asarray(node.bias, float)
    flat, terms = np.asarray(node.flat_logits, float), []
    for block in np.array_split(np.arange(2**21), 32):
        h = (block[:, None] >> np.arange(21) & 1).astype(float)
        terms.append(np.logaddexp.reduce(h @ bias + np.logaddexp(0.0, flat + h @ weight.T).sum(1)))
    exact = np.mean(rows @ flat + np.logaddexp(0.0, rows @ weight + bias).sum(1)) - np.logaddexp.reduce(terms)
    low, high = found.rows
    assert (low["bound"], low["kind"]) == ("log p, log Z in reverse", "lower")
    assert (high["bound"], high["kind"]) == ("log p, log Z forward", "upper")
    for row in found.rows:
        assert abs(row["nats"] - exact) < min(5 * row["standard_error"], 0.1) + 1e-3
    assert found.in_order, found.order
    assert found.record()["skipped"].keys() == {"exact"}


def test_log_z_in_the_wrong_order_is_seen():
    """Reverse chains that do not draw from the machine give a log Z below the forward one."""
    low, high = ("log p, log Z in reverse", "log p, log Z forward")
    scores = {low: score(-3.0), high: score(-3.5)}
    (sentence,), in_order = _checked(scores, fresh=False)
    assert not in_order
    assert "do not draw from the machine" in sentence
    assert _checked({low: score(-3.5), high: score(-3.0)}, fresh=False)[1]


def test_a_higher_log_z_counts_in_the_part_that_it_is_of():
    found = Score(-3.0, 0.03, 0.1, 1.5, -2.0, 1.0, 5, 2, np.array([-2.5, -3.5]))
    latent, plain = (_lowered(found, 0.5, 0.04, latents=latents) for latents in (True, False))
    for moved in (latent, plain):
        assert (moved.nats, moved.bits_per_dim) == (-3.5, pytest.approx(1.75))
        assert moved.standard_error == pytest.approx(0.05)
        np.testing.assert_array_equal(moved.per_example, [-3.0, -4.0])
    assert (latent.reconstruction, latent.kl) == (-2.0, 1.5)
    assert plain.reconstruction == -3.5


def score(nats):
    return Score(nats, 0.01, 0.1, 1.0, None, None, 2, 3, np.full(3, nats))


def test_a_wrong_order_is_seen():
    right = {"elbo": score(-3.0), "iwae": score(-2.0), "hmc": score(-1.9), "exact": score(-1.9)}
    assert _checked(right, fresh=False)[1]
    for name, nats in (("elbo", -1.9), ("iwae", -1.8), ("hmc", -1.7), ("exact", -2.1)):
        sentences, in_order = _checked(right | {name: score(nats)}, fresh=False)
        assert not in_order
        assert any("OUT OF ORDER" in one or "DISAGREE" in one for one in sentences)
