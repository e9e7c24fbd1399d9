"""One example: what p scores, which of it is observed, what a recognition model sees, and the context."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from nelbo.core.errors import InputError


class Example(eqx.Module):
    """One example of a data set, or a batch of them if every array has a leading batch dimension.

    Args:
        values: what p scores: an array, or a tree of arrays.
        observed: booleans of the same structure; the likelihood sums over observed entries only. None: all are
            observed.
        seen: what q sees in place of the values (noisy ones, or a part of them); None: the values themselves.
        context: what p and q are conditioned on but do not model (labels, time stamps, covariates); None: nothing.
        weight: weight of the example in the mean over a batch, which no model sees; None: one.

    Raises:
        InputError: a mask of another shape than the values.
    """

    values: PyTree
    observed: PyTree | None = None
    seen: "Example | None" = None
    context: PyTree | None = None
    weight: Float[Array, "*batch"] | None = None

    def __check_init__(self) -> None:
        """Refuse a mask of another shape."""
        if self.observed is None:
            return
        values, mask = ([leaf.shape for leaf in jax.tree.leaves(tree)] for tree in (self.values, self.observed))
        if values != mask:
            raise InputError(f"The mask of observed entries has shape {mask}, the values {values}: give one of theirs.")

    @property
    def view(self) -> "Example":
        """The example as a recognition model sees it: hidden entries are not observed, noise is in the values."""
        if self.seen is None:
            return self
        observed = self.observed
        if self.seen.observed is not None:
            observed = self.seen.observed if observed is None else jnp.logical_and(observed, self.seen.observed)
        return Example(self.seen.values, observed, context=self.context)


# what may be given for an example: a bare array is one of which every entry is observed
AnyExample = Example | Array | np.ndarray


def as_example(x: AnyExample) -> Example:
    """The example itself, or a bare array as an example in which every entry is observed."""
    return x if isinstance(x, Example) else Example(x)
