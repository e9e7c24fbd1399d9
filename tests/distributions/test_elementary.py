"""Null hypotheses are stated at each statistical test; seeds are fixed."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from nelbo.distributions import (
    Bernoulli,
    BetaBinomial,
    Categorical,
    DiscretizedLogistic,
    Normal,
    closed_form_kl,
    total_log_prob,
)

LEVELS = jnp.arange(256.0)
log_prob = eqx.filter_jit(lambda made, x: made.log_prob(x))
sample = eqx.filter_jit(lambda made, key, shape: made.sample(key, shape))
kl = eqx.filter_jit(closed_form_kl)


def test_bernoulli_is_exact_at_extreme_logits():
    logits = jnp.array([-1e4, -100.0, -1.0, 0.0, 1.0, 100.0, 1e4])
    ones, zeros = (log_prob(Bernoulli(logits), jnp.full(7, value)) for value in (1.0, 0.0))
    exact = -np.logaddexp(0.0, -np.asarray(logits, np.float64))
    np.testing.assert_allclose(ones, exact, rtol=1e-6, atol=1e-37)
    np.testing.assert_allclose(zeros, exact[::-1], rtol=1e-6, atol=1e-37)
    slopes = jax.jit(jax.grad(lambda a: Bernoulli(a).log_prob(jnp.ones(7)).sum()))(logits)
    np.testing.assert_allclose(slopes, scipy.special.expit(-np.asarray(logits, np.float64)), rtol=1e-5, atol=1e-30)


def test_bernoulli_samples_are_float_zeros_and_ones_with_the_right_mean():
    """H0: the mean is sigmoid(a). |z| < 5: one coordinate in 1.7 million fails by chance."""
    logits = jnp.array([-1e4, -2.0, 0.0, 1.0, 1e4])
    n = 20_000
    drawn = sample(Bernoulli(logits), jr.key(0), (n,))
    assert drawn.dtype == jnp.float32
    assert set(np.unique(drawn)) == {0.0, 1.0}
    p = np.asarray(Bernoulli(logits).mean, np.float64)
    assert (np.abs(np.asarray(drawn).mean(0) - p) <= 5 * np.sqrt(p * (1 - p) / n)).all()


@settings(deadline=None, max_examples=40)
@given(st.floats(-50, 300), st.floats(-3, 6))
def test_discretized_logistic_sums_to_one(loc, log_scale):
    loc, scale = jnp.full(256, loc, jnp.float32), jnp.full(256, np.exp(log_scale), jnp.float32)
    log_p = log_prob(DiscretizedLogistic(loc, scale), LEVELS)
    assert np.exp(np.asarray(log_p, np.float64)).sum() == pytest.approx(1.0, abs=2e-4)


def test_discretized_logistic_equals_the_difference_of_distribution_functions_in_float64():
    loc, scale = 93.3, 4.7
    made = DiscretizedLogistic(jnp.full(256, loc), jnp.full(256, scale))
    cdf = scipy.stats.logistic(loc, scale).cdf
    edges = np.concatenate([[0.0], cdf(np.arange(255) + 0.5), [1.0]])
    middle = slice(40, 150)  # where the float64 difference itself is exact
    np.testing.assert_allclose(log_prob(made, LEVELS)[middle], np.log(np.diff(edges))[middle], rtol=1e-4)
    ends = [scipy.stats.logistic(loc, scale).logcdf(0.5), scipy.stats.logistic(loc, scale).logsf(254.5)]
    np.testing.assert_allclose(log_prob(made, LEVELS)[jnp.array([0, 255])], ends, rtol=1e-4)


@pytest.mark.parametrize(("loc", "scale"), [(93.3, 4.7), (-3.0, 6.0), (255.0, 0.3)])
def test_discretized_logistic_samples_follow_its_masses(loc, scale):
    """H0: the counts are multinomial with the stated masses. Pearson's chi-square; p > 1e-6 (the false-alarm rate)."""
    n = 50_000
    made = DiscretizedLogistic(jnp.asarray(loc), jnp.asarray(scale))
    drawn = np.asarray(sample(made, jr.key(1), (n,)))
    counts = np.bincount(drawn.astype(int), minlength=256)
    flat = DiscretizedLogistic(jnp.full(256, loc), jnp.full(256, scale))
    assert _chi_square(counts, np.exp(np.asarray(log_prob(flat, LEVELS), np.float64))) > 1e-6


