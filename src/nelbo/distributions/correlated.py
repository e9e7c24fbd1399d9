"""Normals of one vector with correlated entries, each with a cheap square root R of its covariance, C = R R'.

Three families share one interface: what differs is how R and its inverse act on a vector.
"""

import math
from abc import abstractmethod
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpyro.distributions as nd
from jax.scipy.linalg import cho_solve, solve_triangular
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints


class CorrelatedNormal(nd.Distribution):
    """Abstract N(loc, C) of a vector of K entries: `log_prob` is joint [nats]."""

    support: Any = constraints.real_vector
    loc: Float[Array, " k"]

    def __init__(self, loc: Float[Array, " k"]) -> None:
        self.loc = loc
        super().__init__(event_shape=jnp.shape(loc)[-1:], validate_args=False)

    @abstractmethod
    def scaled(self, noise: Float[Array, " k"]) -> Float[Array, " k"]:
        """R times a vector."""

    @abstractmethod
    def squared_norm(self, deviation: Float[Array, " k"]) -> Float[Array, ""]:
        """The quadratic form v' C^-1 v."""

    @property
    @abstractmethod
    def log_det(self) -> Float[Array, ""]:
        """Log |C|."""

    @property
    @abstractmethod
    def variance(self) -> Float[Array, " k"]:
        """The diagonal of C."""

    @property
    def mean(self) -> Float[Array, " k"]:
        """The location."""
        return self.loc

    @property
    def root(self) -> Float[Array, "k k"]:
        """R as a matrix, in O(K^2) memory."""
        size = self.loc.shape[-1]
        return jax.vmap(self.scaled, out_axes=1)(jnp.eye(size, dtype=self.loc.dtype))

    @property
    def covariance(self) -> Float[Array, "k k"]:
        """C as a matrix."""
        root = self.root
        return root @ root.T

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw loc + R eps."""
        if not sample_shape:  # the same numbers with less to differentiate
            return self.loc + self.scaled(jr.normal(key, self.loc.shape, self.loc.dtype))
        noise = jr.normal(key, (math.prod(sample_shape), *self.loc.shape), self.loc.dtype)
        return jax.vmap(lambda one: self.loc + self.scaled(one))(noise).reshape(*sample_shape, *self.loc.shape)

    def log_prob(self, value: Float[Array, " k"]) -> Float[Array, ""]:  # pyright: ignore
        """Joint log density of one vector [nats]."""
        constant = self.loc.shape[-1] * math.log(2.0 * math.pi)
        return -0.5 * (constant + self.log_det + self.squared_norm(value - self.loc))


class RankOneNormal(CorrelatedNormal):
    """C^-1 = D + u u': a diagonal precision and one direction more, in O(K) (Rezende et al. 2014, eq. 17 to 19).

    With v = D^-1/2 u, s = v'v and eta = 1 / (1 + s): R = D^-1/2 (I - a v v'), a = eta / (1 + sqrt eta). The paper's
    (1 - sqrt eta) / s is the same number, but 0/0 at u = 0.

    Args:
        loc: mean.
        precision: the diagonal of D, positive.
        direction: u.
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "precision": constraints.positive,
        "direction": constraints.real_vector,
    }

    _known: tuple[Float[Array, " k"], Float[Array, " k"], Float[Array, ""]] | None = None

    def __init__(self, loc: Float[Array, " k"], precision: Float[Array, " k"], direction: Float[Array, " k"]) -> None:
        self.precision, self.direction = precision, direction
        self._known = self._made()
        super().__init__(loc)

    def _parts(self) -> tuple[Float[Array, " k"], Float[Array, " k"], Float[Array, ""]]:
        """The diagonal of D^-1/2, v, and s: made once, so that gradients run back through them once."""
        # a distribution that JAX has taken apart and put together again has its parameters alone
        return self._made() if self._known is None else self._known

    def _made(self) -> tuple[Float[Array, " k"], Float[Array, " k"], Float[Array, ""]]:
        narrow = jax.lax.rsqrt(self.precision)
        v = narrow * self.direction
        return narrow, v, (v * v).sum()

    def scaled(self, noise: Float[Array, " k"]) -> Float[Array, " k"]:
        """R times a vector."""
        narrow, v, s = self._parts()
        eta = 1.0 / (1.0 + s)
        return narrow * (noise - eta / (1.0 + jnp.sqrt(eta)) * (v * noise).sum() * v)

    def squared_norm(self, deviation: Float[Array, " k"]) -> Float[Array, ""]:
        """The quadratic form v' C^-1 v."""
        return (self.precision * deviation**2).sum() + (self.direction * deviation).sum() ** 2

    @property
    def log_det(self) -> Float[Array, ""]:
        """Log |C|."""
        return -jnp.log1p(self._parts()[2]) - jnp.log(self.precision).sum()

    @property
    def variance(self) -> Float[Array, " k"]:
        """The diagonal of C."""
        narrow, v, s = self._parts()
        return narrow**2 * (1.0 - v**2 * (1.0 / (1.0 + s)))


