"""What a training loop draws from: raw rows on a device or on disk, and the pure function that reads one of them."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree, Shaped

from nelbo.core import Example, InputError, choice
from nelbo.data.schema import VALUES
from nelbo.data.splits import Data, Split

PIXELS = ("counts", "unit")


class Source(eqx.Module):
    """Raw rows and how to read one.

    Args:
        arrays: the values, and where there are gaps or a context these too, as an `Example` of arrays with leading
            dimension n: on the device, or NumPy arrays (memory-mapped ones too) and what is indexed like them
            (`Crops`), which stay on the host.
        values: what the raw rows hold, as in `Data.values`.
        dynamic: draw zeros and ones from grey values anew in every `example`.
        pixels: uint8 grey values become "counts" (float32 0 to 255) or "unit" (float32 0 to 1).
    """

    arrays: Example
    values: str = eqx.field(static=True)
    dynamic: bool = eqx.field(static=True)
    pixels: str = eqx.field(static=True, default="counts")

    def __len__(self) -> int:
        return len(jax.tree.leaves(self.arrays)[0])

    @property
    def on_host(self) -> bool:
        """Whether `take` gathers on the host (outside jit) instead of on the device (inside jit)."""
        return not all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(self.arrays))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return tuple(self.arrays.values.shape[1:])

    def head(self, count: int) -> "Source":
        """The first `count` rows as a source."""
        arrays = jax.tree.map(lambda leaf: leaf[:count], self.arrays)
        return Source(arrays, self.values, self.dynamic, self.pixels)

    def take(self, indices: Any) -> PyTree:
        """The raw rows at `indices`, `(batch,)` integers from 0 to n - 1.

        A source on the device gathers inside jit; one on the host reads just these rows and returns NumPy arrays.
        """
        if self.on_host:
            rows = np.asarray(indices)
            return jax.tree.map(lambda leaf: _narrow(leaf[rows]), self.arrays)
        return jax.tree.map(lambda leaf: _gathered(leaf, indices), self.arrays)

    def example(self, key: PRNGKeyArray, raw: Example) -> Example:
        """One raw row as the model sees it, float32. Pure, to be mapped with `jax.vmap`.

        Args:
            key: used by dynamic binarization only.
            raw: one row of what `take` returns.
        """
        values = self._read(key, jnp.asarray(raw.values))
        observed = None if raw.observed is None else jnp.asarray(raw.observed)
        if observed is not None:
            values = jnp.where(observed, values, jnp.zeros_like(values))
        context = jax.tree.map(lambda leaf: jnp.asarray(leaf).astype(jnp.float32), raw.context)
        seen = None if raw.seen is None else self.example(key, raw.seen)  # the same key: equal grey values, equal bits
        return Example(values, observed, seen, context)

    def _read(self, key: PRNGKeyArray, raw: Shaped[Array, "*shape"]) -> Float[Array, "*shape"]:
        if self.dynamic:
            return dynamic_draw(key, raw).astype(jnp.float32)
        if self.values == "uint8" and self.pixels == "unit":
            return raw.astype(jnp.float32) / 255.0
        return raw.astype(jnp.float32)


def _gathered(leaf: Any, indices: Any) -> Array:
    """Rows of an array on the device.

    They are gathered flat and then given their shape: from a gather of height x width x channels XLA's CPU backend
    carries a layout through the whole step that makes it three to four times as long.
    """
    rows = jnp.take(jnp.reshape(leaf, (leaf.shape[0], -1)), indices, axis=0, mode="clip")
    return rows.reshape(*rows.shape[:-1], *leaf.shape[1:])


def _narrow(rows: np.ndarray) -> np.ndarray:
    """Bytes and booleans as they are, all other numbers as float32 of this machine's byte order."""
    return np.asarray(rows, rows.dtype if rows.dtype in (np.uint8, np.bool_) else np.float32)


def dynamic_draw(key: PRNGKeyArray, grey: Shaped[Array, "*shape"]) -> Bool[Array, "*shape"]:
    """Draw x ~ Bern(p) for one example.

    A uint8 value g is compared with 16 random bits, half of what a float needs: one where bits < 257 g, so
    p = 257 g / 65536, which is g / 255 to within 1.6e-5 (black is always zero, full white is zero once in 65536).
    For floats in [0, 1], p is the value.
    """
    if grey.dtype != jnp.uint8:
        return jr.uniform(key, grey.shape) < grey
    # JAX spends 32 bits on each uint16 it draws: draw half as many words and cut them in two (0.29 against 0.49 ms
    # for 100 x 784 on two cores)
    words = jr.bits(key, ((grey.size + 1) // 2,), jnp.uint32)
    bits = jax.lax.bitcast_convert_type(words, jnp.uint16).reshape(-1)[: grey.size].reshape(grey.shape)
    return bits < grey.astype(jnp.uint16) * jnp.uint16(257)


def source(
    split: Split,
    values: Data | str,
    *,
    dynamic: bool | None = None,
    pixels: str = "counts",
    on_host: bool | None = None,
) -> Source:
    """Make a source of one split.

    Args:
        split: the rows.
        values: the data set the split is of, or what `split.x` holds, as in `Data.values`.
        dynamic: draw zeros and ones anew for every example; None takes the data set's own binarization.
        pixels: "counts" or "unit", for uint8 values: what the likelihood wants.
        on_host: keep the rows on the host; None does so for what is on disk only.

    Raises:
        InputError: an unknown name, no rows, or dynamic binarization of values that are no grey values.
    """
    if isinstance(values, Data):
        dynamic = values.binarization == "dynamic" if dynamic is None else dynamic
        values = values.values
    choice("kind of values", values, VALUES)
    choice("form of pixels", pixels, PIXELS)
    if len(split) == 0:
        raise InputError("This split has no rows: nothing can be drawn from it; use another split or larger fractions.")
    if dynamic and values in ("real", "counts"):
        raise InputError("Dynamic binarization needs grey values (uint8, or floats in 0..1), but these are real.")
    rows = Example(split.x, split.observed, context=split.context)
    on_host = isinstance(split.x, np.memmap) or not isinstance(split.x, np.ndarray) if on_host is None else on_host
    arrays = rows if on_host else jax.tree.map(lambda leaf: jnp.asarray(_narrow(leaf)), rows)
    return Source(arrays, values, bool(dynamic) and values != "binary", pixels)
