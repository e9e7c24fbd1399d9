"""Posteriors over shared arrays against dense normals.

Statistical tests: |z| < 5 in each coordinate, seeds fixed; about 1000 coordinates, so one seed in 1700 would fail.
"""

import families
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import oracles
import pytest
from families import MEANS, NORMAL, covariance, flat, posterior

from nelbo.bayes import POSTERIORS, PRIORS, KTiedNormal
from nelbo.core import InputError
from nelbo.testing import assert_unbiased

DRAWS = 4000
CASES = [*((name, {}) for name in NORMAL), ("chain", {"axis": 1}), ("k-tied", {"k": 3}), ("low-rank", {"rank": 1})]
IDS = ["-".join([name, *(f"{k}{v}" for k, v in options.items())]) for name, options in CASES]


@jax.jit
def answers(found, value, key):
    """Draws, marginals, log density and cost."""
    draws = jax.vmap(lambda key: found.sample(key, MEANS))(jr.split(key, DRAWS))
    cost = found.cost(jr.clone(key), MEANS, PRIORS["normal"](MEANS, prior_scale=0.8))
    return draws, found.marginals(MEANS), found.log_prob(MEANS, value), cost


@pytest.mark.share(4)
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_a_family_is_its_dense_normal(name, options):
    """Draws have its mean and covariance; density, marginals, entropy and KL are its own."""
    found = posterior(name, **options)
    mean, cov = flat(MEANS), covariance(name, found)
    value = jax.tree.map(lambda leaf: leaf + 0.2, MEANS)
    draws, marginals, log_prob, cost = answers(found, value, jr.key(3))
    rows = np.concatenate([np.asarray(draws[part]).reshape(DRAWS, -1) for part in MEANS], axis=1) - mean
    assert_unbiased(rows, np.zeros(len(mean)), what="the mean")
    assert_unbiased(rows[:, :, None] * rows[:, None], cov, what="the covariance")
    np.testing.assert_allclose(log_prob, oracles.normal_log_density(flat(value), mean, cov), rtol=1e-4)
    np.testing.assert_allclose(np.exp(2 * flat(marginals.log_scale)), np.diag(cov), rtol=1e-4)
    correlation = 0.5 * (np.log(np.diag(cov)).sum() - np.linalg.slogdet(cov)[1])
    np.testing.assert_allclose(marginals.correlation, correlation, atol=2e-5 * len(mean))
    dense = oracles.normal_kl(mean, cov, np.zeros(len(mean)), 0.64 * np.eye(len(mean)))
    np.testing.assert_allclose(cost, dense, rtol=1e-5)


@pytest.mark.share(2)
@pytest.mark.parametrize("name", NORMAL)
def test_a_family_begins_with_the_scale_that_is_wanted(name):
    found = POSTERIORS[name](MEANS, log_scale=-2.0)
    scales = np.exp(flat(found.marginals(MEANS).log_scale))
    np.testing.assert_allclose(scales, np.exp(-2.0), rtol=0.05 if name == "low-rank" else 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 2, 5])
def test_k_tied_scales_begin_at_one_value_whatever_k_and_have_k_times_m_plus_n_numbers(k):
    found = POSTERIORS["k-tied"](MEANS, log_scale=-2.0, k=k)
    np.testing.assert_allclose(found.scales["matrix"](), -2.0, rtol=1e-5)
    sizes = [leaf.size for leaf in jax.tree.leaves(found.scales["matrix"])]
    assert sum(sizes) == k * (3 + 4)
    assert sum(leaf.size for leaf in jax.tree.leaves(found)) == k * (3 + 4) + 4 + 1  # a scale for each other number


def closest(precisions, k, steps=3000):
    """KL(q || N(0, diag(1 / precisions))) of the best k-tied q from its usual start, a constant left out [nats]."""
    mean = {"w": jnp.zeros(precisions.shape)}
    start = POSTERIORS["k-tied"](mean, log_scale=-1.0, k=k)
    adam = optax.adam(optax.cosine_decay_schedule(0.1, steps))

    def divergence(found):
        log_scale = found.log_scales(mean)["w"]
        return (0.5 * precisions * jnp.exp(2 * log_scale) - log_scale).sum()

    def step(carry, _):
        found, state = carry
        updates, state = adam.update(jax.grad(divergence)(found), state)
        return (optax.apply_updates(found, updates), state), None

    with jax.numpy_dtype_promotion("standard"):
        (found, _), _ = jax.lax.scan(step, (start, adam.init(start)), None, steps)
    return float(divergence(found) - (0.5 + 0.5 * jnp.log(precisions)).sum())


def test_k_tied_is_exact_where_the_scales_have_rank_k():
    """Separable precisions (one noise, a scale for each feature and output): k = 1; any others: k = min(m, n)."""
    rows, columns = np.array([0.5, 1.0, 4.0]), np.array([2.0, 0.3])
    separable = jnp.asarray(np.outer(rows, columns), jnp.float32)
    assert abs(closest(separable, 1)) < 1e-4
    mixed = jnp.asarray(np.array([[9.0, 0.2], [0.3, 5.0], [1.0, 1.0]]), jnp.float32)
    assert closest(mixed, 1) > 0.3
    assert abs(closest(mixed, 2)) < 1e-3


def test_k_tied_represents_any_positive_matrix():
    """S = (S V'^-1) V' with V near the identity, so that both factors are positive."""
    scales = np.array([[0.5, 2.0, 1.0], [0.1, 0.7, 3.0]])
    v = np.eye(2) + 0.01 * (1 - np.eye(2))
    u = np.linalg.solve(v, scales).T  # of the transposed matrix: 3 x 2
    assert (u > 0).all()
    tied = POSTERIORS["k-tied"]({"w": jnp.zeros((3, 2))}, k=2).scales["w"]
    exact = type(tied)(jnp.log(jnp.asarray(u, jnp.float32)), jnp.log(jnp.asarray(v, jnp.float32)))
    found = KTiedNormal({"w": exact}).log_scales({"w": jnp.zeros((3, 2))})["w"]
    np.testing.assert_allclose(np.exp(found), scales.T, rtol=1e-5)


def test_chains_are_solved_in_one_pass():
    """The program of a draw has one loop over the axis and no matrix product, however long the chain."""
    long = {"w": jnp.zeros(50)}
    program = str(jax.make_jaxpr(lambda key: POSTERIORS["chain"](long).sample(key, long))(jr.key(0)))
    assert program.count(" scan[") == 1
    assert "dot_general" not in program
    assert "triangular_solve" not in program


def test_impossible_families_are_refused():
    with pytest.raises(InputError, match="k-tied posterior must be at least 1, got 0"):
        POSTERIORS["k-tied"](MEANS, k=0)
    with pytest.raises(InputError, match="low-rank posterior must be at least 1, got 0"):
        POSTERIORS["low-rank"](MEANS, rank=0)
    with pytest.raises(InputError, match="full posterior over 5000 numbers"):
        POSTERIORS["full"]({"w": jnp.zeros(5000)})


def test_every_posterior_has_a_dense_form_here():
    assert set(families.DENSE) == set(POSTERIORS) - {"delta"}
