"""What a classifier sees in sprites whose content and motion come from two different films."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Key

from nelbo.core import Example
from nelbo.data import SPRITE_PARTS, sprite_attributes
from nelbo.runs import Run
from nelbo.tasks import rows_as_seen, swap

ATTRIBUTES = (*SPRITE_PARTS, "motion")


class Judge:
    """A classifier of each attribute, one perceptron for each, trained on true films alone.

    Args:
        films: `(n, time, height, width, channels)` from 0 to 1.
        attributes: `(n, 5)`, see `sprite_attributes`.
        epochs: passes over the films.
        seed: of the perceptrons.
    """

    def __init__(self, films: np.ndarray, attributes: np.ndarray, *, epochs: int, seed: int) -> None:
        from sklearn.neural_network import MLPClassifier  # takes a while to import

        self.networks = []
        for levels in attributes.T:
            network = MLPClassifier((64,), random_state=seed)
            classes = np.unique(levels)
            order = np.random.default_rng(seed).permutation(len(films))
            for _ in range(epochs):
                for start in range(0, len(order), 64):
                    rows = order[start : start + 64]
                    network.partial_fit(films[rows].reshape(len(rows), -1), levels[rows], classes=classes)
            self.networks.append(network)

    def __call__(self, films: np.ndarray) -> np.ndarray:
        """The attributes of films, `(n, 5)`."""
        flat = films.reshape(len(films), -1)
        return np.stack([network.predict(flat) for network in self.networks], 1)


def swaps(
    key: Key[Array, ""], run: Run, data_dir: str | None, *, films: int, epochs: int
) -> tuple[list[dict[str, Any]], Mapping[str, np.ndarray]]:
    """Which attributes a classifier sees in test films, in their reconstructions, and in swapped ones.

    Args:
        key: for the pairs: of each film another one, by a random rotation of their order.
        run: on sprites, with a static code.
        data_dir: a folder that holds named data sets.
        films: of the test set.
        epochs: of the classifier, on the training films.
    """
    data, sources = run.data(data_dir=data_dir)
    train, labels = data.train.x / np.float32(255.0), data.train.y
    judge = Judge(train, sprite_attributes(np.asarray(labels)), epochs=epochs, seed=run.experiment.seed)
    films = min(films, len(sources["test"]))
    seen = rows_as_seen(sources["test"], np.arange(films))
    true = sprite_attributes(np.asarray(data.test.y)[:films])
    partner = (np.arange(films) + 1 + int(jr.randint(key, (), 0, films - 1))) % films
    other = Example(jnp.asarray(seen.values)[partner], jnp.asarray(seen.observed)[partner])
    own = swap(run.model, seen, seen)
    swapped = swap(run.model, seen, other)  # content of each, motion of its partner
    found = {"films": judge(np.asarray(seen.values)), "decoded": judge(own), "swapped": judge(swapped)}
    rows = []
    for place, name in enumerate(ATTRIBUTES):
        content, motion = true[:, place], true[partner, place]
        differ = content != motion
        rows.append(
            {
                "attribute": name,
                "test films": films,
                "right in the films": float((found["films"][:, place] == content).mean()),
                "right as decoded": float((found["decoded"][:, place] == content).mean()),
                "as the content, swapped": float((found["swapped"][:, place] == content).mean()),
                "as the motion, swapped": float((found["swapped"][:, place] == motion).mean()),
                "as the content, where the two differ": _share(found["swapped"][differ, place] == content[differ]),
                "as the motion, where the two differ": _share(found["swapped"][differ, place] == motion[differ]),
            }
        )
    return rows, {"films": np.stack([np.asarray(seen.values)[:4], np.asarray(other.values)[:4], swapped[:4]])}


def _share(right: np.ndarray) -> float | None:
    return float(right.mean()) if right.size else None
