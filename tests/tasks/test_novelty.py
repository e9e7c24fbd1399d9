"""Novel rows: the parts of a score add up, p-values are uniform, flags keep their rate."""

import zlib

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats

from nelbo.core import Example, InputError
from nelbo.data import Source
from nelbo.evaluation import RowTerms, row_terms
from nelbo.models import build
from nelbo.tasks import compressed_bits, conformal_p_values, detection_scores, discoveries, novelty

KINDS = ["real", "positive", "binary", "words:3"]
BITS = np.log(2.0)


def rows_of(seed, count, shift=0.0):
    rng = np.random.default_rng(seed)
    words = np.eye(3)[rng.integers(0, 3, count)]
    numbers = [rng.normal(shift, 1, count), np.exp(rng.normal(shift, 1, count)), rng.integers(0, 2, count)]
    return np.concatenate([np.stack(numbers, 1), words], 1).astype(np.float32)


def source_of(x, observed=None):
    return Source(Example(jnp.asarray(x), None if observed is None else jnp.asarray(observed)), "real", dynamic=False)


@eqx.filter_jit
def exact_log_prob(model, rows):
    return jax.vmap(model.log_prob)(rows)


@pytest.fixture(scope="module")
def model():
    """Not trained: what is said of p-values holds for any score."""
    moments = {"centre": jnp.asarray([0, 0, 0.5, 0.3, 0.3, 0.4]), "spread": jnp.ones(6)}
    return build(jr.key(0), "table", {"shape": [6], "kinds": KINDS, "latents": 2, "hidden": [4]} | moments)


@pytest.fixture(scope="module")
def terms(model):
    found = [row_terms(jr.key(1), model, source_of(rows_of(*args)), num_samples=5) for args in ((1, 300), (2, 900))]
    return found[0], found[1]


def test_the_parts_of_a_row_add_up(terms):
    rows, _ = terms
    np.testing.assert_allclose(rows.entries.sum(1), rows.reconstruction, rtol=1e-5)
    np.testing.assert_allclose(rows.reconstruction - rows.kl, rows.elbo, rtol=1e-6)
    assert (rows.importance >= rows.elbo - 1e-5).all()  # Jensen


def test_what_is_said_of_a_row_does_not_depend_on_the_others(model, terms):
    alone = row_terms(jr.key(1), model, source_of(rows_of(1, 300)[[299, 3]]), num_samples=5)
    np.testing.assert_allclose(alone.elbo, terms[0].elbo[[299, 3]], rtol=1e-6)
    np.testing.assert_allclose(alone.entries, terms[0].entries[[299, 3]], rtol=1e-5, atol=1e-5)


def test_the_importance_weighted_part_is_log_p_where_that_is_known():
    """A linear model: 2000 draws from a q of the right form are within 0.05 nats on average (seeded)."""
    model = build(jr.key(3), "factor-analysis", {"shape": [4], "latents": 1})
    x = np.random.default_rng(4).normal(size=(20, 4)).astype(np.float32)
    found = row_terms(jr.key(5), model, source_of(x), num_samples=2000)
    exact = np.asarray(exact_log_prob(model, jnp.asarray(x[:3])))
    np.testing.assert_allclose(found.importance[:3], exact, atol=0.05)
    assert (found.elbo[:3] <= exact + 0.05).all()


def test_a_gap_has_no_part(model):
    x, observed = rows_of(6, 3), np.ones((3, 6), bool)
    observed[0, 0] = observed[1, 3:] = False
    found = row_terms(jr.key(1), model, source_of(np.where(observed, x, 7.0), observed), num_samples=5)
    assert (found.entries[~observed] == 0).all()
    np.testing.assert_allclose(found.entries.sum(1), found.reconstruction, rtol=1e-5)


