"""Randomized quasi-Monte Carlo: Sobol points with a fresh scramble from every key, inside of compiled functions."""

import math

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.special import ndtri
from jaxtyping import Array, Float, Key
from scipy.stats import qmc

from nelbo.core import InputError

_BITS = 32
_KEPT = 23  # the middle of a cell of width 2^-23 is a float32 that is neither 0 nor 1


def _sobol_bits(count: int, dimensions: int) -> tuple[np.ndarray, int]:
    """The first `count` Sobol points as binary fractions of 32 bits, and how many leading bits any of them uses."""
    power = count.bit_length() - 1
    points = qmc.Sobol(dimensions, scramble=False).random_base2(power)
    return np.round(points * 2.0**_BITS).astype(np.uint32), power


def sobol_uniforms(key: Key[Array, ""], count: int, dimensions: int) -> Float[Array, "n d"]:
    """Points of the unit cube that fill it evenly, each of them uniformly distributed, none on its faces.

    The first points of Sobol's sequence (direction numbers of Joe and Kuo 2008, from SciPy, when the function is
    traced), under a random linear scramble of their digits and a random digital shift (Matousek 1998): the mean of a
    smooth function over them has variance O(n^-3 log^(d-1) n) in place of O(n^-1) (Owen 1997), and no bias.

    Args:
        key: for the scramble; another key, another scramble.
        count: n, a power of two: only such sets are balanced.
        dimensions: d, at most 21201.

    Raises:
        InputError: a number of points that is no power of two, or too many dimensions.
    """
    if count < 1 or count & (count - 1):
        raise InputError(f"Sobol points come in powers of two, got {count}: use {2 ** max(1, count).bit_length()}.")
    if not 1 <= dimensions <= qmc.Sobol.MAXDIM:
        raise InputError(f"Sobol points have 1 to {qmc.Sobol.MAXDIM} dimensions, got {dimensions}.")
    bits, used = _sobol_bits(count, dimensions)
    matrix_key, shift_key = jr.split(key)
    points = jnp.broadcast_to(jr.bits(shift_key, (dimensions,), jnp.uint32)[None], (count, dimensions))
    if used:
        random = jr.bits(matrix_key, (used, dimensions), jnp.uint32)
        for place in range(used):
            # column of a lower triangular matrix over {0, 1} with ones on its diagonal
            below = random[place] >> jnp.uint32(place + 1) if place + 1 < _BITS else jnp.zeros_like(random[place])
            column = below | jnp.uint32(1 << (_BITS - 1 - place))
            on = jnp.asarray((bits >> np.uint32(_BITS - 1 - place)) & np.uint32(1), bool)
            points = points ^ jnp.where(on, column[None], jnp.zeros_like(column)[None])
    cells = (points >> jnp.uint32(_BITS - _KEPT)).astype(jnp.float32)
    return (cells + 0.5) * 2.0**-_KEPT


def sobol_normals(
    key: Key[Array, ""], count: int, shapes: tuple[tuple[int, ...], ...]
) -> tuple[Float[Array, "n ..."], ...]:
    """Standard normal noise for arrays of several shapes, `count` draws of all of them from one set of Sobol points.

    Args:
        key: for the scramble.
        count: a power of two.
        shapes: of one draw of each array; together they make the dimensions of the points.

    Raises:
        InputError: see `sobol_uniforms`.
    """
    sizes = [math.prod(shape) for shape in shapes]
    noise = ndtri(sobol_uniforms(key, count, sum(sizes)))
    parts = jnp.split(noise, np.cumsum(sizes)[:-1].tolist(), axis=1)
    return tuple(jax.lax.reshape(part, (count, *shape)) for part, shape in zip(parts, shapes, strict=True))
