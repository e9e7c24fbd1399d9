"""A run's model in few bits: there and back, what it cost, and refusals."""

import json
import shutil

import jax
import numpy as np
import pandas as pd
import pytest

from nelbo.models import load_model


def test_a_model_there_and_back(nelbo, run, tmp_path):
    small = tmp_path / "m.nlb"
    told = json.loads(nelbo("compress", run / "model.safetensors", "--loss", "0.3", "-o", small, "--json").out)
    assert told["bytes"] == small.stat().st_size
    assert told["bytes"] < 0.4 * told["gzip_bytes"]
    assert told["gzip_bytes"] < told["model_bytes"] == (run / "model.safetensors").stat().st_size
    assert told["loss"] < 0.6  # asked for on the validation rows, measured on the test set
    assert told["loss"] == pytest.approx(told["before"] - told["after"])
    assert 0 < told["loss_foretold"] < 3.0
    assert json.loads(nelbo("info", small, "--json").out)["quantized_numbers"] == told["weights"]
    out = tmp_path / "back.safetensors"
    assert nelbo("decompress", small, "-o", out).code == 0
    assert load_model(out).spec == load_model(run / "model.safetensors").spec
    shutil.copy(out, run / "model.safetensors")  # a run's model again, which all commands take
    assert nelbo("evaluate", run, "--samples", "2").code == 0


def test_refusals(nelbo, run, tmp_path):
    model = run / "model.safetensors"
    assert nelbo("compress", model, "--loss", "0").is_refusal("above zero")
    assert nelbo("compress", model, "--quality", "5").is_refusal("--loss")
    assert nelbo("compress", run, "--loss", "1").is_refusal("--loss is for models")
    assert nelbo("compress", model, "-o", "a.npy").is_refusal("ends in .nlb")
    shutil.copy(model, tmp_path / "model.safetensors")
    assert nelbo("compress", tmp_path / "model.safetensors").is_refusal("RUN/model.safetensors")
    small = tmp_path / "m.nlb"
    small.write_bytes(b"\x93NELBO\r\n\x04\x00" + bytes(40))
    assert nelbo("decompress", small, "-o", tmp_path / "a.safetensors").is_refusal("damaged")
    assert nelbo("decompress", small, "-o", tmp_path / "a.npy").is_refusal("ends in .safetensors")
    assert nelbo("decompress", small, "--model", run, "-o", tmp_path / "a.npy").is_refusal("leave them out")
    assert not list(tmp_path.glob("a.*"))


@pytest.mark.slow
def test_factors_with_a_posterior_there_and_back(nelbo, tmp_path):
    """Tables of factors are arrays whose posterior brings the widths."""
    rng = np.random.default_rng(0)
    cells = np.sort(rng.permutation(400)[:300])
    marks = np.clip(np.rint(3.0 + 1.2 * rng.normal(size=20)[cells % 20] + 0.5 * rng.normal(size=300)), 1, 5)
    pd.DataFrame({"student": cells // 20, "lecturer": cells % 20, "mark": marks}).to_csv(
        tmp_path / "m.csv", index=False
    )
    line = ("--columns", "student,lecturer,mark", "--rank", "1", "--epochs", "60", "--quiet", "--no-figures")
    fitted = nelbo("fit", "factorization", "--data", tmp_path / "m.csv", "--out", tmp_path / "run", *line)
    assert fitted.code == 0, fitted.err
    model, small = tmp_path / "run" / "model.safetensors", tmp_path / "m.nlb"
    with jax.debug_key_reuse(False):  # all parts of the pairs are scored at the same draws of the factors
        told = json.loads(nelbo("compress", model, "--loss", "0.3", "-o", small, "--json").out)
    assert told["bytes"] == small.stat().st_size < told["model_bytes"]
    assert told["weights"] >= 40  # a number for each row and column at least
    assert told["loss"] < 0.6
    assert nelbo("decompress", small, "-o", tmp_path / "back.safetensors").code == 0
    assert load_model(tmp_path / "back.safetensors").spec == load_model(model).spec


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lda", "gp-vae"])
def test_models_without_widths_are_refused(nelbo, tmp_path, name):
    if name == "lda":
        words = ("--data", "bars", "--topics", "2", "--batch-size", "50")
    else:
        x = np.random.default_rng(0).normal(size=240)
        table = {"station": np.repeat([0, 1, 2, 3], 60), "when": np.tile(np.arange(60), 4), "x": x}
        pd.DataFrame(table).to_csv(tmp_path / "d.csv", index=False)
        words = ("--data", tmp_path / "d.csv", "--columns", "id=station,time=when", "--window", "12", "--latents", "1")
    fitted = nelbo("fit", name, *words, "--out", tmp_path / "run", "--epochs", "1", "--quiet", "--no-figures")
    assert fitted.code == 0, fitted.err
    told = nelbo("compress", tmp_path / "run" / "model.safetensors", "-o", tmp_path / "m.nlb")
    assert told.is_refusal("is not quantized")
    assert not (tmp_path / "m.nlb").exists()
