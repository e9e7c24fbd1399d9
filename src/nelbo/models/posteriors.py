"""Heads of recognition models: normals over one vector of latents, from independent to fully correlated.

All of them start from the diagonal head's numbers, a mean and a log variance per unit; the correlated ones take further
numbers for their directions, shrunk by 1 / sqrt(K) so that a network fresh from its initialization starts near, but not
at, the diagonal: at u = 0 exactly the gradient for u vanishes (C depends on u through u u' alone), so a head must not
begin there, and the network's random weights see to that.
"""

import math
from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.core import InputError, choice
from nelbo.distributions import CholeskyNormal, Distribution, LowRankNormal, RankOneNormal
from nelbo.models.heads import LATENT_LOG_VARIANCE, Head, NormalHead, soft_bound


def _precision(log_variance: Float[Array, " k"]) -> Float[Array, " k"]:
    return jnp.exp(-soft_bound(log_variance, LATENT_LOG_VARIANCE))


class RankOneHead(Head):
    """Precision D + u u' (Rezende et al. 2014, eq. 17): mean, log variance 1 / D, and u, per unit.

    Args:
        shape: (K,).
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    planes: ClassVar[int] = 3
    is_homoscedastic: ClassVar[bool] = False

    def __call__(self, raw: Float[Array, " raw"]) -> RankOneNormal:
        """Distribution of the K latents."""
        mean, log_variance, direction = self._split(raw)
        return RankOneNormal(mean, _precision(log_variance), direction / math.sqrt(mean.size))


class LowRankHead(Head):
    """Precision D + U U': mean, log variance 1 / D, and `rank` columns of U, per unit.

    Args:
        shape: (K,).
        rank: columns of U.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    rank: int = eqx.field(static=True)
    planes: int = eqx.field(static=True)
    is_homoscedastic: ClassVar[bool] = False

    def __init__(self, shape: tuple[int, ...], rank: int) -> None:
        if not 1 <= rank <= math.prod(shape):
            raise InputError(f"The rank of a low-rank posterior must be 1 to {math.prod(shape)}, got {rank}.")
        self.shape, self.rank, self.planes = shape, rank, 2 + rank

    def __call__(self, raw: Float[Array, " raw"]) -> LowRankNormal:
        """Distribution of the K latents."""
        planes = self._split(raw)
        return LowRankNormal(planes[0], _precision(planes[1]), planes[2:].T / math.sqrt(math.prod(self.shape)))


class CholeskyHead(Head):
    """Covariance L L': mean, log variance (the squared diagonal of L), and the entries of L below its diagonal.

    Args:
        shape: (K,).
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    planes: ClassVar[int] = 2
    is_homoscedastic: ClassVar[bool] = False

    @property
    def size(self) -> int:
        """How many numbers the network must give."""
        units = math.prod(self.shape)
        return 2 * units + units * (units - 1) // 2

    def __call__(self, raw: Float[Array, " raw"]) -> CholeskyNormal:
        """Distribution of the K latents."""
        units = math.prod(self.shape)
        mean, log_variance, below = raw[:units], raw[units : 2 * units], raw[2 * units :]
        lower = jnp.diag(jnp.exp(0.5 * soft_bound(log_variance, LATENT_LOG_VARIANCE)))
        return CholeskyNormal(mean, lower.at[jnp.tril_indices(units, -1)].set(below / math.sqrt(units)))


class SharedCovarianceHead(Head):
    """The network gives the mean alone; all else of a posterior head is one set of trained numbers for all examples.

    Args:
        key: for their first values, N(0, 0.1^2).
        inner: a head whose numbers begin with the mean.
    """

    inner: Head
    rest: Float[Array, " rest"]
    shape: tuple[int, ...] = eqx.field(static=True)
    planes: ClassVar[int] = 1
    is_homoscedastic: ClassVar[bool] = False

    def __init__(self, key: Key[Array, ""], inner: Head) -> None:
        self.inner, self.shape = inner, inner.shape
        self.rest = 0.1 * jr.normal(key, (inner.size - math.prod(inner.shape),), jnp.float32)

    def __call__(self, raw: Float[Array, " raw"]) -> Distribution:
        """The inner head's distribution with this mean."""
        return self.inner(jnp.concatenate([raw, self.rest]))


POSTERIORS: dict[str, Callable[[int, int], Head]] = {
    "diagonal": lambda size, rank: NormalHead((size,)),  # noqa: ARG005
    "rank-one": lambda size, rank: RankOneHead((size,)),  # noqa: ARG005
    "low-rank": lambda size, rank: LowRankHead((size,), rank),
    "full": lambda size, rank: CholeskyHead((size,)),  # noqa: ARG005
}


def posterior_head(name: str, size: int, *, rank: int = 5) -> Head:
    """The recognition head called `name` for `size` latents.

    Args:
        name: "diagonal", "rank-one", "low-rank" or "full".
        size: K.
        rank: of "low-rank" only; as many directions as latents are all there are.

    Raises:
        InputError: no such posterior, or a rank below one.
    """
    return POSTERIORS[choice("posterior", name, POSTERIORS)](size, min(rank, size))
