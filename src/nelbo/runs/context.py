"""Labels as the context of a conditional model: what p and q are given beside each example, and nobody models."""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nelbo.core import Example, InputError, choice
from nelbo.data import Data, Source, Split

CONTEXTS = ("label",)


def label_names(data: Data) -> list[str]:
    """The names of a data set's labels, in the order of their numbers.

    Raises:
        InputError: it has no labels.
    """
    labels = [split.y for split in data.splits.values() if split.y is not None and len(split)]
    if not labels:
        raise InputError(f"{data.name} has no labels, so there is nothing to condition on: leave the context out.")
    if data.label_names is not None:
        return list(data.label_names)
    if min(y.min() for y in labels) < 0:
        raise InputError(f"{data.name} has negative labels: number them from 0.")
    return [str(label) for label in range(max(int(y.max()) for y in labels) + 1)]


def one_hot(label: str, labels: Sequence[str]) -> Float[np.ndarray, " labels"]:
    """The context that stands for a label.

    Raises:
        InputError: it is none of the labels that the model knows.
    """
    return np.eye(len(labels), dtype=np.float32)[list(labels).index(choice("label", label, labels))]


def conditioned(source: Source, split: Split, data: Data, labels: Sequence[str] | None) -> Source:
    """The source of a split with each example's label as its context.

    Args:
        source: of the split.
        split: with its labels.
        data: the data set that the split is of, which names its labels.
        labels: that the model knows, in the order of its inputs; None: it has no context, and nothing is changed.

    Raises:
        InputError: no labels, or one that the model does not know.
    """
    if labels is None:
        return source
    names = label_names(data)
    if split.y is None:
        raise InputError(f"{data.name} has no labels here, but this model is conditioned on them: give them too.")
    table = np.zeros((len(names), len(labels)), np.float32)
    for number in np.unique(split.y):
        table[number] = one_hot(names[number], labels)
    context = table[split.y] if source.on_host else jnp.asarray(table[split.y])
    return dataclasses.replace(source, arrays=Example(source.arrays.values, source.arrays.observed, context=context))
