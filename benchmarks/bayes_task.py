"""The task of `benchmarks/bayes.py`: a classifier of ten classes, the settings that all contestants share."""

import dataclasses
import itertools
import os

import numpy as np

SIZES = (784, 400, 400, 10)
EXAMPLES, HELD_OUT, BATCH, CHUNK = 10_000, 2000, 100, 100
# two, or those that this process may use; Linux alone says which
THREADS = min(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
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
        new_x: the same of examples that nobody trains on.
        new_y: their classes.
        init: weights "w0", "w1", "w2" (in, out) and biases "b0", "b1", "b2".
    """

    x: np.ndarray
    y: np.ndarray
    new_x: np.ndarray
    new_y: np.ndarray
    init: dict[str, np.ndarray]


def draw_task() -> Task:
    """Noisy copies of ten random pictures, and Glorot's first weights."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, SIZES[-1], EXAMPLES + HELD_OUT).astype(np.int32)
    x = (0.15 * rng.normal(size=(SIZES[-1], SIZES[0]))[y] + rng.normal(size=(len(y), SIZES[0]))).astype(np.float32)
    init = {}
    for name, shape in SHAPES.items():
        bound = (6.0 / sum(shape)) ** 0.5 if name.startswith("w") else 0.0
        init[name] = rng.uniform(-bound, bound, shape).astype(np.float32)
    return Task(x[:EXAMPLES], y[:EXAMPLES], x[EXAMPLES:], y[EXAMPLES:], init)


def loss(weights: dict[str, np.ndarray], task: Task) -> float:
    """Mean negative log-likelihood of the examples that nobody trains on [nats]."""
    h = task.new_x.astype(np.float64)
    for i in range(len(SIZES) - 1):
        h = h @ weights[f"w{i}"] + weights[f"b{i}"]
        h = np.maximum(h, 0.0) if i < len(SIZES) - 2 else h
    top = h.max(1, keepdims=True)
    log_sum = top[:, 0] + np.log(np.exp(h - top).sum(1))
    return float((log_sum - h[np.arange(len(h)), task.new_y]).mean())
