"""Point processes against closed forms, quadrature, an independent integrator, and the time-rescaling theorem."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import kstest

from nelbo.distributions import (
    END,
    HawkesProcess,
    NeuralHawkesProcess,
    PoissonProcess,
    RmtppProcess,
    excitations,
    next_gap,
    thinned,
)

GAPS = np.array([0.4, 1.3, 0.2, 2.0, 0.7])
MARKS = np.array([0.0, 2.0, 1.0, 2.0, END])
SEQUENCE = np.stack([GAPS, MARKS], 1)
LOGITS = np.array([0.3, -0.2, 0.9])


def padded(more):
    value = np.concatenate([SEQUENCE, np.full((more, 2), 99.0)])
    observed = np.arange(len(value))[:, None] < len(SEQUENCE)
    return jnp.asarray(value, jnp.float32), jnp.broadcast_to(jnp.asarray(observed), value.shape)


def logits(rows):
    return jnp.broadcast_to(jnp.asarray(LOGITS, jnp.float32), (rows, 3))


def log_marks():
    return sum((LOGITS - np.log(np.exp(LOGITS).sum()))[int(k)] for k in MARKS if k >= 0)


def test_a_poisson_process_has_its_closed_form():
    value, observed = padded(3)
    found = PoissonProcess(jnp.log(jnp.float32(1.7)), logits(8)).observed_log_prob(value, observed)
    np.testing.assert_allclose(found, 4 * np.log(1.7) - 1.7 * GAPS.sum() + log_marks(), rtol=1e-5)


LEVELS, SLOPES = np.array([0.2, -1.0, 0.5, 0.1, -0.3]), np.array([-0.8, 0.3, 0.0, 1e-5, -2.0])


def test_the_integral_of_rmtpp_is_that_of_quadrature():
    q = RmtppProcess(*(jnp.asarray(a, jnp.float32) for a in (LEVELS, SLOPES)), logits(5))
    exact = [quad(lambda t, a=a, w=w: np.exp(a + w * t), 0, g)[0] for a, w, g in zip(LEVELS, SLOPES, GAPS, strict=True)]
    np.testing.assert_allclose(q.integral(jnp.asarray(GAPS, jnp.float32)), exact, rtol=1e-5)
    value = jnp.asarray(SEQUENCE, jnp.float32)
    log_p = sum(LEVELS[:4] + SLOPES[:4] * GAPS[:4]) - sum(exact) + log_marks()
    np.testing.assert_allclose(q.log_prob(value), log_p, rtol=1e-5)
    more = RmtppProcess(*(jnp.asarray(np.append(a, [7.0]), jnp.float32) for a in (LEVELS, SLOPES)), logits(6))
    np.testing.assert_allclose(more.observed_log_prob(*padded(1)), log_p, rtol=1e-5)


RANDOM = np.random.default_rng(2)
STATE = np.stack([RANDOM.normal(size=(5, 6)), RANDOM.normal(size=(5, 6)), RANDOM.uniform(0.1, 6.0, (5, 6)), RANDOM.uniform(size=(5, 6))], 1)  # fmt: skip  # noqa: E501
WEIGHT, BIAS = RANDOM.normal(size=(6, 3)), RANDOM.normal(size=3)


def neural(offsets, weight=WEIGHT):
    return NeuralHawkesProcess(*(jnp.asarray(a, jnp.float32) for a in (STATE, weight, BIAS)), offsets)


def rates(row, t):
    c, last, decay, out = STATE[row]
    return np.log1p(np.exp(out * np.tanh(last + (c - last) * np.exp(-decay * t)) @ WEIGHT + BIAS))


@jax.jit
def estimates(keys):
    draw = lambda key: neural(jr.uniform(key, (5, 4))).integral(jnp.asarray(GAPS, jnp.float32))  # noqa: E731
    return jax.vmap(draw)(keys)


def test_the_integral_of_a_neural_process_is_unbiased_and_exact_where_nothing_decays():
    """2000 estimates of 5 integrals from 4 strata, within 4.5 standard errors of quadrature: 3e-5 of false alarm."""
    found = np.asarray(estimates(jr.split(jr.key(0), 2000)), float)
    exact = np.array([quad(lambda t, i=i: rates(i, t).sum(), 0, gap)[0] for i, gap in enumerate(GAPS)])
    z = (found.mean(0) - exact) / (found.std(0) / np.sqrt(2000))
    assert np.abs(z).max() < 4.5, z
    assert (found.std(0) < 0.05 * exact).all()
    # a homogeneous Poisson process: no state is read
    rate = np.log1p(np.exp(BIAS))
    flat = neural(jr.uniform(jr.key(1), (5, 4)), 0.0 * WEIGHT).log_prob(jnp.asarray(SEQUENCE, jnp.float32))
    wanted = sum(np.log(rate[int(k)]) for k in MARKS if k >= 0) - rate.sum() * GAPS.sum()
    np.testing.assert_allclose(flat, wanted, rtol=1e-5)


def test_marks_of_a_neural_process_are_its_intensities_at_the_event():
    gap = jnp.asarray(GAPS, jnp.float32)
    wanted = np.log([rates(i, t) for i, t in enumerate(GAPS)])
    np.testing.assert_allclose(neural(jnp.zeros((5, 1))).mark_logits(gap), wanted, rtol=1e-4)


BASE, JUMP, DECAY = 0.5, 0.8, 1.4


def hawkes(gaps):
    base, jump, decay = (jnp.log(jnp.float32(x)) for x in (BASE, JUMP, DECAY))
    return HawkesProcess(base, excitations(jnp.asarray(gaps, jnp.float32), jump, decay), decay, logits(len(gaps)))


def test_the_recursion_of_hawkes_is_the_sum_over_all_events():
    times = np.cumsum(GAPS)

    def intensity(t):
        return BASE + sum(JUMP * np.exp(-DECAY * (t - s)) for s in times[:4] if s < t)

    total = sum(quad(intensity, a, b)[0] for a, b in zip([0.0, *times[:4]], times, strict=True))
    exact = sum(np.log(intensity(t)) for t in times[:4]) - total + log_marks()
    np.testing.assert_allclose(hawkes(GAPS).log_prob(jnp.asarray(SEQUENCE, jnp.float32)), exact, rtol=1e-5)


@jax.jit
def simulated(key):
    """400 gaps of the exponential Hawkes process by thinning."""

    def step(left, one):
        level = jnp.float32(BASE) + left
        gap = thinned(one, lambda t: jnp.log(BASE + left * jnp.exp(-DECAY * t)), level, jnp.float32(1e6))
        return left * jnp.exp(-DECAY * gap) + JUMP, gap

    return jax.lax.scan(step, jnp.float32(0.0), jr.split(key, 400))[1]


def test_simulated_data_pass_the_test_of_time_rescaling_and_another_model_fails_it():
    """Kolmogorov and Smirnov's test at 1e-4, which is its false alarm; the seed is fixed."""
    gaps = np.asarray(simulated(jr.key(4)))
    value = jnp.stack([jnp.asarray(gaps), jnp.zeros(len(gaps))], 1)
    whole = jnp.ones(value.shape, bool)
    residuals, events = hawkes(gaps).residuals(value, whole)
    assert events.all()
    assert kstest(np.asarray(residuals), "expon").pvalue > 1e-4
    flat = PoissonProcess(jnp.log(jnp.float32(len(gaps) / gaps.sum())), logits(len(gaps))).residuals(value, whole)[0]
    assert kstest(np.asarray(flat), "expon").pvalue < 1e-4


