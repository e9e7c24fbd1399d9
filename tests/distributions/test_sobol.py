"""Scrambled Sobol points: exact balance in every scramble, no bias, and the rate at which variance falls."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.core import InputError
from nelbo.distributions import sobol_normals, sobol_uniforms
from nelbo.testing import assert_unbiased

COUNT, SCRAMBLES = 256, 400


@pytest.fixture(scope="module")
def points():
    """The first n points are the set of n points."""
    return np.asarray(jax.jit(jax.vmap(lambda k: sobol_uniforms(k, COUNT, 4)))(jr.split(jr.key(0), SCRAMBLES)))


def smooth(u):
    """Mean 1 over the unit cube, and every interaction in it."""
    return (1.0 + (u - 0.5)).prod(-1)


@pytest.mark.parametrize("power", [3, 8])
def test_every_interval_of_a_grid_holds_one_point_in_every_scramble(points, power):
    count = 2**power
    cells = np.sort((points[:, :count] * count).astype(int), axis=1)
    assert (cells == np.arange(count)[None, :, None]).all()
    # the first two dimensions are a (0, m, 2)-net: so does every box of a grid of that area
    for a in range(power + 1):
        boxes = (points[:, :count, 0] * 2**a).astype(int) * 2 ** (power - a)
        boxes = np.sort(boxes + (points[:, :count, 1] * 2 ** (power - a)).astype(int), axis=1)
        assert (boxes == np.arange(count)).all()
    assert (points > 0).all()
    assert (points < 1).all()


@pytest.mark.parametrize("dimensions", [2, 3, 4])
def test_variance_falls_faster_than_that_of_independent_draws(points, dimensions):
    """The log-log slope over 8 .. 256 points: -1 for independent draws. At |z| < 5 the mean fails once in a million."""
    sizes = 2 ** np.arange(3, 9)
    means = np.stack([smooth(points[:, :n, :dimensions]).mean(1) for n in sizes], axis=1)
    assert_unbiased(means, np.ones(len(sizes)))
    slope = lambda values: np.polyfit(np.log(sizes), np.log(values.var(0)), 1)[0]  # noqa: E731
    independent = np.random.default_rng(0).uniform(size=(SCRAMBLES, COUNT, dimensions))
    assert slope(means) < -1.7
    assert -1.2 < slope(np.stack([smooth(independent[:, :n]).mean(1) for n in sizes], axis=1)) < -0.8


def test_normals_have_the_shapes_and_the_even_spread():
    first, second = jax.jit(lambda k: sobol_normals(k, 64, ((2,), (3, 2))))(jr.key(1))
    assert first.shape == (64, 2)
    assert second.shape == (64, 3, 2)
    assert first.dtype == jnp.float32
    np.testing.assert_allclose(np.asarray(second).mean(0), 0.0, atol=0.1)
    np.testing.assert_allclose(np.asarray(second).std(0), 1.0, atol=0.1)


def test_sizes_that_are_not_balanced_are_refused():
    with pytest.raises(InputError, match="powers of two"):
        sobol_uniforms(jr.key(0), 10, 2)
    with pytest.raises(InputError, match="21201"):
        sobol_uniforms(jr.key(0), 8, 30_000)
