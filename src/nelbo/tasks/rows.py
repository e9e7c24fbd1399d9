"""Rows of a source as a model takes them: read in one compiled call, in the model's shape, with entries hidden."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from nelbo.core import Example, InputError, compiled
from nelbo.data import Source
from nelbo.distributions import example_shape, reading
from nelbo.models import Model


def reader(data: Source) -> Source:
    """The source without its rows: what compiled functions need of it, whatever its length."""
    return dataclasses.replace(data, arrays=Example(None))


def stored_rows(data: Source, indices: np.ndarray) -> Example:
    """Rows as they are stored, on the device."""
    return jax.tree.map(jnp.asarray, data.take(indices))


def _read(rows: Example, how: Source) -> Example:
    count = jax.tree.leaves(rows)[0].shape[0]
    batch = jax.vmap(how.example)(jr.split(jr.key(0), count), rows)
    observed = jnp.ones(batch.values.shape, bool) if batch.observed is None else batch.observed
    return Example(batch.values, observed, batch.seen, batch.context)


read_compiled = compiled(_read)


def rows_as_seen(data: Source, indices: np.ndarray | None = None) -> Example:
    """Rows as a model sees them, on the host, with the mask of what is there.

    Args:
        data: where they are.
        indices: which; None for all.
    """
    rows = stored_rows(data, np.arange(len(data)) if indices is None else indices)
    return jax.tree.map(np.asarray, read_compiled(rows, reader(data)))


def in_shape_of(model: Model, data: Source) -> Source:
    """`in_shape` with the model's own."""
    return in_shape(example_shape(model.generative.shapes()[0]), data)


def in_shape(wanted: tuple[int, ...], data: Source) -> Source:
    """The source with examples of a model's shape: a grey image without its channel axis is the same image.

    Raises:
        InputError: examples of any other shape.
    """
    if data.shape == wanted:
        return data
    if len(wanted) == 3 and (*data.shape, 1) == wanted:
        return with_channel_axis(data)
    raise InputError(f"The data have examples of shape {list(data.shape)}, but the model's have {list(wanted)}.")


def with_channel_axis(data: Source) -> Source:
    """Grey images height x width as height x width x 1: values, mask and what is seen."""
    held = data.arrays
    grow = lambda tree: jax.tree.map(lambda leaf: leaf[..., None], tree)  # noqa: E731
    seen = None if held.seen is None else Example(grow(held.seen.values), grow(held.seen.observed))
    arrays = Example(grow(held.values), grow(held.observed), seen, held.context)
    return dataclasses.replace(data, arrays=arrays)


def hide(data: Source, observed: np.ndarray) -> Source:
    """The same rows with more entries missing: those where `observed` is False.

    Args:
        data: rows, with a mask or without.
        observed: booleans (or 0 and 1), True where an entry stays: of all rows, or of one example. The channel axis of
            grey images may be left out.

    Raises:
        InputError: another shape, or other values.
    """
    observed = np.asarray(observed)
    whole = (len(data), *data.shape)
    if observed.dtype != np.bool_:
        if not np.isin(observed, (0, 1)).all():
            raise InputError("A mask holds True or 1 where an entry is observed, False or 0 where it is missing.")
        observed = observed.astype(bool)
    for wanted in (whole, data.shape):
        if observed.shape == wanted[:-1] and wanted[-1] == 1:
            observed = observed[..., None]
        elif observed.shape == (*wanted, 1) and len(data.shape) == 2:
            observed = observed[..., 0]
    if observed.shape not in (whole, data.shape):
        raise InputError(
            f"The mask has shape {list(observed.shape)}; {list(whole)}, or {list(data.shape)} for all rows alike, was "
            "expected."
        )
    observed = np.broadcast_to(observed, whole)
    held = data.arrays
    if held.observed is not None:
        observed = observed & np.asarray(held.observed)
    values = np.where(observed, np.asarray(held.values), 0).astype(held.values.dtype)
    convert: Any = np.asarray if data.on_host else jnp.asarray
    return dataclasses.replace(data, arrays=Example(convert(values), convert(observed), held.seen, held.context))


def spoiled(key: Any, data: Source, noise: str, rate: float) -> Source:
    """The rows with noise of a kind of `nelbo.distributions.READINGS` on every entry that is there.

    Args:
        key: for the noise.
        data: clean rows.
        noise: the kind.
        rate: of the noise.

    Raises:
        InputError: an unknown kind, a rate it cannot have, or bits are to be flipped of what is no zero or one.
    """
    rows = rows_as_seen(data)
    spoilt = reading(noise, rate).spoil(key, jnp.asarray(rows.values))
    seen = jnp.asarray(rows.observed)
    kind = "binary" if noise == "bit-flip" else "real"
    return Source(Example(jnp.where(seen, spoilt, 0.0), seen, context=rows.context), kind, dynamic=False)
