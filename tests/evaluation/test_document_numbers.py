import jax.random as jr
import numpy as np
import pytest

from nelbo.core import InputError
from nelbo.evaluation import perplexity, topic_words
from nelbo.models import sbn, vae


def test_perplexity_counts_every_document_the_same():
    bounds, lengths = np.array([-10.0, -400.0]), np.array([5.0, 100.0])
    assert perplexity(bounds, lengths) == pytest.approx(np.exp((2.0 + 4.0) / 2))
    assert perplexity(-lengths * np.log(7.0), lengths) == pytest.approx(7.0)
    with pytest.raises(InputError, match="at least one word"):
        perplexity(bounds, np.array([5.0, 0.0]))


def test_topics_are_the_largest_weights():
    model = sbn(jr.key(0), (5,), layers=(2,), likelihood="multinomial")
    weight = np.asarray(model.generative.layers[0].net.layers[0].weight)
    words = ("a", "b", "c", "d", "e")
    topics = topic_words(model, words, count=2)
    assert topics[1][0] == words[int(weight[:, 1].argmax())]
    with pytest.raises(InputError, match="acts on the words directly"):
        topic_words(vae(jr.key(0), (5,), latents=2, hidden=(3,)), words)
