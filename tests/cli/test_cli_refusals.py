"""Bad input: one sentence, exit code 2, nothing written and nothing lost."""

import errno
import os
import re
import resource
from pathlib import Path

import jax
import numpy as np
import pytest
from shell import TINY, finish, snapshot, start

FIT = ("fit", *TINY, "--epochs", "1", "--quiet")

BAD_OPTIONS = {
    "no latents": (("--latents", "0"), "latents"),
    "negative latents": (("--latents", "-3"), "latents"),
    "latents in words": (("--latents", "many"), "whole number"),
    "too many latents": (("--latents", "99999999999"), "below 2^31"),
    "epochs nan": (("--epochs", "nan"), "finite"),
    "epochs zero": (("--epochs", "0"), "epochs"),
    "endless": (("--epochs", "1e300"), "steps"),
    "rate inf": (("--learning-rate", "inf"), "finite"),
    "rate negative": (("--learning-rate", "-1"), "learning_rate"),
    "batch too large": (("--batch-size", "100000"), "1297"),
    "batch zero": (("--batch-size", "0"), "batch_size"),
    "form": (("--form", "X"), "A, B, path"),
    "unknown setting": (("--set", "foo=1"), "foo"),
    "setting of another type": (("--set", "latents=few"), "whole number"),
    "setting given by the data": (("--set", "shape=[3]"), "shape"),
    "moments": (("--set", "centre=7"), "centre"),
    "no equals sign": (("--set", "foo"), "NAME=VALUE"),
    "hidden empty": (("--hidden", ""), "whole numbers"),
    "hidden zero": (("--hidden", "0"), "hidden"),
    "samples zero": (("--samples", "0"), "sample"),
    "beta negative": (("--beta", "-1"), "beta"),
    "warmup nan": (("--warmup", "nan"), "finite"),
    "weight prior": (("--weight-prior", "0"), "weight_prior"),
    "prior twice": (("--objective", "full-vb", "--weight-prior", "1"), "weight_prior"),
    "clip": (("--clip", "0"), "clip"),
    "init": (("--init", "-1"), "init"),
    "init typo": (("--init", "gloroot"), "did you mean 'glorot'?"),
    "activation typo": (("--activation", "tahn"), "did you mean 'tanh'?"),
    "architecture": (("--architecture", "cnn"), "did you mean 'conv'?"),
    "likelihood typo": (("--likelihood", "bernouli"), "did you mean 'bernoulli'?"),
    "optimizer typo": (("--optimizer", "adm"), "did you mean 'adam'?"),
    "schedule typo": (("--schedule", "cosin"), "did you mean 'cosine'?"),
    "objective typo": (("--objective", "sgv"), "did you mean 'sgvb'?"),
    "data typo": (("--data", "digts"), "did you mean 'digits'?"),
    "option typo": (("--epohcs", "3"), "did you mean --epochs?"),
    "option cut short": (("--epoch", "3"), "did you mean --epochs?"),
    "a word too many": (("digits",), "one word too many"),
    "keep": (("--keep", "worst"), "best, last"),
    "evaluate every": (("--evaluate-every", "0"), "evaluate_every"),
    "patience": (("--patience", "0"), "patience"),
    "patience with nothing to wait for": (("--patience", "2", "--train-only"), "patience waits"),
    "checkpoints": (("--checkpoint-seconds", "-1"), "checkpoints"),
    "seed": (("--seed", "-1"), "seed"),
    "seed too large": (("--seed", "99999999999999999999"), "seed"),
    "too large": (("--max-gigabytes", "0.00001"), "--max-gigabytes"),
    "context of another kind": (("--context", "labels"), "did you mean 'label'?"),
    "binarization": (("--binarize", "maybe"), "dynamic, none, static, threshold"),
    "pixels of binarized data": (("--likelihood", "beta-binomial", "--binarize", "static"), "binarized"),
    "grey density of dynamic data": (("--likelihood", "gaussian", "--binarize", "dynamic"), "binarized"),
    "channels of a perceptron": (("--channels", "8"), "--architecture conv"),
    "resume and overwrite": (("--resume", "--overwrite"), "nothing to resume"),
}


@pytest.mark.share(3)
@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_an_impossible_option_makes_no_folder(name, nelbo, tmp_path):
    options, word = BAD_OPTIONS[name]
    outcome = nelbo(*FIT, *options, "--out", tmp_path / "run")
    assert outcome.is_refusal(word)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["no latents", "batch too large", "form", "rate negative", "endless", "data typo"])
