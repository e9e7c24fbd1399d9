"""Binary latents on the command line, from fit to report."""

import contextlib
import json

import jax
import numpy as np
import pytest
from addresses import WORDS, write_sotu

from nelbo.cli import main

pytestmark = pytest.mark.slow  # a fit from the command line, whose parts have fast tests of their own


@contextlib.contextmanager
def lenient():
    """Optax mixes types, and every validation uses the same key on purpose."""
    with jax.numpy_dtype_promotion("standard"), jax.debug_key_reuse(False):
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    np.save(folder / "x.npy", (rng.random((60, 4, 4, 1)) < 0.3).astype(np.uint8))
    arguments = ["fit", "sbn", "--layers", "3-2", "--recognition", "autoregressive", "--data", str(folder / "x.npy")]
    arguments += ["--weight-prior", "1", "--input-noise", "bit-flip", "--noise-rate", "0.01"]
    arguments += ["--objective-set", "baseline_hidden=[4]", "--epochs", "2", "--batch-size", "10"]
    with lenient():
        assert main([*arguments, "--out", str(folder / "run"), "--quiet"]) == 0
    return folder / "run"


def test_fit_takes_nvil_by_itself_and_keeps_receptive_fields(run):
    config = json.loads((run / "config.json").read_text())
    assert config["model"]["arguments"]["layers"] == [3, 2]
    assert config["objective"]["name"] == "nvil"
    assert config["objective"]["arguments"]["baseline_hidden"] == [4]
    assert (run / "figures" / "receptive_fields.png").exists()


@pytest.mark.slow  # compiles ten estimators
def test_variance_shows_every_estimator_by_layer(run, capsys):
    with lenient():
        assert main(["variance", str(run), "--draws", "5", "--batch-size", "4", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {"plain", "NVIL", "VIMCO, K=5", "wake-sleep", "DARN (biased)"} <= set(report)
    assert set(report["NVIL"]) == {"p0", "p1", "p2", "q1", "q2"}
    assert all(row["variance"] > 0 for row in report["plain"].values())
    assert (run / "figures" / "variance.png").stat().st_size > 1000
    assert main(["report", str(run), "--quiet"]) == 0
    page = (run / "report.html").read_text()
    assert "Noise of gradients" in page
    assert "Receptive fields" in page


def test_evaluate_sample_and_embed_take_binary_latents(run, tmp_path, capsys):
    with lenient():
        assert main(["evaluate", str(run), "--bound", "iwae", "--samples", "20", "--json", "--quiet"]) == 0
        assert json.loads(capsys.readouterr().out)["bound"] == "iwae"
        assert main(["sample", str(run), "-n", "5", "--output", str(tmp_path / "x.npy"), "--quiet"]) == 0
        assert main(["embed", str(run), "--output", str(tmp_path / "z.npy"), "--quiet"]) == 0
    drawn = np.load(tmp_path / "x.npy")
    assert drawn.shape == (5, 4, 4, 1)
    assert set(np.unique(drawn)) <= {0.0, 1.0}
    means = np.load(tmp_path / "z.npy")
    assert means.shape[1] == 5
    assert ((means >= 0.0) & (means <= 1.0)).all()


def test_an_objective_for_other_latents_is_one_sentence(run, capsys):
    data = run.parent / "x.npy"
    code = main(["fit", "sbn", "--data", str(data), "--objective", "sgvb", "--out", str(run.parent / "no"), "--quiet"])
    assert code == 2
    assert "discrete" in capsys.readouterr().err


@pytest.mark.slow
def test_documents_from_fit_to_topics(tmp_path, capsys):
    write_sotu(tmp_path, own=False)
    out = tmp_path / "run"
    fit = ["fit", "fdarn", "--layers", "3", "--data", "sotu", "--data-dir", str(tmp_path), "--epochs", "3"]
    with lenient():
        assert main([*fit, "--batch-size", "16", "--out", str(out), "--json", "--quiet"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["results"]
    # per word it lies near the 12 words that the documents are made of, and above their number
    assert 11 < row["perplexity"] < 20
    assert main(["topics", str(out), "-n", "4", "--json"]) == 0
    topics = json.loads(capsys.readouterr().out)
    assert [len(words) for words in topics] == [4, 4, 4]
    assert {word for words in topics for word in words} & set(WORDS)
