"""Comparisons of trees of arrays with messages that name the place."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import PyTree

# eager, compiled and batched code may sum in another order
RELATIVE, ABSOLUTE = 2e-4, 2e-5


def require(condition: Any, message: str) -> None:
    """Raise `AssertionError` with a message unless the condition holds (also where Python drops `assert`)."""
    if not bool(condition):
        raise AssertionError(message)


def arrays(tree: PyTree) -> list[tuple[str, np.ndarray]]:
    """The arrays of a tree with their places."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(tree, eqx.is_array))
    return [(jax.tree_util.keystr(path), np.asarray(leaf)) for path, leaf in leaves]


def require_finite(tree: PyTree, what: str) -> None:
    """Every number of every array is finite."""
    for place, value in arrays(tree):
        require(np.isfinite(value).all(), f"{what}{place} is not finite: {value!r:.200}")


def require_close(got: PyTree, want: PyTree, what: str) -> None:
    """Equal structure, shapes and types, and equal numbers but for the order of sums."""
    first, second = arrays(got), arrays(want)
    require([p for p, _ in first] == [p for p, _ in second], f"{what}: the two trees have different arrays.")
    for (place, a), (_, b) in zip(first, second, strict=True):
        same = (a.shape, a.dtype) == (b.shape, b.dtype)
        require(same, f"{what}{place}: {a.dtype}{list(a.shape)} against {b.dtype}{list(b.shape)}.")
        close = np.isclose(a, b, rtol=RELATIVE, atol=ABSOLUTE * max(1.0, float(np.abs(b).max(initial=0.0))))
        require(close.all(), f"{what}{place}: {a!r:.200} against {b!r:.200}.")


def clone_keys(tree: PyTree) -> PyTree:
    """The same tree; its keys may be used here and again outside."""
    is_key = lambda leaf: eqx.is_array(leaf) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)  # noqa: E731
    return jax.tree.map(lambda leaf: jr.clone(leaf) if is_key(leaf) else leaf, tree)


def take(batch: PyTree, index: int) -> PyTree:
    """One example of a batch."""
    return jax.tree.map(lambda leaf: leaf[index], batch)


def stack(examples: list[PyTree]) -> PyTree:
    """A batch from examples."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *examples)