def test_an_impossible_option_leaves_the_run_that_was_there(name, nelbo, run):
    before = snapshot(run)
    assert nelbo(*FIT, *BAD_OPTIONS[name][0], "--out", run, "--overwrite").is_refusal(BAD_OPTIONS[name][1])
    assert snapshot(run) == before


def test_a_model_typo_and_a_data_set_for_a_model(nelbo, tmp_path):
    assert nelbo("fit", "vea", "--out", tmp_path / "run").is_refusal("did you mean 'vae'?")
    assert nelbo("fit", "digits", "--out", tmp_path / "run").is_refusal("nelbo fit vae --data digits")
    assert nelbo("fti").is_refusal("did you mean 'fit'?")
    assert not list(tmp_path.iterdir())


def test_a_run_is_not_replaced_unasked(nelbo, run):
    before = snapshot(run)
    assert nelbo(*FIT, "--out", run).is_refusal("--overwrite")
    assert snapshot(run) == before


def test_a_folder_that_is_no_run_is_not_replaced(nelbo, tmp_path):
    (tmp_path / "config.json").write_text('{"hidden_size": 768}')
    (tmp_path / "model.safetensors").write_bytes(b"precious")
    before = snapshot(tmp_path)
    assert nelbo(*FIT, "--out", tmp_path, "--overwrite").is_refusal("no experiment")
    (tmp_path / "config.json").unlink()
    assert nelbo(*FIT, "--out", tmp_path, "--overwrite").is_refusal("model.safetensors")
    assert snapshot(tmp_path)["model.safetensors"] == before["model.safetensors"]
    assert nelbo(*FIT, "--out", tmp_path / "model.safetensors").is_refusal("is a file")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--latents", "5"), "latents"),
        (("--data", "mnist"), "data.name"),
        (("--seed", "3"), "seed"),
        (("--epochs", "9"), "epochs"),
        (("--form", "A"), "form"),
        (("--objective", "full-vb"), "objective.name"),
        (("--set", "foo=1"), "foo"),
    ],
)
def test_a_resumed_run_keeps_its_own_settings(options, word, nelbo, run):
    before = snapshot(run)
    outcome = nelbo("fit", "--resume", "--out", run, *options, "--quiet")
    assert outcome.is_refusal(word)
    assert snapshot(run) == before


def test_a_finished_run_is_resumed_to_itself(nelbo, run):
    before = snapshot(run)
    outcome = nelbo("fit", "--resume", "--out", run, "--latents", "2", "--quiet", "--json", "--no-figures")
    assert outcome.code == 0
    assert '"active_units"' in outcome.out
    assert snapshot(run) == before


def bad_file(kind: str, folder: Path) -> Path:
    real = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    infinite = real.copy()
    infinite[3, 2] = np.inf
    arrays = {
        "infinite": infinite,
        "missing": real * np.nan,
        "complex": real.astype(np.complex64),
        "flat": real[:, 0],
        "empty": real[:0],
        "two rows": real[:2],
    }
    path = folder / f"{kind}.npy"
    if kind in arrays:
        np.save(path, arrays[kind])
    elif kind == "objects":
        np.save(path, np.array([1, "a", None], object), allow_pickle=True)
    elif kind == "garbage":
        path.write_bytes(b"\x93NUMPYgarbage")
    elif kind == "cut":
        np.save(path, real)
        path.write_bytes(path.read_bytes()[:-100])
    elif kind == "ragged":
        path = folder / "table.csv"
        path.write_text("a,b\n1,2\n3\n")
    elif kind == "text":
        path = folder / "table.csv"
        path.write_text("a,b\n1,bob\n2,eve\n")
    elif kind == "folder":
        path = folder / "folder"
        path.mkdir()
    return path


