"""`nelbo evaluate --bound all`, and the options of annealing."""

import json

import pytest


@pytest.mark.slow
def test_the_ladder_is_printed_and_kept(run, nelbo):
    done = nelbo("evaluate", run, "--bound", "all", "--limit", 2, "--temperatures", 3, "--quiet")
    assert done.code == 0, done.err
    assert "elbo <= iwae, in order" in done.out
    assert "reverse - forward" in done.out
    assert "exact does not apply" in done.out
    kept = [one for one in json.loads((run / "record.json").read_text())["results"] if one["examples"] == 2]
    assert {one["bound"] for one in kept} == {"elbo", "iwae", "ais", "hmc"}
    assert [one["temperatures"] for one in kept if one["bound"] == "ais"] == [3]


def test_options_that_mean_nothing_are_refused(run, nelbo):
    assert nelbo("evaluate", run, "--bound", "iwae", "--temperatures", 5).is_refusal("--temperatures", "ais")
    assert nelbo("evaluate", run, "--precision", "bfloat16").is_refusal("--precision", "iwae")
    assert nelbo("evaluate", run, "--bound", "all", "--samples", 5).is_refusal("--samples")
    assert nelbo("evaluate", run, "--bound", "ais", "--temperatures", 0).is_refusal("temperature")
