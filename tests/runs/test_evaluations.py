"""Every number says what it is; the exact one is there for the models that have it."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.core import InputError
from nelbo.data import Data, Schema, Split, source
from nelbo.models import build
from nelbo.runs import EVALUATIONS, evaluation, result_row

X = np.random.default_rng(0).normal(size=(700, 3)).astype(np.float32)


def scored(model, name: str, observed: np.ndarray | None = None):
    data = Data("x", {"test": Split(X, observed=observed)}, Schema((3,), "real"))
    found = evaluation(name).score(jr.key(1), model, source(data.test, data), num_samples=5)
    return found, result_row(found, name, "test", data, model)


@pytest.mark.slow
def test_the_exact_number_is_the_density_of_a_normal():
    model = build(jr.key(0), "linear", {"shape": [3], "latents": 2})
    observed = np.random.default_rng(1).random(X.shape) < 0.8
    found, row = scored(model, "exact", observed)
    dense = model.generative.layers[0]
    head = dense((jnp.zeros(2),), None)
    weight = np.stack([np.asarray(dense((jnp.eye(2)[i],), None).mean - head.mean) for i in range(2)], 1)
    mean, cov = np.asarray(head.mean), weight @ weight.T + np.diag(np.broadcast_to(np.asarray(head.variance), 3))
    expected = []
    for x, seen in zip(X.astype(float), observed, strict=True):
        d, c = (x - mean)[seen], cov[np.ix_(seen, seen)]
        expected.append(-0.5 * (d @ np.linalg.solve(c, d) + np.linalg.slogdet(2 * np.pi * c)[1]) if seen.any() else 0.0)
    np.testing.assert_allclose(found.per_example, expected, rtol=1e-4, atol=1e-4)
    assert (row["kind"], row["standard_error"]) == ("exact", 0.0)
    assert row["spread"] == pytest.approx(np.std(expected, ddof=1) / np.sqrt(700), rel=1e-3)
    assert row["bits_per_dim"] == pytest.approx(-np.sum(expected) / np.log(2) / observed.sum(), rel=1e-4)
    lower, lower_row = scored(model, "elbo", observed)
    assert lower_row["kind"] == "lower"
    assert lower.nats < found.nats


@pytest.mark.slow
def test_a_bound_of_a_model_without_latents_is_exact():
    model = build(jr.key(0), "mixture", {"shape": [3], "components": 2})
    data = Data("x", {"test": Split((X > 0).astype(np.uint8))}, Schema((3,), "binary"))
    rows = source(data.test, data)
    for name in set(EVALUATIONS) - {
        "posterior",
        "predictive",
        "ais",
        "hmc",
    }:  # of conjugate models, of pairs, of latents alone
        found = evaluation(name).score(jr.key(1), model, rows, num_samples=5)
        row = result_row(found, name, "test", data, model)
        assert row["kind"] == "exact"
        each = jax.vmap(model.log_prob)(jnp.asarray(data.test.x, jnp.float32))
        np.testing.assert_allclose(found.per_example, np.asarray(each), rtol=1e-5)


def test_no_exact_number_of_a_deep_network():
    model = build(jr.key(0), "vae", {"shape": [3], "latents": 2, "hidden": [2], "likelihood": "gaussian"})
    with pytest.raises(InputError, match="no closed form"):
        scored(model, "exact")
    with pytest.raises(InputError, match="bound"):
        evaluation("elbow")