@pytest.mark.parametrize(
    "kind",
    ["infinite", "missing", "complex", "flat", "empty", "two rows", "objects", "garbage", "cut", "ragged", "text",
     "folder", "nothing"],
)  # fmt: skip
def test_data_that_no_model_can_use(kind, nelbo, tmp_path):
    path = bad_file(kind, tmp_path)
    assert nelbo("fit", "vae", "--data", path, "--out", tmp_path / "run", "--quiet").is_refusal(path.name)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--likelihood", "bernoulli"), "real values: use gaussian"),
        (("--likelihood", "discretized-logistic"), "0..255"),
        (("--likelihood", "gaussian-unit"), "real values: use gaussian"),
        (("--binarize", "static"), "grey values"),
        (("--architecture", "conv"), "height x width x channels"),
    ],
)
def test_a_model_that_does_not_suit_the_data(options, word, nelbo, tmp_path):
    np.save(tmp_path / "real.npy", 5 + np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32))
    outcome = nelbo("fit", "vae", "--data", tmp_path / "real.npy", *options, "--out", tmp_path / "run", "--quiet")
    assert outcome.is_refusal(word)
    assert not (tmp_path / "run").exists()


def test_commands_on_what_is_no_finished_run(nelbo, run, tmp_path):
    (tmp_path / "empty").mkdir()
    np.save(tmp_path / "other.npy", np.zeros((50, 3), np.float32))
    before = snapshot(run)
    for command in (("evaluate",), ("sample",), ("embed",), ("reconstruct",)):
        assert nelbo(*command, tmp_path / "empty", "--quiet").is_refusal("no run folder")
        assert nelbo(*command, tmp_path / "none", "--quiet").is_refusal("no run folder")
    assert nelbo("report", tmp_path / "empty").is_refusal("no run")
    assert nelbo("evaluate", run, "--data", tmp_path / "other.npy", "--quiet").is_refusal("shape [3]", "[8, 8, 1]")
    assert nelbo("embed", run, tmp_path / "other.npy", "--quiet").is_refusal("shape [3]")
    assert nelbo("evaluate", run, "--samples", "0").is_refusal("--samples")
    assert nelbo("evaluate", run, "--limit", "0").is_refusal("--limit")
    assert nelbo("evaluate", run, "--bound", "ewae").is_refusal("did you mean 'iwae'?")
    assert nelbo("sample", run, "-n", "0").is_refusal("at least 1")
    assert nelbo("sample", run, "-o", tmp_path / "x.gif").is_refusal(".png or .npy")
    assert nelbo("embed", run, "-o", tmp_path).is_refusal("ends in")
    assert nelbo("reconstruct", run, "-n", "1000").is_refusal("250")
    assert nelbo("sample", "a" * 300).is_refusal("name too long")
    assert nelbo("data", "show").is_refusal("NAME")
    assert nelbo("data", "show", "digts").is_refusal("did you mean 'digits'?")
    assert nelbo("data", "list", "digits").is_refusal("show digits")
    assert nelbo("models", "show", "vea").is_refusal("did you mean 'vae'?")
    assert nelbo("objectives", "show", "nvill").is_refusal("did you mean 'nvil'?")
    assert nelbo("sample", run, "--context", "3").is_refusal("conditioned on nothing")
    assert nelbo("cite", "rezende2015").is_refusal("did you mean 'rezende2014'?")
    assert snapshot(run) == before
    (run / "model.safetensors").unlink()
    assert nelbo("evaluate", run, "--quiet").is_refusal("has no model.safetensors yet", "--resume")


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "a folder", "other"])
@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "record.json"])
def test_a_damaged_file_of_a_run(name, damage, nelbo, run):
    path = run / name
    data = bytearray(path.read_bytes())
    if damage == "a folder":
        path.unlink()
        path.mkdir()
    elif damage == "other":
        path.write_bytes((run / "arrays.safetensors").read_bytes() if name.startswith("model") else b"[1, 2]")
    else:
        data[len(data) // 2] ^= 0xFF
        path.write_bytes({"cut": bytes(data[: len(data) // 3]), "flipped": bytes(data), "empty": b""}[damage])
    before = snapshot(run)
    outcome = nelbo("evaluate", run, "--samples", "1", "--limit", "5", "--quiet")
    assert outcome.is_refusal()
    assert snapshot(run) == before


@pytest.mark.parametrize(
    "words",
    [("impute", "--hide", "0.3"), ("evaluate",), ("sample",), ("embed",), ("reconstruct",), ("variance",), ("report",)],
)
def test_a_seed_of_twenty_digits_is_refused_everywhere(words, nelbo, run):
    before = snapshot(run)
    assert nelbo(words[0], run, *words[1:], "--seed", "99999999999999999999").is_refusal("seed", "4294967295")
    assert snapshot(run) == before


def test_a_link_is_written_through_and_a_name_may_be_as_long_as_a_name_can_be(nelbo, run, tmp_path):
    (tmp_path / "real.npy").write_text("old")
    (tmp_path / "link.npy").symlink_to("real.npy")
    assert nelbo("embed", run, "-o", tmp_path / "link.npy", "--quiet").code == 0
    assert (tmp_path / "link.npy").is_symlink()
    assert np.load(tmp_path / "real.npy").shape == (250, 2)
    long = tmp_path / ("z" * 251 + ".npy")
    assert nelbo("embed", run, "-o", long, "--quiet").code == 0
    assert np.load(long).shape == (250, 2)


@pytest.mark.parametrize("how", ["0", "square:0"])
def test_hiding_nothing_is_not_scored(how, nelbo, run, tmp_path):
    assert nelbo("impute", run, "--hide", how, "-o", tmp_path / "x.npz").is_refusal(how.split(":")[-1])
    assert not (tmp_path / "x.npz").exists()


@pytest.mark.slow
def test_a_console_that_is_not_utf8_is_shown_plain_characters(run):
    words = ("evaluate", run, "--bound", "elbo", "--samples", "1", "--quiet")
    code, out, err = finish(start(*words, encoding="ascii"))
    assert (code, err) == (0, "")
    # a single sample has no Monte Carlo error, which is written as a dash
    cells = dict(zip(*(re.split(r"  +", line) for line in out.splitlines()[::2]), strict=True))
    assert cells["Monte Carlo error (nats)"] == "-"


def fail_at(number: int, monkeypatch) -> None:
    """The disk is full from the n-th flush on."""
    real, calls = os.fsync, [0]

    def fsync(handle: int) -> None:
        calls[0] += 1
        if calls[0] >= number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)


# flushes of a run of 13 steps: 1 configuration, 2 to 4 checkpoints of steps 1, 2 and 13 (more where steps are slow), 5
# and 6 history, 7 model, 8 arrays, 9 record, 10 and on figures
@pytest.mark.parametrize("number", [1, 2, 5, 7, 9, 11])
def test_a_full_disk_at_any_write_of_a_run(number, nelbo, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        fail_at(number, patch)
        outcome = nelbo(*FIT, "--out", folder, "--checkpoint-seconds", "0")
    assert outcome.is_refusal("disk is full")
    assert folder.exists() == (number > 1)
    assert not list(tmp_path.rglob("*.tmp"))
    # the sentence names the file that did not fit: what is written before it is there, what comes after it is not
    drawing, recording = "/figures/" in outcome.err, "/record.json" in outcome.err
    assert (folder / "record.json").exists() == drawing
    if drawing or recording:
        assert (folder / "model.safetensors").exists()
    if number < 5:
        assert not (folder / "model.safetensors").exists()
    if number in {5, 9}:
        assert nelbo("fit", "--resume", "--out", folder, "--quiet").code == 0


def test_a_full_disk_leaves_earlier_files(nelbo, run, monkeypatch):
    before = snapshot(run)
    with monkeypatch.context() as patch:
        fail_at(1, patch)
        assert nelbo("evaluate", run, "--samples", "1", "--quiet").is_refusal("disk is full", "record.json")
        assert nelbo("sample", run, "-n", "4", "--quiet").is_refusal("disk is full")
        assert nelbo("embed", run, "--quiet").is_refusal("disk is full")
        assert nelbo("report", run, "--quiet").is_refusal("disk is full")
    assert snapshot(run) == before


def test_a_limit_of_the_system_on_file_sizes(nelbo, run, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = snapshot(run)
    # the limit would hit the tests' cache of compiled programs too
    least = jax.config.jax_persistent_cache_min_compile_time_secs
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1e9)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
    try:
        outcomes = [
            nelbo("sample", run, "-n", "400", "-o", tmp_path / "x.npy", "--quiet"),
            nelbo("report", run, "-o", tmp_path / "x.html", "--quiet"),
        ]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", least)
    assert all(outcome.is_refusal("disk is full") for outcome in outcomes)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert snapshot(run) == before


def test_divergence_keeps_the_last_good_state(nelbo, tmp_path):
    folder = tmp_path / "run"
    outcome = nelbo(*FIT, "--learning-rate", "1e30", "--optimizer", "sgd", "--out", folder)
    assert outcome.is_refusal("is not finite", "the state of step 0 is kept", code=1)
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step-0000000000.safetensors"]
    assert not (folder / "model.safetensors").exists()
    assert nelbo("evaluate", folder).is_refusal("has no model.safetensors")
