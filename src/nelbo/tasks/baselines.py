"""What filling-in is compared with: means, and nearest neighbours; and the scores of a filling."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from nelbo.core import InputError
from nelbo.tasks.filled import Imputation

ROWS = 250  # queries compared with all training rows at once
NEIGHBOURS = (1, 5, 10, 20, 50)

Values = Float[np.ndarray, "..."]
Mask = Bool[np.ndarray, "..."]


@dataclasses.dataclass(frozen=True)
class Filling:
    """Rows with their missing entries filled in, and how many training values each filled entry is a mean of.

    Args:
        values: the rows.
        count: as many numbers; zero where an entry was observed.
    """

    values: np.ndarray
    count: np.ndarray


def _flat(values: np.ndarray, observed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    seen = np.ones(values.shape, bool) if observed is None else np.asarray(observed)
    flat = np.where(seen, values, 0.0).reshape(len(values), -1).astype(np.float32)
    return flat, seen.reshape(len(values), -1).astype(np.float32)


def mean_fill(train: Values, rows: Values, observed: Mask, train_observed: Mask | None = None) -> Filling:
    """Put the training data's mean of an entry where it is missing.

    Args:
        train: training rows.
        rows: to be filled; of the training rows' shape.
        observed: which entries of `rows` are known.
        train_observed: which of the training rows'; None for all.
    """
    values, seen = _flat(train, train_observed)
    count = seen.sum(0, dtype=np.float64)
    mean = (values.sum(0, dtype=np.float64) / np.maximum(count, 1.0)).reshape(rows.shape[1:])
    filled = np.where(observed, rows, mean).astype(np.float32)
    return Filling(filled, np.where(observed, 0.0, count.reshape(rows.shape[1:])))


def neighbour_fill(
    train: Values,
    rows: Values,
    observed: Mask,
    neighbours: Sequence[int] = NEIGHBOURS,
    train_observed: Mask | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[int, Filling]:
    """Put the mean of the k nearest training rows where an entry is missing, for several k at once.

    The distance is the mean squared difference over the entries that both rows have (Troyanskaya et al. 2001); among
    the k nearest, the rows that have the missing entry count, and where none has it the mean of all rows stands in.
    scikit-learn's `KNNImputer` looks for other neighbours for each entry instead where training rows have gaps; without
    gaps the two agree.

    Args:
        train: training rows.
        rows: to be filled.
        observed: which entries of `rows` are known.
        neighbours: the values of k.
        train_observed: which entries of the training rows are known; None for all.
        progress: called with the number of rows done.

    Raises:
        InputError: a k below one or beyond the number of training rows.
    """
    most = max(neighbours, default=0)
    if min(neighbours, default=0) < 1 or most > len(train):
        raise InputError(f"The number of neighbours must be from 1 to {len(train)}, got {list(neighbours)}.")
    values, seen = _flat(train, train_observed)
    queries, known = _flat(rows, observed)
    squares, whole = (values**2).T, bool(seen.all())
    fallback = mean_fill(train, rows, observed, train_observed)
    filled = {k: Filling(fallback.values.copy(), fallback.count.copy()) for k in neighbours}
    for start in range(0, len(rows), ROWS):
        part = slice(start, start + ROWS)
        distance = known[part] @ squares - 2.0 * queries[part] @ values.T
        if not whole:
            shared = known[part] @ seen.T
            distance = (distance + queries[part] ** 2 @ seen.T) / np.maximum(shared, 1e-9)
            distance[shared == 0] = np.inf
        near = np.argpartition(distance, most - 1, axis=1)[:, :most]
        order = np.take_along_axis(distance, near, axis=1).argsort(axis=1, kind="stable")
        near = np.take_along_axis(near, order, axis=1)
        for k in neighbours:
            chosen = near[:, :k]
            count = seen[chosen].sum(1, dtype=np.float64).reshape(-1, *rows.shape[1:])
            total = values[chosen].sum(1, dtype=np.float64).reshape(-1, *rows.shape[1:])
            use = ~observed[part] & (count > 0)
            filled[k].values[part] = np.where(use, total / np.maximum(count, 1.0), filled[k].values[part])
            filled[k].count[part] = np.where(use, count, filled[k].count[part])
        if progress is not None:
            progress(min(start + ROWS, len(rows)))
    return filled


def imputation_scores(truth: Values, result: Imputation) -> dict[str, float]:
    """How well hidden entries were filled in, where the truth is known.

    Gives "rmse" (of the mean, in the data's units), "coverage" (share of hidden entries inside the 90 % interval),
    "hidden" (how many entries were hidden) and, if `impute` was given the truth, "nats_per_hidden_entry" (the log
    density of each hidden entry by itself, mean over them) and "hidden_nats" (that of all hidden entries of an example
    together, mean over examples with any): both from the log of the mean of p(x_hidden | z) over the draws, which lies
    below the truth in expectation, the second one by far if the draws are few.
    """
    hidden = ~result.observed
    if not hidden.any():
        return {"rmse": 0.0, "coverage": 1.0, "hidden": 0}
    inside = (truth >= result.low) & (truth <= result.high)
    scores = {
        "rmse": rmse(truth, result.mean, hidden),
        "coverage": float(inside[hidden].mean()),
        "hidden": int(hidden.sum()),
    }
    if result.entry_nats is not None and result.joint_nats is not None:
        rows = hidden.reshape(len(hidden), -1).any(1)
        scores["nats_per_hidden_entry"] = float(result.entry_nats.sum(dtype=np.float64) / hidden.sum())
        scores["hidden_nats"] = float(result.joint_nats[rows].mean(dtype=np.float64))
    return scores


def filling_scores(truth: Values, filling: Filling, observed: Mask, *, binary: bool) -> dict[str, float]:
    """The same for a filling without intervals.

    Zeros and ones have a log probability too: that of a share, with half a count added to both (Krichevsky and Trofimov
    1981).
    """
    hidden = ~observed
    if not hidden.any():
        return {"rmse": 0.0, "hidden": 0}
    scores = {"rmse": rmse(truth, filling.values, hidden), "hidden": int(hidden.sum())}
    if binary:
        share = (filling.values * filling.count + 0.5)[hidden] / (filling.count + 1.0)[hidden]
        chance = np.where(truth[hidden] > 0.5, share, 1.0 - share)
        scores["nats_per_hidden_entry"] = float(np.log(chance).mean())
    return scores


def rmse(truth: Values, values: Values, hidden: Mask) -> float:
    """Root mean squared error over the hidden entries."""
    error = (values - truth)[hidden].astype(np.float64)
    return float(np.sqrt((error**2).mean()))
