"""Documents of a batch in rows of a few words each, so that coordinate ascent visits the words that occur alone."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.custom_batching
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from nelbo.distributions import LEAST, expected_log

WIDTH = 32  # distinct words in a row; a longer document has several rows
ROWS = 2  # for each document of the batch on average; a batch of longer ones is worked on as it is


class Rows(NamedTuple):
    """The words of a batch of documents.

    Args:
        word: its place in the vocabulary.
        count: how often it occurs; zero fills a row up.
        owner: the document of each row.
        fit: whether all words have found a place.
    """

    word: Int[Array, "rows width"]
    count: Float[Array, "rows width"]
    owner: Int[Array, " rows"]
    fit: Bool[Array, ""]


def in_rows(counts: Float[Array, "documents words"]) -> Rows:
    """The documents in rows."""
    documents, words = counts.shape
    present = counts > 0
    rank = jnp.cumsum(present.astype(jnp.int32), axis=1) - 1
    needed = jnp.maximum(-(-(rank[:, -1] + 1) // WIDTH), 1)
    end = jnp.cumsum(needed)
    size = ROWS * documents
    place = jnp.where(present, (end - needed)[:, None] * WIDTH + rank, size * WIDTH).ravel()
    source = jnp.full(size * WIDTH, -1, jnp.int32)
    source = source.at[place].set(jnp.arange(documents * words, dtype=jnp.int32), mode="drop", unique_indices=False)
    count = jnp.where(source >= 0, counts.ravel()[jnp.maximum(source, 0)], 0.0)
    owner = jnp.minimum(jnp.searchsorted(end, jnp.arange(size), side="right"), documents - 1)
    shape = (size, WIDTH)
    word = (jnp.maximum(source, 0) % words).reshape(shape)
    return Rows(word, count.reshape(shape), owner.astype(jnp.int32), end[-1] <= size)


class Ascent(eqx.Module):
    """Coordinate ascent on the proportions of topics in documents.

    Args:
        concentration: of the symmetric Dirichlet prior.
        sweeps: most rounds.
        tolerance: a document is done when its concentrations change by less than this on average.
    """

    concentration: float = eqx.field(static=True)
    sweeps: int = eqx.field(static=True, default=50)
    tolerance: float = eqx.field(static=True, default=1e-3)

    def one(
        self, log_topics: Float[Array, "k v"], counts: Float[Array, " v"], power: Float[Array, ""]
    ) -> Float[Array, " k"]:
        """Concentrations of q(proportions) of one document.

        Under `vmap` a batch of documents is worked on together, in rows.

        Args:
            log_topics: log probability of each word in each topic, or its expectation.
            counts: of each word.
            power: 1 / temperature.
        """

        @jax.custom_batching.custom_vmap
        def fit(log_topics: Array, counts: Array, power: Array) -> Array:
            return self._all(log_topics, counts[None], power[None])[0]

        @fit.def_vmap
        def together(
            size: int, batched: list[bool], log_topics: Array, counts: Array, power: Array
        ) -> tuple[Any, bool]:
            if batched[0] or not batched[1]:
                places = tuple(0 if one else None for one in batched)
                alone = lambda t, c, p: self._all(t, c[None], p[None])[0]  # noqa: E731
                return jax.vmap(alone, places)(log_topics, counts, power), True
            return self._batch(log_topics, counts, jnp.broadcast_to(power, (size,))), True

        return fit(*jax.lax.stop_gradient((log_topics, counts, power)))

    def _batch(self, log_topics: Array, counts: Array, power: Array) -> Float[Array, "n k"]:
        """In rows where they hold the batch."""
        rows = in_rows(counts)
        sparse = lambda: self._rows(log_topics, counts, power, rows)  # noqa: E731
        return jax.lax.cond(rows.fit, sparse, lambda: self._all(log_topics, counts, power))

    def _all(self, log_topics: Array, counts: Array, power: Array) -> Float[Array, "n k"]:
        """Over the whole vocabulary."""
        weights = jnp.exp(
            power[:, None, None] * (log_topics - log_topics.max(0, keepdims=True))[None]
        )  # a word's factor cancels

        def statistics(scale: Float[Array, "n k"]) -> Float[Array, "n k"]:
            share = counts / jnp.maximum(jnp.einsum("nk,nkv->nv", scale, weights), LEAST)
            return jnp.einsum("nkv,nv->nk", weights, share)

        return self._ascend(statistics, counts.sum(1), power, len(log_topics))

    def _rows(self, log_topics: Array, counts: Array, power: Array, rows: Rows) -> Float[Array, "n k"]:
        """Over the words that occur."""
        found = (log_topics - log_topics.max(0, keepdims=True)).T[rows.word]
        weights = jnp.exp(power[rows.owner][:, None, None] * found)

        def statistics(scale: Float[Array, "n k"]) -> Float[Array, "n k"]:
            mix = jnp.einsum("rk,rwk->rw", scale[rows.owner], weights)
            share = rows.count / jnp.maximum(mix, LEAST)
            each = jnp.einsum("rw,rwk->rk", share, weights)
            return jax.ops.segment_sum(each, rows.owner, len(counts), indices_are_sorted=True)

        return self._ascend(statistics, counts.sum(1), power, len(log_topics))

    def _ascend(
        self, statistics: Callable[[Array], Array], lengths: Float[Array, " n"], power: Float[Array, " n"], topics: int
    ) -> Float[Array, "n k"]:
        """Rounds until every document is done; one that is done stays as it is."""
        base, power = (power * (self.concentration - 1.0) + 1.0)[:, None], power[:, None]

        def sweep(loop: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            gamma, change, count = loop
            scale = jnp.exp(power * expected_log(gamma))
            new = base + power * scale * statistics(scale)
            going = change > self.tolerance
            moved = jnp.where(going, jnp.abs(new - gamma).mean(1), change)
            return jnp.where(going[:, None], new, gamma), moved, count + 1

        def going(loop: tuple[Array, Array, Array]) -> Array:
            return (loop[1] > self.tolerance).any() & (loop[2] < self.sweeps)

        even = jnp.broadcast_to(base + power * lengths[:, None] / topics, (len(lengths), topics))
        return jax.lax.while_loop(going, sweep, (even, jnp.full_like(lengths, jnp.inf), jnp.zeros((), jnp.int32)))[0]
