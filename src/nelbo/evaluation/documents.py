"""Numbers about models of documents."""

import numpy as np

from nelbo.core import InputError
from nelbo.models import Model


def perplexity(bounds: np.ndarray, lengths: np.ndarray) -> float:
    """Exp of minus the mean over documents of the bound per word (Mnih and Gregor 2014, section 5.3).

    Every document counts the same, however long; averages over words give another number.

    Args:
        bounds: on log p of each document [nats].
        lengths: words in each.

    Raises:
        InputError: a document without words.
    """
    if np.any(np.asarray(lengths) <= 0):
        raise InputError("Perplexity needs documents of at least one word.")
    return float(np.exp(-np.mean(np.asarray(bounds, np.float64) / np.asarray(lengths, np.float64))))


def topic_words(model: Model, vocabulary: tuple[str, ...], *, count: int = 10) -> list[list[str]]:
    """For each unit of the first latent layer the words that it makes likelier most, by generative weight.

    Raises:
        InputError: the first layer does not act on the words by one matrix.
    """
    weight = model.generative.layers[0].direct_weight
    if weight is None or len(weight) != len(vocabulary):
        raise InputError("Topics need a model whose first latent layer acts on the words directly: use sbn or fdarn.")
    order = np.argsort(-np.asarray(weight), axis=0)[:count]
    return [[vocabulary[i] for i in column] for column in order.T]
