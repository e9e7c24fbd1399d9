"""A Gaussian process given noisy readings of it, as a posterior over the latents of one series."""

import math
from abc import abstractmethod
from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpyro.distributions as nd
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

from nelbo.priors.processes import DenseProcess, GaussianProcess, MarkovProcess


class GivenReadings(nd.Distribution):
    """Abstract: a process given readings, at some of its times, of its latents or of what is made of them."""

    @abstractmethod
    def extended(self, process: GaussianProcess) -> "GivenReadings":
        """A process that goes on beyond these times, given the same readings.

        Args:
            process: over these times and further ones behind them.
        """


def without_readings(part: Float[Array, "n channels"], process: GaussianProcess) -> Float[Array, "all channels"]:
    """Readings and precisions of a process that goes on: zero at its further times."""
    return jnp.pad(part, ((0, process.event_shape[0] - len(part)), (0, 0)))


class ConditionedProcess(GivenReadings):
    """q(z) = p(z) N(y; z, 1 / precision) / N(y), the process given pseudo-observations y.

    Where the precision is zero nothing is read, and the process interpolates: gaps and the future are what the prior
    makes of the rest. Draws are by Matheron's rule. Source: Pearce 2020; Ashman et al. 2020; with inducing points
    Jazbec et al. 2021.

    Args:
        process: p.
        y: the readings.
        precision: of each reading; zero or positive.
    """

    support: Any = constraints.real_matrix
    arg_constraints: dict[str, Any] = {}
    pytree_data_fields = ("process", "y", "precision", "factors", "moments")

    def __init__(
        self, process: GaussianProcess, y: Float[Array, "n latents"], precision: Float[Array, "n latents"]
    ) -> None:
        self.process, self.y, self.precision = process, y, precision
        self.factors = process.factored(precision)
        self.moments = process.given(y, precision, self.factors)
        super().__init__(event_shape=process.event_shape, validate_args=False)

    @property
    def mean(self) -> Float[Array, "n latents"]:
        """Of each value."""
        return self.moments[0]

    @property
    def variance(self) -> Float[Array, "n latents"]:
        """Of each value."""
        return self.moments[1]

    def _read(self, squares: Float[Array, "n latents"]) -> Float[Array, ""]:
        """Log density of the readings whose squared distances from the process are given [nats]."""
        seen = self.precision > 0.0
        log_precision = jnp.log(jnp.where(seen, self.precision, 1.0)) - math.log(2.0 * math.pi)
        return 0.5 * jnp.where(seen, log_precision - self.precision * squares, 0.0).sum()

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """A draw of the prior, corrected by what its own readings miss.

        Raises:
            NotImplementedError: several at once.
        """
        if sample_shape:
            raise NotImplementedError("Draw a conditioned process once for each key.")
        prior_key, noise_key = jr.split(key)
        drawn = jnp.asarray(self.process.sample(prior_key))
        seen = self.precision > 0.0
        scale = jnp.where(seen, 1.0 / jnp.sqrt(jnp.where(seen, self.precision, 1.0)), 0.0)
        noisy = drawn + scale * jr.normal(noise_key, drawn.shape, drawn.dtype)
        return drawn + self.process.given(jnp.where(seen, self.y - noisy, 0.0), self.precision, self.factors)[0]

    def log_prob(self, value: Float[Array, "n latents"]) -> Float[Array, ""]:  # pyright: ignore
        """Joint log density, by Bayes' rule [nats]."""
        return jnp.asarray(self.process.log_prob(value)) + self._read((self.y - value) ** 2) - self.moments[2]

    def extended(self, process: GaussianProcess) -> "ConditionedProcess":
        """See `GivenReadings`."""
        y, precision = (without_readings(part, process) for part in (self.y, self.precision))
        return ConditionedProcess(process, y, precision)

    def kl(self) -> Float[Array, ""]:
        """KL(q || p), E_q log N(y; z) - log N(y) [nats]."""
        return self._read((self.y - self.mean) ** 2 + self.variance) - self.moments[2]


@nd.kl_divergence.register(ConditionedProcess, DenseProcess)  # pyright: ignore
@nd.kl_divergence.register(ConditionedProcess, MarkovProcess)  # pyright: ignore
def _conditioned_kl(q: ConditionedProcess, p: GaussianProcess) -> Float[Array, ""]:
    """KL(q || p) of a conditioned process and its own prior, exact [nats]."""
    del p
    return q.kl()
