"""Refined posteriors against exact ones, and what refinement promises: no example's bound falls."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import oracles
import pytest
import zoo

from nelbo.core import Example, InputError
from nelbo.models import Model, linear, refined, sbn
from nelbo.testing import assert_below

X = jr.normal(jr.key(2), (3, 4))
OBSERVED = jnp.array([[True, True, False, True], [True, False, False, True], [True, True, True, True]])
BATCH = Example(jnp.where(OBSERVED, X, 0.0), OBSERVED)


@pytest.mark.slow
@pytest.mark.parametrize("posterior", ["full", pytest.param("diagonal", marks=pytest.mark.slow)])
def test_steps_end_at_the_exact_posterior_also_with_missing_entries(posterior):
    """Of independent normals the best has the exact mean and the reciprocals of the posterior precision's diagonal."""
    model = zoo.randomized(linear(jr.key(0), (4,), latents=2, posterior=posterior), jr.key(1))
    oracle = oracles.LinearGaussian([zoo.affine(model.generative.layers[0])])
    better = refined(model, 300)

    @jax.jit
    def moments(x):
        part = better.posterior(x).part(0, ())
        return part.mean, part.covariance if posterior == "full" else jnp.diag(part.variance)

    means, covariances = jax.vmap(moments)(BATCH)
    for x, observed, mean, covariance in zip(X, OBSERVED, means, covariances, strict=True):
        exact, wanted = oracle.posterior(np.asarray(x, np.float64), np.asarray(observed))
        if posterior == "diagonal":
            wanted = np.diag(1.0 / np.diag(np.linalg.inv(wanted)))
        # of independent normals q is not the posterior, so the gradient of their scales has noise to the end
        tolerance = 2e-3 if posterior == "full" else 3e-2
        np.testing.assert_allclose(mean, exact, atol=tolerance)
        np.testing.assert_allclose(covariance, wanted, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("case", [zoo.linear_stack, pytest.param(zoo.tiny_hvae, marks=pytest.mark.slow)])
def test_no_bound_falls_nor_passes_the_evidence_in_hierarchies(case):
    """In 4000 draws for each example; a seed fails by chance once in a million."""
    case = case()

    def bounds(model: Model, x):
        posterior = model.posterior(x)
        return jax.vmap(lambda k: model.draw(k, x, posterior=posterior).log_w)(jr.split(jr.key(5), 4000))

    before, after = (
        np.asarray(jax.jit(jax.vmap(lambda x, m=model: bounds(m, x)))(case.batch)).T
        for model in (case.model, refined(case.model, 50))
    )
    assert_below(before - after, 0.0, what="the bound before")
    assert (after - before).mean() > 0.1
    if case.log_evidence is not None:
        assert_below(after, [case.log_evidence(case.model, x) for x in case.examples])


def test_what_cannot_be_refined_is_refused():
    with pytest.raises(InputError, match="normal posterior"):
        refined(sbn(jr.key(0), (4,), layers=(2,)), 5)
    with pytest.raises(InputError, match="at least 1 step"):
        refined(zoo.linear_gaussian().model, 0)
    with pytest.raises(InputError, match="latents"):
        refined(zoo.tiny_nade().model, 5)
    with pytest.raises(InputError, match="generative"):
        refined(zoo.linear_gaussian().model, 5).recognition(X[0])
