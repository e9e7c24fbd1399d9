"""Widths of a posterior over a model's numbers: told by it, or from squared gradients, against their formulas."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.bayes import shared_parameters
from nelbo.codecs import posterior_widths
from nelbo.core import Example
from nelbo.data import Source
from nelbo.models import build, named_arrays

ROWS, NOISE = 48, 0.5


@pytest.fixture(scope="module")
def linear():
    """A linear regression with known noise, and data of it."""
    arguments = {"shape": [2], "hidden": [], "architecture": "linear", "noise": NOISE}
    model = build(jr.key(0), "regression", arguments)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 2)).astype(np.float32)
    y = (x @ [1.0, -2.0] + 0.3 + NOISE * rng.normal(size=ROWS)).astype(np.float32)[:, None]
    return model, Source(Example(jnp.asarray(y), context=Example(jnp.asarray(x))), "real", dynamic=False), x, y


def test_squared_gradients_of_a_linear_regression(linear):
    """d log p / dw = (y - w'x - b) x / noise^2: all 48 rows are taken, so the widths are exact."""
    model, source, x, y = linear
    found, told = posterior_widths(jr.key(1), model, source)
    assert "Laplace" in told
    arrays = named_arrays(model)
    (weight,) = [name for name in found if arrays[name].size == 2]
    (bias,) = [name for name in found if arrays[name].size == 1]
    residual = (y[:, 0] - x @ arrays[weight].ravel() - arrays[bias].ravel()) / NOISE**2
    for name, slopes in ((weight, residual[:, None] * x), (bias, residual[:, None])):
        prior = (arrays[name].astype(float) ** 2).mean() + 1e-12
        wanted = 1.0 / np.sqrt((slopes.astype(float) ** 2).sum(0) + 1.0 / prior)
        np.testing.assert_allclose(found[name].ravel(), wanted, rtol=1e-4)


def test_a_posterior_tells_its_widths(linear):
    model, source, *_ = linear
    whole = shared_parameters(model, posterior="mean-field", log_scale=-2.0)
    found, told = posterior_widths(jr.key(1), whole, source)
    assert told == "the posterior"
    assert sum(width.size for width in found.values()) == 3
    for width in found.values():
        np.testing.assert_allclose(width, np.exp(-2.0), rtol=1e-6)
    point = shared_parameters(model, posterior="delta")
    assert "Laplace" in posterior_widths(jr.key(1), point, source)[1]


def test_factors_tell_theirs():
    model = build(jr.key(0), "factorization", {"shape": [1], "pairs": [4, 3], "rank": 2})
    scale = model.globals.row_log_scale - 1.0
    model = eqx.tree_at(lambda m: m.globals.row_log_scale, model, scale)
    widths = model.globals.widths(model)
    layer = widths.generative.layers[0]
    np.testing.assert_allclose(layer.rows.mean, jnp.exp(scale), rtol=1e-6)
    np.testing.assert_allclose(widths.globals.column_log_scale, 0.5**0.5, rtol=1e-6)
    assert np.isnan(np.asarray(layer.intercept))
