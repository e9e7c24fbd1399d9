"""Bounds on R(D) against sources whose R(D) is known: finite ones, Bernoulli, Gaussian."""

import jax.random as jr
import numpy as np
import pytest

from nelbo.core import InputError
from nelbo.evaluation import (
    LogU,
    SandwichSettings,
    blahut_arimoto,
    dual_bound,
    gaussian_rate,
    lower_line,
    reverse_water_filling,
    sandwich,
    usual_slopes,
)

VARIANCES = np.array([1.0, 0.5])


def symbols(seed=0):
    """A source of 16 symbols: probabilities, places in the plane."""
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(16)), rng.normal(size=(16, 2))


def squared(x, y):
    return ((x[:, None] - y[None]) ** 2).sum(-1)


def entropy(p):
    return float(-(p * np.log(p)).sum())


@pytest.mark.parametrize("slope", [0.5, 1.5, 4.0])
def test_blahut_arimoto_is_the_binary_rate(slope):
    """R(D) = h(p) - h(D) for a biased coin and Hamming distortion."""
    found = blahut_arimoto(np.array([0.7, 0.3]), 1.0 - np.eye(2), slope)
    d = found.distortion
    wanted = max(entropy(np.array([0.7, 0.3])) - entropy(np.array([d, 1 - d])), 0.0)
    assert found.rate == pytest.approx(wanted, abs=1e-6)
    if found.rate > 1e-3:
        assert np.log((1 - d) / d) == pytest.approx(slope, abs=1e-4)  # the slope of h


@pytest.mark.parametrize("slope", [0.5, 5.0])
def test_the_two_sides_meet_on_a_finite_source(slope):
    """u(x) = E_q(y) exp(-lambda rho) gives equality, and any other u less."""
    p, x = symbols()
    rho = squared(x, x)
    found = blahut_arimoto(p, rho, slope, tolerance=1e-7)
    assert found.lower == pytest.approx(found.rate + slope * found.distortion, abs=1e-6)
    other = found.log_u + np.random.default_rng(1).normal(0, 0.3, 16)
    assert dual_bound(p, rho, slope, other) < found.lower - 1e-3
    np.testing.assert_allclose(np.exp(found.log_u), np.exp(-slope * rho) @ found.reproduction, rtol=1e-9)


def test_blahut_arimoto_refuses_what_is_no_source():
    with pytest.raises(InputError, match="sum to one"):
        blahut_arimoto(np.array([0.7, 0.7]), np.eye(2), 1.0)
    with pytest.raises(InputError, match="not converged"):
        blahut_arimoto(np.array([0.7, 0.3]), 1.0 - np.eye(2), 1.5, iterations=2)


def test_reverse_water_filling():
    """One component above the water and one below; the slope is the derivative."""
    found = reverse_water_filling(np.array([4.0, 0.25]), 0.5)  # a level of 1
    assert found.rate == pytest.approx(0.5 * np.log(4.0))
    assert found.distortion == pytest.approx(1.25)
    variances = np.array([3.0, 1.0, 0.2])
    at = reverse_water_filling(variances, 2.0)
    assert gaussian_rate(variances, at.distortion) == pytest.approx(at.rate, abs=1e-9)
    step = 1e-5
    slope = (gaussian_rate(variances, at.distortion - step) - gaussian_rate(variances, at.distortion + step)) / 2 / step
    assert slope == pytest.approx(2.0, rel=1e-3)
    assert gaussian_rate(variances, 5.0) == 0.0
    assert gaussian_rate(variances, 0.0) == np.inf


def test_blahut_arimoto_on_a_grid_is_a_gaussian_source():
    at = np.linspace(-5, 5, 121)
    p = np.exp(-0.5 * at**2)
    found = blahut_arimoto(p / p.sum(), (at[:, None] - at) ** 2, 1.0, tolerance=1e-4)
    assert found.lower == pytest.approx(reverse_water_filling(np.ones(1), 1.0).lower, abs=2e-3)


def test_the_lower_bound_of_the_closed_form_is_tight():
    """Two dimensions, u as of a Gaussian source, 2 groups of 4096: within 0.05 nats, and not above R(D) by 0.03."""
    x = np.random.default_rng(0).normal(size=(12_288, 2)) * np.sqrt(VARIANCES)
    u = LogU(jr.key(0), np.diag(VARIANCES), 1.0, (4,), 4096)
    found = lower_line(jr.key(1), u, 1.0, x[:4096], x[4096:], group_size=4096)
    exact = reverse_water_filling(VARIANCES, 1.0).lower
    assert found.groups == 2
    assert exact - 0.05 < found.intercept < exact + 0.03
    assert found.arrived > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("dimensions", [1, 2])
def test_the_gaussian_sandwich(dimensions):
    """Upper >= R(D) >= lower to within 4 standard errors (false alarm 1 in 15,000), gap below 0.05 nats."""
    variances = VARIANCES[:dimensions]
    x = 3.0 + 2.0 * np.random.default_rng(1).normal(size=(20_000, dimensions)) * np.sqrt(variances)
    settings = SandwichSettings(hidden=(32, 32), steps=1000)
    (point,) = sandwich(jr.key(0), x[:10_000], x[10_000:], [0.25], settings).points
    exact = gaussian_rate(4.0 * variances, point.upper.distortion)
    slack = 4 * (point.upper.rate_error + 0.25 * point.upper.distortion_error)
    assert point.upper.rate > exact - slack
    assert point.lower_rate < exact + 4 * point.lower.error
    assert point.gap < 0.05
    assert point.gaussian == pytest.approx(exact, abs=0.05)


@pytest.mark.slow
def test_blahut_arimoto_lies_in_the_sandwich():
    """Sixteen symbols in the plane; reproductions on a grid of 0.1 stand for the plane."""
    p, x = symbols()
    side = np.arange(-3, 3.01, 0.1)
    grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    rows = x[np.random.default_rng(2).choice(16, 20_000, p=p)]
    settings = SandwichSettings(hidden=(64, 64), steps=2000)
    (point,) = sandwich(jr.key(0), rows[:10_000], rows[10_000:], [1.0], settings).points
    exact = blahut_arimoto(p, squared(x, grid), 1.0, tolerance=1e-3)
    upper = point.upper.rate + point.upper.distortion
    slack = 4 * (point.upper.rate_error + point.upper.distortion_error)
    assert exact.lower - slack < upper < exact.lower + 0.1
    assert exact.lower - 0.1 < point.lower.intercept < exact.lower + 4 * point.lower.error + 1e-3


def test_what_has_no_bounds_is_refused():
    rows = np.random.default_rng(0).normal(size=(40, 2))
    with pytest.raises(InputError, match="20 held out"):
        sandwich(jr.key(0), rows, rows[:5])
    with pytest.raises(InputError, match="smaller crops"):
        sandwich(jr.key(0), np.ones((20, 5000)), np.ones((20, 5000)))
    with pytest.raises(InputError, match="not all equal"):
        sandwich(jr.key(0), np.ones((40, 2)), np.ones((40, 2)))
    with pytest.raises(InputError, match="above zero"):
        sandwich(jr.key(0), rows, rows, [-1.0])
    with pytest.raises(InputError, match="A group has"):
        sandwich(jr.key(0), rows, rows, [1.0], SandwichSettings(group_size=100))
    assert usual_slopes(rows)[0] == pytest.approx(1.0 / rows.var(0).mean(), rel=1e-2)
