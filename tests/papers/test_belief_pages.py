"""The pages of belief networks: their smallest budgets from nothing to the page, their plans, claims that can fail."""

import contextlib

import jax
import pytest

from nelbo.cli.paper import show_page
from nelbo.core import read_json
from nelbo.papers import PAPERS
from nelbo.papers.mnih2014 import NETWORKS, REDUCTIONS, WORST
from nelbo.papers.mnih2014 import plan as plan_2014
from nelbo.papers.mnih2016 import plan as plan_2016


@contextlib.contextmanager
def lenient():
    """Optax mixes types, and every validation uses the same key on purpose."""
    with jax.numpy_dtype_promotion("standard"), jax.debug_key_reuse(False):
        yield


def smoke(key, folder):
    with lenient():
        result = PAPERS[key].reproduce(folder, budget="smoke", say=lambda _: None)
    written = show_page(folder, result)
    assert result["finished"]
    assert all(path.stat().st_size > 0 for path in written)
    return result, (folder / "page.md").read_text()


@pytest.mark.slow
def test_mnih2014_smoke_end_to_end(tmp_path):
    result, text = smoke("mnih2014", tmp_path)
    nvil, wake_sleep = (part["results"][0] for part in result["parts"].values())
    # 64 pixels: a fair coin for each gives -44.4 nats
    assert all(row["nats"] > -44.0 and row["binarization"] == "static(seed=0)" for row in (nvil, wake_sleep))
    assert f"{nvil['nats']:.2f}" in text
    assert f"{wake_sleep['nats']:.2f}" in text
    assert "SBN 200-200-200: NVIL" in text
    assert "](figures/table-1-valid.png)" in text
    # one pair of runs, and neither of the other claims' runs
    assert [claim["holds"] for claim in result["claims"]] == [nvil["nats"] - wake_sleep["nats"] >= WORST, None, None]
    for claim in result["claims"]:
        assert claim["numbers"] in text


@pytest.mark.slow
def test_mnih2016_smoke_scores_by_the_weighted_bound(tmp_path):
    result, text = smoke("mnih2016", tmp_path)
    assert list(result["parts"]) == ["nvil-1", "vimco-2"]
    for part in result["parts"].values():
        elbo, weighted = part["results"]
        assert (elbo["bound"], weighted["bound"], weighted["samples"]) == ("elbo", "iwae", 20)
        assert weighted["nats"] > elbo["nats"]
        assert f"{weighted['nats']:.2f} (20 samples)" in text
    before = read_json(tmp_path / "nvil-1" / "record.json")
    assert PAPERS["mnih2016"].reproduce(tmp_path, budget="smoke", say=lambda _: None)["parts"] == result["parts"]
    assert read_json(tmp_path / "nvil-1" / "record.json") == before


def test_the_plans_are_the_tables_of_the_papers():
    parts = {part.name: part for part in plan_2014("paper", 0, None).parts}
    for net in NETWORKS:
        for method, number in (("nvil", net.nvil), ("wake-sleep", net.wake_sleep)):
            part = parts[f"table-1/{net.name}/{method}"]
            assert part.experiment.model["name"] == net.family
            assert part.experiment.model["arguments"]["layers"] == list(net.layers)
            assert part.experiment.objective["name"] == method
            assert part.published == f"-{number}"
            held = parts[f"regularized/{net.name}/{method}"].experiment
            assert held.objective["arguments"] == {"weight_prior": net.prior}
            assert (held.model, held.training, held.seed) == (
                part.experiment.model,
                part.experiment.training,
                part.experiment.seed,
            )
        assert (f"table-2/{net.name}" in parts) == (net.dependent is not None)
    assert parts["table-2/sbn-200"].experiment.model["arguments"]["recognition"] == "autoregressive"
    figure = [name for name in parts if name.startswith("figure-1/sbn-200-200/")]
    assert [name.rsplit("/", 1)[1] for name in figure] == list(REDUCTIONS)
    switches = [parts[name].experiment.objective["arguments"] for name in figure]
    assert [sum(not on for on in options.values()) for options in switches] == [4, 3, 2, 1, 0]
    several = {part.name: part.experiment for part in plan_2016("paper", 0, None).parts}
    assert [several[f"vimco-{k}"].objective["arguments"]["samples"] for k in (2, 5, 10, 50)] == [2, 5, 10, 50]
    assert all(run.model["arguments"]["layers"] == [200, 200, 200] for run in several.values())
    for plan in (plan_2014, plan_2016):
        for budget in ("quick", "paper"):
            made = plan(budget, 0, None)
            names = [part.name for part in made.parts]
            assert len(set(names)) == len(names)
            assert {name for figure in made.figures for name in figure.parts} <= set(names)


def made_up(elbo, weighted=0.0, curve=()):
    rows = [{"bound": "elbo", "nats": elbo}, {"bound": "iwae", "nats": weighted}]
    return {"label": "x", "results": rows, "curve": {"valid_bound": list(curve)}}


@pytest.mark.parametrize(("gap", "holds"), [(3.1, True), (2.9, False), (-1.0, False)])
def test_mnih2014_claims_can_fail(gap, holds):
    pairs, dependent, reductions = PAPERS["mnih2014"].claims
    assert [claim.check({})[0] for claim in (pairs, dependent, reductions)] == [None, None, None]
    parts = {}
    for name in ("sbn-200", "fdarn-200"):
        parts[f"table-1/{name}/nvil"] = made_up(-100.0, curve=(-100.0,))
        below = -100.0 - (gap if name == "fdarn-200" else 9.0)
        parts[f"table-1/{name}/wake-sleep"] = made_up(below, curve=(below,))
    assert pairs.check(parts)[0] is holds
    # a prior counts where both methods have had it, and then where its validation bound is the better one
    parts["regularized/fdarn-200/nvil"] = made_up(-50.0, curve=(-50.0,))
    assert pairs.check(parts)[0] is holds
    parts["regularized/fdarn-200/nvil"] = made_up(-50.0, curve=(-200.0,))
    parts["regularized/fdarn-200/wake-sleep"] = made_up(0.0, curve=(-200.0, -199.0))
    assert pairs.check(parts)[0] is holds
    parts["regularized/fdarn-200/wake-sleep"] = made_up(-99.0, curve=(-98.0, -99.0))
    assert pairs.check(parts)[0] is False
    parts["regularized/fdarn-200/nvil"] = made_up(-95.5, curve=(-99.0, -95.0))
    assert pairs.check(parts)[0] is True
    parts["table-2/sbn-200"] = made_up(-97.0 + gap)
    assert dependent.check(parts)[0] is (gap + 3.0 >= 5.0)
    for i, name in enumerate(REDUCTIONS):
        parts[f"figure-1/sbn-200-200/{name}"] = made_up(0.0, curve=(-200.0, -150.0 + i * gap))
    assert reductions.check(parts)[0] is (gap > 0)


def test_mnih2016_claims_can_fail():
    several, ahead = PAPERS["mnih2016"].claims
    assert several.check({})[0] is None
    assert ahead.check({})[0] is None
    parts = {"nvil-1": made_up(0.0, -95.0), "vimco-2": made_up(0.0, -94.0), "rws-2": made_up(0.0, -94.5)}
    assert several.check(parts)[0] is True
    assert ahead.check(parts)[0] is True
    parts |= {"vimco-5": made_up(0.0, -95.5), "rws-5": made_up(0.0, -94.0)}
    assert several.check(parts)[0] is False
    assert ahead.check(parts)[0] is False
