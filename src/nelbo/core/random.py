"""Keys: random words and normal numbers of them in few passes over memory, and fresh ones for a tree."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Key, UInt32

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_THREEFRY = "threefry2x32"


def random_words(key: Key[Array, ""], count: int) -> UInt32[Array, " count"]:
    """The numbers of `jax.random.bits(key, (count,), jnp.uint32)`.

    JAX compiles Threefry for a processor as a loop that goes through memory in each of its turns. Its twenty rounds
    written out are one pass over the words, several times faster. Where several consumers share the words, XLA
    repeats the rounds for each; so this is for draws that are compared once, not for the noise of a training step. Keys
    of another kind than Threefry, JAX's older order of the words, or more words than a counter of 32 bits can name, go
    JAX's way.

    Source: Salmon, Moraes, Dror and Shaw (2011), section 4.
    """
    if str(jr.key_impl(key)) != _THREEFRY or count >= 2**32 or not jax.config.jax_threefry_partitionable:  # pyright: ignore[reportAttributeAccessIssue]
        return jr.bits(key, (count,), jnp.uint32)
    first, second = jr.key_data(key)
    schedule = (first, second, first ^ second ^ jnp.uint32(_PARITY))
    high, low = schedule[0], lax.iota(jnp.uint32, count) + schedule[1]
    for i in range(5):
        high, low = _four_rounds(high, low, _ROTATIONS[i % 2])
        high, low = high + schedule[(i + 1) % 3], low + schedule[(i + 2) % 3] + jnp.uint32(i + 1)
    return high ^ low


def random_normals(
    key: Key[Array, ""], shape: tuple[int, ...], dtype: jnp.dtype | type = jnp.float32
) -> Float[Array, "*shape"]:
    """The numbers of `jax.random.normal(key, shape, dtype)`, in half the time on a processor: by `random_words`.

    For the noise of as many numbers as a network has weights, which can cost as much as the gradient does. A barrier
    keeps XLA from repeating the rounds for each consumer of the words.

    Args:
        key: of any kind.
        shape: of what is drawn.
        dtype: other precisions than float32 go JAX's way.
    """
    if jnp.dtype(dtype) != jnp.float32:
        return jr.normal(key, shape, dtype)
    words = lax.optimization_barrier(random_words(key, math.prod(shape)))
    low = np.nextafter(np.float32(-1.0), np.float32(0.0))
    unit = lax.bitcast_convert_type((words >> 9) | jnp.uint32(0x3F800000), jnp.float32) - 1.0  # 23 bits, in [0, 1)
    uniform = jnp.maximum(low, unit * (np.float32(1.0) - low) + low)
    return (np.float32(math.sqrt(2.0)) * lax.erf_inv(uniform)).reshape(shape)


def _four_rounds(high: Any, low: Any, rotations: tuple[int, ...]) -> tuple[Any, Any]:
    for turn in rotations:
        high = high + low
        low = high ^ ((low << jnp.uint32(turn)) | (low >> jnp.uint32(32 - turn)))
    return high, low


def with_fresh_keys(key: Key[Array, ""], tree: Any) -> Any:
    """The tree with every typed key in it replaced by one that is made from `key` and its place."""
    leaves, structure = jax.tree.flatten(tree)
    is_key = lambda leaf: jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)  # noqa: E731
    fresh = [
        jr.fold_in(key, i) if isinstance(leaf, jax.Array) and is_key(leaf) else leaf for i, leaf in enumerate(leaves)
    ]
    return jax.tree.unflatten(structure, fresh)