@pytest.mark.parametrize("scale", [0.1, 0.5, 1.0, 4.0, 60.0, 5000.0])
def test_the_mean_of_a_discretized_logistic_is_that_of_its_masses(scale):
    locs = np.array([-300.0, -3.0, 0.0, 0.3, 1.5, 93.25, 127.5, 200.75, 254.6, 255.0, 258.0, 2000.0], np.float32)
    levels = np.arange(1, 256)
    # the mean of a whole number is the sum of P(k or more) over k = 1 ...
    exact = scipy.stats.logistic.cdf((locs[:, None].astype(float) - levels + 0.5) / scale).sum(1)
    found = np.asarray(DiscretizedLogistic(jnp.asarray(locs), jnp.full(locs.shape, scale, jnp.float32)).mean)
    rounding = 2e-7 * max(scale, 255.0)
    stated = 1.0 / (85.0 * scale) if scale >= 0.5 else 0.5
    assert (np.abs(found - exact) <= stated + rounding).all()
    if scale == 60.0:
        assert exact[2] > 40  # where the clipped location is zero


def _chi_square(counts, masses):
    expected = counts.sum() * masses / masses.sum()
    large = expected >= 10
    observed = np.append(counts[large], counts[~large].sum())
    expected = np.append(expected[large], expected[~large].sum())
    keep = expected > 0
    return scipy.stats.chisquare(observed[keep], expected[keep]).pvalue


def _rising(x):
    """Log Gamma(x + k) / (Gamma(x) k!) for k = 0 .. 255, and its slope along x: sums of 255 terms in float64."""
    i = np.arange(255)
    sums = (np.log((x[:, None] + i) / (1.0 + i)), 1.0 / (x[:, None] + i))
    return tuple(np.pad(np.cumsum(terms, axis=1), ((0, 0), (1, 0))) for terms in sums)


def test_beta_binomial_and_its_slopes_keep_their_digits_at_any_concentration():
    values = np.array([1e-3, 0.3, 1.0, 5.5, 7.999, 8.001, 100.0, 1e4, 1e6], np.float32)
    a, b = (grid.ravel() for grid in np.meshgrid(values, values))
    of_a, of_b, of_both = (_rising(x.astype(np.float64)) for x in (a, b, a.astype(np.float64) + b))
    full, levels = [jnp.repeat(jnp.asarray(x)[:, None], 256, 1) for x in (a, b)], jnp.tile(LEVELS, (len(a), 1))
    log_p = np.asarray(log_prob(BetaBinomial(*full, 255), levels), np.float64)
    np.testing.assert_allclose(log_p, of_a[0] + of_b[0][:, ::-1] - of_both[0][:, -1:], rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(np.exp(log_p).sum(1), 1.0, atol=1e-4)
    slopes = jax.jit(jax.grad(lambda a, b: BetaBinomial(a, b, 255).log_prob(levels).sum(), (0, 1)))(*full)
    for slope, up in zip(slopes, (of_a[1], of_b[1][:, ::-1]), strict=True):
        down = of_both[1][:, -1:]
        assert (np.abs(slope - (up - down)) <= 1e-5 * (up + down)).all()  # relative to the terms of the difference


@pytest.mark.parametrize(("a", "b"), [(0.3, 2.0), (1.0, 1.0), (5.5, 0.7), (1e4, 1e4)])
def test_beta_binomial_equals_scipy(a, b):
    made = BetaBinomial(jnp.full(256, a), jnp.full(256, b), 255)
    exact = scipy.stats.betabinom(255, a, b)
    np.testing.assert_allclose(log_prob(made, LEVELS), exact.logpmf(np.arange(256)), rtol=1e-6, atol=1e-4)
    assert float(made.mean[0]) == pytest.approx(exact.mean(), rel=1e-5)


@pytest.mark.slow
def test_beta_binomial_samples_follow_its_masses():
    """H0: the counts are multinomial with SciPy's masses; chi-square, p > 1e-6."""
    drawn = np.asarray(sample(BetaBinomial(jnp.asarray(2.0), jnp.asarray(3.0), 255), jr.key(2), (5_000,)))
    assert drawn.dtype == np.float32
    counts = np.bincount(drawn.astype(int), minlength=256)
    assert _chi_square(counts, scipy.stats.betabinom(255, 2.0, 3.0).pmf(np.arange(256))) > 1e-6


@pytest.mark.parametrize(("m0", "s0", "m1", "s1"), [(0.3, 0.7, 0.0, 1.0), (-2.0, 1.5, 1.0, 0.4)])
def test_normal_kl_is_the_integral(m0, s0, m1, s1):
    q, p = scipy.stats.norm(m0, s0), scipy.stats.norm(m1, s1)
    exact, _ = scipy.integrate.quad(
        lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), m0 - 12 * s0, m0 + 12 * s0, epsabs=1e-10
    )
    got = kl(Normal(jnp.full(3, m0), jnp.full(3, s0)), Normal(jnp.full(3, m1), jnp.full(3, s1)))
    assert float(got) == pytest.approx(3 * exact, rel=1e-5)


