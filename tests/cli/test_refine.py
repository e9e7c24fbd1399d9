"""`--refine N` on the commands that read a posterior."""

import json

import numpy as np
import pytest


@pytest.mark.slow
def test_evaluate_prints_the_amortization_gap_and_keeps_both_rows(run, nelbo):
    plain = nelbo("evaluate", run, "--limit", 20, "--samples", 8, "--json")
    done = nelbo("evaluate", run, "--limit", 20, "--samples", 8, "--refine", 15, "--json")
    row = json.loads(done.out)
    gap = row["amortization_gap"]
    assert [one["posterior"] for one in gap] == ["amortized", "refined", "limit"]
    assert [one["steps"] for one in gap] == [0, 15, 500]
    assert gap[0]["nats"] == json.loads(plain.out)["nats"]
    assert gap[1]["nats"] == row["nats"]
    assert gap[0]["nats"] < gap[1]["nats"] < gap[2]["nats"] + 3 * gap[2]["standard_error"]
    assert gap[2]["gap"] == 0.0 < gap[0]["gap"]
    kept = json.loads((run / "record.json").read_text())["results"]
    assert [one.get("refined") for one in kept if one["examples"] == 20] == [None, 15]
    table = nelbo("evaluate", run, "--limit", 20, "--samples", 8, "--refine", 15, "--quiet")
    assert "gap to the limit" in table.out
    assert nelbo("evaluate", run, "--refine", 0).is_refusal("--refine", "at least 1")
    assert nelbo("evaluate", run, "--refine", 5, "--bound", "exact").is_refusal("no posterior")


@pytest.mark.slow
def test_embed_and_impute_take_it(run, nelbo):
    for refine in ([], ["--refine", 5]):
        name = "refined" if refine else "plain"
        assert nelbo("embed", run, *refine, "-o", run / f"{name}.npy", "--quiet").code == 0
    first, second = np.load(run / "plain.npy"), np.load(run / "refined.npy")
    assert first.shape == second.shape
    assert np.abs(first - second).max() > 1e-3
    hidden = ("--hide", 0.3, "--limit", 3, "--method", "importance", "--proposals", 20, "--draws", 2)
    done = nelbo("impute", run, *hidden, "--refine", 5, "-o", run / "filled.npz", "--json")
    assert json.loads(done.out)["missing_entries"] > 0
