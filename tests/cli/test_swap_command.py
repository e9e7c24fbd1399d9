"""`nelbo swap`, and what other commands say of films."""

import json

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow  # tests/tasks/test_swap.py holds the numbers; a fit of films compiles for long


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Thirty films of three frames of 4 x 4 grey pixels with evenly spaced times, and a run on them."""
    from nelbo.cli import main

    folder = tmp_path_factory.mktemp("films")
    rng = np.random.default_rng(0)
    np.savez(folder / "films.npz", values=rng.integers(0, 255, (30, 3, 4, 4, 1), dtype=np.uint8), times=np.arange(3))
    small = ("--hidden", "4", "--channels", "2", "--state-size", "3", "--latents", "1", "--static-latents", "2")
    words = ("fit", "dsae", "--data", folder / "films.npz", *small, "--epochs", "1", "--out", folder / "run", "--quiet")
    assert main([str(word) for word in words]) == 0
    return folder


def test_a_swap_is_a_picture_and_an_animation(films, nelbo):
    done = nelbo("swap", films / "run", "0", "2", "-o", films / "swap.gif", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["shape"] == [4, 3, 4, 4, 1]
    with Image.open(films / "swap.gif") as gif:
        assert gif.n_frames == 3
    with Image.open(films / "swap.png") as picture:
        assert picture.width > picture.height / 4
    assert nelbo("swap", films / "run", "0", "2", "-o", films / "swap.npz").code == 0
    with np.load(films / "swap.npz") as arrays:
        assert arrays["ids"].tolist() == ["0", "2", "0 moving as 2", "2 moving as 0"]
        assert 0.0 <= arrays["values"].mean() <= 255.0


def test_codes_and_samples_of_films(films, nelbo):
    assert nelbo("embed", films / "run", "-o", films / "codes.npz").code == 0
    with np.load(films / "codes.npz") as arrays:
        assert arrays["static"].shape == (3, 2)
        assert arrays["dynamic"].shape == (3, 3, 1)
    assert nelbo("embed", films / "run", "-o", films / "codes.csv").code == 0
    assert np.loadtxt(films / "codes.csv", delimiter=",").shape == (3, 2 + 3 * 1)
    assert nelbo("sample", films / "run", "-n", "4", "-o", films / "samples.gif").code == 0
    assert nelbo("report", films / "run").code == 0


def test_films_go_on(films, nelbo):
    done = nelbo("forecast", films / "run", "--horizon", "2", "--draws", "5", "-o", films / "future.npz", "--json")
    assert json.loads(done.out)["shape"] == [3, 2, 4, 4, 1], done.err
    with np.load(films / "future.npz") as arrays:
        assert arrays["draws"].shape == (3, 5, 2, 4, 4, 1)
        assert (arrays["low"] <= arrays["high"]).all()
        np.testing.assert_array_less(np.abs(arrays["draws"].mean(1) - arrays["mean"]), 255.0)
    assert nelbo("forecast", films / "run", "--horizon", "2", "--draws", "5", "-o", films / "future.gif").code == 0
    with Image.open(films / "future.gif") as gif:
        assert gif.n_frames == 3 + 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("forecast", "RUN"), "Say how many frames ahead"),
        (("forecast", "RUN", "--horizon", "2", "-o", "x.csv"), "ends in .gif or .npz"),
        (("forecast", "RUN", "--horizon", "2", "--history", "3"), "is about series in tables"),
        (("swap", "RUN", "0", "99"), "'99' is no sequence"),
        (("swap", "RUN", "0", "somebody"), "'somebody' is no sequence"),
        (("swap", "RUN", "0"), "required: B"),
        (("swap", "RUN", "0", "1", "-o", "x.docx"), "ends in .gif"),
        (("compress", "RUN"), "series"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(films, nelbo, words, said):
    done = nelbo(*(films / "run" if word == "RUN" else word for word in words), "--quiet")
    assert done.is_refusal(said), (done.code, done.err, done.out)


def test_arrays_that_are_no_films_are_refused(tmp_path, nelbo):
    np.savez(tmp_path / "one.npz", values=np.zeros((30, 1, 4, 4, 1), np.uint8) + np.arange(30, dtype=np.uint8)[:, None, None, None, None])  # fmt: skip  # noqa: E501
    done = nelbo("fit", "dsae", "--data", tmp_path / "one.npz", "--out", tmp_path / "run")
    assert done.is_refusal("A sequence of one frame"), (done.code, done.err)
    done = nelbo("fit", "dsae", "--data", "digits", "--out", tmp_path / "run")
    assert done.is_refusal("or films (time x height"), (done.code, done.err)
    ragged = np.empty(2, object)
    ragged[0], ragged[1] = np.zeros((3, 4, 4, 1)), np.zeros((5, 4, 4, 1))
    np.savez(tmp_path / "ragged.npz", values=ragged)
    done = nelbo("fit", "dsae", "--data", tmp_path / "ragged.npz", "--out", tmp_path / "run")
    assert done.code == 2, done.err
    assert len(done.err.strip().splitlines()) == 1
