"""The factorized density: a distribution function for each channel, masses that sum to one, draws that follow it."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats
from zoo import randomized

from nelbo.priors import FactorizedDensity, FactorizedMass, coarse_bands, coarse_basis, image_bands

DENSITY = randomized(FactorizedDensity(jr.key(0), 3), jr.key(1), 0.7)


@jax.jit
def evaluated(density, x):
    return density.cdf(x), density.log_mass(x)


def test_the_distribution_function_rises_from_zero_to_one():
    x = jnp.broadcast_to(jnp.linspace(-2000.0, 2000.0, 4001)[:, None], (4001, 3))
    below, log_mass = (np.asarray(part, float) for part in evaluated(DENSITY, x))
    assert np.all(np.diff(below, axis=0) >= 0.0)
    assert np.all(below[0] < 1e-4)
    assert np.all(below[-1] > 1 - 1e-4)
    assert np.abs(np.exp(log_mass).sum(0) - 1.0).max() < 1e-3


def test_masses_are_differences_of_the_distribution_function():
    x = jnp.broadcast_to(jnp.linspace(-9.0, 9.0, 37)[:, None], (37, 3))
    mass = np.exp(evaluated(DENSITY, x)[1])
    want = np.asarray(evaluated(DENSITY, x + 0.5)[0]) - np.asarray(evaluated(DENSITY, x - 0.5)[0])
    np.testing.assert_allclose(mass, want, atol=1e-6)


@pytest.mark.slow
def test_draws_follow_the_masses():
    """A Kolmogorov-Smirnov test of 4000 draws of each channel at 1e-6: one seed in 300,000 would fail."""
    own = FactorizedMass(DENSITY, (3,))
    draws = np.asarray(
        jax.jit(lambda d, k: jax.vmap(FactorizedMass(d, (3,)).sample)(k))(DENSITY, jr.split(jr.key(2), 4000))
    )
    grid = jnp.broadcast_to(jnp.linspace(-300.0, 300.0, 24001)[:, None], (24001, 3))
    below = np.cumsum(np.exp(np.asarray(own.log_prob(grid), float)), axis=0) * (600 / 24000)
    for channel in range(3):
        function = lambda x, c=channel: np.interp(x, np.asarray(grid[:, 0]), below[:, c])  # noqa: E731
        assert stats.kstest(draws[:, channel], function).pvalue > 1e-6


def test_every_coefficient_is_in_one_band_and_coarse_ones_are_orthonormal():
    for size in (8, 16):
        places = np.concatenate(image_bands(size))
        lowest = np.arange(3) * size * size
        np.testing.assert_array_equal(np.sort(np.append(places, lowest)), np.arange(3 * size * size))
    np.testing.assert_array_equal(np.sort(np.concatenate(coarse_bands())), np.arange(48))
    np.testing.assert_allclose(coarse_basis() @ coarse_basis().T, np.eye(16), atol=1e-12)
