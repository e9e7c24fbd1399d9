"""What examples are conditioned on: known to sender and receiver, so that it costs no bits."""

import hashlib

import jax
import numpy as np
from jaxtyping import PyTree

from nelbo.core import InputError
from nelbo.models import Model


def checked_context(model: Model, context: PyTree, count: int) -> PyTree:
    """The context as coding takes it: float64 arrays that hold what a float32 one does, as models are trained with.

    Args:
        model: the fitted model.
        context: an array or a tree of arrays, examples first; None where there is none.
        count: of examples.

    Raises:
        InputError: the model needs a context and there is none, or it is of another size or no numbers.
    """
    size = model.generative.context_size
    if not jax.tree.leaves(context):
        if size:
            raise InputError(f"The model is conditioned on a context of {size} numbers an example: give it too.")
        return None
    arrays = jax.tree.map(np.asarray, context)
    leaves = jax.tree.leaves(arrays)
    for leaf in leaves:
        if leaf.dtype.kind not in "buif" or not leaf.ndim:
            raise InputError(f"A context must be an array of numbers, examples first, but this one is {leaf.dtype}.")
        if len(leaf) != count:
            raise InputError(f"The context has {len(leaf)} rows, but there are {count} examples: give one for each.")
        if not np.isfinite(leaf).all():
            raise InputError("The context has entries that are missing or not finite: give numbers.")
    given = sum(int(np.prod(leaf.shape[1:])) for leaf in leaves)
    if size and given != size:
        raise InputError(f"The model is conditioned on {size} numbers an example, but the context has {given}.")
    return jax.tree.map(lambda leaf: leaf.astype(np.float32).astype(float), arrays)


def context_digest(context: PyTree) -> str | None:
    """SHA-256 of a context's shapes and values, hex; None of no context.

    Args:
        context: see `checked_context`.
    """
    leaves = jax.tree.leaves(context)
    if not leaves:
        return None
    found = hashlib.sha256()
    for leaf in leaves:
        found.update(f"{leaf.shape}|".encode())
        found.update(np.ascontiguousarray(leaf, "<f4").tobytes())
    return found.hexdigest()
