"""Batches from a k-determinantal point process (Zhang, Kjellstrom and Mandt 2017)."""

from typing import Any, Literal

import numpy as np
from jaxtyping import Array, Float, Int, Key

from nelbo.core import InputError
from nelbo.training.kdpp import KDpp
from nelbo.training.order import Stepwise

KERNELS = {
    "linear": "inner products of features: long ones are preferred",
    "cosine": "inner products of features scaled to length one",
    "rbf": "exp(-d^2 / (2 h^2)), d the distance of features and h the bandwidth",
}
Kernel = Literal["linear", "cosine", "rbf"]
RISKS = {
    "unbiased": "weights 1 / (N b), b the probability of an example: the mean over a batch is that over the data",
    "diversified": "no weights: examples of rare kinds count more, as they are drawn more often",
}
Risk = Literal["unbiased", "diversified"]
MOST_BYTES = 2**30  # of a kernel, which is held twice
_FREQUENCIES = 0  # the place of the random features; steps have two numbers


class Dpp(Stepwise):
    """Batches with probability proportional to the determinant of their kernel.

    Args:
        key: for everything random.
        num_examples: N.
        batch_size: M.
        features: of the examples, see `features_of`.
        kernel: see `KERNELS`.
        bandwidth: h of the kernel rbf, in units of the features.
        random_features: so many columns approximate the kernel rbf (Rahimi and Recht 2007); None: the exact kernel.
        risk: see `RISKS`.

    Raises:
        InputError: a kernel that is too large, whose rank is below the batch size, or that never draws some example
            whose loss is to count.
    """

    def __init__(
        self,
        key: Key[Array, ""],
        num_examples: int,
        batch_size: int,
        *,
        features: Float[np.ndarray, "n d"],
        kernel: Kernel = "rbf",
        bandwidth: float = 1.0,
        random_features: int | None = None,
        risk: Risk = "unbiased",
    ) -> None:
        super().__init__(key, num_examples, batch_size)
        if not bandwidth > 0:
            raise InputError(f"The bandwidth must be a positive number, got {bandwidth}.")
        self._about = {"kernel": kernel, **({"bandwidth": float(bandwidth)} if kernel == "rbf" else {})}
        if kernel == "cosine":
            lengths = np.linalg.norm(features, axis=1, keepdims=True)
            features = features / np.where(lengths > 0, lengths, 1.0)
        if kernel == "rbf" and random_features is not None:
            features = self._random_features(features, bandwidth, random_features)
            self._about["random features"] = random_features
        if features.shape[1] < num_examples and (kernel != "rbf" or random_features is not None):
            self.process = KDpp.of_features(features, batch_size)
        else:
            self.process = KDpp.of_kernel(_kernel_matrix(features, kernel, bandwidth), batch_size)
        self.risk = risk
        self._weights = self._unbiased() if risk == "unbiased" else None

    def record(self) -> dict[str, Any]:
        """Kernel, rank, and which risk is minimized."""
        found = {"name": "dpp", **self._about, "rank": self.process.rank, "risk": self.risk}
        if self._weights is None:
            return found
        return found | {"weights": f"{self._weights.min():.3g} to {self._weights.max():.3g}"}

    def batch(self, step: int) -> Int[np.ndarray, " batch"]:
        """The examples of a step."""
        return self.process.sample(self.uniforms(self.process.rank + self.batch_size, step, 1))

    def weights(self, indices: Int[np.ndarray, "steps batch"]) -> Float[np.ndarray, "steps batch"] | None:
        """M / (N b_i), so that the mean over a batch of so weighted losses is that over the data on average."""
        return None if self._weights is None else self._weights[indices]

    def _unbiased(self) -> Float[np.ndarray, " n"]:
        probability = self.process.inclusion()
        never = int((probability < 1e-9 * self.batch_size / self.num_examples).sum())
        if never:
            raise InputError(
                f"{never} examples are never drawn (their features are zero), so no weights make the mean unbiased: "
                "use the kernel rbf, or the risk diversified."
            )
        return (self.batch_size / self.num_examples / probability).astype(np.float32)

    def _random_features(
        self, features: Float[np.ndarray, "n d"], bandwidth: float, count: int
    ) -> Float[np.ndarray, "n r"]:
        """Cosines and sines of random projections, whose inner products are the kernel on average and 1 on itself."""
        half = count // 2
        if half < 1 or count % 2:
            raise InputError(f"Random features come in pairs, a cosine and a sine, got {count}: use an even number.")
        first, second = self.uniforms(2 * half * features.shape[1], _FREQUENCIES, 0).reshape(2, features.shape[1], half)
        normal = np.sqrt(-2.0 * np.log1p(-first)) * np.cos(2.0 * np.pi * second)
        angles = features @ (normal / bandwidth)
        return np.concatenate([np.cos(angles), np.sin(angles)], axis=1) / np.sqrt(half)


def _kernel_matrix(features: Float[np.ndarray, "n d"], kernel: str, bandwidth: float) -> Float[np.ndarray, "n n"]:
    size = 8 * len(features) ** 2
    if size > MOST_BYTES:
        low_rank = "approximate it by random_features, 1000 say"
        advice = (
            low_rank if kernel == "rbf" else "use the kernel rbf with random_features, or features of fewer columns"
        )
        raise InputError(
            f"The exact kernel of {len(features):,} examples takes {size:,} bytes, more than {MOST_BYTES:,}: {advice}."
        )
    products = features @ features.T
    if kernel != "rbf":
        return products
    squares = np.diagonal(products)
    distance = np.maximum(squares[:, None] + squares - 2.0 * products, 0.0)
    return np.exp(-distance / (2.0 * bandwidth**2))
