"""Full variational Bayes against Bayesian linear regression, where everything is known."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import oracles
import pytest
from jax.scipy.stats import norm

from nelbo.bayes import WithGlobals, shared_parameters
from nelbo.core import InputError, as_example
from nelbo.data import Split, source
from nelbo.nets import Frozen
from nelbo.objectives import MaximumLikelihood
from nelbo.testing import assert_unbiased, check_objective
from nelbo.training import fit, optimizer

NOISE, PRIOR, N, D = 0.5, 2.0, 40, 3


class Regression(eqx.Module):
    """log p(y | features), an example being (features, y); a shift that is not trained, of zeros."""

    theta: jax.Array
    shift: Frozen
    globals: Any = None
    depth: ClassVar[int] = 0

    def log_prob(self, x):
        x = as_example(x).values
        return norm.logpdf(x[-1], x[:-1] @ self.theta + self.shift().sum(), NOISE)


def problem():
    rng = np.random.default_rng(0)
    mixing = np.array([[1.0, 0.6, 0.0], [0.0, 0.8, -0.5], [0.3, 0.0, 1.0]])
    X = rng.normal(size=(N, D)) @ mixing
    y = X @ np.array([1.0, -0.5, 0.3]) + NOISE * rng.normal(size=N)
    return oracles.BayesianRegression(X, y, NOISE, PRIOR)


def rows(exact):
    return np.concatenate([exact.X, exact.y[:, None]], axis=1).astype(np.float32)


def posterior_at(mean, log_scale):
    model = Regression(jnp.asarray(mean, jnp.float32), Frozen(jnp.zeros(2)))
    shared = shared_parameters(model, prior_scale=PRIOR, log_scale=-4.0)
    return eqx.tree_at(scales, shared, jnp.asarray(log_scale, jnp.float32))


def scales(model):
    return model.globals.posterior.log_scale.theta


def test_the_oracle_obeys_its_own_theory():
    """Full covariance: the ELBO is the evidence. The mean-field optimum is a maximum over independent normals."""
    exact = problem()
    assert exact.elbo(*exact.posterior()) == pytest.approx(exact.log_evidence())
    mean, precision = exact.mean_field()
    best = exact.elbo(mean, np.diag(1 / precision))
    packed = np.concatenate([mean, -0.5 * np.log(precision)])
    slope = oracles.gradient(lambda v: exact.elbo(v[:D], np.diag(np.exp(2 * v[D:]))), packed)
    np.testing.assert_allclose(slope, 0.0, atol=1e-6)
    assert best < exact.log_evidence()


def test_kl_and_samples_are_those_of_the_normal():
    mean, log_scale = np.array([0.3, -1.0, 2.0]), np.array([-1.0, 0.2, -3.0])
    weights = posterior_at(mean, log_scale)
    exact = oracles.normal_kl(mean, np.diag(np.exp(2 * log_scale)), np.zeros(D), PRIOR**2 * np.eye(D))
    assert float(weights.globals.cost(jr.key(5), weights)) == pytest.approx(exact, rel=1e-5)
    drawn = jax.vmap(lambda k: weights.globals.sample(k, weights))(jr.split(jr.key(0), 10_000))
    theta = np.asarray(drawn.theta, np.float64)
    np.testing.assert_array_equal(drawn.shift.value, 0.0)
    assert_unbiased(theta, mean, what="E theta")
    assert_unbiased((theta - mean) ** 2, np.exp(2 * log_scale), what="Var theta")


@pytest.mark.share(2)
@pytest.mark.parametrize("shared", [True, False])
def test_bound_and_gradient_are_exact_on_average(shared):
    """H0: the mean over draws is the exact ELBO / N and its exact gradient, |z| < 5 in each of 6 coordinates."""
    exact = problem()
    mean, log_scale = np.array([0.5, 0.2, -0.4]), np.array([-1.5, -2.0, -1.0])

    def elbo(packed):
        return exact.elbo(packed[:D], np.diag(np.exp(2 * packed[D:]))) / N

    packed = np.concatenate([mean, log_scale])
    slope = oracles.gradient(elbo, packed)
    weights = posterior_at(mean, log_scale)
    tree = jax.tree.map(lambda leaf: None if leaf.shape == (2,) else leaf, weights)
    tree = eqx.tree_at(lambda m: (m.theta, scales(m)), tree, (slope[:D], slope[D:]))
    check_objective(
        WithGlobals(MaximumLikelihood(), num_data=N, one_draw=shared),
        weights,
        jnp.asarray(rows(exact)),
        jr.key(1),
        exact_bound=elbo(packed),
        exact_gradient=tree,
    )


def test_a_batch_of_any_size_gives_the_same_mean_gradient_of_the_cost():
    """The parameters' cost is divided by N and not by the batch: with no data term its gradient is exact at once."""

    class Silent(MaximumLikelihood):
        def bounds(self, key, model, batch):
            return super().bounds(key, model, batch) * 0.0

    weights = posterior_at([0.5, 0.2, -0.4], [-1.5, -2.0, -1.0])
    for size in (1, 7):
        objective = WithGlobals(Silent(), num_data=N)
        state = objective.init(jr.key(1), weights)
        loss, _ = objective(jr.key(0), weights, jnp.ones((size, D + 1)), state)
        assert float(loss.surrogate) == pytest.approx(float(weights.globals.cost(jr.key(5), weights)) / N, rel=1e-6)


@pytest.mark.slow
@pytest.mark.share(2)
@pytest.mark.parametrize("shared", [True, False])
def test_training_reaches_the_exact_mean_field_optimum(shared):
    """Means within 0.1 of a posterior standard deviation, precisions within 5 %."""
    exact = problem()
    steps = 30_000
    model = shared_parameters(Regression(jnp.zeros(D), Frozen(jnp.zeros(2))), prior_scale=PRIOR, log_scale=-3.0)
    objective = WithGlobals(MaximumLikelihood(), num_data=N, one_draw=shared)
    data = source(Split(rows(exact)), "real")
    adam = optimizer("adam", learning_rate=0.002, schedule="cosine", steps=steps)
    length = {"steps": steps, "evaluate_every": steps, "chunk": steps}
    with jax.numpy_dtype_promotion("standard"):  # optax mixes floats with its integer step count
        result = fit(jr.key(0), model, objective, data, adam, batch_size=N, keep="last", **length)
    mean, precision = exact.mean_field()
    got = np.asarray(result.model.theta, np.float64)
    np.testing.assert_allclose((got - mean) * np.sqrt(precision), 0.0, atol=0.1)
    np.testing.assert_allclose(np.exp(-2 * np.asarray(scales(result.model))), precision, rtol=0.05)
    np.testing.assert_array_equal(result.model.shift.value, 0.0)


def test_impossible_settings_are_refused():
    model = Regression(jnp.zeros(D), Frozen(jnp.zeros(2)))
    with pytest.raises(InputError, match="at least 1, got 0"):
        WithGlobals(MaximumLikelihood(), num_data=0)
    with pytest.raises(InputError, match="positive standard deviation"):
        shared_parameters(model, prior_scale=0.0)
    with pytest.raises(InputError, match="a model with globals"):
        WithGlobals(MaximumLikelihood(), num_data=3).init(jr.key(0), model)
    with pytest.raises(InputError, match="choice of shared parameters"):
        shared_parameters(model, where="somewhere")
