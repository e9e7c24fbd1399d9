"""The scripts that the tutorials show, at toy size."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def script(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_script_is_run_here():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {
        "compress_a_folder",
        "fill_in_a_table",
        "novelty_in_a_table",
    }


@pytest.mark.slow
def test_fill_in_a_table(tmp_path, capsys):
    script("fill_in_a_table").main(["--rows", "60", "--epochs", "2", "--draws", "3", "--out", str(tmp_path)])
    gaps, filled = (pd.read_csv(tmp_path / name) for name in ("diabetes.csv", "filled.csv"))
    assert gaps.isna().to_numpy().any()
    assert not filled.isna().to_numpy().any()
    pd.testing.assert_frame_equal(filled.mask(gaps.isna()), gaps, check_dtype=False)
    assert "pooled             60 rows" in capsys.readouterr().out


def test_novelty_in_a_table(tmp_path, capsys):
    script("novelty_in_a_table").main(["--rows", "120", "--epochs", "2", "--out", str(tmp_path)])
    scores, new = (pd.read_csv(tmp_path / name) for name in ("scores.csv", "new.csv"))
    assert list(scores["id"]) == list(new["id"])
    assert scores["p-value"].between(0, 1).all()
    assert float(capsys.readouterr().out.split()[1]) > 0.5


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compress_a_folder(tmp_path, capsys):
    script("compress_a_folder").main(["--size", "64", "--quality", "30", "--out", str(tmp_path)])
    *_, png, jpeg, nelbo = capsys.readouterr().out.split("all")[1].split()
    assert int(nelbo) < int(jpeg) < int(png)
