"""The exact posterior of latents that a linear decoder reads: all latents and channels in one Kalman smoother."""

from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpyro.distributions as nd
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

from nelbo.priors.conditioned import GivenReadings, without_readings
from nelbo.priors.kernels import block_diagonal
from nelbo.priors.processes import JITTER, MarkovProcess
from nelbo.priors.state_space import Chain, joined, kalman_filter, kalman_smoother


def whole_chain(process: MarkovProcess) -> Chain:
    """All latents of a process as one chain of states, its jitter as states that nothing outlasts."""
    parts = []
    for one in process.chains:
        latents, n = one.transitions.shape[:2]
        white = jnp.ones((latents, 1, 1), one.covariance.dtype)
        forgotten = jnp.zeros((latents, n, 1, 1), one.covariance.dtype)
        outputs = jnp.concatenate([one.outputs, white], -1)
        covariance = block_diagonal(one.covariance, JITTER * white)
        parts.append(joined(Chain(block_diagonal(one.transitions, forgotten), covariance, outputs)))
    found = parts[0]
    for other in parts[1:]:
        found = found.beside(other)
    return found


class SmoothedProcess(GivenReadings):
    """p(z | x) for x_t = W z_t + N(0, diag(1 / precision_t)), exact, O(n) in time.

    Args:
        process: p(z), Markov.
        x: `(n, channels)`, centred; not read where the precision is zero.
        precision: `(n, channels)`, of each entry's noise; zero where it is missing.
        weight: W.
    """

    support: Any = constraints.real_matrix
    arg_constraints: dict[str, Any] = {}
    pytree_data_fields = ("process", "x", "precision", "weight", "moments")

    def __init__(
        self,
        process: MarkovProcess,
        x: Float[Array, "n channels"],
        precision: Float[Array, "n channels"],
        weight: Float[Array, "channels latents"],
    ) -> None:
        self.process, self.x, self.precision, self.weight = process, x, precision, weight
        self.moments = self._given(x)
        super().__init__(event_shape=process.event_shape, validate_args=False)

    def _given(self, x: Float[Array, "n channels"]) -> tuple[Array, Array, Array]:
        chain = whole_chain(self.process)
        found = kalman_filter(chain, x, self.precision, self.weight)
        mean, covariance = kalman_smoother(chain, found)
        return mean, covariance, found.log_evidence

    @property
    def mean(self) -> Float[Array, "n latents"]:
        """Of each value."""
        return self.moments[0]

    @property
    def covariances(self) -> Float[Array, "n latents latents"]:
        """Of the latents of each time."""
        return self.moments[1]

    @property
    def variance(self) -> Float[Array, "n latents"]:
        """Of each value."""
        return jnp.diagonal(self.moments[1], axis1=-2, axis2=-1)

    @property
    def log_evidence(self) -> Float[Array, ""]:
        """Log p(x) [nats]."""
        return self.moments[2]

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """A draw of the prior, corrected by what its own data miss (Matheron's rule).

        Raises:
            NotImplementedError: several at once.
        """
        if sample_shape:
            raise NotImplementedError("Draw a smoothed process once for each key.")
        prior_key, noise_key = jr.split(key)
        drawn = self.process.sample(prior_key)
        seen = self.precision > 0.0
        scale = jnp.where(seen, 1.0 / jnp.sqrt(jnp.where(seen, self.precision, 1.0)), 0.0)
        made = drawn @ self.weight.T + scale * jr.normal(noise_key, self.x.shape, self.x.dtype)
        return drawn + self._given(jnp.where(seen, self.x - made, 0.0))[0]

    def log_prob(self, value: Float[Array, "n latents"]) -> Float[Array, ""]:  # pyright: ignore
        """Joint log density, by Bayes' rule [nats]."""
        seen = self.precision > 0.0
        log_precision = jnp.log(jnp.where(seen, self.precision, 1.0) / (2.0 * jnp.pi))
        squares = jnp.where(seen, self.precision * (self.x - value @ self.weight.T) ** 2, 0.0)
        log_likelihood = 0.5 * jnp.where(seen, log_precision - squares, 0.0).sum()
        return jnp.asarray(self.process.log_prob(value)) + log_likelihood - self.log_evidence

    def extended(self, process: MarkovProcess) -> "SmoothedProcess":  # pyright: ignore[reportIncompatibleMethodOverride]
        """See `GivenReadings`."""
        x, precision = (without_readings(part, process) for part in (self.x, self.precision))
        return SmoothedProcess(process, x, precision, self.weight)

    def kl(self) -> Float[Array, ""]:
        """KL(p(z | x) || p(z)) = E log p(x | z) - log p(x) [nats]."""
        seen = self.precision > 0.0
        spread = jnp.einsum("ci,nij,cj->nc", self.weight, self.covariances, self.weight)
        squares = (self.x - self.mean @ self.weight.T) ** 2 + spread
        log_precision = jnp.log(jnp.where(seen, self.precision, 1.0) / (2.0 * jnp.pi))
        log_likelihood = 0.5 * jnp.where(seen, log_precision - self.precision * squares, 0.0).sum()
        return log_likelihood - self.log_evidence


@nd.kl_divergence.register(SmoothedProcess, MarkovProcess)  # pyright: ignore
def _smoothed_kl(q: SmoothedProcess, p: MarkovProcess) -> Float[Array, ""]:
    """KL(q || p) of a smoothed process and its own prior, exact [nats]."""
    del p
    return q.kl()
