"""What a run's weights take in fewer bits, and what that costs its bound, by several ways of quantization."""

from collections.abc import Callable
from typing import Any

import jax.random as jr
import numpy as np
from jaxtyping import Array, Key

from nelbo.codecs import posterior_widths, quantize_arrays
from nelbo.core import read_arrays
from nelbo.evaluation import elbo
from nelbo.models import fill, stored
from nelbo.runs import MODEL, Run

VBQ, UNIFORM, MEANS = "variational Bayesian", "uniform", "k-means"
_ITERATIONS = 30
Arrays = dict[str, np.ndarray]


def _entropy(symbols: np.ndarray) -> float:
    """Bits of all symbols by their frequencies."""
    counts = np.unique(symbols, return_counts=True)[1]
    return float((counts * np.log2(counts.sum() / counts)).sum())


def _uniform(arrays: Arrays, step: float) -> tuple[Arrays, float]:
    """Multiples of one step, in units of each array's deviation; bits by frequencies."""
    scale = {name: max(float(x.std()), 1e-12) for name, x in arrays.items()}
    whole = {name: np.rint(x / (step * scale[name])) for name, x in arrays.items()}
    bits = _entropy(np.concatenate([k.ravel() for k in whole.values()]))
    return {name: (k * step * scale[name]).astype(np.float32) for name, k in whole.items()}, bits


def _means(arrays: Arrays, count: int) -> tuple[Arrays, float]:
    """The nearest of so many means of all numbers, each array in units of its deviation (Lloyd 1982)."""
    scale = {name: max(float(x.std()), 1e-12) for name, x in arrays.items()}
    flat = np.concatenate([(x / scale[name]).ravel() for name, x in arrays.items()])
    centres = np.quantile(flat, (np.arange(count) + 0.5) / count)
    for _ in range(_ITERATIONS):
        own = np.searchsorted((centres[1:] + centres[:-1]) / 2, flat)
        used = np.bincount(own, minlength=count)
        centres = np.sort(np.where(used, np.bincount(own, flat, count) / np.maximum(used, 1), centres))
    own = np.searchsorted((centres[1:] + centres[:-1]) / 2, flat)
    parts = np.split(centres[own], np.cumsum([x.size for x in arrays.values()])[:-1])
    back = {name: (part.reshape(x.shape) * scale[name]).astype(np.float32)
            for (name, x), part in zip(arrays.items(), parts, strict=True)}  # fmt: skip
    return back, _entropy(own)


def quantization(
    key: Key[Array, ""],
    run: Run,
    data_dir: str | None,
    *,
    trades: list[float],
    steps: list[float],
    counts: list[int],
    rows: int,
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Bits of each weight and the test bound that is lost, at the same draws.

    Args:
        key: for widths and bounds.
        run: a finished one.
        data_dir: a folder that holds named data sets.
        trades: of variational Bayesian quantization.
        steps: of the uniform one, in deviations of each array.
        counts: of means.
        rows: of the test set.
    """
    _, sources = run.data(data_dir=data_dir)
    test, model = sources["test"].head(rows), stored(run.model)
    arrays, _ = read_arrays(run.folder / MODEL, "model")
    width_key, bound_key = jr.split(key)
    widths, told = posterior_widths(width_key, run.model, sources["train"])
    own = {name: arrays[name] for name in widths}
    count = sum(x.size for x in own.values())

    def bound(changed: Arrays) -> float:
        return elbo(bound_key, fill(model, arrays | changed, run.folder), test, num_samples=10).nats

    def vbq(trade: float) -> tuple[Arrays, float]:
        found = quantize_arrays(own, widths, trade)
        return dict(found.arrays), found.bits

    before, table = bound({}), []
    ways: list[tuple[str, Callable[[Any], tuple[Arrays, float]], list[Any]]] = [
        (VBQ, vbq, trades),
        (UNIFORM, lambda step: _uniform(own, step), steps),
        (MEANS, lambda k: _means(own, k), counts),
    ]
    for name, way, settings in ways:
        for setting in settings:
            changed, bits = way(setting)
            table.append(
                {
                    "quantization": name,
                    "setting": float(setting),
                    "bits a weight": bits / count,
                    "nats lost": before - bound(changed),
                    "ELBO of float32": before,
                    "weights": count,
                    "widths": told,
                }
            )
    return table, {}
