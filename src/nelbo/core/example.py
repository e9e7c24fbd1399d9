"""One example in forms richer than an array: with missing entries, or with noise for the recognition model to see."""

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Bool, Shaped


class Masked(eqx.Module):
    """Values and a boolean mask of the same shape; a missing entry holds zero and is never read by a likelihood."""

    values: Shaped[Array, "*shape"] | Shaped[np.ndarray, "*shape"]
    observed: Bool[Array, "*shape"] | Bool[np.ndarray, "*shape"]


class Corrupted(eqx.Module):
    """A clean example, which likelihoods read, and a noisy copy of its values, which recognition models read.

    Args:
        clean: an array, or `Masked`.
        seen: of the same shape; `Masked` hides entries from recognition models.
    """

    clean: Any
    seen: Shaped[Array, "..."] | Shaped[np.ndarray, "..."] | Masked


def values_of(x: Any) -> Any:
    """The values of an example, with or without a mask or noise."""
    clean = x.clean if isinstance(x, Corrupted) else x
    return clean.values if isinstance(clean, Masked) else clean


def observed_of(x: Any) -> Array | np.ndarray | None:
    """The mask of an example; None where every entry is observed."""
    clean = x.clean if isinstance(x, Corrupted) else x
    return clean.observed if isinstance(clean, Masked) else None


def input_of(x: Any) -> tuple[Any, Any]:
    """What a recognition model sees of an example: values, with noise where there is any, and the mask or None."""
    observed = observed_of(x)
    if not isinstance(x, Corrupted):
        return values_of(x), observed
    if not isinstance(x.seen, Masked):
        return x.seen, observed
    return x.seen.values, x.seen.observed if observed is None else x.seen.observed & observed
