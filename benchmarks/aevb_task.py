"""The task of the speed benchmark: sizes, data, initial parameters and the common yardstick, in NumPy alone.

The network is Kingma and Welling's VAE for MNIST (arXiv 1312.6114, appendix C): 784 -> 500 tanh -> 20 latents (one
layer for mean and log variance) -> 500 tanh -> 784 Bernoulli logits. Parameters are a dictionary of float32 arrays,
weights as (inputs, outputs), in the order of `SHAPES`.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

PIXELS, HIDDEN, LATENTS, BATCH = 784, 500, 20, 100
EXAMPLES, VALID_EXAMPLES = 50_000, 10_000
EPOCH_STEPS = EXAMPLES // BATCH
INIT_STD = 0.1  # weights; biases are 0

# Adagrad from a zero accumulator: the step does not depend on whether the loss is a sum or a mean over the batch.
LEARNING_RATE, ACCUMULATOR, EPSILON = 0.01, 0.0, 1e-10

SHAPES = {
    "enc_w": (PIXELS, HIDDEN),
    "enc_b": (HIDDEN,),
    "head_w": (HIDDEN, 2 * LATENTS),  # columns: mean, then log variance
    "head_b": (2 * LATENTS,),
    "dec_w": (LATENTS, HIDDEN),
    "dec_b": (HIDDEN,),
    "out_w": (HIDDEN, PIXELS),
    "out_b": (PIXELS,),
}


class Task(NamedTuple):
    """What every contestant gets.

    Attributes:
        source: where the images come from, for the report.
        train: training images, float32 zeros and ones, (50000, 784).
        valid: validation images, the same, (10000, 784).
        init: initial parameters, shared by all contestants.
    """

    source: str
    train: np.ndarray
    valid: np.ndarray
    init: dict[str, np.ndarray]


def load_task() -> Task:
    """MNIST from `$NELBO_DATA/mnist.npz`, cut at one half; without it random binary images of the same shape."""
    path = Path(os.environ.get("NELBO_DATA", "")) / "mnist.npz"
    if "NELBO_DATA" in os.environ and path.exists():
        with np.load(path) as file:
            train, valid = (_binary(file[name] > 127) for name in ("x_train", "x_valid"))
        return Task(source="MNIST, binary at one half", train=train, valid=valid, init=initial_parameters())
    rng = np.random.default_rng(1)
    frequency = rng.beta(0.3, 1.2, PIXELS)  # a few pixels are often on, most are seldom on
    train, valid = (_binary(rng.random((n, PIXELS)) < frequency) for n in (EXAMPLES, VALID_EXAMPLES))
    source = "random binary images (set NELBO_DATA to a folder with mnist.npz for MNIST)"
    return Task(source=source, train=train, valid=valid, init=initial_parameters())


def _binary(images: np.ndarray) -> np.ndarray:
    """Flat float32 images of zeros and ones."""
    return np.ascontiguousarray(images.reshape(len(images), PIXELS), dtype=np.float32)


def initial_parameters(seed: int = 0) -> dict[str, np.ndarray]:
    """Normal weights of standard deviation 0.1, zero biases."""
    rng = np.random.default_rng(seed)
    init = {}
    for name, shape in SHAPES.items():
        value = rng.normal(0.0, INIT_STD, shape) if len(shape) == 2 else np.zeros(shape)
        init[name] = value.astype(np.float32)
    return init


def bound(params: dict[str, np.ndarray], images: np.ndarray, seed: int = 2) -> float:
    """The evidence lower bound, nats an image: SGVB B, one sample, the same noise for every contestant."""
    p = {name: np.asarray(params[name], dtype=np.float32) for name in SHAPES}
    wrong = {name: value.shape for name, value in p.items() if value.shape != SHAPES[name]}
    if wrong:
        raise ValueError(f"parameters have shapes {wrong}; expected { ({name: SHAPES[name] for name in wrong}) }")
    head = np.tanh(images @ p["enc_w"] + p["enc_b"]) @ p["head_w"] + p["head_b"]
    mean, log_var = head[:, :LATENTS], head[:, LATENTS:]
    noise = np.random.default_rng(seed).standard_normal(mean.shape, dtype=np.float32)
    z = mean + np.exp(0.5 * log_var) * noise
    logits = np.tanh(z @ p["dec_w"] + p["dec_b"]) @ p["out_w"] + p["out_b"]
    log_lik = np.sum(images * logits - np.logaddexp(0.0, logits), axis=1)
    kl = -0.5 * np.sum(1.0 + log_var - mean**2 - np.exp(log_var), axis=1)
    return float(np.mean(log_lik - kl, dtype=np.float64))
