"""All estimates of log p(x) together, and what is said of their order."""

import jax.random as jr
import numpy as np
import pytest
import zoo

from nelbo.data import Data, Schema, Split, source
from nelbo.evaluation import Score
from nelbo.runs import evidence_ladder
from nelbo.runs.evidence import _checked


def ladder(case, values, settings):
    split = Split(np.asarray(case.batch))
    data = Data("made up", {"test": split}, Schema(split.x.shape[1:], values))
    silent = lambda _: None  # noqa: E731
    return evidence_ladder(jr.key(1), case.model, source(split, data), "test", data, settings=settings, progress=silent)


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


def test_what_does_not_apply_is_said():
    found = ladder(zoo.belief_network(), "binary", {})
    assert set(found.skipped) == {"ais", "hmc"}
    assert "real-valued" in found.skipped["ais"]
    assert found.in_order, found.order
    assert found.bracket is None
    assert [row["bound"] for row in found.rows] == ["elbo", "iwae", "exact"]


def test_a_wrong_order_is_seen():
    def score(nats):
        return Score(nats, 0.01, 0.1, 1.0, None, None, 2, 3, np.full(3, nats))

    right = {"elbo": score(-3.0), "iwae": score(-2.0), "hmc": score(-1.9), "exact": score(-1.9)}
    assert _checked(right, fresh=False)[1]
    for name, nats in (("elbo", -1.9), ("iwae", -1.8), ("hmc", -1.7), ("exact", -2.1)):
        sentences, in_order = _checked(right | {name: score(nats)}, fresh=False)
        assert not in_order
        assert any("OUT OF ORDER" in one or "DISAGREE" in one for one in sentences)
