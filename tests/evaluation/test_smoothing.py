"""Bias and variance of averaged statistics against their definitions and an exact sampling variance."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.core import InputError
from nelbo.evaluation import smoothing_error
from nelbo.evaluation.smoothing import _path, _window_means
from nelbo.models import gaussian_mixture, lda


def documents():
    rng = np.random.default_rng(0)
    topics = rng.dirichlet(np.full(12, 0.2), 3)
    return np.stack([rng.multinomial(20, p) for p in rng.dirichlet(np.full(3, 0.2), 60) @ topics]).astype(np.float32)


def test_a_window_trades_variance_for_bias():
    """A synthetic corpus: the best window is neither the shortest nor the longest."""
    model = lda(jr.key(1), (12,), topics=3)
    options = {"windows": [1, 2, 4, 8, 16, 32, 64], "batch_size": 4, "steps": 100, "rate": 0.05}
    table = smoothing_error(jr.key(0), model, documents(), **options)
    totals = [row["total"] for row in table]
    assert table[0]["bias^2"] < 1e-20
    assert 0 < int(np.argmin(totals)) < len(totals) - 1
    assert table[-1]["bias^2"] > table[1]["bias^2"] > 0
    variances = [row["variance"] for row in table]
    assert variances == sorted(variances, reverse=True)
    for row in table:  # (a + b)^2 <= 2 a^2 + 2 b^2, and on average no more than the sum and the cross term
        assert row["total"] <= (np.sqrt(row["bias^2"]) + np.sqrt(row["variance"])) ** 2 + 1e-9


def test_the_variance_of_a_model_without_latents_is_that_of_sampling():
    """One component: the statistics are the rows, on any path; their variance is that of sampling rows."""
    rows = np.random.default_rng(2).normal(size=(50, 1)).astype(np.float32)
    model = gaussian_mixture(jr.key(0), (1,), components=1, noise=1.0)
    keys = jr.split(jr.key(3), 4000)
    some, every = (
        np.asarray(v, np.float64) for v in _path(model.globals, rows, keys, jnp.asarray(0.1, jnp.float32), 5)
    )
    np.testing.assert_allclose(every[:, 1], rows.sum(), rtol=1e-4)
    for window in (1, 4):
        noise = _window_means(some[:, 1:2] - every[:, 1:2], window)[::window]
        want = 50**2 * rows.var() / (5 * window)
        # a chi-square over 4000 / window nearly normal draws: 5 standard errors, one failure in 1.7 million
        assert abs((noise**2).mean() / want - 1) < 5 * np.sqrt(2.5 * window / 4000)


def test_a_path_shorter_than_its_window_is_refused():
    with pytest.raises(InputError, match="shorter than the path"):
        smoothing_error(jr.key(0), lda(jr.key(0), (3,)), jnp.ones((4, 3)), windows=[9], batch_size=2, steps=9, rate=0.1)