def test_bernoulli_kl_is_the_sum_over_states_also_at_extreme_logits():
    a, b = np.array([-3.0, 0.2, 4.0, 60.0]), np.array([1.0, -0.5, -2.0, 0.0])
    p, q = 1 / (1 + np.exp(-b)), 1 / (1 + np.exp(-a))
    exact = (q * np.log(q / p)).sum() + ((1 - q) * np.log(np.maximum(1 - q, 1e-300) / (1 - p)))[:3].sum()
    got = kl(Bernoulli(jnp.asarray(a, jnp.float32)), Bernoulli(jnp.asarray(b, jnp.float32)))
    assert float(got) == pytest.approx(exact, rel=1e-5)


def test_a_mask_leaves_entries_out_and_their_values_and_slopes_too():
    made = Normal(jnp.zeros(3), jnp.ones(3))
    observed = jnp.array([True, False, True])
    total = jax.jit(lambda x: total_log_prob(made, x, observed))
    clean, odd = total(jnp.array([1.0, 0.0, 2.0])), total(jnp.array([1.0, jnp.nan, 2.0]))
    exact = scipy.stats.norm.logpdf([1.0, 2.0]).sum()
    assert float(clean) == float(odd) == pytest.approx(exact, rel=1e-6)
    slope = jax.grad(lambda mean: total_log_prob(Normal(mean, jnp.ones(3)), jnp.array([1.0, 9.0, 2.0]), observed))
    np.testing.assert_allclose(jax.jit(slope)(jnp.zeros(3)), [1.0, 0.0, 2.0])


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="elementwise likelihood"):
        total_log_prob(Normal(jnp.zeros(3), jnp.ones(3)).to_event(1), jnp.zeros(3), jnp.ones(3, bool))


def test_a_categorical_is_its_softmax():
    """H0: the frequencies of 40,000 draws are the masses (chi-squared, 6 degrees of freedom); p > 1e-6."""
    logits = jnp.array([[0.0, 1.0, -2.0], [3.0, 0.0, 0.5]])
    exact = scipy.special.log_softmax(np.asarray(logits, np.float64), axis=1)
    made = Categorical(logits)
    assert made.batch_shape == (2,)
    for value in range(3):
        np.testing.assert_allclose(log_prob(made, jnp.full(2, float(value))), exact[:, value], rtol=1e-6)
    np.testing.assert_allclose(made.mean, np.exp(exact) @ np.arange(3.0), rtol=1e-6)
    draws = np.asarray(sample(made, jr.key(0), (40_000,)))
    assert draws.shape == (40_000, 2)
    for unit in range(2):
        counts = np.bincount(draws[:, unit].astype(int), minlength=3)
        assert scipy.stats.chisquare(counts, 40_000 * np.exp(exact[unit])).pvalue > 1e-6
    assert log_prob(made, jnp.asarray(draws[:7])).shape == (7, 2)


@pytest.mark.parametrize("units", [1, 16, 37])
def test_the_total_of_many_bits_is_the_sum_of_their_log_probabilities(units: int) -> None:
    """Sixteen share a logarithm; grey values and logits that rule a value out included. Slopes are x - sigmoid(a)."""
    rng = np.random.default_rng(units)
    logits = rng.normal(size=units).astype(np.float32) * 30.0
    value = rng.random(units).astype(np.float32)
    exact = value * np.float64(logits) - np.logaddexp(0.0, np.float64(logits))
    total = lambda a, x: total_log_prob(Bernoulli(a), x)  # noqa: E731
    np.testing.assert_allclose(total(jnp.asarray(logits), jnp.asarray(value)), exact.sum(), rtol=1e-6, atol=2e-6)
    of_logits, of_value = jax.grad(total, (0, 1))(jnp.asarray(logits), jnp.asarray(value))
    np.testing.assert_allclose(of_logits, value - 1.0 / (1.0 + np.exp(-np.float64(logits))), atol=1e-6)
    np.testing.assert_allclose(of_value, logits, rtol=1e-6)
    curvature = jax.grad(lambda a: jax.grad(total)(a, jnp.asarray(value)).sum())(jnp.zeros(units))
    np.testing.assert_allclose(curvature, -0.25, rtol=1e-6)
