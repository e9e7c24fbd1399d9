"""The page of Rezende, Mohamed and Wierstra (2014) from its smoke budget, and what its other budgets would run."""

import json
import sys

import jax
import pytest

from nelbo.cli.paper import show_page
from nelbo.core import InputError, read_json
from nelbo.papers import PAPERS, measured_arrays
from nelbo.papers.rezende2014 import place, plan

PAGE = PAPERS["rezende2014"]


@pytest.mark.slow
def test_smoke_end_to_end(tmp_path, monkeypatch):
    # optax raises a float to an integer power; users have the standard setting
    with jax.numpy_dtype_promotion("standard"), jax.debug_key_reuse(False):
        result = PAGE.reproduce(tmp_path, budget="smoke", say=lambda _: None)
        written = show_page(tmp_path, result)
    assert result["finished"]
    assert set(result["parts"]) == {"digits/diagonal-0", "digits/rank-one-0"}
    pictures = {path.name for path in written if path.suffix == ".png"}
    assert pictures == {
        "learning-valid.png",
        "learning-train.png",
        "samples.png",
        "embedding.png",
        "imputation-filled-0.6.png",
    }
    rank_one = result["parts"]["digits/rank-one-0"]
    (bound,) = rank_one["measures"]["importance"]["rows"]
    assert (bound["bound"], bound["samples"], bound["examples"]) == ("iwae", 50, 50)
    filled = rank_one["measures"][place("0.6")]["rows"]
    assert [row["filling"] for row in filled][:2] == ["model", "mean"]
    assert measured_arrays(tmp_path / "digits/rank-one-0", place("0.6"))["chain"].shape == (10, 18, 8, 8, 1)
    assert [claim["holds"] for claim in result["claims"]] == [None] * 3
    text = (tmp_path / "page.md").read_text()
    assert f"{bound['nats']:.2f}" in text
    assert f"{filled[0]['rmse']:.4f}" in text
    assert "87.30" in text
    # a second call trains and measures nothing
    monkeypatch.setattr(sys.modules["nelbo.runs.ready"], "fit", None)
    monkeypatch.setattr(sys.modules["nelbo.papers.measures"], "open_run", None)
    assert PAGE.reproduce(tmp_path, budget="smoke", say=lambda _: None)["parts"] == json.loads(
        json.dumps(result["parts"])
    )
    assert read_json(tmp_path / "result.json")["finished"]


def test_budgets_compare_the_posteriors_at_equal_settings(monkeypatch):
    def no_frey(name, data_dir):
        del data_dir
        raise InputError(f"no {name}")

    monkeypatch.setattr("nelbo.papers.rezende2014.load", no_frey)
    for budget, seeds, samples in (("quick", 1, 200), ("paper", 3, 5000)):
        made = plan(budget, 0, None)
        parts = {part.name: part for part in made.parts}
        assert len(parts) == 2 * seeds + 3  # the embedding, faces, colour
        for seed in range(seeds):
            pair = [parts[f"mnist/{posterior}-{seed}"] for posterior in ("diagonal", "rank-one")]
            records = [part.experiment.record() for part in pair]
            posteriors = [record["model"]["arguments"].pop("posterior") for record in records]
            assert posteriors == ["diagonal", "rank-one"]
            assert records[0] == records[1]
            assert records[0]["seed"] == seed
            assert records[0]["data"]["binarize"] == "static"
            assert all(part.measures[0].arguments["samples"] == samples for part in pair)
        hidden = [m.arguments["hide_word"] for m in parts["mnist/rank-one-0"].measures[1:]]
        assert hidden == ["0.6", "0.8", "square:12"]
        names = {part.name: {m.name for m in part.measures} for part in made.parts}
        for figure in made.figures:
            assert set(figure.parts) <= set(names)
            assert not figure.measure or figure.measure in names[figure.parts[0]]
        assert any("Frey faces were not found" in note for note in made.notes)


def made_up(diagonal, rank_one, model=0.2, neighbours=0.3):
    def part(name, nats):
        measures = {"importance": {"rows": [{"nats": nats}]}}
        if name.startswith("mnist/rank-one-0"):
            rows = [("model", model), ("mean", 0.35), ("5 nearest neighbours", neighbours)]
            measures[place("0.6")] = {"rows": [{"filling": f, "rmse": e} for f, e in rows]}
        return {"label": name.replace("/", ", "), "measures": measures}

    pairs = {"diagonal": diagonal, "rank-one": rank_one}
    names = {f"mnist/{p}-{i}": nats for p, values in pairs.items() for i, nats in enumerate(values)}
    return {name: part(name, nats) for name, nats in names.items()}


@pytest.mark.parametrize(
    ("parts", "holds"),
    [
        (made_up([-87.0, -88.0], [-86.0, -87.5]), [True, True, True]),
        (made_up([-87.0, -88.0], [-88.0, -87.5]), [False, True, True]),
        (made_up([-88.5, -88.0], [-86.0, -86.5], model=0.31), [True, False, False]),
    ],
)
def test_claims_can_fail(parts, holds):
    assert [claim.check(parts)[0] for claim in PAGE.claims] == holds
