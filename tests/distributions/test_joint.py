"""Autoregressive bits, paired uniforms and bags of words against enumeration and counts."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.distributions import AutoregressiveBernoulli, BagOfWords, Bernoulli, uniforms

DRAWS = 40_000


def made(shape=(4,)):
    size = int(np.prod(shape))
    return AutoregressiveBernoulli(jr.normal(jr.key(0), shape), 2.0 * jr.normal(jr.key(1), (size, size)))


def all_bits(size):
    return jnp.asarray((np.arange(2**size)[:, None] >> np.arange(size)) & 1, jnp.float32)


def z_scores(draws, states, probs):
    """Of the counts of every state under H0: the draws follow `probs`; |z| < 5 fails by chance in 6e-7 of cases."""
    counts = np.array([(draws == state).all(-1).sum() for state in states])
    return (counts - len(draws) * probs) / np.sqrt(len(draws) * probs * (1 - probs))


def test_probabilities_sum_to_one_and_match_the_products_of_conditionals():
    law = made()
    states = all_bits(4)
    log_probs = jax.vmap(law.log_prob)(states)
    assert np.exp(log_probs).sum() == pytest.approx(1.0, abs=1e-5)
    for h in np.asarray(states[::5]):
        total = 0.0
        for j in range(4):
            a = float(law.logits[j]) + sum(float(law.weight[j, i]) * h[i] for i in range(j))
            total += h[j] * a - np.log1p(np.exp(a))
        assert float(law.log_prob(jnp.asarray(h))) == pytest.approx(total, abs=1e-5)


def test_no_unit_looks_ahead_or_at_itself():
    law = made((2, 3))
    slopes = jax.jacobian(lambda h: law.conditional(h).logits.ravel())(jnp.zeros((2, 3))).reshape(6, 6)
    assert np.all(np.triu(slopes) == 0)
    assert np.all(np.tril(slopes, -1)[np.tril_indices(6, -1)] != 0)


@pytest.mark.share(2)
@pytest.mark.parametrize("batched", [False, True])
def test_draws_follow_the_density(batched):
    law = made()
    key = jr.key(2)
    draws = law.sample(key, (DRAWS,)) if batched else jax.vmap(law.sample)(jr.split(key, DRAWS))
    states = all_bits(4)
    probs = np.exp(np.asarray(jax.vmap(law.log_prob)(states), float))
    assert np.abs(z_scores(np.asarray(draws), np.asarray(states), probs)).max() < 5


def test_the_mean_is_exact_where_units_do_not_interact():
    law = AutoregressiveBernoulli(jnp.array([0.3, -1.0]), jnp.zeros((2, 2)))
    np.testing.assert_allclose(law.mean, jax.nn.sigmoid(law.logits), rtol=1e-6)


def test_paired_bits_are_jointly_independent():
    """Units j and j + n/2 share a word: all 16 joint states of 4 units are counted."""
    logits = jnp.array([0.2, -1.5, 1.0, -0.3])
    draws = jax.vmap(Bernoulli(logits).sample)(jr.split(jr.key(4), DRAWS))
    states = all_bits(4)
    probs = np.exp(np.asarray(jax.vmap(lambda h: Bernoulli(logits).log_prob(h).sum())(states), float))
    assert np.abs(z_scores(np.asarray(draws), np.asarray(states), probs)).max() < 5


def test_uniforms_have_the_moments_of_uniforms():
    """H0: uniform and uncorrelated within pairs; three z-scores at |z| < 5."""
    u = np.asarray(uniforms(jr.key(5), (2 * DRAWS,)), float)
    assert u.min() >= 0
    assert u.max() < 1
    assert abs(u.mean() - 0.5) * np.sqrt(12 * len(u)) < 5
    first, second = u[:DRAWS] - 0.5, u[DRAWS:] - 0.5
    assert abs((first * second).mean()) * 12 * np.sqrt(DRAWS) < 5
    assert abs((u**2).mean() - 1 / 3) / np.sqrt(4 / 45 / len(u)) < 5
    assert uniforms(jr.key(6), (3, 5)).shape == (3, 5)


def test_a_document_is_a_sum_over_its_words():
    law = BagOfWords(jnp.array([0.5, -1.0, 2.0]), words=20)
    log_p = np.asarray(jax.nn.log_softmax(law.logits))
    assert float(law.log_prob(jnp.array([3.0, 0.0, 2.0]))) == pytest.approx(3 * log_p[0] + 2 * log_p[2], rel=1e-5)
    draws = np.asarray(law.sample(jr.key(7), (5000,)))
    assert np.all(draws.sum(-1) == 20)
    expected = np.asarray(law.mean)
    spread = np.sqrt(20 * np.exp(log_p) * (1 - np.exp(log_p)) / 5000)
    assert np.abs((draws.mean(0) - expected) / spread).max() < 5
