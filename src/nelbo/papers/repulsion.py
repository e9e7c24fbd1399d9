"""Batches that repel on classes of unequal size: what the pages zhang2017 and zhang2019 measure."""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.random as jr
import numpy as np
from jaxtyping import Float

from nelbo.core import Example
from nelbo.data import Data, Source, Split, load
from nelbo.evaluation import predictive
from nelbo.models import Model, build
from nelbo.nets import trainable
from nelbo.objectives import MaximumLikelihood
from nelbo.training import TrainState, fit, optimizer, order_named

PLACES = 10_000  # of the steps whose batches measure a variance: none that training takes


@dataclasses.dataclass(frozen=True)
class Batches:
    """A way of choosing batches.

    Args:
        label: what tables call it.
        name: of the order, see `nelbo.training.ORDERS`.
        options: of the order.
    """

    label: str
    name: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Digits:
    """Images of digits: training rows whose classes are of unequal size, test rows of equal size.

    Args:
        train: pixels in [0, 1], flat, and classes.
        test: the same.
        name: of the data, in words.
    """

    train: Split
    test: Split
    name: str


def unequal(data: Data, *, largest: int, ratio: float, test: int, seed: int) -> Digits:
    """Training classes that shrink in a geometric series, and a test set with as many of each class.

    Args:
        data: images of ten classes.
        largest: rows of class 0.
        ratio: the rows of the last class over those of the first.
        test: rows of each class in the test set.
        seed: of the choice of rows.
    """
    counts = np.rint(largest * ratio ** (np.arange(10) / 9)).astype(int)
    rng = np.random.default_rng(seed)
    splits = [_chosen(data.train, counts, rng), _chosen(data.test, np.full(10, test), rng)]
    sizes = [int((splits[0].y == c).sum()) for c in range(10)] if splits[0].y is not None else []
    return Digits(splits[0], splits[1], f"{data.name}, {sizes[0]} to {sizes[-1]} training rows a class")


def _chosen(split: Split, counts: np.ndarray, rng: np.random.Generator) -> Split:
    assert split.y is not None
    places = np.concatenate([rng.permutation(np.flatnonzero(split.y == c))[:n] for c, n in enumerate(counts)])
    x = split.x[places].reshape(len(places), -1).astype(np.float32)
    return Split(x / x.max(), split.y[places].astype(np.int32))


def digits_for(budget: str, seed: int, data_dir: str | None) -> Digits:
    """The data of a budget: small digits (smoke), or MNIST."""
    if budget == "smoke":
        return unequal(load("digits"), largest=80, ratio=0.1, test=10, seed=seed)
    largest = 500 if budget == "quick" else 2000
    return unequal(load("mnist", data_dir=data_dir), largest=largest, ratio=0.02, test=500, seed=seed)


def _source(split: Split) -> Source:
    assert split.y is not None
    return Source(Example(split.y[:, None].astype(np.float32), context=Example(split.x)), "real", dynamic=False)


def learned(
    data: Digits, ways: Sequence[Batches], *, steps: Sequence[int], batch_size: int, rate: float, seeds: Sequence[int]
) -> list[dict[str, Any]]:
    """The accuracy of softmax regression on the test set, a row for each way and number of steps of gradient descent.

    Args:
        data: to learn from.
        ways: of choosing batches.
        steps: after which accuracy is measured; all are multiples of the first.
        batch_size: examples a step.
        rate: of plain gradient descent.
        seeds: of independent runs, whose accuracies are averaged.
    """
    rows = []
    for way in ways:
        found = [_accuracies(data, way, steps, batch_size, rate, seed) for seed in seeds]
        table = np.array([accuracies for accuracies, _ in found])
        errors = table.std(0, ddof=1) / len(seeds) ** 0.5 if len(seeds) > 1 else np.zeros(len(steps))
        risk = found[0][1].get("risk", "that of the data")
        rows += [
            {"batches": way.label, "risk": risk, "steps": step, "accuracy": float(mean), "standard error": float(error),
             "runs": len(seeds), "data": data.name}
            for step, mean, error in zip(steps, table.mean(0), errors, strict=True)
        ]  # fmt: skip
    return rows


