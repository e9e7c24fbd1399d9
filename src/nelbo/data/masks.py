"""Masks that hide entries on purpose: True is observed, False is missing."""

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, PRNGKeyArray

from nelbo.core import InputError


def missing_at_random(key: PRNGKeyArray, shape: tuple[int, ...], *, rate: float) -> Bool[Array, "..."]:
    """Hide each entry on its own with probability `rate`.

    Args:
        key: a typed key.
        shape: of the mask; for an image the last axis counts as entries too (give `(h, w, 1)` and broadcast to hide
            whole pixels).
        rate: 0 to 1.
    """
    if not 0.0 <= rate <= 1.0:
        raise InputError(f"missing_at_random(rate={rate}): the rate is a probability; give a number from 0 to 1.")
    return jr.uniform(key, shape) >= rate


def missing_square(
    shape: tuple[int, ...], *, size: int, top: int | None = None, left: int | None = None
) -> Bool[Array, "h w c"]:
    """Hide a square of pixels, all channels of it.

    Args:
        shape: `(height, width, channels)`.
        size: the side of the square, in pixels.
        top: its first row; None puts it in the middle.
        left: its first column; None puts it in the middle.

    Raises:
        InputError: `shape` is no image, or the square does not lie inside it.
    """
    height, width = _image(shape, size)
    top = (height - size) // 2 if top is None else top
    left = (width - size) // 2 if left is None else left
    if not (0 <= top <= height - size and 0 <= left <= width - size):
        raise InputError(
            f"missing_square(size={size}, top={top}, left={left}): the square must lie inside {height} x {width} "
            "pixels; choose a smaller size or another corner."
        )
    return _outside(shape, size, jnp.int32(top), jnp.int32(left))


def missing_random_square(key: PRNGKeyArray, shape: tuple[int, ...], *, size: int) -> Bool[Array, "h w c"]:
    """Hide a square at a random place, inside the image; arguments as for `missing_square`."""
    height, width = _image(shape, size)
    top_key, left_key = jr.split(key)
    top = jr.randint(top_key, (), 0, height - size + 1)
    left = jr.randint(left_key, (), 0, width - size + 1)
    return _outside(shape, size, top, left)


def missing_grid(shape: tuple[int, ...], *, step: int) -> Bool[Array, "h w c"]:
    """Keep every `step`-th pixel of every `step`-th row and hide all others: filling them in is super-resolution.

    Raises:
        InputError: `shape` is no image, or the step does not fit into it.
    """
    height, width = _image(shape, step)
    keep = (jnp.arange(height) % step == 0)[:, None] & (jnp.arange(width) % step == 0)[None, :]
    return jnp.broadcast_to(keep[:, :, None], shape)


def _image(shape: tuple[int, ...], size: int) -> tuple[int, int]:
    if len(shape) != 3 or not 0 < size <= min(shape[:2]):
        raise InputError(
            f"A square of {size} pixels does not fit into shape {shape}: give (height, width, channels) and a size "
            "from 1 to the shorter side."
        )
    return shape[0], shape[1]


def _outside(shape: tuple[int, ...], size: int, top: Array, left: Array) -> Bool[Array, "h w c"]:
    rows, columns = jnp.arange(shape[0]), jnp.arange(shape[1])
    in_rows = (rows >= top) & (rows < top + size)
    in_columns = (columns >= left) & (columns < left + size)
    inside = in_rows[:, None] & in_columns[None, :]
    return jnp.broadcast_to(~inside[:, :, None], shape)
