"""Rows whose columns are of different kinds, against SciPy column by column."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats

from nelbo.core import InputError
from nelbo.distributions import Columns, column_widths, total_log_prob

KINDS = ("real", "positive", "binary", "words:3")
LOC = np.array([0.3, -0.5, 0.7, 0.2, -1.0, 0.4], np.float32)
SCALE = np.array([1.5, 0.4, 1.0, 1.0, 1.0, 1.0], np.float32)
ROW = np.array([1.2, 0.8, 1.0, 0.0, 0.0, 1.0], np.float32)


def one():
    return Columns(jnp.asarray(LOC), jnp.asarray(SCALE), KINDS)


def probabilities():
    words = np.exp(LOC[3:]) / np.exp(LOC[3:]).sum()
    return 1.0 / (1.0 + np.exp(-LOC[2])), words


def test_each_column_has_its_own_log_density():
    chance, words = probabilities()
    expected = [
        stats.norm.logpdf(1.2, 0.3, 1.5),
        stats.lognorm.logpdf(0.8, 0.4, scale=np.exp(-0.5)),
        np.log(chance),
        np.log(words[2]),
    ]
    found = np.asarray(one().log_prob(jnp.asarray(ROW)))
    np.testing.assert_allclose([*found[:3], found[3:].sum()], expected, rtol=1e-5)
    seen = jnp.asarray([True, False, True, False, False, False])
    hidden = jnp.where(seen, jnp.asarray(ROW), 0.0)
    total = total_log_prob(one(), hidden, seen)
    np.testing.assert_allclose(total, expected[0] + expected[2], rtol=1e-5)
    slope = jax.grad(lambda loc: total_log_prob(Columns(loc, jnp.asarray(SCALE), KINDS), hidden, seen))
    assert np.isfinite(slope(jnp.asarray(LOC))).all()


def test_draws_have_the_stated_moments():
    """Within 5 standard errors of mean and variance: a false alarm in one of 12 numbers once in 100,000 runs."""
    draws = np.asarray(jax.jit(lambda key: one().sample(key, (20_000,)))(jr.key(0)), np.float64)
    assert (draws[:, 3:].sum(1) == 1).all()
    assert np.isin(draws[:, 2:], (0.0, 1.0)).all()
    mean, variance = np.asarray(one().mean), np.asarray(one().variance)
    z = (draws.mean(0) - mean) / np.sqrt(variance / len(draws))
    assert np.abs(z).max() < 5
    squares = (draws - mean) ** 2
    z = (squares.mean(0) - variance) / (squares.std(0) / np.sqrt(len(draws)))
    assert np.abs(z).max() < 5


def test_kinds_are_read_or_refused():
    assert column_widths(KINDS) == (("real", 1), ("positive", 1), ("binary", 1), ("words", 3))
    for wrong in ("words", "words:0", "real:2", "colour"):
        with pytest.raises(InputError, match="ind of column"):
            column_widths((wrong,))
