"""k-determinantal point processes: subsets of one size, the likelier the more their members differ.

P(B) = det(K_B) / e_k(lambda) for |B| = k, lambda the eigenvalues of the kernel K and e_k their elementary symmetric
polynomial. Sources: Kulesza and Taskar (2011), k-DPPs; Kulesza and Taskar (2012), sections 3.3 (dual) and 5.2.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.special import logsumexp

from nelbo.core import InputError


def log_symmetric(log_values: Float[np.ndarray, " r"], degree: int) -> Float[np.ndarray, "r1 k1"]:
    """Log e_j of the first n values, in row n = 0 .. r and column j = 0 .. degree."""
    table = np.full((len(log_values) + 1, degree + 1), -np.inf)
    table[0, 0] = 0.0
    for n, value in enumerate(log_values):
        table[n + 1] = table[n]
        table[n + 1, 1:] = np.logaddexp(table[n, 1:], table[n, :-1] + value)
    return table


class KDpp:
    """Subsets of one size with probability proportional to the determinant of their kernel.

    Equal examples are never drawn together: their kernel is singular, which costs nothing here.

    Args:
        vectors: eigenvectors of the kernel, orthonormal columns.
        values: its eigenvalues; those that are zero but for rounding are left out.
        size: k.

    Raises:
        InputError: the rank of the kernel is below k.
    """

    def __init__(self, vectors: Float[np.ndarray, "n r"], values: Float[np.ndarray, " r"], size: int) -> None:
        sound = values > len(vectors) * np.finfo(float).eps * values.max(initial=0.0)
        self.rank, self.size = int(sound.sum()), size
        if self.rank < size:
            raise InputError(
                f"Batches of {size} need a kernel of rank {size} or more, but this one has rank {self.rank}: use "
                "smaller batches, the kernel rbf, or more random features."
            )
        self._rows = np.ascontiguousarray(vectors[:, sound].T)
        self._log = np.log(values[sound])
        self._table = log_symmetric(self._log, size)
        with np.errstate(invalid="ignore"):  # places with more to choose than there is are never asked for
            self._chances = np.exp(self._log[:, None] + self._table[:-1, :-1] - self._table[1:, 1:])

    @classmethod
    def of_kernel(cls, kernel: Float[np.ndarray, "n n"], size: int) -> "KDpp":
        """From the kernel itself, in O(n^3)."""
        values, vectors = np.linalg.eigh(kernel)
        return cls(vectors, values, size)

    @classmethod
    def of_features(cls, features: Float[np.ndarray, "n d"], size: int) -> "KDpp":
        """From the features B of a kernel B B', in O(n d^2): the dual representation, by the eigenvectors of B' B."""
        values, vectors = np.linalg.eigh(features.T @ features)
        sound = values > len(features) * np.finfo(float).eps * values.max(initial=0.0)
        return cls(features @ (vectors[:, sound] / np.sqrt(values[sound])), values[sound], size)

    def inclusion(self) -> Float[np.ndarray, " n"]:
        """b_i, the probability that a subset holds example i: sum_n v_ni^2 lambda_n e_{k-1}(others) / e_k."""
        k = self.size
        after = log_symmetric(self._log[::-1], k)[::-1]  # row n: of the values from n on
        others = logsumexp(self._table[:-1, :k] + after[1:, k - 1 :: -1], axis=1)
        share = np.exp(self._log + others - self._table[-1, k])
        return share @ self._rows**2

    def sample(self, uniforms: Float[np.ndarray, " u"]) -> Int[np.ndarray, " k"]:
        """One subset, in random order.

        Args:
            uniforms: `rank + size` random numbers in [0, 1).
        """
        chosen, left = [], self.size
        for n in range(self.rank, 0, -1):
            if left == n or uniforms[n - 1] < self._chances[n - 1, left - 1]:
                chosen.append(n - 1)
                left -= 1
                if not left:
                    break
        return _points(self._rows[chosen], uniforms[self.rank :])


def _points(rows: Float[np.ndarray, "k n"], uniforms: Float[np.ndarray, " k"]) -> Int[np.ndarray, " k"]:
    """A draw of the projection process onto orthonormal rows: point by point, each of them projected out."""
    size = len(rows)
    left, basis = (rows**2).sum(0), np.zeros((size, size))
    picked = np.zeros(size, np.int32)
    for i in range(size):
        sums = np.cumsum(left)
        picked[i] = at = min(int(np.searchsorted(sums, uniforms[i] * sums[-1], side="right")), len(left) - 1)
        direction = rows[:, at]
        for _ in range(2):  # once is not orthogonal to rounding
            direction = direction - basis[:i].T @ (basis[:i] @ direction)
        basis[i] = direction / np.linalg.norm(direction)
        left = np.maximum(left - (basis[i] @ rows) ** 2, 0.0)
        left[at] = 0.0
    return picked
