"""Gaussian processes of several latents over the times of one series, as distributions of the (time, latents) array.

What is drawn is f(t) plus white noise of a small variance, `JITTER`, as in the code released by Fortuin et al. (2020):
so covariance matrices can be factored in float32 however close the times are. Two forms share one interface: dense
matrices for any kernel, O(n^3), and state-space models for Markov ones, O(n).
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpyro.distributions as nd
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

from nelbo.core import InputError, choice
from nelbo.distributions import BandedNormal, Normal
from nelbo.priors.factoring import inverse_cholesky
from nelbo.priors.kernels import Kernel
from nelbo.priors.state_space import Chain, chain, kalman_filter, kalman_smoother

JITTER = 1e-3  # variance of the white noise, where f has variance one
FORMS = ("auto", "dense", "state-space")
# beyond so many times the state-space form is the faster one on a processor (benchmarks/sequences.py)
MOST_DENSE = 32


class GaussianProcess(nd.Distribution):
    """Abstract: N(0, K_l + JITTER I) of each latent l over n times; the event is the `(n, latents)` array."""

    support: Any = constraints.real_matrix

    @abstractmethod
    def given(
        self, y: Float[Array, "n latents"], precision: Float[Array, "n latents"], factors: Any = None
    ) -> tuple[Float[Array, "n latents"], Float[Array, "n latents"], Float[Array, ""]]:
        """The process given noisy readings of it.

        Args:
            y: the readings.
            precision: one over the variance of each reading's noise; zero where there is none, and y is not read.
            factors: what `factored` gave for this precision, where it is at hand.

        Returns:
            Posterior mean, posterior variance, and log p(y) [nats].
        """

    @abstractmethod
    def factored(self, precision: Float[Array, "n latents"]) -> Any:
        """What readings of one precision share, whatever they are; None where that is nothing."""

    @property
    def mean(self) -> Float[Array, "n latents"]:
        """Zero."""
        return jnp.zeros(self.event_shape, jnp.float32)

    def pinned(self, key: Key[Array, ""], z: Float[Array, "n latents"], known: Array) -> Float[Array, "n latents"]:
        """A draw given some of its values, by Matheron's rule: a draw of all, corrected by what it misses there.

        Args:
            key: for the draw.
            z: values; not read where they are not known.
            known: `(n,)` booleans, the times whose values are known.
        """
        drawn_key, noise_key = jr.split(key)
        drawn = self.sample(drawn_key)
        # the last digits of known values are given up, so that their covariance can be factored
        precision = jnp.where(known[:, None], jnp.full_like(z, 1.0 / _EXACT), 0.0)
        wrong = z - drawn - jnp.sqrt(_EXACT) * jr.normal(noise_key, z.shape, z.dtype)
        correction, _, _ = self.given(jnp.where(known[:, None], wrong, 0.0), precision)
        return jnp.where(known[:, None], z, drawn + correction)


_EXACT = 1e-4  # variance of readings that stand for exact ones


class DenseProcess(GaussianProcess):
    """Any kernel, by its matrices.

    Args:
        covariance: `(latents, n, n)`, jitter included.
    """

    arg_constraints = {"covariance": constraints.positive_definite}
    pytree_data_fields = ("covariance", "root")

    def __init__(self, covariance: Float[Array, "latents n n"]) -> None:
        self.covariance = covariance
        self.root = inverse_cholesky(covariance)
        super().__init__(event_shape=(covariance.shape[-1], covariance.shape[0]), validate_args=False)

    @property
    def variance(self) -> Float[Array, "n latents"]:
        """Of each value."""
        return jnp.diagonal(self.covariance, axis1=-2, axis2=-1).T

    def whitened(self, deviation: Float[Array, "latents n m"]) -> Float[Array, "latents n m"]:
        """Columns times the inverse of the Cholesky factor."""
        return self.root @ deviation

    @property
    def log_det(self) -> Float[Array, ""]:
        """Log |K|, summed over latents."""
        return -2.0 * jnp.log(jnp.diagonal(self.root, axis1=-2, axis2=-1)).sum()

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw L eps."""
        noise = jr.normal(key, (*sample_shape, *self.event_shape), self.covariance.dtype)
        return jnp.einsum("lij,...jl->...il", self.covariance @ self.root.mT, noise)  # L = K L^-T

    def log_prob(self, value: Float[Array, "n latents"]) -> Float[Array, ""]:  # pyright: ignore
        """Joint log density [nats]."""
        white = self.whitened(value.T[..., None])
        return -0.5 * (value.size * math.log(2.0 * math.pi) + self.log_det + (white**2).sum())

    def factored(self, precision: Float[Array, "n latents"]) -> tuple[Array, Array]:
        """L^-1 of the Cholesky factor of B = I + P^1/2 K P^1/2, which is well conditioned, and L^-1 P^1/2 K.

        Source: Rasmussen and Williams 2006, section 3.4.3.
        """

        def one(covariance: Array, precision: Array) -> tuple[Array, Array]:
            root = jnp.sqrt(precision)
            weighted = root[:, None] * covariance
            inverse = inverse_cholesky(jnp.eye(len(root), dtype=root.dtype) + weighted * root[None])
            return inverse, inverse @ weighted

        return jax.vmap(one, in_axes=(0, 1))(self.covariance, precision)

    def given(
        self, y: Float[Array, "n latents"], precision: Float[Array, "n latents"], factors: Any = None
    ) -> tuple[Array, Array, Float[Array, ""]]:
        """See `GaussianProcess`."""

        def one(inverse: Array, part: Array, y: Array, precision: Array) -> tuple[Array, Array, Array]:
            white = inverse @ (jnp.sqrt(precision) * jnp.where(precision > 0.0, y, 0.0))
            log_det = -2.0 * jnp.log(jnp.diagonal(inverse)).sum()
            log_p = -0.5 * ((white**2).sum() + log_det - _log_scale(precision))
            return part.T @ white, (part**2).sum(0), log_p

        inverse, part = self.factored(precision) if factors is None else factors
        mean, known, log_p = jax.vmap(one, in_axes=(0, 0, 1, 1), out_axes=(1, 1, 0))(inverse, part, y, precision)
        return mean, self.variance - known, log_p.sum()


