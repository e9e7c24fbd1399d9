"""Random host streams that never change: Philox keyed by a name and a seed, read as raw bits.

NumPy promises the bits of a bit generator for ever, but not what `Generator` methods make of them; so uniforms and
permutations are made here from the bits.
"""

import hashlib

import numpy as np


class Stream:
    """A stream of random numbers that depends on `name` and `seed` alone."""

    def __init__(self, name: str, seed: int) -> None:
        key = hashlib.sha256(f"nelbo/{name}/{seed}".encode()).digest()[:16]
        self._bits = np.random.Philox(key=int.from_bytes(key, "little"))

    def uniform(self, shape: tuple[int, ...]) -> np.ndarray:
        """Float64 numbers in [0, 1), 53 bits each."""
        raw = self._bits.random_raw(int(np.prod(shape))).reshape(shape)
        return (raw >> np.uint64(11)) * 2.0**-53

    def permutation(self, n: int) -> np.ndarray:
        """The numbers 0 to n - 1 in random order, `(n,)` int64."""
        return np.argsort(self._bits.random_raw(n), kind="stable")
