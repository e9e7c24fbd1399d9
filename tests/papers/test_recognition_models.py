"""The combined table: its smallest budget from nothing to the page, its plans, rows that other pages have run."""

import dataclasses

import pytest
from test_belief_pages import lenient, smoke

from nelbo.papers import PAPERS, Measure, Page, Part, Plan, mnih2014
from nelbo.papers.recognition_models import KINDS, PUBLISHED_ROWS, TAKEN, plan, table
from nelbo.runs import Experiment

PAGE = PAPERS["recognition-models"]


@pytest.mark.slow
def test_smoke_end_to_end(tmp_path):
    result, text = smoke("recognition-models", tmp_path)
    rows = {row["model"]: row for row in result["studies"]["table"]["rows"]}
    assert len(rows) == len(PUBLISHED_ROWS)
    assert rows["NADE 500"]["what it is"] == "exact"
    assert rows["RBM 500, CD25"]["what it is"] == KINDS["estimate"]
    assert "in reverse" in rows["DBN 500-2000"]["log Z"]
    assert rows["DARN 500"]["what it is"] == f"{KINDS['lower']}, 20 draws"
    assert rows["fDARN 200"]["what it is"] == "not run"
    assert {row["budget spent"] for row in rows.values()} == {"no"}
    # 64 pixels: a fair coin for each gives 44.4 nats
    assert all(float(row["-log p, ours"]) < 44.4 for row in rows.values() if row["-log p, ours"])
    assert "| NADE 500 | " + rows["NADE 500"]["-log p, ours"] in text


@pytest.mark.parametrize("budget", ["quick", "paper"])
def test_every_row_has_a_run_and_those_of_other_pages_are_their_runs(budget):
    parts = {part.name: part for part in plan(budget, 0, None).parts}
    assert set(parts) == set(PUBLISHED_ROWS)
    others = {part.name: part for part in mnih2014.plan(budget, 0, None).parts}
    for name, page, there, _, _ in TAKEN:
        if page == "mnih2014" and there in others:
            assert parts[name].experiment == others[there].experiment
            assert parts[name].taken_from == f"mnih2014-{budget}/{there}"
    assert parts["sbn-500"].experiment.model["arguments"]["layers"] == [500]
    assert parts["nvil-200-200-500"].experiment.model["arguments"]["recognition"] == "autoregressive"
    assert all(part.published == f"-{PUBLISHED_ROWS[name][1]:.2f}" for name, part in parts.items())


def made_up(kind, bound="iwae", model=None, **more):
    row = {"kind": kind, "bound": bound, "nats": -90.0, "samples": 5, "standard_error": 0.1, "examples": 10, **more}
    experiment = {"training": {"epochs": 7}, "model": {"arguments": model or {}}}
    results = [dict(row, bound="elbo", nats=-99.0, kind="lower")]
    return {"results": results, "experiment": experiment, "measures": {"table": {"rows": [row]}}}


def test_the_table_says_what_each_number_is_and_whether_its_budget_was_spent():
    log_z = {"log_z": 450.0, "reverse": 450.4}
    parts = {"darn-500": made_up("lower"), "rbm-cd25": made_up("estimate", samples=1, normalizer=log_z)}
    parts["eonade"] = made_up("exact", samples=1, model={"orders": 16})
    rows = {row["model"]: row for row in table(parts, "paper")}
    darn, machine, missing = (rows[name] for name in ("DARN 500", "RBM 500, CD25", "NADE 500"))
    assert (darn["-log p, ours"], darn["what it is"], darn["log Z"]) == ("90.00", f"{KINDS['lower']}, 5 draws", None)
    assert rows["EoNADE 500-500, 128 orders"]["what it is"] == "exact, 16 orders"
    assert (machine["what it is"], machine["log Z"]) == (KINDS["estimate"], "450.00, in reverse 450.40")
    assert (darn["budget spent"], missing["budget spent"], missing["what it is"]) == ("yes", "no", "not run")
    assert {row["budget spent"] for row in table(parts, "quick")} == {"no"}


def test_claims_can_fail():
    order, ahead = PAGE.claims
    assert order.check({"rbm-cd1": {}})[0] is None
    found = {
        name: made_up("estimate", nats=nats) for name, nats in [("rbm-cd1", -120), ("rbm-cd3", -100), ("rbm-cd25", -90)]
    }
    assert order.check(found)[0] is True
    assert order.check(found | {"rbm-cd3": made_up("estimate", nats=-80)})[0] is False
    pair = {"mixture": made_up("exact", nats=-130), "nade": made_up("exact", nats=-89)}
    assert ahead.check(pair)[0] is True
    assert ahead.check({"mixture": pair["nade"], "nade": pair["mixture"]})[0] is False
    assert ahead.check({})[0] is None


@pytest.mark.slow
def test_a_run_of_another_page_is_read_where_it_is(tmp_path):
    """And not where its settings differ."""
    experiment = Experiment(
        model={"name": "mixture", "arguments": {"components": 2}},
        data={"name": "digits", "binarize": "static"},
        objective={"name": "maximum-likelihood", "arguments": {}},
        training={"epochs": 1, "batch_size": 100},
    )
    bound = (Measure("table", "bounds", "importance", {"samples": 2, "rows": 5}),)
    first = Part("there", "there", experiment)
    same = Part("here", "here", experiment, measures=bound, taken_from="one-smoke/there")
    other = dataclasses.replace(same, name="other", experiment=dataclasses.replace(experiment, seed=1))

    def page(*parts):
        return Page("mnih2014", "", {"smoke": ""}, lambda *_: Plan(parts, (), ()), (), ())

    with lenient():
        page(first).reproduce(tmp_path / "one-smoke", budget="smoke", say=lambda _: None)
        result = page(same, other).reproduce(tmp_path / "two-smoke", budget="smoke", say=lambda _: None)
    assert not (tmp_path / "two-smoke" / "here").exists()
    assert (tmp_path / "two-smoke" / "other").exists()
    assert result["finished"]
    assert result["parts"]["here"]["measures"]["table"]["rows"][0]["examples"] == 5
