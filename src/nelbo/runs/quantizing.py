"""A run's model in few bits, at a stated loss of its bound."""

import dataclasses
import gzip
import math
from collections.abc import Callable

import jax.random as jr
import numpy as np
from jaxtyping import Array, Key

from nelbo.codecs import QuantizedArrays, pack_model, posterior_widths, quantize_arrays
from nelbo.core import InputError, read_arrays
from nelbo.data import Source
from nelbo.models import Model, fill, stored
from nelbo.runs.evaluations import PAIR_SCORE, evaluation
from nelbo.runs.folder import MODEL, Run

LOSS = 0.1  # nats an example
_ROWS, _SAMPLES = 1000, 10
_TRADES = (1e-4, 1e5)  # least and most that a nat of code is taken to be worth
_HALVINGS = 9


@dataclasses.dataclass(frozen=True)
class QuantizedRun:
    """A run's model as a file of few bits, and what that did to it.

    Args:
        data: the `.nlb` file.
        weights: numbers that are quantized.
        model_bytes: of `model.safetensors`.
        gzip_bytes: of the same, gzip -9.
        widths: where the posterior's widths come from, in words.
        trade: nats of predicted loss that a nat of code is worth.
        predicted_loss: loss of the bound by the posterior [nats per training example].
        bound: which one was measured.
        before: of the model as it was [nats per example of the test set].
        after: of the model that comes back, at the same draws.
    """

    data: bytes
    weights: int
    model_bytes: int
    gzip_bytes: int
    widths: str
    trade: float
    predicted_loss: float
    bound: str
    before: float
    after: float


def quantized_run(
    key: Key[Array, ""],
    run: Run,
    *,
    loss: float = LOSS,
    data_dir: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> QuantizedRun:
    """The model of a run by variational Bayesian quantization, as short as a loss of its bound allows.

    How much a number may move is a matter of its posterior's width; one factor for all widths is found by halving, so
    that the bound of the validation rows, measured, falls by no more than `loss`.

    Args:
        key: for the widths and the bounds.
        run: a finished one.
        loss: nats per example that the bound may lose.
        data_dir: a folder that holds named data sets.
        progress: told what is done.

    Raises:
        InputError: a loss that is not positive, or a model that is not written by its parameters' widths.
    """
    if not 0 < loss < math.inf:
        raise InputError(f"loss is a number of nats per example above zero, got {loss:g}.")
    model = stored(run.model)
    if run.model.is_of_series or (model.globals is not None and not run.model.is_of_pairs):
        raise InputError(f"The model in {run.folder} is not quantized: its numbers are no weights with a posterior "
                         "(conjugate models and series keep their files as they are).")  # fmt: skip
    _, sources = run.data(data_dir=data_dir)
    arrays, head = read_arrays(run.folder / MODEL, "model")
    tell = progress or (lambda _: None)
    tell("widths of the posterior")
    width_key, bound_key = jr.split(key)
    widths, told = posterior_widths(width_key, run.model, sources["train"])
    widths = {name: width for name, width in widths.items() if name in arrays and arrays[name].size}
    if not widths:
        raise InputError(f"The model in {run.folder} has no trained arrays of float32: there is nothing to quantize.")
    measure = _Measure(bound_key, model, run)
    tuning = sources["valid" if "valid" in sources else "train"].head(_ROWS)
    start = measure.bound(arrays, tuning)

    def costs(trade: float) -> tuple[QuantizedArrays, float]:
        found = quantize_arrays(arrays, widths, trade)
        lost = start - measure.bound(dict(found.arrays), tuning)
        tell(f"trade {trade:.3g}: {found.bits / found.count:.2f} bits a weight, {lost:.4f} nats lost")
        return found, lost

    trade, found = _largest(costs, loss)
    test = sources.get("test", tuning)
    data = pack_model(head, found, trade)
    plain = (run.folder / MODEL).read_bytes()
    return QuantizedRun(
        data=data,
        weights=found.count,
        model_bytes=len(plain),
        gzip_bytes=len(gzip.compress(plain, 9)),
        widths=told,
        trade=trade,
        predicted_loss=found.excess / len(sources["train"]),
        bound=measure.name,
        before=measure.bound(arrays, test),
        after=measure.bound(dict(found.arrays), test),
    )


class _Measure:
    """The bound of a model with other arrays, at the same draws each time."""

    def __init__(self, key: Key[Array, ""], model: Model, run: Run) -> None:
        self._key, self._model, self._where = key, model, run.folder / MODEL
        self.name = PAIR_SCORE if run.model.is_of_pairs else "elbo"

    def bound(self, arrays: dict[str, np.ndarray], source: Source) -> float:
        """Nats per example; minus infinity where it is not finite."""
        model = fill(self._model, arrays, self._where)
        score = evaluation(self.name).score(self._key, model, source, num_samples=_SAMPLES)
        return score.nats if math.isfinite(score.nats) else -math.inf


def _largest(costs: Callable[[float], tuple[QuantizedArrays, float]], loss: float) -> tuple[float, QuantizedArrays]:
    """The largest trade whose measured loss is allowed, by halving between powers; the least where none is."""
    low, high = (math.log(trade) for trade in _TRADES)
    best: tuple[float, QuantizedArrays] | None = None
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        found, lost = costs(math.exp(middle))
        if lost <= loss:
            low, best = middle, (math.exp(middle), found)
        else:
            high = middle
    return (math.exp(low), costs(math.exp(low))[0]) if best is None else best
