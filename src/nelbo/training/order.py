"""The order in which examples are seen: endless reshuffled passes, a function of the key alone."""

import jax.random as jr
import numpy as np
from jaxtyping import Array, Int, Key


class Order:
    """Indices of the batch of any step, from one permutation a pass.

    A batch may span two passes, so every example is seen exactly once a pass and no batch is short.
    """

    def __init__(self, key: Key[Array, ""], num_examples: int, batch_size: int) -> None:
        self._words = np.asarray(jr.key_data(key), np.uint32).ravel()
        self._n, self._m = num_examples, batch_size
        self._passes: dict[int, np.ndarray] = {}

    def _pass(self, epoch: int) -> np.ndarray:
        if epoch not in self._passes:
            self._passes = {e: p for e, p in self._passes.items() if e >= epoch - 1}
            # NumPy keeps the bits of its bit generators for good, and has nothing to compile
            bits = np.random.Philox(np.random.SeedSequence([*self._words.tolist(), epoch])).random_raw(self._n)
            self._passes[epoch] = np.argsort(bits, kind="stable").astype(np.int32)
        return self._passes[epoch]

    def indices(self, step: int, count: int, length: int) -> Int[np.ndarray, "length batch"]:
        """Batches of steps `step` .. `step + count - 1`; rows beyond are zero."""
        feed = np.zeros((length, self._m), np.int32)
        flat = feed[:count].reshape(-1)
        start, done = step * self._m, 0
        while done < flat.size:
            epoch, offset = divmod(start + done, self._n)
            part = self._pass(epoch)[offset : offset + flat.size - done]
            flat[done : done + part.size] = part
            done += part.size
        return feed
