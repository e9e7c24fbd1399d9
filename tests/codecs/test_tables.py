"""Integer tables: they sum to 2^16, leave nothing out, and are near the probabilities that they stand for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nelbo.codecs import Bits, LocationScale, beta_binomial_weights, from_weights, level_bins, quantile_bins
from nelbo.codecs.tables import MAX_SCALE, STEPS, cumulative, scales, uniform_bins

LEVELS = level_bins(256, 1.0)


def every(shape, bins, scale, loc, *, floor):
    """Starts and frequencies of all bins under one pair of parameters."""
    symbols = np.arange(bins.count)
    return LocationScale(shape, bins, np.full(bins.count, scale), np.full(bins.count, loc), floor=floor).interval(
        symbols
    )


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["logistic", "normal"]),
    st.integers(-MAX_SCALE, MAX_SCALE),
    st.integers(-(2**40), 2**40) | st.integers(-5000, 5000),
    st.booleans(),
)
def test_location_scale_tables_are_whole(shape, scale, loc, floor):
    for bins in (LEVELS, quantile_bins(), uniform_bins(-3.0, 2.0**-8)):
        starts, frequencies = every(shape, bins, scale, loc, floor=floor)
        assert starts[0] == 0
        assert np.array_equal(np.cumsum(frequencies.astype(int)), np.append(starts[1:].astype(int), 2**16))
        assert frequencies.min() >= (1 if floor else 0)


@pytest.mark.parametrize(("shape", "law"), [("logistic", stats.logistic), ("normal", stats.norm)])
def test_location_scale_tables_are_near_the_exact_probabilities(shape, law):
    for loc, scale in ((100.0, 8.0), (-3.0, 30.0), (250.0, 0.6)):
        wide = round(STEPS * np.log2(scale))
        exact_scale = 2.0 ** (wide / STEPS)
        steps = round(STEPS * loc / exact_scale)
        exact = np.diff(law.cdf(LEVELS.edges, steps * exact_scale / STEPS, exact_scale))
        _, found = every(shape, LEVELS, wide, steps, floor=True)
        # 256 of 2^16 go to the floor; a start is rounded down by less than one
        np.testing.assert_allclose(found / 2**16, exact * (1 - 256 / 2**16) + 2.0**-16, atol=2.5 * 2.0**-16)


@pytest.mark.parametrize(("shape", "law"), [("logistic", stats.logistic), ("normal", stats.norm)])
def test_the_functions_are_near_the_exact_ones_and_monotone(shape, law):
    points = np.linspace(-20, 20, 200_001)
    found = cumulative(shape, points)
    assert (np.diff(found) >= 0).all()
    # linear interpolation at steps of 2^-6: at most h^2 max|F''| / 8
    np.testing.assert_allclose(found / 2**30, law.cdf(points), atol=8e-6)
    assert cumulative(shape, np.array([-np.inf, np.inf])).tolist() == [0, 2**30]


def test_bits_are_near_the_logistic_function():
    index = np.arange(-192, 193)
    table = Bits(index)
    _, ones = table.interval(np.ones(385, int))
    _, zeros = table.interval(np.zeros(385, int))
    assert (ones.astype(int) + zeros == 2**16).all()
    assert min(ones.min(), zeros.min()) >= 1
    np.testing.assert_allclose(ones / 2**16, stats.logistic.cdf(index / STEPS), atol=4e-5)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 300))
def test_categorical_tables_are_whole(seed, symbols):
    rng = np.random.default_rng(seed)
    weights = rng.exponential(size=(3, symbols)) * (rng.random((3, symbols)) < 0.7)
    weights[:, 0] += 1e-9
    starts = from_weights(weights).astype(int)
    frequencies = np.diff(starts, axis=1, append=2**16)
    assert (starts[:, 0] == 0).all()
    assert frequencies.min() >= 1
    exact = weights / weights.sum(1, keepdims=True)
    np.testing.assert_allclose(frequencies / 2**16, exact, atol=(symbols + 2) * 2.0**-16)


def test_beta_binomial_weights_are_the_probabilities():
    a, b = (values.ravel() for values in np.meshgrid(2.0 ** np.arange(-10, 15, 3), 2.0 ** np.arange(-10, 15, 3)))
    weights = beta_binomial_weights(a, b, 255)
    exact = stats.betabinom.pmf(np.arange(256), 255, a[:, None], b[:, None])
    np.testing.assert_allclose(weights / weights.sum(1, keepdims=True), exact, rtol=1e-6, atol=1e-9)


def test_beta_binomial_weights_neither_overflow_nor_vanish_at_the_ends_of_the_grid():
    ends = scales()[[0, -1]]
    a, b = (values.ravel() for values in np.meshgrid(ends, ends))
    weights = beta_binomial_weights(a, b, 255)
    assert np.isfinite(weights).all()
    assert (weights.max(1) >= 0.5).all()
    assert (np.diff(from_weights(weights).astype(int), axis=1, append=2**16) >= 1).all()


@pytest.mark.parametrize("bins", [LEVELS, quantile_bins(), uniform_bins(-2.0, 2.0**-6)], ids=["levels", "mass", "width"])  # fmt: skip  # noqa: E501
def test_bins_divide_the_line(bins):
    assert (bins.edges[0], bins.edges[-1]) == (-np.inf, np.inf)
    assert (np.diff(bins.edges) > 0).all()
    assert ((bins.edges[:-1] < bins.centres) & (bins.centres < bins.edges[1:])).all()


def test_prior_bins_have_equal_mass():
    mass = np.diff(stats.norm.cdf(quantile_bins().edges))
    np.testing.assert_allclose(mass, 2.0**-12, rtol=5e-3)