def _accuracies(
    data: Digits, way: Batches, steps: Sequence[int], batch_size: int, rate: float, seed: int
) -> tuple[list[float], dict[str, Any]]:
    model, train, test = softmax_regression(data, seed), _source(data.train), _source(data.test)
    static, found = eqx.filter(model, trainable(model), inverse=True), {}

    def measure(event: str, state: TrainState) -> None:
        if event == "evaluate" and state.step in steps:
            found[state.step] = _accuracy(eqx.combine(state.carry.params.model, static), test)

    fitted = fit(
        jr.key(seed),
        model,
        MaximumLikelihood(),
        train,
        optimizer("sgd", learning_rate=rate),
        steps=steps[-1],
        batch_size=batch_size,
        order=order_named(way.name, data.train, way.options),
        evaluate_every=steps[0],
        keep="last",
        callbacks=[measure],
    )
    return [found[step] for step in steps], fitted.order


def softmax_regression(data: Digits, seed: int) -> Model:
    """A linear classification of the images."""
    shape = list(data.train.x.shape[1:])
    return build(jr.key(seed), "classification", {"shape": shape, "classes": 10, "architecture": "linear"})


def _accuracy(model: Model, test: Source) -> float:
    found = predictive(jr.key(0), model, test)
    assert found.probabilities is not None
    return float((found.probabilities.argmax(1) == found.target).mean())


def residuals(model: Model, split: Split) -> Float[np.ndarray, "n classes"]:
    """p(class | x) less the indicator of the class: the gradient of each example's loss along its logits."""
    found = predictive(jr.key(0), model, _source(split))
    assert found.probabilities is not None
    return found.probabilities - np.eye(10)[np.asarray(split.y)]


def noise(
    data: Digits, ways: Sequence[Batches], *, sizes: Sequence[int], repeats: int, seed: int, steps: int
) -> list[dict[str, Any]]:
    """The variance of the batch gradient of softmax regression, and the time to choose a batch.

    The gradient of an example is its residuals times its pixels, so that of a batch needs no automatic differentiation.

    Args:
        data: to draw batches from.
        ways: of choosing them.
        sizes: of batches.
        repeats: batches for each number.
        seed: of everything random.
        steps: of training by reshuffled batches before the gradients are taken.

    Returns:
        A row for each way and size: variance and squared bias, summed over parameters; the variance of independent
        draws in which each example is as probable, with the same weights; and seconds of the processor.
    """
    fitted = fit(
        jr.key(seed),
        softmax_regression(data, seed),
        MaximumLikelihood(),
        _source(data.train),
        optimizer("sgd", learning_rate=0.1),
        steps=steps,
        batch_size=50,
        keep="last",
    )
    x = np.asarray(data.train.x, np.float64)
    slopes = residuals(fitted.model, data.train)
    whole = slopes.T @ x / len(x)
    rows = []
    for way in ways:
        made = order_named(way.name, data.train, way.options)
        for size in sizes:
            began = time.process_time()
            order = made(jr.key(seed), len(x), size, PLACES)
            started = time.process_time() - began
            began = time.process_time()
            indices, weights = order.feed(0, repeats, repeats)
            spent = (time.process_time() - began) / repeats
            w = np.ones(indices.shape) if weights is None else weights.astype(np.float64)
            means = np.einsum("rk,rkc,rkd->rcd", w, slopes[indices], x[indices], optimize=True) / size
            mean = means.mean(0)
            squares = (w**2 * ((slopes**2).sum(1) * (x**2).sum(1))[indices]).mean()  # of a single example's gradient
            variance = float(((means - mean) ** 2).sum() / (repeats - 1))
            bias = float(((mean - whole) ** 2).sum()) - variance / repeats
            rows.append({
                "batches": way.label, "risk": order.record().get("risk", "that of the data"), "batch size": size,
                "variance": variance, "variance of independent draws": float(squares - (mean**2).sum()) / size,
                "squared bias": max(bias, 0.0), "milliseconds a batch": 1e3 * spent,
                "seconds to begin": started, "data": data.name,
            })  # fmt: skip
    return rows