@pytest.mark.share(3)
@pytest.mark.parametrize(("level", "slope"), [(0.3, -0.9), (-0.5, 0.7), (0.2, 0.0)])
def test_gaps_by_inversion_and_by_thinning_have_the_right_distribution(level, slope):
    """2000 draws each; Kolmogorov and Smirnov's test at 1e-4, which is its false alarm."""
    far = jnp.float32(4.0)
    bound = jnp.exp(jnp.float32(level) + jnp.maximum(0.0, slope * far))

    @jax.jit
    def drawn(keys):
        inverse = jax.vmap(lambda key: next_gap(key, jnp.float32(level), jnp.float32(slope), far))(keys)
        return inverse, jax.vmap(lambda key: thinned(key, lambda t: level + slope * t, bound, far))(keys)

    def cdf(t):
        total = np.exp(level) * (t if slope == 0.0 else np.expm1(slope * t) / slope)
        return 1.0 - np.exp(-total)

    for gaps in drawn(jr.split(jr.key(1), 2000)):
        came = np.asarray(gaps)[np.isfinite(gaps)]
        share = cdf(4.0)
        assert abs(len(came) / 2000 - share) < 5 * np.sqrt(share * (1 - share) / 2000) + 1e-3
        assert kstest(came, lambda t, share=share: cdf(t) / share).pvalue > 1e-4
