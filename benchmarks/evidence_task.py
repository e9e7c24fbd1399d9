"""What the contestants of benchmarks/evidence.py all do: the sizes, the data and the networks, in NumPy alone."""

from dataclasses import dataclass

import numpy as np

THREADS = 2
PIXELS, EXAMPLES = 784, 10_000
RBM_HIDDEN, BATCH = 500, 100  # restricted Boltzmann machine
LATENTS, WIDTH = 20, 200  # auto-encoder: decoder and encoder have one layer of rectified units
CHAINS, LEAPFROGS, STEP_SIZE = 1000, 10, 0.05  # Hamiltonian chains
POINTS, DRAWS = 1000, 5000  # importance-weighted bound


@dataclass(frozen=True)
class Task:
    """Data, and the weights of an auto-encoder.

    Args:
        x: binary rows.
        encoder: weight and bias of the hidden layer, of the mean, of the log of the scale.
        decoder: weight and bias of the hidden layer, of the logits.
    """

    x: np.ndarray
    encoder: tuple[np.ndarray, ...]
    decoder: tuple[np.ndarray, ...]


def draw_task() -> Task:
    """The same in every process. The values do not change the work; weights are small, so that chains move."""
    rng = np.random.default_rng(0)
    x = (rng.random((EXAMPLES, PIXELS)) < rng.beta(0.3, 1.2, PIXELS)).astype(np.float32)

    def layer(inputs: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
        return (rng.normal(size=(inputs, outputs)) / inputs**0.5).astype(np.float32), np.zeros(outputs, np.float32)

    encoder = (*layer(PIXELS, WIDTH), *layer(WIDTH, LATENTS), *layer(WIDTH, LATENTS))
    return Task(x, encoder, (*layer(LATENTS, WIDTH), *layer(WIDTH, PIXELS)))
