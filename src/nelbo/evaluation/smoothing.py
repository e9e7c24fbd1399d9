"""How far averaged minibatch statistics of a conjugate model are from those of the whole data set."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from nelbo.core import AnyExample, InputError, compiled
from nelbo.models import ConjugateGlobals, Model


def _statistics(shared: ConjugateGlobals, expected: PyTree, batch: AnyExample) -> PyTree:
    """Mean expected sufficient statistics of the examples."""
    one = jnp.ones((), jnp.float32)
    return jax.grad(lambda t: jax.vmap(shared.local.bound, (None, 0, None))(t, batch, one).mean())(expected)


def _flat(tree: PyTree) -> Float[Array, " n"]:
    return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(tree)])


@compiled
def _path(
    start: ConjugateGlobals, rows: AnyExample, keys: Key[Array, " steps"], rate: Float[Array, ""], batch: int
) -> tuple[Float[Array, "steps n"], Float[Array, "steps n"]]:
    """Statistics of a batch and of all rows at each step of stochastic variational inference, times N."""
    count = jax.tree.leaves(rows)[0].shape[0]

    def step(natural: PyTree, key: Key[Array, ""]) -> tuple[PyTree, tuple[Array, Array]]:
        shared = eqx.tree_at(lambda g: g.natural, start, natural)
        expected = shared.expected()
        chosen = jr.randint(key, (batch,), 0, count)
        some = _statistics(shared, expected, jax.tree.map(lambda leaf: leaf[chosen], rows))
        every = _statistics(shared, expected, rows)
        moved = jax.tree.map(lambda own, prior, s: own + rate * (prior + count * s - own), natural, shared.prior, some)
        return moved, (count * _flat(some), count * _flat(every))

    return jax.lax.scan(step, start.natural, keys)[1]


def smoothing_error(
    key: Key[Array, ""],
    model: Model,
    rows: AnyExample,
    *,
    windows: Sequence[int],
    batch_size: int,
    steps: int,
    rate: float,
) -> list[dict[str, Any]]:
    """Squared distance of averaged statistics from those of all rows, split into bias and variance.

    Along a path of stochastic variational inference, with s_t the statistics of the batch of step t and S_t those of
    all rows at the same parameters: the window's mean of s is off by the mean of s - S (noise, the variance) and by the
    mean of S less S_t (staleness, the bias). The steps compared are the same for every window.
    Source: Mandt and Blei (2014), section 3.

    Args:
        key: for the batches, drawn with replacement.
        model: with conjugate globals, where the path starts.
        rows: all examples, with a leading dimension.
        windows: how many steps are averaged.
        batch_size: examples a step.
        steps: length of the path.
        rate: of every step.

    Returns:
        A row for each window: bias^2, variance and their joint effect (total), as shares of the mean squared norm of S.

    Raises:
        InputError: a model without a conjugate posterior, a window below one, or a path not longer than a window.
    """
    shared = model.globals
    if not isinstance(shared, ConjugateGlobals):
        raise InputError("Averaged statistics are those of a model with a conjugate posterior: use lda, say.")
    if min(windows) < 1 or max(windows) >= steps:
        raise InputError(f"Windows must be at least 1 and shorter than the path of {steps} steps, got {list(windows)}.")
    keys = jr.split(key, steps)
    some, every = (
        np.asarray(v, np.float64) for v in _path(shared, rows, keys, jnp.asarray(rate, jnp.float32), batch_size)
    )
    first = max(windows) - 1
    unit = (every[first:] ** 2).sum(1).mean()
    table = []
    for window in windows:
        mean_some, mean_every = (_window_means(values, window)[first - window + 1 :] for values in (some, every))
        parts = {
            "bias^2": mean_every - every[first:],
            "variance": mean_some - mean_every,
            "total": mean_some - every[first:],
        }
        table.append({"window": window} | {name: float((v**2).sum(1).mean() / unit) for name, v in parts.items()})
    return table


def _window_means(values: np.ndarray, window: int) -> np.ndarray:
    """Means over each run of `window` rows."""
    sums = np.cumsum(np.concatenate([np.zeros_like(values[:1]), values]), axis=0)
    return (sums[window:] - sums[:-window]) / window
