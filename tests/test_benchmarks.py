"""What benchmarks share with the library still fits it; their times are nobody's test."""

import importlib
import sys
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

import nelbo
from nelbo.data import Split, source
from nelbo.models import vae
from nelbo.objectives import Sgvb

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
USERS = ("aevb_nelbo", "bayes_jax", "covariances", "factorization", "nvil")


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


@pytest.mark.slow
def test_blocks_of_steps_are_those_of_fit() -> None:
    """Two blocks of a benchmark leave the model that `nelbo.fit` leaves after as many steps."""
    from stepping import Stepping

    rows = source(Split(np.random.default_rng(0).integers(0, 2, (20, 8), np.uint8)), "binary")
    model, rule = vae(jax.random.key(0), (8,), latents=2, hidden=(4,)), optax.sgd(0.1)
    steps = Stepping(jax.random.key(1), model, Sgvb("B"), rows, rule, batch=10, chunk=2)
    taken = steps.advance(1) + steps.advance(1)
    fitted = nelbo.fit(jax.random.key(1), model, Sgvb("B"), rows, rule, steps=taken, batch_size=10).model
    for ours, theirs in zip(jax.tree.leaves(steps.model), jax.tree.leaves(fitted), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert not np.array_equal(jax.tree.leaves(fitted)[0], jax.tree.leaves(model)[0])
    assert np.isfinite(steps.bound)


@pytest.mark.parametrize("name", USERS)
def test_only_one_file_of_benchmarks_reaches_into_the_loop(name: str) -> None:
    """A change of the loop breaks `stepping`, which the test above runs, and nothing that no test runs."""
    assert "training.loop" not in (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert "stepping" in (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    sys.modules.pop(name, None)
    importlib.import_module(name)
