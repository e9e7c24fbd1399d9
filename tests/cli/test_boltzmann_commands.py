"""Boltzmann machines, deep belief networks and EoNADE on the command line, from fit to completed rows."""

import json

import numpy as np
import pytest

from nelbo.cli import main

# a fit is scored at the published ladder of 14500 temperatures
pytestmark = pytest.mark.slow

OPTIONS = ("--data", "digits", "--epochs", "1", "--quiet", "--no-figures", "--sample-sweeps", "20")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """21 hidden units: too many for a sum over their states."""
    folder = tmp_path_factory.mktemp("machine") / "run"
    assert main(["fit", "rbm", "--hidden", "21", "--last-sweeps", "2", *OPTIONS, "--out", str(folder)]) == 0
    return folder


def test_the_score_is_an_estimate_and_says_how_log_z_was_found(nelbo, fitted):
    (row,) = json.loads((fitted / "record.json").read_text())["results"]
    assert (row["kind"], row["normalizer"]["method"], row["normalizer"]["temperatures"]) == (
        "estimate",
        "annealing",
        14500,
    )
    # 64 pixels: a fair coin for each gives -44.4 nats
    assert -44.4 < row["nats"] < -20.0
    assert row["standard_error"] == pytest.approx(row["normalizer"]["standard_error"])
    shown = nelbo("evaluate", fitted, "--temperatures", "200", "--limit", "50")
    assert shown.code == 0
    assert "by annealing with 200 temperatures and 100 chains" in shown.out
    assert "estimate" in shown.out
    assert nelbo("evaluate", fitted, "--temperatures", "5").is_refusal("at least 29 temperatures")
    assert nelbo("evaluate", fitted, "--bound", "exact").is_refusal("needs log Z")


def test_it_samples_and_fills_in_and_cannot_be_coded(nelbo, fitted, tmp_path):
    assert nelbo("sample", fitted, "-n", 5, "-o", tmp_path / "s.npy").code == 0
    assert set(np.unique(np.load(tmp_path / "s.npy"))) <= {0.0, 1.0}
    filled = nelbo("impute", fitted, "--hide", "0.5", "--limit", "6", "--draws", "3", "--steps", "5", "--json")
    assert json.loads(filled.out)["method"] == "conditional"
    np.save(tmp_path / "x.npy", np.zeros((4, 8, 8), np.uint8))
    assert nelbo("compress", fitted, tmp_path / "x.npy", "-o", tmp_path / "x.nlb").is_refusal("has no codec")
    assert nelbo("impute", fitted, "--hide", "0.5", "--method", "hmc").is_refusal("use conditional")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("rbm", "--hidden", "3,4"), "one hidden layer"),
        (("dbn", "--layers", "3"), "two hidden layers"),
        (("eonade", "--hidden", "3,4"), "layers of one size"),
        (("rbm", "--chains", "date"), "did you mean 'data'"),
        (("rbm", "--last-sweeps", "0"), "at least 1"),
        (("dbn", "--first", "1.0"), "between 0 and 1"),
        (("nade", "--objective", "greedy"), "train it with maximum-likelihood"),
    ],
)
def test_options_that_make_no_sense(nelbo, tmp_path, words, told):
    options = [word for word in OPTIONS if word not in {"--sample-sweeps", "20"}]
    assert nelbo("fit", *words, *options, "--out", tmp_path / "run").is_refusal(told)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("words", [("eonade", "--hidden", "8", "--orders", "2"), ("dbn", "--layers", "8,64")])
def test_the_others_go_from_fit_to_report(nelbo, tmp_path, words):
    folder = tmp_path / "run"
    fitted = nelbo("fit", *words, "--data", "digits", "--epochs", "1", "--quiet", "--out", folder)
    assert fitted.code == 0, fitted.err
    assert nelbo("evaluate", folder, "--limit", "20", "--bound", "iwae", "--samples", "5").code == 0
    filled = nelbo("impute", folder, "--hide", "0.5", "--limit", "4", "--draws", "2", "--steps", "3")
    assert filled.code == 0, filled.err
    assert nelbo("report", folder).code == 0
    assert (folder / "report.html").stat().st_size > 0
