"""A run's model in few bits: there and back, what it cost, and refusals."""

import json
import shutil

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