class MarkovProcess(GaussianProcess):
    """Markov kernels, by their state-space models.

    Args:
        chains: of each group of latents whose states have one size; latents in front.
    """

    arg_constraints: dict[str, Any] = {}
    pytree_data_fields = ("chains",)

    def __init__(self, chains: tuple[Chain, ...]) -> None:
        self.chains = chains
        latents = sum(len(one.covariance) for one in chains)
        super().__init__(event_shape=(chains[0].transitions.shape[1], latents), validate_args=False)

    @property
    def variance(self) -> Float[Array, "n latents"]:
        """Of each value."""
        parts = [jnp.einsum("lfi,lij,lfj->l", one.outputs, one.covariance, one.outputs) for one in self.chains]
        return jnp.broadcast_to(jnp.concatenate(parts) + JITTER, self.event_shape)

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw by the chains."""
        if sample_shape:
            count = math.prod(sample_shape)
            return jax.vmap(self.sample)(jr.split(key, count)).reshape(*sample_shape, *self.event_shape)
        *keys, noise_key = jr.split(key, len(self.chains) + 1)
        parts = []
        for one, chain_key in zip(self.chains, keys, strict=True):
            drawn = jax.vmap(Chain.sample)(one, jr.split(chain_key, len(one.covariance)))
            parts.append(drawn[..., 0].T)
        values = jnp.concatenate(parts, -1)
        return values + math.sqrt(JITTER) * jr.normal(noise_key, values.shape, values.dtype)

    def log_prob(self, value: Float[Array, "n latents"]) -> Float[Array, ""]:  # pyright: ignore
        """Joint log density [nats]."""
        total, start = jnp.zeros((), value.dtype), 0
        for one in self.chains:
            stop = start + len(one.covariance)
            total, start = total + _evidence(one, value[:, start:stop], jnp.full((), 1.0 / JITTER)).sum(), stop
        return total

    def factored(self, precision: Float[Array, "n latents"]) -> None:
        """Nothing is kept."""
        del precision

    def given(
        self, y: Float[Array, "n latents"], precision: Float[Array, "n latents"], factors: Any = None
    ) -> tuple[Array, Array, Float[Array, ""]]:
        """See `GaussianProcess`: readings of f, whose noise is theirs and the jitter, then the jitter given f."""
        del factors
        seen = precision > 0.0
        own = jnp.where(seen, 1.0 / jnp.where(seen, precision, 1.0), 1.0)
        whole = jnp.where(seen, 1.0 / (own + JITTER), 0.0)
        found, start = [], 0
        for one in self.chains:
            stop = start + len(one.covariance)
            found.append(_smoothed(one, y[:, start:stop], whole[:, start:stop]))
            start = stop
        mean, variance = (jnp.concatenate([part[i] for part in found], 1) for i in (0, 1))
        log_p = sum((part[2].sum() for part in found), jnp.zeros((), y.dtype))
        # the jitter takes its share of what the readings leave
        share = jnp.where(seen, JITTER * whole, 0.0)
        mean = mean + share * jnp.where(seen, y - mean, 0.0)
        variance = variance * (1.0 - share) ** 2 + jnp.where(seen, share * own, JITTER)
        return mean, variance, log_p


def _evidence(chains: Chain, y: Float[Array, "n latents"], precision: Array) -> Float[Array, " latents"]:
    def one(chain: Chain, y: Array, precision: Array) -> Array:
        return kalman_filter(chain, y[:, None], precision[:, None], jnp.ones((1, 1), y.dtype)).log_evidence

    return jax.vmap(one, in_axes=(0, 1, 1))(chains, y, jnp.broadcast_to(precision, y.shape))


def _smoothed(chains: Chain, y: Float[Array, "n latents"], precision: Array) -> tuple[Array, Array, Array]:
    def one(chain: Chain, y: Array, precision: Array) -> tuple[Array, Array, Array]:
        found = kalman_filter(chain, y[:, None], precision[:, None], jnp.ones((1, 1), y.dtype))
        mean, variance = kalman_smoother(chain, found)
        return mean[:, 0], variance[:, 0, 0], found.log_evidence

    return jax.vmap(one, in_axes=(0, 1, 1), out_axes=(1, 1, 0))(chains, y, precision)


def _log_scale(precision: Float[Array, " n"]) -> Float[Array, ""]:
    """The sum of log(precision / 2 pi) over what is observed."""
    seen = precision > 0.0
    return jnp.where(seen, jnp.log(jnp.where(seen, precision, 1.0)) - math.log(2.0 * math.pi), 0.0).sum()


def gaussian_process(kernels: Sequence[Kernel], times: Float[Array, " n"], form: str = "auto") -> GaussianProcess:
    """The process of all latents at some times.

    Args:
        kernels: each of a group of latents.
        times: increasing for the state-space form.
        form: "dense", "state-space", or "auto": state-space where every kernel is Markov and times are many.

    Raises:
        InputError: an unknown form, or a state-space form of a kernel that is not Markov.
    """
    choice("form of a Gaussian process", form, FORMS)
    markov = all(kernel.is_markov for kernel in kernels)
    if form == "state-space" or (form == "auto" and markov and len(times) > MOST_DENSE):
        if not markov:
            raise InputError(
                "The state-space form is for Markov kernels alone (matern12, matern32, matern52, cosine, and their "
                "sums and products): use one of them, or the dense form."
            )
        return MarkovProcess(tuple(chain(kernel, times) for kernel in kernels))
    covariance = jnp.concatenate([kernel(times, times) for kernel in kernels])
    return DenseProcess(covariance + JITTER * jnp.eye(len(times), dtype=covariance.dtype)[None])


@nd.kl_divergence.register(BandedNormal, DenseProcess)  # pyright: ignore
def _banded_kl(q: BandedNormal, p: DenseProcess) -> Float[Array, ""]:
    """KL(q || p) of a banded posterior and a dense process, exact [nats].

    1/2 [tr(K^-1 C) + m'K^-1 m - n + log |K| - log |C|] with the trace through both factors.
    """
    spread = (p.whitened(q.roots) ** 2).sum()
    distance = (p.whitened(q.loc.T[..., None]) ** 2).sum()
    return 0.5 * (spread + distance - q.loc.size + p.log_det - q.log_det)


@nd.kl_divergence.register(Normal, DenseProcess)  # pyright: ignore
def _independent_kl(q: Normal, p: DenseProcess) -> Float[Array, ""]:
    """KL(q || p) of independent normals and a dense process, exact [nats]."""
    spread = ((p.root**2).sum(1).T * q.variance).sum()
    distance = (p.whitened(jnp.asarray(q.loc).T[..., None]) ** 2).sum()
    return 0.5 * (spread + distance - jnp.size(q.loc) + p.log_det - jnp.log(q.variance).sum())
