"""Posteriors with correlations against Bayesian linear regression, whose exact posterior they contain.

Laws of `check_objective`: |z| < 5 in each of about 40 coordinates; seeds fixed, one in 40,000 would fail.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import oracles
import pytest
import zoo
from families import bidiagonal
from test_shared_parameters import NOISE, PRIOR, D, N, Regression, rows

from nelbo.bayes import WithGlobals, shared_parameters
from nelbo.data import Split, source
from nelbo.nets import Frozen, trainable
from nelbo.objectives import MaximumLikelihood, Sgvb
from nelbo.testing import check_objective
from nelbo.training import fit, optimizer


def problem():
    """Every row has two neighbouring features, so the exact precision is tridiagonal: a chain."""
    rng = np.random.default_rng(0)
    X = np.where(np.arange(N)[:, None] % 2 == 0, [1.0, 1.0, 0.0], [0.0, 1.0, 1.0]) * rng.normal(1.0, 0.5, size=(N, D))
    y = X @ np.array([1.0, -0.5, 0.3]) + NOISE * rng.normal(size=N)
    return oracles.BayesianRegression(X, y, NOISE, PRIOR)


def model(name):
    start = Regression(jnp.zeros(D), Frozen(jnp.zeros(2)))
    return shared_parameters(start, posterior=name, prior_scale=PRIOR, log_scale=-2.0)


def numbers(name, mean, cov):
    """The model whose posterior is N(mean, cov)."""
    found = eqx.tree_at(lambda m: m.theta, model(name), jnp.asarray(mean, jnp.float32))
    if name == "full":
        factor = np.linalg.cholesky(cov)
        places = lambda m: (m.globals.posterior.log_diagonal, m.globals.posterior.below)  # noqa: E731
        new = (np.log(np.diag(factor)), factor)
    else:
        factor = np.linalg.cholesky(np.linalg.inv(cov)).T  # upper, and bidiagonal where the precision is tridiagonal
        np.testing.assert_allclose(factor, bidiagonal(np.log(np.diag(factor)), np.diag(factor, 1)), atol=1e-9)
        places = lambda m: (m.globals.posterior.chains.theta.log_diagonal, m.globals.posterior.chains.theta.above)  # noqa: E731
        new = (np.log(np.diag(factor)), np.diag(factor, 1))
    return eqx.tree_at(places, found, tuple(jnp.asarray(value, jnp.float32) for value in new))


@pytest.mark.share(2)
@pytest.mark.parametrize("name", ["full", "chain"])
def test_at_the_exact_posterior_the_bound_is_the_evidence_and_its_gradient_vanishes(name):
    exact = problem()
    at_best = numbers(name, *exact.posterior())
    check_objective(
        WithGlobals(MaximumLikelihood(), num_data=N),
        at_best,
        jnp.asarray(rows(exact)),
        jr.key(1),
        exact_bound=exact.log_evidence() / N,
        exact_gradient=jax.tree.map(jnp.zeros_like, eqx.filter(at_best, trainable(at_best))),
        draws=2000,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["full", "chain"])
def test_training_reaches_the_exact_posterior(name):
    """KL from the trained posterior to the exact one, below 0.01 nats."""
    exact, steps = problem(), 20_000
    adam = optimizer("adam", learning_rate=0.005, schedule="cosine", steps=steps)
    length = {"steps": steps, "evaluate_every": steps, "chunk": steps}
    with jax.numpy_dtype_promotion("standard"):
        result = fit(
            jr.key(0), model(name), WithGlobals(MaximumLikelihood(), num_data=N), source(Split(rows(exact)), "real"),
            adam, batch_size=N, keep="last", **length,
        )  # fmt: skip
    found = result.model.globals.posterior
    if name == "full":
        factor = np.asarray(found.factor(), np.float64)
        cov = factor @ factor.T
    else:
        factor = bidiagonal(found.chains.theta.log_diagonal, found.chains.theta.above)
        cov = np.linalg.inv(factor.T @ factor)
    assert oracles.normal_kl(np.asarray(result.model.theta, np.float64), cov, *exact.posterior()) < 0.01


@pytest.mark.slow  # the exact gradients above are of the same objective
def test_the_laws_of_objectives_hold_with_latents_and_drawn_scales():
    """A random scale for every parameter: the cost is an estimate, and counts once a data set."""
    case = zoo.tiny_vae()
    shared = shared_parameters(case.model, posterior="k-tied", prior="horseshoe", prior_scale=0.5)
    check_objective(WithGlobals(Sgvb("B"), num_data=50), shared, case.batch, jr.key(2), draws=500)
