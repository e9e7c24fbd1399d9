"""`fit factorization`, `evaluate` and `predict`, as a user types them."""

import dataclasses
import json

import jax
import numpy as np
import pandas as pd
import pytest

from nelbo.cli import main
from nelbo.runs import Experiment, read_pairs
from nelbo.runs.inputs import settled
from nelbo.runs.ranks import with_rank

COLUMNS = ["mark_mean", "mark_std", "mark_low", "mark_high"]
FIT = ("--epochs", "8", "--quiet", "--no-figures")


@pytest.fixture(scope="module")
def ratings(tmp_path_factory):
    """A table of marks, a run fitted to it, and pairs to ask about."""
    folder = tmp_path_factory.mktemp("ratings")
    rng = np.random.default_rng(0)
    cells = np.sort(rng.permutation(400)[:300])
    quality = rng.normal(size=20)
    marks = np.clip(np.rint(3.0 + 1.2 * quality[cells % 20] + 0.5 * rng.normal(size=300)), 1, 5)
    rows = {"student": [f"s{c // 20}" for c in cells], "lecturer": cells % 20 + 100, "mark": marks.astype(int)}
    pd.DataFrame(rows).to_csv(folder / "ratings.csv", index=False)
    line = (
        "fit",
        "factorization",
        "--data",
        folder / "ratings.csv",
        "--columns",
        "student,lecturer,mark",
        "--rank",
        "1",
    )
    assert main([*map(str, line), "--out", str(folder / "run"), *FIT, "--epochs", "100"]) == 0
    (folder / "pairs.csv").write_text('note,student,lecturer\na,s1,105\n"b, too",nobody,105\nc,nobody,1\n')
    return folder


def test_fit_predicts_better_than_the_mean(ratings):
    record = json.loads((ratings / "run" / "record.json").read_text())
    test = next(row for row in record["results"] if row["split"] == "test")
    marks = pd.read_csv(ratings / "ratings.csv").mark
    assert test["bound"] == "predictive"
    assert test["rmse"] < 0.8 * marks.std()
    assert {row["bound"] for row in record["results"]} == {"predictive", "full-vb"}


def test_predict_answers_in_the_users_table(ratings, nelbo):
    done = nelbo("predict", ratings / "run", ratings / "pairs.csv", "-o", ratings / "out.csv")
    assert done.code == 0
    assert "2 pairs have a student" in done.err
    assert "1 pairs have a lecturer" in done.err
    out = pd.read_csv(ratings / "out.csv")
    assert list(out.columns) == ["note", "student", "lecturer", *COLUMNS]
    assert out.note.tolist() == ["a", "b, too", "c"]
    assert ((out.mark_low < out.mark_mean) & (out.mark_mean < out.mark_high)).all()
    assert out.mark_std[2] > out.mark_std[0]
    shown = json.loads(
        nelbo("predict", ratings / "run", ratings / "pairs.csv", "-o", ratings / "out.csv", "--json").out
    )
    assert np.allclose(shown["columns"]["mark_mean"], out.mark_mean)


def test_predict_all_gives_the_whole_matrix(ratings, nelbo):
    assert nelbo("predict", ratings / "run", "--all", "-o", ratings / "all.npz").code == 0
    with np.load(ratings / "all.npz") as whole:
        assert whole["mark_mean"].shape == (len(whole["student"]), len(whole["lecturer"])) == (20, 20)
    assert nelbo("predict", ratings / "run", "--all", "-o", ratings / "all.csv").code == 0
    long = pd.read_csv(ratings / "all.csv")
    assert len(long) == 400
    again = nelbo("predict", ratings / "run", ratings / "all.csv", "-o", ratings / "again.csv", "--quiet")
    assert again.is_refusal("already has a column 'mark_mean'")


def test_evaluate_scores_another_table(ratings, nelbo):
    own = json.loads(nelbo("evaluate", ratings / "run", "--json").out)
    assert own["bound"] == "predictive"
    frame = pd.read_csv(ratings / "ratings.csv").head(40)
    frame.to_csv(ratings / "some.csv", index=False)
    other = json.loads(nelbo("evaluate", ratings / "run", "--data", ratings / "some.csv", "--json").out)
    assert other["examples"] == 40
    assert other["split"] == "rows"
    assert {"rmse", "mae", "coverage_90"} <= set(other)
    assert "kl" not in other
    assert nelbo("evaluate", ratings / "run", ratings / "some.csv", "-o", ratings / "scores.csv", "--quiet").code == 0
    written = pd.read_csv(ratings / "scores.csv")
    assert list(written) == ["student", "lecturer", "mark", "predictive"]
    assert written.predictive.mean() == pytest.approx(other["nats"], rel=1e-4)
    assert nelbo("evaluate", ratings / "run", "--bound", "elbo").is_refusal("leave --bound elbo out")


