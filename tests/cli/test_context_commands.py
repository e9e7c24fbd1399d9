"""Labels as a context, from fit to every command that reads the run."""

import json

import numpy as np
import pytest

from nelbo.cli import main

FIT = ("fit", "vae", "--data", "{}/x.npz", "--context", "label", "--hidden", "8", "--latents", "1", "--epochs", "60",
       "--batch-size", "20", "--learning-rate", "0.02", "--no-figures", "--quiet")  # fmt: skip


def block_images(rng, y):
    """A block of ink in one of three places says which label it has; a few pixels are turned."""
    x = np.zeros((len(y), 3, 4), np.uint8)
    x[np.arange(len(y)), y] = 1
    return np.where(rng.random(x.shape) < 0.03, 1 - x, x).reshape(len(y), 12)


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    folder = tmp_path_factory.mktemp("context")
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    np.savez(folder / "x.npz", x=block_images(rng, y), y=y)
    assert main([word.format(folder) for word in (*FIT, "--out", "{}/run")]) == 0
    return folder


def test_the_labels_are_kept_with_the_run(conditional):
    config = json.loads((conditional / "run" / "config.json").read_text())
    assert config["data"]["context"] == "label"
    assert config["data"]["labels"] == ["0", "1", "2"]
    assert "context" not in config["model"]["arguments"]


def test_samples_are_of_the_label_that_is_asked_for(conditional, nelbo, tmp_path):
    for label in range(3):
        done = nelbo("sample", conditional / "run", "--context", label, "-n", 200, "-o", tmp_path / "s.npy", "--quiet")
        assert done.code == 0, done.err
        ink = np.load(tmp_path / "s.npy").reshape(200, 3, 4).mean((0, 2))
        assert ink[label] > 0.8
        assert np.delete(ink, label).max() < 0.2
    assert nelbo("sample", conditional / "run").is_refusal("--context", "0, 1, 2")
    assert nelbo("sample", conditional / "run", "--context", "7").is_refusal("Unknown label '7'")


def test_a_score_depends_on_the_label(conditional, nelbo, tmp_path):
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 200)
    x = block_images(rng, y)
    np.savez(tmp_path / "right.npz", x=x, y=y)
    np.savez(tmp_path / "wrong.npz", x=x, y=(y + 1) % 3)
    right, wrong = (
        json.loads(nelbo("evaluate", conditional / "run", "--data", tmp_path / f"{name}.npz", "--json", "--quiet").out)
        for name in ("right", "wrong")
    )
    # the label is known and costs nothing: what is left is the turned pixels, 12 H(0.03) = 1.6 nats
    assert -3.5 < right["nats"] < -1.4
    assert wrong["nats"] < right["nats"] - 2.0


def test_labels_are_matched_by_name(conditional, nelbo, tmp_path):
    rng = np.random.default_rng(2)
    y = rng.integers(1, 3, 60)
    rows = [[*map(int, row), label] for row, label in zip(block_images(rng, y), y, strict=True)]
    header = [*(f"p{i}" for i in range(12)), "label"]
    (tmp_path / "x.csv").write_text("\n".join(",".join(map(str, row)) for row in (header, *rows)))
    scored = json.loads(nelbo("evaluate", conditional / "run", "--data", tmp_path / "x.csv", "--json", "--quiet").out)
    assert scored["nats"] > -3.5


@pytest.mark.slow
def test_imputed_embedded_and_reconstructed_with_labels(conditional, nelbo, tmp_path):
    done = nelbo("impute", conditional / "run", "--hide", "0.9", "--method", "importance", "--json", "-o", tmp_path / "i.npz")  # fmt: skip  # noqa: E501
    # almost nothing is seen, but the label says where the ink is: without it the error is sqrt(1/3 * 2/3) = 0.47
    assert json.loads(done.out)["rmse"] < 0.3
    assert nelbo("embed", conditional / "run", "-o", tmp_path / "z.npy", "--quiet").code == 0
    assert nelbo("reconstruct", conditional / "run", "-n", 5, "-o", tmp_path / "r.npy", "--quiet").code == 0
    means = np.load(tmp_path / "r.npy").reshape(5, 3, 4).mean(2)
    assert ((means > 0.5).sum(1) == 1).all()


def test_data_without_labels_and_models_without_a_context_are_refused(conditional, nelbo, tmp_path):
    np.save(tmp_path / "x.npy", block_images(np.random.default_rng(3), np.zeros(30, int)))
    assert nelbo("embed", conditional / "run", tmp_path / "x.npy").is_refusal("no labels")
    again = ("fit", "vae", "--data", tmp_path / "x.npy", "--context", "label", "--out", tmp_path / "r")
    assert nelbo(*again).is_refusal("no labels")
    x = conditional / "x.npz"
    assert nelbo("fit", "sbn", "--data", x, "--context", "label", "--out", tmp_path / "r").is_refusal("vae")
    assert nelbo("fit", "vae", "--data", x, "--set", "context=3", "--out", tmp_path / "r").is_refusal("context")
    assert not (tmp_path / "r").exists()


@pytest.mark.slow  # a second run with pictures; the shapes are those of the data that users have
def test_digits_by_their_names(nelbo, tmp_path):
    words = ("--data", "digits", "--context", "label", "--latents", "2", "--hidden", "50", "--epochs", "5", "--quiet")
    assert nelbo("fit", "vae", *words, "--out", tmp_path / "run").code == 0
    assert (tmp_path / "run" / "figures" / "samples.png").exists()
    assert nelbo("sample", tmp_path / "run", "--context", "3", "-n", 9, "--quiet").code == 0
    assert nelbo("report", tmp_path / "run", "--quiet").code == 0
