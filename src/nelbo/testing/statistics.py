"""Assertions about means of random replicates, in units of their own standard errors.

At five standard errors one coordinate in 1.7 million fails by chance (normal limit; use 1000 replicates or more).
"""

from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

SIGMAS = 5.0
# float32 sums of a replicate carry this much relative rounding, which no number of replicates averages away
ROUNDING = 2e-5


def _rows(replicates: PyTree) -> list[tuple[str, np.ndarray]]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(replicates)
    return [(jax.tree_util.keystr(path), np.asarray(leaf, np.float64)) for path, leaf in leaves]


def _moments(values: np.ndarray) -> tuple[Any, Any, Any]:
    """Mean, its standard error, and the rounding it may carry."""
    mean, error = values.mean(0), values.std(0, ddof=1) / np.sqrt(len(values))
    return mean, error, ROUNDING * np.sqrt((values**2).mean(0))


def _fail(what: str, name: str, index: Any, got: Any, want: Any, error: Any, count: int, z: Any) -> None:
    place = f"{name}{list(map(int, index))}" if len(index) else name or "value"
    raise AssertionError(
        f"{what}: {place} has mean {got:.6g} over {count} replicates, expected {want:.6g}; "
        f"standard error {error:.3g}, z = {z:+.1f}."
    )


def _compare(what: str, name: str, mean: Any, want: Any, error: Any, slack: Any, count: int, sigmas: float) -> float:
    if not np.isfinite(mean).all():
        raise AssertionError(f"{what}: {name or 'value'} has replicates that are not finite.")
    excess = np.maximum(np.abs(mean - want) - slack, 0.0)
    z = np.where(excess > 0, excess / np.maximum(error, 1e-300), 0.0)
    worst = np.unravel_index(np.argmax(z), z.shape)
    if z[worst] > sigmas:
        signed = z[worst] * np.sign((mean - want)[worst])
        _fail(what, name, worst, mean[worst], want[worst], error[worst], count, signed)
    return float(z[worst])


def assert_unbiased(
    replicates: PyTree, exact: PyTree, sigmas: float = SIGMAS, *, what: str = "estimate", slack: float = 0.0
) -> float:
    """Assert that the mean over replicates is the exact value in every coordinate.

    Args:
        replicates: a tree of arrays; the first dimension of each runs over the replicates.
        exact: the same tree with that dimension left out.
        sigmas: standard errors allowed.
        what: the name used in the message.
        slack: allowed beside the standard error, for an `exact` that is itself rounded.

    Returns:
        The largest |z|.

    Raises:
        AssertionError: naming the coordinate that is furthest off.
    """
    rows, wanted = _rows(replicates), _rows(exact)
    if [name for name, _ in rows] != [name for name, _ in wanted]:
        raise AssertionError(f"{what}: the exact value has other parts than the replicates.")
    worst = 0.0
    for (name, values), (_, want) in zip(rows, wanted, strict=True):
        if values.shape[1:] != want.shape:
            raise AssertionError(f"{what}: {name} has shape {values.shape[1:]}, the exact value {want.shape}.")
        mean, error, rounding = _moments(values)
        rounding = rounding + slack + ROUNDING * np.abs(want)
        worst = max(worst, _compare(what, name, mean, want, error, rounding, len(values), sigmas))
    return worst


def assert_same_mean(first: Any, second: Any, sigmas: float = SIGMAS, *, what: str = "means") -> None:
    """Assert that two independent sets of replicates (first dimension) have one mean in every coordinate."""
    (a, a_error, a_slack), (b, b_error, b_slack) = (_moments(np.asarray(v, np.float64)) for v in (first, second))
    _compare(what, "", a, b, np.sqrt(a_error**2 + b_error**2), a_slack + b_slack, len(first), sigmas)


def assert_below(replicates: Any, limit: Any, sigmas: float = SIGMAS, *, what: str = "bound") -> None:
    """Assert that the mean over replicates (first dimension) does not exceed `limit` in any coordinate."""
    mean, error, slack = _moments(np.asarray(replicates, np.float64))
    limit = np.broadcast_to(np.asarray(limit, np.float64), mean.shape)
    slack = slack + ROUNDING * np.abs(limit)
    # a mean under the limit is as good as one at the limit
    _compare(f"{what} above its limit", "", np.maximum(mean, limit), limit, error, slack, len(replicates), sigmas)
