"""Masses of whole numbers, uniform q of width one, and the Gaussian source whose rate-distortion function is known."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats

from nelbo.core import InputError
from nelbo.distributions import Rounded, UnitMass, UnitUniform


@jax.jit
def masses(loc, scale):
    whole = jnp.arange(-400.0, 401.0)[:, None]
    return [UnitMass(loc[None], scale[None], name).log_prob(whole) for name in ("normal", "logistic")]


def test_masses_sum_to_one_and_are_differences_of_the_distribution_function():
    loc, scale = np.array([0.0, 0.3, -2.5, 7.1], np.float32), np.array([0.1, 0.7, 3.0, 25.0], np.float32)
    whole = np.arange(-400.0, 401.0)[:, None]
    for found, name in zip(masses(loc, scale), ("norm", "logistic"), strict=True):
        shape = getattr(stats, name)
        want = shape.cdf((whole + 0.5 - loc) / scale) - shape.cdf((whole - 0.5 - loc) / scale)
        np.testing.assert_allclose(np.exp(found).sum(0), 1.0, atol=2e-5)  # the least mass is 1e-9
        np.testing.assert_allclose(np.exp(found), want, atol=2e-6)


def test_an_unknown_density_is_refused():
    with pytest.raises(InputError, match="laplace"):
        UnitMass(jnp.zeros(1), jnp.ones(1), "laplace")


@jax.jit
def uniform(centre):
    q = UnitUniform(centre)
    draws = jax.vmap(q.sample)(jr.split(jr.key(1), 2000))
    slope = jax.grad(lambda c: UnitUniform(c).sample(jr.key(0)).sum())(centre)
    return slope, draws, jax.vmap(q.log_prob)(draws), q.log_prob(centre + jnp.array([0.6, -0.6, 0.7]))


def test_uniform_q_has_density_one_around_its_centre_and_gradients_pass():
    centre = jnp.array([0.2, -3.7, 1000.4])
    slope, draws, inside, outside = uniform(centre)
    np.testing.assert_array_equal(slope, 1.0)
    draws = np.asarray(draws)
    assert np.abs(draws - np.asarray(centre)).max() <= 0.5 + 1e-4
    # the mean of 2000 uniforms: 5 standard errors, which fails by chance once in 1.7 million
    assert np.abs(draws.mean(0) - np.asarray(centre)).max() < 5 / np.sqrt(12 * 2000) + 1e-4
    np.testing.assert_array_equal(inside, 0.0)
    np.testing.assert_array_equal(outside, -np.inf)


@jax.jit
def rounded(centre):
    q = Rounded(centre, 0.1)
    drawn = q.sample(jr.key(0))
    return drawn, jax.grad(lambda c: Rounded(c, 0.1).sample(jr.key(0)).sum())(centre), q.log_prob(drawn)


def test_rounding_is_a_point_mass_with_a_dead_zone():
    centre = jnp.array([0.2, 0.55, 0.61, -0.61, -1.55, 2.5])
    drawn, slope, log_q = rounded(centre)
    np.testing.assert_array_equal(drawn, [0.0, 0.0, 1.0, -1.0, -1.0, 2.0])
    np.testing.assert_array_equal(slope, 1.0)  # straight through
    np.testing.assert_array_equal(log_q, 0.0)


@jax.jit
def noisy_rate(y, scale):
    return -UnitMass(jnp.zeros(1), scale, "normal").log_prob(y).mean() / np.float32(np.log(2))


def test_the_rate_under_noise_is_at_least_its_differential_form():
    """E -log2 p(y + u) >= h(y + u) >= h(y) [bits], where p is the density of y with the noise: y normal."""
    for scale in (0.3, 1.0, 8.0):
        y = scale * stats.norm.ppf((np.arange(20000) + 0.5) / 20000)
        u = stats.uniform.ppf((np.arange(50) + 0.5) / 50) - 0.5
        noisy = (y[:, None] + u).ravel().astype(np.float32)
        rate = float(noisy_rate(noisy, jnp.full(1, scale)))
        assert rate >= 0.5 * np.log2(2 * np.pi * np.e * scale**2) - 1e-3
        assert rate >= 0.0


def test_a_gaussian_source_is_coded_within_a_quarter_bit_of_reverse_water_filling():
    """Uniform quantization of its principal axes: 0.5 log2(2 pi e / 12) = 0.2546 bits a dimension at high rates."""
    variances, step = np.array([400.0, 200.0, 100.0]), 1.0
    scale = np.sqrt(variances) / step
    scales = np.append(scale, 1.0).astype(np.float32)  # four, as above: one compiled program
    mass = np.exp(np.asarray(masses(np.zeros(4, np.float32), scales)[0], float))[200:601, :3]
    bits = -(mass * np.log2(mass)).sum(0)
    # distortion by quadrature: within a bin of whole width the error is the distance to its middle
    fine = (np.arange(-200 * 64, 200 * 64) + 0.5) / 64
    density = stats.norm.pdf(fine[:, None] / scale) / scale / 64
    distortion = (density * (fine - np.rint(fine))[:, None] ** 2).sum(0) * step**2
    shannon = 0.5 * np.log2(variances / distortion)  # every variance is above the water level
    assert np.all(bits - shannon > 0.0)
    assert np.all(bits - shannon <= 0.5 * np.log2(2 * np.pi * np.e / 12) + 1e-3)
