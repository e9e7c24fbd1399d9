"""Random numbers of JAX's own keys, in less time on a processor: what a step draws, and what is drawn once."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Float, Key, UInt32

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_THREEFRY = "threefry2x32"


def random_words(key: Key[Array, ""], count: int) -> UInt32[Array, " count"]:
    """The numbers of `jax.random.bits(key, (count,), jnp.uint32)`.

    JAX compiles Threefry for a processor as a loop that goes through memory in each of its turns. Its twenty rounds
    written out are one pass over the words, several times faster. Where several consumers share the words, XLA
    repeats the rounds for each; so this is for draws that are compared once, not for the noise of a training step. Keys
    of another kind than Threefry, or as many words as a counter of 32 bits cannot name, go JAX's way.

    Source: Salmon, Moraes, Dror and Shaw (2011), section 4.
    """
    if str(jr.key_impl(key)) != _THREEFRY or count >= 2**32:
        return jr.bits(key, (count,), jnp.uint32)
    first, second = jr.key_data(key)
    high, low = _threefry(first, second, lax.iota(jnp.uint32, count))
    return high ^ low


def _threefry(first: Any, second: Any, counter: Any) -> tuple[Any, Any]:
    """Both words of Threefry under the key (first, second) for the counters (0, counter), of NumPy or JAX."""
    word = counter.dtype.type
    schedule = (first, second, first ^ second ^ word(_PARITY))
    high, low = schedule[0], counter + schedule[1]
    for i in range(5):
        for turn in _ROTATIONS[i % 2]:
            high = high + low
            low = high ^ ((low << word(turn)) | (low >> word(32 - turn)))
        high, low = high + schedule[(i + 1) % 3], low + schedule[(i + 2) % 3] + word(i + 1)
    return high, low


def seeded(seed: int) -> Key[Array, ""]:
    """The key of `jax.random.key(seed)`, for a seed of at most 32 bits; nothing is compiled."""
    if str(jax.config.jax_default_prng_impl) != _THREEFRY:  # pyright: ignore[reportAttributeAccessIssue]
        return jr.key(seed)
    return jr.wrap_key_data(jnp.asarray(np.array([0, seed], np.uint32)))


def split(key: Key[Array, ""], count: int = 2) -> Sequence[Key[Array, ""]] | Key[Array, " count"]:
    """The keys of `jax.random.split`; of a key that is known now they are made at once, with nothing to compile."""
    if (words := _known(key)) is None:
        return jr.split(key, count)
    pairs = np.stack(_threefry(*words, np.arange(count, dtype=np.uint32)), axis=-1)
    return tuple(jr.wrap_key_data(jnp.asarray(pair)) for pair in pairs)


def uniform(key: Key[Array, ""], shape: tuple[int, ...], low: float, high: float) -> Float[Array | np.ndarray, "..."]:
    """The numbers of `jax.random.uniform` in [low, high), to rounding; of NumPy where the key is known now."""
    if (words := _known(key)) is None:
        return jr.uniform(key, shape, minval=low, maxval=high)
    return _uniform(words, shape, low, high)


def normal(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array | np.ndarray, "..."]:
    """The numbers of `jax.random.normal`, to rounding; of NumPy where the key is known now."""
    if (words := _known(key)) is None:
        return jr.normal(key, shape)
    from scipy.special import erfinv

    low = float(np.nextafter(np.float32(-1.0), np.float32(0.0)))
    values = erfinv(_uniform(words, shape, low, 1.0).astype(np.float64))
    return np.asarray(math.sqrt(2.0) * values, np.float32)


def _known(key: Key[Array, ""]) -> tuple[np.ndarray, np.ndarray] | None:
    """The two words of a Threefry key; None of one that is traced, or of another kind."""
    if isinstance(key, Tracer) or str(jr.key_impl(key)) != _THREEFRY:
        return None
    words = np.asarray(jr.key_data(key))
    return words[:1], words[1:]


def _uniform(words: tuple[np.ndarray, np.ndarray], shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
    """Numbers from the highest 23 bits of each word."""
    first, second = _threefry(*words, np.arange(math.prod(shape), dtype=np.uint32))
    unit = (((first ^ second) >> np.uint32(9)) | np.uint32(0x3F800000)).view(np.float32) - np.float32(1.0)
    least, width = np.float32(low), np.float32(high) - np.float32(low)
    return np.maximum(least, unit * width + least).reshape(shape)
