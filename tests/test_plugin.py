"""A package of a user's own: installed, it is found by its entry point, and its parts do all that nelbo's do."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nelbo
from nelbo.core import InputError, Registry, using
from nelbo.data import NamedData, data_from_arrays, load, names
from nelbo.models import Family, build, families, likelihoods, vae

ROOT = Path(__file__).parents[1]
STEPS = """
import sys
from nelbo.cli import main

def run(*words):
    print("$", *words)
    assert main([*words, "--quiet"]) == 0, words

run("fit", "skip", "--data", "waves", "--likelihood", "geometric", "--objective", "free-bits", "--objective-set",
    "floor=0.5", "--epochs", "3", "--set", "hidden=[6]", "--out", "run", "--no-figures")
run("evaluate", "run", "--bound", "iwae", "--samples", "20")
run("sample", "run", "-n", "3", "-o", "samples.npy")
run("embed", "run", "-o", "z.npy")
run("impute", "run", "--hide", "0.3", "--steps", "4", "--draws", "3", "-o", "filled.npz")
run("compress", "run", "-o", "waves.nlb", "--self-contained")
run("decompress", "waves.nlb", "-o", "back.npy")
run("models", "list")
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The example package, installed into a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    command = [*pip, "--disable-pip-version-check", "--target", str(folder), str(ROOT / "examples" / "waves")]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return folder


@pytest.mark.slow
def test_its_parts_train_save_load_score_fill_in_and_compress(installed, tmp_path):
    import os

    path = os.pathsep.join([str(installed), str(Path(nelbo.__file__).parents[1])])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", STEPS], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skip" in done.stdout
    sys.path.insert(0, str(installed))
    try:
        from nelbo_waves import REGISTRY

        with using(REGISTRY):
            np.testing.assert_array_equal(np.load(tmp_path / "back.npy"), load("waves").test.x)
    finally:
        sys.path.remove(str(installed))
    assert np.load(tmp_path / "z.npy").shape == (50, 2)
    assert np.load(tmp_path / "samples.npy").min() >= 0


def made():
    return data_from_arrays("made", {"train": np.eye(4, dtype=np.uint8)})


def test_a_registry_is_a_value_and_holds_where_it_is_used():
    mine = Registry(models={"mine": Family(vae)}, datasets={"made": NamedData("four rows", made)})
    with using(mine):
        assert "mine" in families()
        assert load("made").train.x.shape == (4, 4)
        with using(Registry(datasets={"other": NamedData("the same", made)})):
            assert {"made", "other"} <= set(names())
    assert "mine" not in families()
    assert "made" not in names()
    with pytest.raises(InputError, match="Unknown model 'mine'"):
        build(nelbo_key(), "mine", {"shape": [4]})


def nelbo_key():
    import jax.random as jr

    return jr.key(0)


def test_a_name_that_is_taken_is_refused():
    with using(Registry(models={"vae": Family(vae)})), pytest.raises(InputError, match="two models called 'vae'"):
        families()
    with pytest.raises(InputError, match="two likelihoods called 'x'"):
        Registry(likelihoods={"x": 1}) | Registry(likelihoods={"x": 2})
    assert "bernoulli" in likelihoods()
