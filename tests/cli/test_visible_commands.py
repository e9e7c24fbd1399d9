"""Models without latents on the command line, from fit to a compressed file; refusals where a task needs latents."""

import json

import numpy as np
import pytest

from nelbo.cli import main

OPTIONS = ("--data", "digits", "--epochs", "1", "--quiet", "--no-figures")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("visible") / "run"
    assert main(["fit", "nade", "--hidden", "6", "--order", "3", *OPTIONS, "--out", str(folder)]) == 0
    return folder


def test_every_bound_is_the_exact_likelihood(nelbo, fitted):
    (row,) = json.loads((fitted / "record.json").read_text())["results"]
    assert (row["samples"], row["standard_error"], row["kl"]) == (1, 0.0, 0.0)
    scored = json.loads(nelbo("evaluate", fitted, "--bound", "iwae", "--samples", "50", "--json").out)
    assert (scored["nats"], scored["samples"]) == (pytest.approx(row["nats"], abs=1e-4), 1)


@pytest.mark.slow
def test_samples_files_and_a_report(nelbo, fitted, tmp_path):
    assert nelbo("sample", fitted, "-n", 5, "-o", tmp_path / "s.npy").code == 0
    assert set(np.unique(np.load(tmp_path / "s.npy"))) <= {0.0, 1.0}
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 2, (40, 8, 8)).astype(np.uint8))
    assert nelbo("compress", fitted, tmp_path / "x.npy", "-o", tmp_path / "x.nlb").code == 0
    assert nelbo("decompress", tmp_path / "x.nlb", "--model", fitted, "-o", tmp_path / "back.npy").code == 0
    assert (tmp_path / "back.npy").read_bytes() == (tmp_path / "x.npy").read_bytes()
    assert nelbo("report", fitted).code == 0
    page = (fitted / "report.html").read_text()
    assert "Draws of x from the model." in page
    assert "Reconstructions" not in page


@pytest.mark.parametrize(
    "words", [("embed",), ("reconstruct",), ("impute", "--hide", "0.5"), ("variance",), ("sample", "--mean")]
)
def test_tasks_about_latents_are_refused(nelbo, fitted, words):
    assert nelbo(words[0], fitted, *words[1:]).is_refusal("needs a model with latents")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nade", "--hidden", "3,4"), "one hidden layer"),
        (("nade", "--order", "rastr"), "'raster' or the seed"),
        (("nade", "--order", "-1"), "from 0 to 2^32"),
        (("mixture", "--components", "0"), "components"),
        (("mixture", "--init", "0"), "positive standard deviation"),
        (("mixture", "--objective", "iwae"), "train it with maximum-likelihood"),
        (("nade", "--latents", "2"), "Unknown option of model nade"),
    ],
)
def test_options_that_make_no_sense(nelbo, tmp_path, words, told):
    assert nelbo("fit", *words, *OPTIONS, "--out", tmp_path / "run").is_refusal(told)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_mixture_takes_missing_entries_and_nade_refuses_them(nelbo, tmp_path):
    x = np.random.default_rng(0).integers(0, 2, (60, 4)).astype(float)
    x[::3, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    options = ("--data", tmp_path / "x.npy", "--epochs", "1", "--quiet", "--no-figures", "--out", tmp_path / "run")
    assert nelbo("fit", "nade", *options).is_refusal("fill them in first")
    assert not (tmp_path / "run").exists()
    done = nelbo("fit", "mixture", "--components", "2", *options, "--json")
    assert done.code == 0, done.err
    (row,) = json.loads(done.out)["results"]
    assert -4.0 < row["nats"] < -1.0