def test_the_best_rank_is_taken_and_it_is_said(ratings, monkeypatch):
    asked = Experiment(
        {"name": "factorization", "arguments": {}},
        {"name": str(ratings / "ratings.csv"), "columns": ["student", "lecturer", "mark"], "pairs": True},
        {"name": "sgvb", "arguments": {}},
        {},
    )
    data = read_pairs(asked.data)
    monkeypatch.setattr("nelbo.runs.ranks.rank_scores", lambda *_: {0: -1.3, 2: -1.2, 4: -1.1, 8: -1.15, 16: -1.2})
    chosen, told = with_rank(settled(asked, data), data, jax.random.key(0))
    assert chosen.model["arguments"]["rank"] == 4
    assert told.notes[-1].startswith("Rank 4, chosen by the validation values")
    alone = dataclasses.replace(data, splits={"train": data.train})
    chosen, told = with_rank(settled(asked, alone), alone, jax.random.key(0))
    assert chosen.model["arguments"]["rank"] == 8
    assert "nothing is held out" in told.notes[-1]


@pytest.mark.slow  # the choice is tested above, the prior in tests/models
def test_the_rank_is_chosen_and_a_run_is_a_prior(ratings, nelbo, monkeypatch):
    monkeypatch.setattr("nelbo.runs.ranks.RANKS", (0, 1))
    line = ("fit", "factorization", "--data", ratings / "ratings.csv", "--columns", "student,lecturer,mark")
    assert nelbo(*line, "--out", ratings / "auto", *FIT).code == 0
    config = json.loads((ratings / "auto" / "config.json").read_text())
    assert config["model"]["arguments"]["rank"] in {0, 1}
    done = nelbo(*line, "--prior-run", ratings / "run", "--inflate", "2", "--out", ratings / "whisky", *FIT)
    assert done.code == 0
    config = json.loads((ratings / "whisky" / "config.json").read_text())
    assert config["model"]["arguments"]["rank"] == 1
    assert nelbo("predict", ratings / "whisky", ratings / "pairs.csv", "-o", ratings / "w.csv", "--quiet").code == 0


def test_bad_input_is_refused_in_a_sentence(ratings, nelbo, finished):
    line = ("fit", "factorization", "--data", ratings / "ratings.csv", "--out", ratings / "bad")
    assert nelbo(*line, "--columns", "student,teacher,mark").is_refusal("teacher", "lecturer")
    assert nelbo(*line, "--columns", "student,mark").is_refusal("--columns ROW,COLUMN,VALUE")
    assert nelbo(*line, "--objective", "full-vb").is_refusal("posterior of its own")
    assert nelbo(*line, "--prior-run", finished).is_refusal("no run of a factorization")
    named = (*line, "--columns", "student,lecturer,mark")
    assert nelbo(*named, "--inflate", 2).is_refusal("name that run too")
    assert nelbo(*named, "--prior-run", ratings / "run", "--inflate", -1).is_refusal("above zero, got -1")
    assert nelbo(*named, "--rank", -1).is_refusal("rank is zero or more", "got -1")
    assert nelbo(*line, "--columns", "mark,lecturer,student").is_refusal("'student', which was named for the value")
    assert nelbo("fit", "vae", *line[2:], "--prior-run", ratings / "run").is_refusal("leave it out")
    assert nelbo("fit", "factorization", "--data", "digits").is_refusal("There is no file")
    assert nelbo("predict", ratings / "run").is_refusal("--all")
    assert nelbo("predict", ratings / "run", "--all", "-o", ratings / "x.png").is_refusal("ends in")
    assert nelbo("predict", finished, ratings / "ratings.csv").is_refusal("examples of shape [2]")
    assert nelbo("predict", finished, "--all").is_refusal("--all is for the values of pairs")
    assert nelbo("predict", ratings / "run", ratings / "pairs.csv", "--split", "test").is_refusal("no splits")
    assert nelbo("evaluate", finished, "--bound", "predictive").is_refusal("not about values of pairs")
    assert nelbo("sample", ratings / "run").is_refusal("nelbo predict")
    assert nelbo("compress", ratings / "run", "-o", ratings / "x.nlb").is_refusal("no model of the data")
