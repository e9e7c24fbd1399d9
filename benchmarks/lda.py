"""Speed of a pass of latent Dirichlet allocation beside scikit-learn's online implementation, on the same counts.

    python benchmarks/lda.py --data-dir DIR --topics 30 --rounds 5

Both take the State of the Union paragraphs (or, without --data-dir, documents drawn here) in batches of the same size,
with the same priors, rates, largest number of sweeps and tolerance of the coordinate ascent. nelbo runs its one loop
without evaluations. Passes are interleaved; medians of wall and of processor time are compared, since the machine may
change its speed. At the end both are scored in the same way: nats a word of held-out documents under the mean topics,
proportions fitted by nelbo.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nelbo.bayes import Svi
from nelbo.data import Data, Split, load, source
from nelbo.models import lda
from nelbo.training import TrainState, fit, optimizer

OPTIONS: dict[str, Any] = {"concentration": 0.1, "word_concentration": 0.05, "sweeps": 50, "tolerance": 1e-3}


def drawn(documents: int = 5000, words: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Counts from thirty random topics."""
    rng = np.random.default_rng(0)
    topics = rng.dirichlet(np.full(words, 0.05), 30)
    chances = rng.dirichlet(np.full(30, 0.1), documents) @ topics
    counts = np.stack([rng.multinomial(n, p) for n, p in zip(rng.integers(15, 80, documents), chances, strict=True)])
    return counts[: -documents // 5].astype(np.float32), counts[-documents // 5 :].astype(np.float32)


class Nelbo:
    """Passes of the one loop, each going on from the last."""

    def __init__(self, x: np.ndarray, topics: int, batch: int) -> None:
        self._rule = optimizer("natural", schedule="robbins-monro", delay=1.0, forgetting=0.7)
        self._model: Any = lda(jax.random.key(0), x.shape[1:], topics=topics, **OPTIONS)
        self._data, self._batch, self._x = source(Split(x), "counts"), batch, x
        self._steps, self._state = 0, None

    def block(self) -> None:
        """One pass."""

        def resume(fresh: TrainState) -> TrainState:
            return fresh if self._state is None else self._state

        self._steps += round(len(self._x) / self._batch)
        fitted = fit(
            jax.random.key(1), self._model, Svi(len(self._x)), self._data, self._rule,
            steps=self._steps, batch_size=self._batch, evaluate_every=10**9, keep="last", resume=resume,
        )  # fmt: skip
        self._state, self._fitted = fitted.state, fitted.model

    def log_topics(self) -> np.ndarray:
        """Of the posterior mean."""
        shared = self._fitted.globals
        assert shared is not None
        return np.asarray(shared.mean())


class Sklearn:
    """`partial_fit` over batches in a fresh order."""

    def __init__(self, x: np.ndarray, topics: int, batch: int) -> None:
        from scipy.sparse import csr_matrix
        from sklearn.decomposition import LatentDirichletAllocation

        self._x: Any = csr_matrix(x.astype(np.float64))
        self._rng = np.random.default_rng(0)
        self._model = LatentDirichletAllocation(
            topics, learning_method="online", batch_size=batch, total_samples=len(x), learning_offset=1.0,
            doc_topic_prior=OPTIONS["concentration"], topic_word_prior=OPTIONS["word_concentration"],
            max_doc_update_iter=OPTIONS["sweeps"], mean_change_tol=OPTIONS["tolerance"], random_state=0,
        )  # fmt: skip

    def block(self) -> None:
        """One pass."""
        self._model.partial_fit(self._x[self._rng.permutation(self._x.shape[0])])

    def log_topics(self) -> np.ndarray:
        """Of the posterior mean."""
        return np.log(self._model.components_ / self._model.components_.sum(1, keepdims=True)).astype(np.float32)


def nats_per_word(model: Any, log_topics: np.ndarray, x: np.ndarray) -> float:
    """The evidence lower bound of documents at given topics."""
    shared = model.globals
    one = jnp.ones((), jnp.float32)
    bounds = jax.jit(jax.vmap(lambda row: shared.local.bound(jnp.asarray(log_topics), row, one)))
    total = sum(float(bounds(jnp.asarray(x[i : i + 200])).sum()) for i in range(0, len(x), 200))
    return total / float(x.sum())


def timed(block: Callable[[], None]) -> tuple[float, float]:
    """Wall and processor seconds."""
    wall, used = time.perf_counter(), time.process_time()
    block()
    return time.perf_counter() - wall, time.process_time() - used


def main() -> None:
    """Print the medians as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir")
    parser.add_argument("--topics", type=int, default=30)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.data_dir is None:
        train, test = drawn()
    else:
        data: Data = load("sotu", data_dir=options.data_dir)
        train, test = data.train.x, data.test.x
    contestants = {"nelbo": Nelbo(train, options.topics, options.batch),
                   "scikit-learn": Sklearn(train, options.topics, options.batch)}  # fmt: skip
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for i in range(options.rounds + 1):
        for name, one in contestants.items():
            found = timed(one.block)
            if i:  # the first pass compiles
                times[name].append(found)
    scorer = lda(jax.random.key(0), train.shape[1:], topics=options.topics, **OPTIONS)
    rows = {
        name: {
            "seconds a pass": statistics.median(wall for wall, _ in values),
            "processor seconds a pass": statistics.median(used for _, used in values),
            "held-out nats a word": nats_per_word(scorer, contestants[name].log_topics(), test),
        }
        for name, values in times.items()
    }
    ratios = {key: rows["nelbo"][key] / rows["scikit-learn"][key] for key in list(rows["nelbo"])[:2]}
    settings = {"documents": len(train), "words": train.shape[1], "topics": options.topics, "batch": options.batch}
    print(json.dumps({**settings, **rows, "nelbo / scikit-learn": ratios}, indent=1))


if __name__ == "__main__":
    main()
