"""Sparse Gaussian processes: f is read through its values u at m inducing points, at a cost of O(n m^2 + m^3).

All is in whitened coordinates w with u = L w, where L L' = K_mm: p(w) = N(0, I), and f(x) given w is normal with mean
a'w, a = L^-1 k_m(x), and variance k(x, x) - a'a. So float32 is enough, however close the inducing points are.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from nelbo.priors.factoring import inverse_cholesky
from nelbo.priors.processes import JITTER


class InducingStatistics(eqx.Module):
    """What noisy readings say about w: sums over readings, so that those of many batches can be added up.

    Args:
        shift: sum of a p y, p the precision of a reading y; `(latents, m)`.
        precision: sum of p a a', `(latents, m, m)`.
    """

    shift: Float[Array, "latents m"]
    precision: Float[Array, "latents m m"]


class InducingPosterior(eqx.Module):
    """q(w) = N(mean, (I + precision)^-1), the posterior given the readings, a process for each latent.

    Args:
        mean: `(latents, m)`.
        root: the inverse W of the Cholesky factor of I + precision, so that W'W is the covariance.
    """

    mean: Float[Array, "latents m"]
    root: Float[Array, "latents m m"]

    def moments(
        self, a: Float[Array, "latents m n"], variance: Float[Array, "latents n"]
    ) -> tuple[Float[Array, "n latents"], Float[Array, "n latents"]]:
        """Mean and variance of f at n places.

        Args:
            a: L^-1 K_mn, see `whitened`.
            variance: k(x, x) of each place.
        """
        spread = self.root @ a
        rest = jnp.maximum(variance - (a**2).sum(1), 0.0) + (spread**2).sum(1)
        return jnp.einsum("lm,lmn->nl", self.mean, a), rest.T

    def kl(self) -> Float[Array, ""]:
        """KL(q(w) || N(0, I)), which is that of the values at the inducing points [nats]."""
        latents, m = self.mean.shape
        log_det = -2.0 * jnp.log(jnp.diagonal(self.root, axis1=-2, axis2=-1)).sum()
        return 0.5 * ((self.root**2).sum() + (self.mean**2).sum() - latents * m + log_det)


class InducingMemory(eqx.Module):
    """What is known of a process once training is over, with nothing left to factor.

    Args:
        inner: L^-1; zero as long as nothing is known.
        posterior: of w.
    """

    inner: Float[Array, "latents m m"]
    posterior: InducingPosterior

    @classmethod
    def empty(cls, latents: int, m: int) -> "InducingMemory":
        """Nothing is known: the process is its prior."""
        square = jnp.zeros((latents, m, m), jnp.float32)
        return cls(square, InducingPosterior(jnp.zeros((latents, m), jnp.float32), square))

    def moments(
        self, cross: Float[Array, "latents m n"], variance: Float[Array, "latents n"]
    ) -> tuple[Float[Array, "n latents"], Float[Array, "n latents"]]:
        """Mean and variance of f at n places, given K_mn and k(x, x) of each."""
        return self.posterior.moments(self.inner @ cross, variance)


def inducing_root(inner: Float[Array, "latents m m"], jitter: float = JITTER) -> Float[Array, "latents m m"]:
    """L^-1 of K_mm with a jitter on its diagonal."""
    return inverse_cholesky(inner + jitter * jnp.eye(inner.shape[-1], dtype=inner.dtype)[None])


def whitened(
    inner: Float[Array, "latents m m"], cross: Float[Array, "latents m n"], jitter: float = JITTER
) -> Float[Array, "latents m n"]:
    """L^-1 K_mn.

    Args:
        inner: K_mm.
        cross: K_mn.
        jitter: added to the diagonal of K_mm.
    """
    return inducing_root(inner, jitter) @ cross


def inducing_statistics(
    a: Float[Array, "latents m n"], y: Float[Array, "n latents"], precision: Float[Array, "n latents"]
) -> InducingStatistics:
    """Of n readings y with these precisions; zero where there is none, and y is not read."""
    weighted = a * precision.T[:, None]
    seen = jnp.where(precision > 0.0, y, 0.0)
    return InducingStatistics(jnp.einsum("lmn,nl->lm", weighted, seen), jnp.einsum("lmn,lkn->lmk", weighted, a))


def inducing_posterior(found: InducingStatistics, scale: float | Array = 1.0) -> InducingPosterior:
    """The posterior given the readings of a batch, which stands for `scale` times as many.

    Source: Titsias 2009; of minibatches Jazbec et al. 2021, section 3: their mu and A are L mean and
    L (I + precision)^-1 L'. Its mean is biased where the batch is a part of the data, for it is no linear function of
    the sums; the bias is gone when the batch is the whole.
    """
    eye = jnp.eye(found.shift.shape[-1], dtype=found.shift.dtype)
    root = inverse_cholesky(eye[None] + scale * found.precision)
    return InducingPosterior(jnp.einsum("lkm,lkn,ln->lm", root, root, scale * found.shift), root)


def inducing_bound(
    y: Float[Array, "n latents"], precision: Float[Array, "n latents"],
    moments: tuple[Float[Array, "n latents"], Float[Array, "n latents"]],
) -> Float[Array, " n"]:  # fmt: skip
    """E_q log N(y; f(x), 1 / precision) of each reading: with -KL it bounds log p(y), L_H of Jazbec et al. [nats].

    Args:
        y: the readings.
        precision: of them.
        moments: of f, see `InducingPosterior.moments`.
    """
    mean, variance = moments
    seen = precision > 0.0
    log_precision = jnp.log(jnp.where(seen, precision, 1.0) / (2.0 * jnp.pi))
    return 0.5 * jnp.where(seen, log_precision - precision * ((y - mean) ** 2 + variance), 0.0).sum(-1)
