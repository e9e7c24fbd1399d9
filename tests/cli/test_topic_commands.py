"""Topics on the command line, from documents to words; what is refused in one sentence."""

import json

import numpy as np
import pytest

from nelbo.cli import main
from nelbo.data import load
from nelbo.models import load_model

pytestmark = pytest.mark.slow  # a fit from the command line, whose parts have fast tests of their own

QUICK = ("--data", "bars", "--quiet", "--no-figures")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("topics") / "run"
    words = ("fit", "lda", "--topics", "10", "--epochs", "2", "--batch-size", "50", "--word-concentration", "0.1")
    assert main([*words, *QUICK, "--out", str(folder)]) == 0
    return folder


def test_the_model_comes_back_with_its_posterior_and_better_than_word_frequencies(nelbo, fitted):
    data = load("bars")
    model = load_model(fitted / "model.safetensors")
    natural = np.asarray(model.globals.natural)
    # at a step of the schedule the counts of the posterior are those of the data, prior included
    assert natural.min() > 0
    assert natural.sum() == pytest.approx(data.train.x.sum(), rel=0.2)
    np.testing.assert_allclose(
        np.exp(np.asarray(model.generative.layers[0].log_topics.value)),
        natural / natural.sum(1, keepdims=True),
        rtol=1e-5,
    )
    elbo, posterior = json.loads((fitted / "record.json").read_text())["results"]
    frequencies = data.train.x.sum(0) / data.train.x.sum()
    unigram = (data.test.x @ np.log(frequencies)).mean()
    assert (elbo["bound"], elbo["kind"], posterior["bound"]) == ("elbo", "lower", "posterior")
    assert unigram + 5 < posterior["nats"] < elbo["nats"]
    again = json.loads(nelbo("evaluate", fitted, "--bound", "posterior", "--json").out)
    assert again["nats"] == pytest.approx(posterior["nats"], abs=1e-3)
    assert again["perplexity"] < 25


def test_topics_and_proportions(nelbo, fitted, tmp_path):
    lines = nelbo("topics", fitted, "-n", 5).out.splitlines()
    assert len(lines) == 10
    words = json.loads(nelbo("topics", fitted, "-n", 5, "--json").out)
    assert [line.split()[1:] for line in lines] == words
    assert nelbo("embed", fitted, "-o", tmp_path / "z.npy", "--quiet").code == 0
    shares = np.load(tmp_path / "z.npy")
    assert shares.shape == (200, 10)
    np.testing.assert_allclose(shares.sum(1), 1.0, rtol=1e-4)
    assert nelbo("sample", fitted, "-n", 3, "-o", tmp_path / "s.npy", "--quiet").code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "s.npy").sum(1), 100)


@pytest.mark.share(3)
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("lda", "--objective", "sgvb", *QUICK), "conjugate posterior"),
        (("sbn", "--likelihood", "multinomial", "--objective", "svi", *QUICK), "lda"),
        (("lda", "--optimizer", "adam", *QUICK), "optimizer natural"),
        (("lda", "--learning-rate", "3", *QUICK), "at most 1"),
        (("lda", "--window", "0", *QUICK), "window"),
        (("lda", "--tempering", "warm", *QUICK), "tempering"),
        (("lda", "--tempering", "global", "--hottest", "0.5", *QUICK), "Temperatures"),
        (("lda", "--concentration", "0", *QUICK), "positive"),
        (("lda", "--data", "digits", "--quiet"), "word counts"),
        (("vae", "--optimizer", "natural", "--data", "digits", "--quiet"), "natural"),
    ],
)
def test_what_cannot_work_is_one_sentence(nelbo, tmp_path, words, told):
    assert nelbo("fit", *words, "--out", tmp_path / "run").is_refusal(told)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_what_is_no_document_or_no_codec_is_refused(nelbo, fitted, tmp_path):
    empty = load("bars").test.x[:3].copy()
    empty[1] = 0
    np.save(tmp_path / "empty.npy", empty)
    assert nelbo("evaluate", fitted, "--data", tmp_path / "empty.npy").is_refusal("at least one word")
    assert nelbo("compress", fitted, tmp_path / "empty.npy", "-o", tmp_path / "x.nlb").code == 2


@pytest.mark.slow
@pytest.mark.parametrize("model", ["gaussian-mixture", "factorial-mixture"])
def test_a_mixture_of_a_table_from_fit_to_samples(nelbo, tmp_path, model):
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(c, 0.4, (60, 2)) for c in ((3, 1), (-2, 5))]).astype(np.float32)
    np.save(tmp_path / "x.npy", rng.permutation(rows))
    words = ("fit", model, "--components", "2", "--data", tmp_path / "x.npy", "--epochs", "10", "--quiet")
    assert nelbo(*words, "--no-figures", "--out", tmp_path / "run").code == 0
    elbo, posterior = json.loads((tmp_path / "run" / "record.json").read_text())["results"]
    assert posterior["nats"] < elbo["nats"] + 0.1
    exact = json.loads(nelbo("evaluate", tmp_path / "run", "--bound", "exact", "--json").out)
    assert elbo["nats"] < exact["nats"] + 0.05
    if model == "gaussian-mixture":
        assert elbo["nats"] == pytest.approx(exact["nats"], abs=1e-3)  # q is the exact posterior
    assert nelbo("sample", tmp_path / "run", "-n", 50, "-o", tmp_path / "s.npy", "--quiet").code == 0
    assert np.load(tmp_path / "s.npy").shape == (50, 2)


def test_a_users_file_of_counts_has_topics_by_the_names_of_its_columns(nelbo, tmp_path):
    counts = np.random.default_rng(0).poisson(2.0, (60, 3))
    np.savetxt(tmp_path / "c.csv", counts, "%d", ",", header="ant,bee,cow", comments="")
    run = tmp_path / "run"
    done = nelbo(
        "fit", "lda", "--data", tmp_path / "c.csv", "--topics", "2", "--epochs", "1", "--no-figures", "--out", run
    )
    assert done.code == 0, done.err
    done = nelbo("topics", run, "-n", "3", "--json")
    assert [sorted(words) for words in json.loads(done.out)] == [["ant", "bee", "cow"]] * 2
    assert nelbo("embed", run, tmp_path / "c.csv", "-o", tmp_path / "z.npy").code == 0
    assert np.load(tmp_path / "z.npy").shape == (60, 2)
    assert nelbo("report", run).code == 0  # a document has no bits of single words
    np.savetxt(tmp_path / "halves.csv", counts + 0.5, "%.1f", ",", header="ant,bee,cow", comments="")
    refused = nelbo("fit", "lda", "--data", tmp_path / "halves.csv", "--out", tmp_path / "other")
    assert refused.code == 2
    assert "word counts" in refused.err
