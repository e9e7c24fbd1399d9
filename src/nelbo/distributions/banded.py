"""Normals of several series whose precision is banded: each value depends on its neighbours in time alone."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpyro.distributions as nd
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints


class BandedNormal(nd.Distribution):
    """N(m_l, (B_l'B_l)^-1) of each latent l over n times, B upper bidiagonal; the event is the `(n, latents)` array.

    A draw solves B (z - m) = eps from the last time backwards, O(n). Source: Blei and Lafferty 2006; Bamler and Mandt
    2017; Fortuin et al. 2020, section 3.3 (their code has the covariance (B B')^-1, whose precision is as banded).

    Args:
        loc: m.
        diagonal: of B, positive.
        beside: the entries right of the diagonal; the last one is not read.
    """

    support: Any = constraints.real_matrix
    arg_constraints = {
        "loc": constraints.real_matrix,
        "diagonal": constraints.independent(constraints.positive, 2),
        "beside": constraints.real_matrix,
    }

    def __init__(
        self, loc: Float[Array, "n latents"], diagonal: Float[Array, "n latents"], beside: Float[Array, "n latents"]
    ) -> None:
        self.loc, self.diagonal, self.beside = loc, diagonal, beside
        super().__init__(event_shape=jnp.shape(loc)[-2:], validate_args=False)

    @property
    def mean(self) -> Float[Array, "n latents"]:
        """The location."""
        return self.loc

    def _solved(self, right: Float[Array, "n latents"]) -> Float[Array, "n latents"]:
        """B^-1 times a vector for each latent."""

        def step(after: Array, row: tuple[Array, Array, Array]) -> tuple[Array, Array]:
            value, diagonal, beside = row
            found = (value - beside * after) / diagonal
            return found, found

        # the last entry beside the diagonal meets a zero
        return jax.lax.scan(step, jnp.zeros_like(right[0]), (right, self.diagonal, self.beside), reverse=True)[1]

    @property
    def roots(self) -> Float[Array, "latents n n"]:
        """B^-1 of each latent: a square root of its covariance."""
        size = self.loc.shape[0]
        columns = jax.vmap(self._solved, in_axes=1, out_axes=1)(
            jnp.broadcast_to(jnp.eye(size, dtype=self.loc.dtype)[:, :, None], (size, size, self.loc.shape[1]))
        )
        return jnp.moveaxis(columns, -1, 0)

    @property
    def variance(self) -> Float[Array, "n latents"]:
        """Of each value: with row t of B^-1 = (e_t - beside_t row t+1) / diagonal_t, O(n)."""

        def step(after: Array, row: tuple[Array, Array]) -> tuple[Array, Array]:
            diagonal, beside = row
            found = (1.0 + beside**2 * after) / diagonal**2
            return found, found

        return jax.lax.scan(step, jnp.zeros_like(self.loc[0]), (self.diagonal, self.beside), reverse=True)[1]

    @property
    def log_det(self) -> Float[Array, ""]:
        """Log of the determinant of the covariance, summed over latents."""
        return -2.0 * jnp.log(self.diagonal).sum()

    def entropy(self) -> Float[Array, ""]:
        """Of all values together [nats]."""
        return 0.5 * (self.loc.size * (1.0 + math.log(2.0 * math.pi)) + self.log_det)

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw m + B^-1 eps."""
        noise = jr.normal(key, (*sample_shape, *self.loc.shape), self.loc.dtype)
        if not sample_shape:
            return self.loc + self._solved(noise)
        flat = noise.reshape(-1, *self.loc.shape)
        return jax.vmap(lambda one: self.loc + self._solved(one))(flat).reshape(noise.shape)

    def log_prob(self, value: Float[Array, "n latents"]) -> Float[Array, ""]:  # pyright: ignore
        """Joint log density [nats]."""
        deviation = value - self.loc
        after = jnp.concatenate([deviation[1:], jnp.zeros_like(deviation[:1])])
        white = self.diagonal * deviation + self.beside * after
        return -0.5 * (value.size * math.log(2.0 * math.pi) + self.log_det + (white**2).sum())
