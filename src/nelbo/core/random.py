"""Keys: random words of them in one pass over memory on a processor, and fresh ones in the place of those of a tree."""

from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
from jax import lax
from jaxtyping import Array, Key, UInt32

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