class LowRankNormal(CorrelatedNormal):
    """C^-1 = D + U U' with U of k columns, in O(K k^2).

    With V = D^-1/2 U and the Cholesky factor L L' = I + V'V: R = D^-1/2 (I - V X V'), X = L'^-1 (I + L)^-1. That R R'
    is C follows from Woodbury's identity; for k = 1 it is `RankOneNormal`, and nothing is divided by U.

    Args:
        loc: mean.
        precision: the diagonal of D, positive.
        directions: U.
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "precision": constraints.positive,
        "directions": constraints.real_matrix,
    }

    def __init__(self, loc: Float[Array, " k"], precision: Float[Array, " k"], directions: Float[Array, "k r"]) -> None:
        self.precision, self.directions = precision, directions
        super().__init__(loc)

    def _parts(self) -> tuple[Float[Array, " k"], Float[Array, "k r"], Float[Array, "r r"]]:
        """The diagonal of D^-1/2, V, and L."""
        narrow = jax.lax.rsqrt(self.precision)
        v = narrow[:, None] * self.directions
        return narrow, v, jnp.linalg.cholesky(jnp.eye(v.shape[1], dtype=v.dtype) + v.T @ v)

    def scaled(self, noise: Float[Array, " k"]) -> Float[Array, " k"]:
        """R times a vector."""
        narrow, v, lower = self._parts()
        inner = solve_triangular(jnp.eye(v.shape[1], dtype=v.dtype) + lower, v.T @ noise, lower=True)
        return narrow * (noise - v @ solve_triangular(lower, inner, lower=True, trans="T"))

    def squared_norm(self, deviation: Float[Array, " k"]) -> Float[Array, ""]:
        """The quadratic form v' C^-1 v."""
        return self.precision @ deviation**2 + ((self.directions.T @ deviation) ** 2).sum()

    @property
    def log_det(self) -> Float[Array, ""]:
        """Log |C|."""
        return -2.0 * jnp.log(jnp.diagonal(self._parts()[2])).sum() - jnp.log(self.precision).sum()

    @property
    def variance(self) -> Float[Array, " k"]:
        """The diagonal of C."""
        narrow, v, lower = self._parts()
        return narrow**2 * (1.0 - (v * cho_solve((lower, True), v.T).T).sum(1))


class CholeskyNormal(CorrelatedNormal):
    """C = L L' with any lower triangle L of positive diagonal, in O(K^2).

    Args:
        loc: mean.
        lower: L; what stands above its diagonal must be zero.
    """

    arg_constraints = {"loc": constraints.real_vector, "lower": constraints.lower_cholesky}

    def __init__(self, loc: Float[Array, " k"], lower: Float[Array, "k k"]) -> None:
        self.lower = lower
        super().__init__(loc)

    def scaled(self, noise: Float[Array, " k"]) -> Float[Array, " k"]:
        """R times a vector."""
        return self.lower @ noise

    def squared_norm(self, deviation: Float[Array, " k"]) -> Float[Array, ""]:
        """The quadratic form v' C^-1 v."""
        return (solve_triangular(self.lower, deviation, lower=True) ** 2).sum()

    @property
    def log_det(self) -> Float[Array, ""]:
        """Log |C|."""
        return 2.0 * jnp.log(jnp.diagonal(self.lower)).sum()

    @property
    def variance(self) -> Float[Array, " k"]:
        """The diagonal of C."""
        return (self.lower**2).sum(1)


def normal_kl(q: nd.Distribution, p: nd.Distribution) -> Float[Array, ""]:
    """KL(q || p) of two normals of one vector, each correlated or independent [nats].

    1/2 [tr(C_p^-1 C_q) + (m_q - m_p)' C_p^-1 (m_q - m_p) - K + log |C_p| - log |C_q|]. In O(K) or O(K k^2) where p has
    independent entries (a standard normal prior), else through the K columns of q's root.

    Raises:
        NotImplementedError: one of them is not normal.
    """
    if not all(isinstance(one, CorrelatedNormal | nd.Normal) for one in (q, p)):
        raise NotImplementedError(f"KL({type(q).__name__} || {type(p).__name__}) has no closed form here.")
    difference = q.mean - p.mean
    if isinstance(p, CorrelatedNormal):
        root = q.root if isinstance(q, CorrelatedNormal) else jnp.diag(jnp.sqrt(q.variance))
        trace = jax.vmap(p.squared_norm, in_axes=1)(root).sum()
        distance, log_det_p = p.squared_norm(difference), p.log_det
    else:
        trace = (q.variance / p.variance).sum()
        distance, log_det_p = (difference**2 / p.variance).sum(), jnp.log(p.variance).sum()
    log_det_q = q.log_det if isinstance(q, CorrelatedNormal) else jnp.log(q.variance).sum()
    return 0.5 * (trace + distance - difference.shape[-1] + log_det_p - log_det_q)
