"""A separable lapped transform of pictures: blocks of cosines that reach over their edges, orthonormal at the start.

Neighbouring blocks are mixed at their common edge by a small matrix before each is transformed (Tran, Liang and Tu
2003, "Lapped transform via time-domain pre- and post-filtering"); with the matrices of `lapping_matrix` and
`cosine_matrix` this is Malvar's fast lapped orthogonal transform (1992). Both matrices and the change of colours are
trained, forward and back apart, so the transform may become biorthogonal. At the border of a picture nothing is mixed.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

COLOURS = 3
# lightness and two differences of colours, orthonormal: near the principal axes of the colours of photographs
_OPPONENT = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 2.0, -1.0]])


def cosine_matrix(size: int) -> np.ndarray:
    """The orthonormal cosine transform (DCT-II), a frequency in each row, `(size, size)` float64."""
    place, frequency = np.arange(size), np.arange(size)[:, None]
    rows = np.sqrt(2.0 / size) * np.cos(np.pi * (2 * place + 1) * frequency / (2 * size))
    rows[0] /= np.sqrt(2.0)
    return rows


def lapping_matrix(size: int) -> np.ndarray:
    """What mixes `size` numbers around an edge of two blocks, orthonormal, `(size, size)` float64."""
    half = size // 2
    place, frequency = np.arange(half), np.arange(half)[:, None]
    fourth = np.sqrt(2.0 / half) * np.cos(np.pi * (2 * place + 1) * (2 * frequency + 1) / (4 * half))
    flip, one = np.eye(half)[::-1], np.eye(half)
    inner = flip @ cosine_matrix(half).T @ fourth @ flip
    butterfly = np.block([[one, flip], [flip, -one]]) / np.sqrt(2.0)
    return butterfly @ np.block([[one, np.zeros_like(one)], [np.zeros_like(one), inner]]) @ butterfly


def colour_matrix() -> np.ndarray:
    """From red, green and blue to lightness and two differences, orthonormal, `(3, 3)` float64."""
    return _OPPONENT / np.linalg.norm(_OPPONENT, axis=1, keepdims=True)


def _single(matrix: np.ndarray) -> Float[Array, "n m"]:
    return jnp.asarray(matrix, jnp.float32)


def _over_edges(x: Array, matrix: Array) -> Array:
    """Mix the numbers around each inner edge of blocks along the first axis."""
    size = matrix.shape[0]
    half = size // 2
    if x.shape[0] == size:
        return x
    inner = x[half:-half].reshape(-1, size, *x.shape[1:])
    mixed = jnp.einsum("pq,bq...->bp...", matrix, inner).reshape(-1, *x.shape[1:])
    return jnp.concatenate([x[:half], mixed, x[-half:]])


class LappedTransform(eqx.Module):
    """From a picture to coefficients and back; see the module.

    Args:
        size: of a block, in pixels.
        fixed: whether it stays as it begins.
    """

    colour: Float[Array, "colours colours"]
    lap: Float[Array, "size size"]
    block: Float[Array, "size size"]
    colour_back: Float[Array, "colours colours"]
    lap_back: Float[Array, "size size"]
    block_back: Float[Array, "size size"]
    fixed: bool = eqx.field(static=True)

    def __init__(self, size: int, *, fixed: bool = False) -> None:
        self.fixed = fixed
        self.colour = _single(colour_matrix())
        self.lap, self.block = _single(lapping_matrix(size)), _single(cosine_matrix(size))
        self.colour_back = _single(colour_matrix().T)
        self.lap_back, self.block_back = _single(lapping_matrix(size).T), _single(cosine_matrix(size).T)

    @property
    def size(self) -> int:
        """Of a block, in pixels."""
        return self.block.shape[0]

    def analysis(self, x: Float[Array, "h w colours"]) -> Float[Array, "rows columns coefficients"]:
        """Coefficients of each block: for each colour a table of frequencies, vertical ones first, flattened."""
        size = self.size
        colour, lap, block = self._held(self.colour, self.lap, self.block)
        y = jnp.einsum("ck,hwk->hwc", colour, x)
        for _ in range(2):  # along height, then along width
            y = _over_edges(y, lap)
            y = jnp.einsum("uq,bqwc->wbuc", block, y.reshape(-1, size, *y.shape[1:]))
            y = y.reshape(y.shape[0], -1, y.shape[-1])
        rows, columns = x.shape[0] // size, x.shape[1] // size
        table = y.reshape(rows, size, columns, size, -1).transpose(0, 2, 4, 1, 3)
        return table.reshape(rows, columns, -1)

    def synthesis(self, y: Float[Array, "rows columns coefficients"]) -> Float[Array, "h w colours"]:
        """The picture of coefficients."""
        size, (rows, columns) = self.size, y.shape[:2]
        colour, lap, block = self._held(self.colour_back, self.lap_back, self.block_back)
        x = y.reshape(rows, columns, -1, size, size).transpose(0, 3, 1, 4, 2).reshape(rows * size, columns * size, -1)
        for _ in range(2):
            x = jnp.einsum("qu,buwc->bqwc", block, x.reshape(-1, size, *x.shape[1:]))
            x = _over_edges(x.reshape(-1, *x.shape[2:]), lap).transpose(1, 0, 2)
        return jnp.einsum("kc,hwc->hwk", colour, x)

    def _held(self, *matrices: Array) -> tuple[Array, ...]:
        return tuple(map(jax.lax.stop_gradient, matrices)) if self.fixed else matrices
