"""Rows whose columns are of different kinds, against SciPy column by column."""

import math

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


def test_columns_of_words_between_others_are_each_their_own():
    """Three columns of words of different widths: log probabilities, gradients and draws as column by column.

    A logit far below those of another column keeps its digits.
    """
    kinds = ("words:3", "real", "words:2", "positive", "words:4", "real")
    loc = jnp.asarray([0.2, -1.0, 0.4, 9.0, -300.0, -301.0, -0.5, 80.0, 79.0, 78.5, 60.0, -2.0])
    scale, places = jnp.full(12, 0.5), (slice(0, 3), slice(4, 6), slice(7, 11))
    row = jnp.asarray([0.0, 0.0, 1.0, 9.5, 0.0, 1.0, 0.8, 0.0, 1.0, 0.0, 0.0, -1.0])

    def apart(loc):
        words = [jax.nn.log_softmax(loc[own]) @ row[own] for own in places]
        numbers = [jax.scipy.stats.norm.logpdf(row[i], loc[i], 0.5) for i in (3, 11)]
        logs = jnp.log(row[6])
        return sum(words) + sum(numbers) + jax.scipy.stats.norm.logpdf(logs, loc[6], 0.5) - logs

    def together(loc):
        return Columns(loc, scale, kinds).log_prob(row).sum()

    def derivatives(f):
        first = jax.value_and_grad(f)
        return jax.jvp(first, (loc,), (jnp.cos(jnp.arange(12.0)),))  # and the second ones, along a line

    @jax.jit
    def all_numbers():
        columns = Columns(loc, scale, kinds)
        return derivatives(together), derivatives(apart), columns.sample(jr.key(0), (2000,)), columns.mean

    found, expected, drawn, mean = jax.tree.map(np.asarray, all_numbers())
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-4)
    for own in places:
        assert (drawn[:, own].sum(1) == 1).all()
        chance = mean[own]
        np.testing.assert_allclose(chance, jax.nn.softmax(loc[own]), rtol=1e-5)
        # five standard errors: one false alarm in 200,000 runs for each of nine words
        assert (np.abs(drawn[:, own].mean(0) - chance) <= 5 * np.sqrt(chance * (1 - chance) / 2000) + 1e-3).all()


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


def test_counts_are_negative_binomial_and_poisson_at_the_limit():
    """Against SciPy; at s = 0.03 the law is within 1e-2 nats of a Poisson one of the same mean."""
    value, mean, s = jnp.asarray([0.0, 3.0, 11.0]), np.array([0.5, 4.0, 9.0]), np.array([0.3, 1.0, 2.0])
    counts = Columns(jnp.asarray(np.log(mean), jnp.float32), jnp.asarray(s, jnp.float32), ("count",) * 3)
    size = 1 / s**2
    exact = stats.nbinom(size, size / (size + mean)).logpmf(np.asarray(value))
    np.testing.assert_allclose(jax.jit(lambda: counts.log_prob(value))(), exact, rtol=2e-4)
    poisson = Columns(jnp.asarray(np.log(mean), jnp.float32), jnp.zeros(3), ("count",) * 3)
    np.testing.assert_allclose(poisson.log_prob(value), stats.poisson(mean).logpmf(np.asarray(value)), atol=0.02)
    np.testing.assert_allclose(counts.variance, mean + s**2 * mean**2, rtol=1e-5)


@pytest.mark.slow
def test_draws_of_counts_and_of_heavy_tails_have_their_law():
    """20,000 draws: the mean and variance of counts within 5 standard errors, quartiles of a t within 0.05."""
    loc, scale = jnp.asarray([math.log(3.0), 1.0]), jnp.asarray([0.5, 2.0])
    drawn = np.asarray(Columns(loc, scale, ("count", "student")).sample(jr.key(0), (20000,)))
    assert (drawn[:, 0] == np.rint(drawn[:, 0])).all()
    assert abs(drawn[:, 0].mean() - 3.0) < 5 * math.sqrt(5.25 / 20000)
    assert abs(drawn[:, 0].var() - 5.25) < 0.5
    np.testing.assert_allclose(np.quantile(drawn[:, 1], [0.25, 0.75]), stats.t(4, 1, 2).ppf([0.25, 0.75]), atol=0.1)
    value = jnp.asarray([2.0, 30.0])
    found = Columns(loc, scale, ("count", "student")).log_prob(value)[1]
    assert abs(float(found) - stats.t(4, 1, 2).logpdf(30.0)) < 1e-4
