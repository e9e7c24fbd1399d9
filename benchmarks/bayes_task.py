"""The task of `benchmarks/bayes.py`: a classifier of ten classes, the settings that all contestants share."""

import dataclasses
import itertools

import numpy as np

SIZES = (784, 400, 400, 10)
EXAMPLES, BATCH, CHUNK, THREADS = 10_000, 100, 100, 2
SGLD_RATE, SGHMC_RATE, MOMENTUM, ADAM_RATE, FIRST_SCALE = 0.05, 0.01, 0.9, 1e-3, float(np.exp(-4.0))
SHAPES = {
    f"{kind}{i}": (n, m) if kind == "w" else (m,) for i, (n, m) in enumerate(itertools.pairwise(SIZES)) for kind in "wb"
}


@dataclasses.dataclass(frozen=True)
class Task:
    """Data and first weights.

    Args:
        x: `(EXAMPLES, 784)` float32.
        y: `(EXAMPLES,)` int32 classes.
        init: weights "w0", "w1", "w2" (in, out) and biases "b0", "b1", "b2".
    """

    x: np.ndarray
    y: np.ndarray
    init: dict[str, np.ndarray]


def draw_task() -> Task:
    """Noisy copies of ten random pictures, and Glorot's first weights."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, SIZES[-1], EXAMPLES).astype(np.int32)
    x = (0.2 * rng.normal(size=(SIZES[-1], SIZES[0]))[y] + rng.normal(size=(EXAMPLES, SIZES[0]))).astype(np.float32)
    init = {}
    for name, shape in SHAPES.items():
        bound = (6.0 / sum(shape)) ** 0.5 if name.startswith("w") else 0.0
        init[name] = rng.uniform(-bound, bound, shape).astype(np.float32)
    return Task(x, y, init)


def loss(weights: dict[str, np.ndarray], task: Task, rows: int = 2000) -> float:
    """Mean negative log-likelihood of the first examples [nats]."""
    h = task.x[:rows].astype(np.float64)
    for i in range(len(SIZES) - 1):
        h = h @ weights[f"w{i}"] + weights[f"b{i}"]
        h = np.maximum(h, 0.0) if i < len(SIZES) - 2 else h
    top = h.max(1, keepdims=True)
    log_sum = top[:, 0] + np.log(np.exp(h - top).sum(1))
    return float((log_sum - h[np.arange(rows), task.y[:rows]]).mean())
