"""The inverse of a Cholesky factor, of many matrices at once, without LAPACK.

JAX's LAPACK calls on batches wait for helpers from the pool of threads that they themselves run in: two of them in a
compiled loop on a machine with two cores wait for each other for ever (jaxlib 0.9, `ParallelBatchMap`).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_LEAF = 32  # rows that are eliminated one by one; larger matrices are halved


@jax.custom_jvp
def inverse_cholesky(matrix: Float[Array, "*b m m"]) -> Float[Array, "*b m m"]:
    """W = L^-1, where L L' is the matrix: W matrix W' = I. NaN where the matrix is not positive."""
    size = matrix.shape[-1]
    if size <= _LEAF:
        return _eliminated(matrix)
    half = (size + 1) // 2
    first = inverse_cholesky(matrix[..., :half, :half])
    below = matrix[..., half:, :half] @ first.mT  # of L
    last = inverse_cholesky(matrix[..., half:, half:] - below @ below.mT)
    top = jnp.concatenate([first, jnp.zeros((*first.shape[:-1], size - half), first.dtype)], -1)
    return jnp.concatenate([top, jnp.concatenate([-last @ below @ first, last], -1)], -2)


def _eliminated(matrix: Float[Array, "*b m m"]) -> Float[Array, "*b m m"]:
    size = matrix.shape[-1]
    eye = jnp.broadcast_to(jnp.eye(size, dtype=matrix.dtype), matrix.shape)

    def step(j: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        rest, found = carry
        column = jax.lax.dynamic_index_in_dim(rest, j, -1, keepdims=False)
        root = jnp.sqrt(jax.lax.dynamic_index_in_dim(column, j, -1))
        below = jnp.where(jnp.arange(size) > j, column / root, 0.0)
        row = jax.lax.dynamic_index_in_dim(found, j, -2, keepdims=False) / root
        found = jax.lax.dynamic_update_index_in_dim(found, row, j, -2) - below[..., :, None] * row[..., None, :]
        return rest - below[..., :, None] * below[..., None, :], found

    return jax.lax.fori_loop(0, size, step, (matrix, eye))[1]


@inverse_cholesky.defjvp
def _inverse_cholesky_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """DW = -F(W dS W') W, F keeping the lower triangle and half of the diagonal (Murray 2016)."""
    (matrix,), (change,) = primals, tangents
    found = inverse_cholesky(matrix)
    inner = found @ (0.5 * (change + change.mT)) @ found.mT
    size = matrix.shape[-1]
    kept = jnp.tril(jnp.ones((size, size), matrix.dtype)) - 0.5 * jnp.eye(size, dtype=matrix.dtype)
    return found, -(jnp.broadcast_to(kept, inner.shape) * inner) @ found
