"""Correlated normals against dense linear algebra in float64, in both precisions."""

import contextlib

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from nelbo.codecs.networks import float64
from nelbo.distributions import (
    CholeskyNormal,
    CorrelatedNormal,
    LowRankNormal,
    Normal,
    RankOneNormal,
    closed_form_kl,
    total_log_prob,
)

FAMILIES = ("rank-one", "low-rank", "full")
TOLERANCE = {jnp.float32: 2e-4, jnp.float64: 1e-9}


def made(family: str, seed: int, size: int, strength: float, dtype=jnp.float32) -> tuple[CorrelatedNormal, np.ndarray]:
    """A distribution, and its covariance by dense inversion in float64."""
    rng = np.random.default_rng(seed)
    loc = jnp.asarray(rng.normal(size=size), dtype)
    precision = np.exp(rng.normal(size=size))
    if family == "full":
        lower = np.tril(strength * rng.normal(size=(size, size)), -1) + np.diag(precision)
        return CholeskyNormal(loc, jnp.asarray(lower, dtype)), lower @ lower.T
    u = strength * rng.normal(size=(size, 1 if family == "rank-one" else 3))
    covariance = np.linalg.inv(np.diag(precision) + u @ u.T)
    if family == "rank-one":
        return RankOneNormal(loc, jnp.asarray(precision, dtype), jnp.asarray(u[:, 0], dtype)), covariance
    return LowRankNormal(loc, jnp.asarray(precision, dtype), jnp.asarray(u, dtype)), covariance


@jax.jit
def facts(normal, deviation):
    return {
        "covariance": normal.covariance,
        "variance": normal.variance,
        "log_det": normal.log_det,
        "norm": normal.squared_norm(deviation),
    }


def precision_of(dtype):
    return float64() if dtype == jnp.float64 else contextlib.nullcontext()


@pytest.mark.share(6)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    size=st.sampled_from([3, 7]),
    strength=st.sampled_from([0.0, 1e-6, 0.3, 2.0]),
)
def test_root_log_det_trace_and_norm_are_those_of_the_dense_covariance(family, dtype, seed, size, strength):
    with precision_of(dtype):
        normal, covariance = made(family, seed, size, strength, dtype)
        deviation = np.random.default_rng(seed + 1).normal(size=size)
        got = facts(normal, jnp.asarray(deviation, dtype))
        assert got["covariance"].dtype == dtype
        close = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype] * np.abs(covariance).max()}
        np.testing.assert_allclose(got["covariance"], covariance, **close)
        np.testing.assert_allclose(got["variance"], np.diag(covariance), **close)
        np.testing.assert_allclose(got["variance"].sum(), np.trace(covariance), **close)
        log_det = np.linalg.slogdet(covariance)[1]
        np.testing.assert_allclose(got["log_det"], log_det, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
        norm = deviation @ np.linalg.solve(covariance, deviation)
        np.testing.assert_allclose(got["norm"], norm, rtol=50 * TOLERANCE[dtype])


@pytest.mark.share(4)
@pytest.mark.parametrize("family", FAMILIES)
def test_log_prob_and_kl_are_the_dense_normals(family):
    with precision_of(jnp.float64):
        q, c_q = made(family, 0, 5, 1.0, jnp.float64)
        p, c_p = made("low-rank", 1, 5, 1.0, jnp.float64)
        value = jnp.asarray(np.random.default_rng(2).normal(size=5))
        dense = scipy.stats.multivariate_normal(np.asarray(q.mean), c_q)
        np.testing.assert_allclose(total_log_prob(q, value), dense.logpdf(np.asarray(value)), rtol=1e-9)
        independent = Normal(jnp.arange(5.0), jnp.linspace(0.5, 2.0, 5))
        standard = Normal(jnp.zeros(5), jnp.ones(5))
        for other, c_other in (
            (p, c_p),
            (independent, np.diag(np.asarray(independent.scale) ** 2)),
            (standard, np.eye(5)),
        ):
            for one, c_one, two, c_two in ((q, c_q, other, c_other), (other, c_other, q, c_q)):
                shift = np.asarray(one.mean - two.mean)
                inverse = np.linalg.inv(c_two)
                log_ratio = np.linalg.slogdet(c_two)[1] - np.linalg.slogdet(c_one)[1]
                exact = 0.5 * (np.trace(inverse @ c_one) + shift @ inverse @ shift - 5 + log_ratio)
                np.testing.assert_allclose(closed_form_kl(one, two), exact, rtol=1e-9)


@pytest.mark.share(2)
@pytest.mark.parametrize("family", FAMILIES)
def test_kl_in_float32_is_good_to_a_hundred_thousandth(family):
    with precision_of(jnp.float64):
        exact = float(closed_form_kl(made(family, 3, 20, 0.7, jnp.float64)[0], Normal(jnp.zeros(20), jnp.ones(20))))
    single = closed_form_kl(made(family, 3, 20, 0.7)[0], Normal(jnp.zeros(20), jnp.ones(20)))
    assert single.dtype == jnp.float32
    assert float(single) == pytest.approx(exact, rel=1e-5)


@pytest.mark.share(2)
@pytest.mark.parametrize("family", FAMILIES)
def test_draws_have_the_stated_mean_and_covariance(family):
    """H0: they do. 4 + 10 z-scores a family, |z| < 5: false alarms under 1e-5 a family; the seed is fixed."""
    normal, covariance = made(family, 4, 4, 1.0)
    count = 40_000
    draws = np.asarray(normal.sample(jr.key(0), (count,)), np.float64) - np.asarray(normal.mean, np.float64)
    z_mean = draws.mean(0) / np.sqrt(np.diag(covariance) / count)
    assert np.abs(z_mean).max() < 5
    spread = np.sqrt((covariance**2 + np.outer(np.diag(covariance), np.diag(covariance))) / count)
    assert np.abs((draws.T @ draws / count - covariance) / spread).max() < 5
    assert normal.sample(jr.key(1)).shape == (4,)


def test_rank_one_is_low_rank_with_one_column_and_smooth_at_zero():
    rank_one, _ = made("rank-one", 5, 6, 0.8)
    low_rank = LowRankNormal(rank_one.loc, rank_one.precision, rank_one.direction[:, None])
    noise = jr.normal(jr.key(0), (6,))
    np.testing.assert_allclose(rank_one.scaled(noise), low_rank.scaled(noise), rtol=1e-5, atol=1e-6)

    def draw(u):
        return RankOneNormal(jnp.zeros(6), jnp.ones(6), u).scaled(noise).sum()

    at_zero = jax.grad(draw)(jnp.zeros(6))
    assert (at_zero == 0).all()  # a stationary point, and finite
    near = jax.grad(draw)(jnp.full(6, 1e-3))
    assert jnp.isfinite(near).all()
    assert (near != 0).any()
