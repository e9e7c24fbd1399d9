"""Coordinate ascent in rows of words against that over the whole vocabulary, and a document at a time."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.models import lda
from nelbo.models.documents import Ascent, in_rows

ASCENT = Ascent(0.3, sweeps=200, tolerance=1e-5)


def corpus(documents, words, seed=0):
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.poisson(0.3, (documents, words)).astype(np.float32))


@pytest.mark.slow
def test_rows_hold_every_word_once():
    counts = corpus(9, 150).at[4].set(0.0)  # an empty document among long ones
    rows = in_rows(counts)
    assert bool(rows.fit)
    back = np.zeros(counts.shape, np.float32)
    owner = np.broadcast_to(np.asarray(rows.owner)[:, None], rows.word.shape)
    np.add.at(back, (owner, np.asarray(rows.word)), np.asarray(rows.count))
    np.testing.assert_array_equal(back, counts)


@pytest.mark.slow
def test_a_batch_is_its_documents_one_by_one_whether_it_fits_rows_or_not():
    ascend = jax.jit(jax.vmap(ASCENT.one, (None, 0, 0)))
    for words, fits in ((60, True), (400, False)):
        counts = corpus(5, words) if fits else jnp.ones((5, words))
        assert bool(in_rows(counts).fit) is fits
        topics = jnp.log(jr.dirichlet(jr.key(1), jnp.full(words, 0.5), (4,)))
        powers = jnp.linspace(0.4, 1.0, 5)
        together = ascend(topics, counts, powers)
        alone = jnp.stack([ASCENT.one(topics, x, p) for x, p in zip(counts, powers, strict=True)])
        np.testing.assert_allclose(together, alone, rtol=2e-3, atol=2e-3)


@pytest.mark.slow
def test_an_empty_document_has_the_priors_proportions():
    model = lda(jr.key(0), (6,), topics=3, concentration=0.4)
    q = model.recognition(jnp.zeros(6)).part(0, ())
    np.testing.assert_allclose(q.concentration, 0.4, rtol=1e-5)
    np.testing.assert_allclose(q.mean, 1 / 3, rtol=1e-5)