def test_the_excess_is_that_of_columns_and_latents(terms):
    found = novelty(*terms)
    np.testing.assert_allclose(found.entries.sum(1) + found.kl, found.excess, rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(novelty(terms[1], terms[1]).excess.mean(), 0, atol=1e-9)


def test_a_gap_neither_adds_nor_saves_bits():
    """Held-out rows cost 1 and 3 nats by entry: a row with the first alone is compared with the first alone."""
    entries = -np.array([[1.0, 3.0], [1.0, 3.0]])
    held = RowTerms(entries.sum(1), entries.sum(1), entries.sum(1), np.zeros(2), entries, np.ones((2, 2), bool))
    one = np.array([[-1.5, 0.0]])
    row = RowTerms(one.sum(1), one.sum(1), one.sum(1), np.zeros(1), one, np.array([[True, False]]))
    assert novelty(row, held).excess[0] == pytest.approx(0.5 / BITS)


@pytest.mark.parametrize("score", ["elbo", "typicality", "kl"])
def test_p_values_of_rows_like_the_held_out_ones_are_uniform(terms, score):
    """The test of Kolmogorov and Smirnov at 1e-3; both sets are seeded, so it cannot fail by chance later."""
    found = novelty(*terms, score=score)
    assert stats.kstest(found.p_values, "uniform").pvalue > 1e-3
    assert found.least == 1 / 901


def test_flags_keep_their_false_discovery_rate():
    """200 sets with a fifth of novel rows: the mean share of false flags is at most 0.1 (by 3 standard errors)."""
    rng, shares, found = np.random.default_rng(7), [], 0
    for _ in range(200):
        novel = np.arange(100) < 20
        scores = rng.normal(size=100) + np.where(novel, 3.5, 0.0)
        flagged = discoveries(conformal_p_values(scores, rng.normal(size=500)), 0.1)
        shares.append((flagged & ~novel).sum() / max(flagged.sum(), 1))
        found += (flagged & novel).sum()
    assert np.mean(shares) <= 0.1 + 3 * np.std(shares) / np.sqrt(200)
    assert found > 0.5 * 200 * 20


def test_p_values_by_hand():
    scores, held = np.array([0.0, 2.0, 9.0]), np.array([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(conformal_p_values(scores, held), [1.0, 0.8, 0.2])
    # the second row is one of the held-out ones: it is compared with the other three
    np.testing.assert_allclose(conformal_p_values(scores, held, np.array([0, 1, 0])), [1.0, 0.75, 0.2])
    np.testing.assert_array_equal(discoveries(np.array([0.01, 0.2, 0.9]), 0.1), [True, False, False])
    for wrong in (lambda: conformal_p_values(scores, held[:0]), lambda: discoveries(scores[:1] + 0.5, 1.5)):
        with pytest.raises(InputError):
            wrong()


def test_a_likelihood_ratio_forgets_what_both_models_say(terms):
    """Against itself nothing is left; a nuisance that the background knows as well does not count."""
    found = novelty(*terms, background=terms)
    np.testing.assert_allclose(found.excess, 0, atol=1e-9)
    with pytest.raises(InputError, match="likelihood ratio"):
        novelty(*terms, score="kl", background=terms)


def test_detection_by_counting_pairs():
    labels = np.array([True, False, True, False, False])
    scores = np.array([3.0, 3.0, 2.0, 1.0, 0.0])
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[labels] for b in scores[~labels]]
    found = detection_scores(labels, scores)
    assert found["auroc"] == pytest.approx(np.mean(pairs))
    assert found["false_alarms_at_95"] == pytest.approx(1 / 3)
    with pytest.raises(InputError, match="same"):
        detection_scores(labels[:1], scores[:1])


def test_models_that_predict_are_refused():
    model = build(jr.key(0), "regression", {"shape": [2], "hidden": [2]})
    with pytest.raises(InputError, match="nelbo evaluate"):
        row_terms(jr.key(0), model, source_of(np.zeros((2, 1), np.float32)))


def test_compressed_length_is_taken_off_the_code_of_the_model():
    """Plain pictures are short to any model: against lengths by zlib alone, and by hand on two rows."""
    rng = np.random.default_rng(0)
    noise, plain = rng.integers(0, 256, (3, 12, 12, 1), np.uint8), np.full((3, 12, 12, 1), 7, np.uint8)
    found = compressed_bits(np.concatenate([noise, plain]), (12, 12, 1))
    assert (found[:3] > 144 * 8).all()  # random bytes cannot be packed
    assert (found[3:] <= 8 * len(zlib.compress(bytes(144), 9))).all()
    binary = compressed_bits((noise > 127).astype(np.uint8), (12, 12, 1))
    assert (binary < 144 + 8 * 11 + 1).all()  # packed eight to a byte, and zlib's own eleven at most
    with pytest.raises(InputError, match="about bytes and bits"):
        compressed_bits(noise.astype(np.float32), (12, 12, 1))
    blank = np.zeros(2)
    rows, held = (RowTerms(elbo, elbo, elbo, blank, None, np.ones((2, 3), bool))
                  for elbo in (np.array([-10.0, -20.0]), np.array([-12.0, -14.0])))  # fmt: skip
    bits = (np.array([8.0, 16.0]), np.array([8.0, 8.0]))
    result = novelty(rows, held, score="complexity", complexity=bits)
    expected = np.array([10.0, 20.0]) / BITS - bits[0] - (13.0 / BITS - 8.0)
    np.testing.assert_allclose(result.excess, expected)
    with pytest.raises(InputError, match="needs the compressed lengths"):
        novelty(rows, held, score="complexity")
