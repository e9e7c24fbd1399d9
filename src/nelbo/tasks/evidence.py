"""What is known of an example, entry by entry: its value, a noisy reading of it, or nothing."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from nelbo.core import Example
from nelbo.distributions import Distribution, Reading, total_log_prob
from nelbo.models import Latents, Stack


class Evidence(eqx.Module):
    """One example as it was given.

    Args:
        x: values or noisy readings, and the mask of where there are any.
        reading: None for exact values, or the noise that all of them have.
    """

    x: Example
    reading: Reading | None = eqx.field(static=True, default=None)

    def likelihood(self, generative: Stack, z: Latents) -> Distribution:
        """p(x | z) in the example's context."""
        return generative.likelihood(z, self.x.context)

    @property
    def read(self) -> Array:
        """Of which entries there is a value or a reading."""
        return jnp.asarray(self.x.observed)

    @property
    def known(self) -> Array:
        """Which entries are given exactly."""
        return self.read if self.reading is None else jnp.zeros(self.x.values.shape, bool)

    def clean(self, likelihood: Distribution) -> Distribution:
        """Distribution of the entries that are not known, given z and their readings."""
        if self.reading is None:
            return likelihood
        return self.reading.clean(likelihood, self.x.values, self.read)

    def hidden(self, generative: Stack, z: Latents) -> Distribution:
        """The same, given z alone."""
        return self.clean(self.likelihood(generative, z))

    def completed(self, key: Key[Array, ""], generative: Stack, z: Latents) -> Array:
        """The example with everything that is not known drawn given z."""
        return self.filled(self.hidden(generative, z).sample(key))

    def filled(self, values: Any) -> Array:
        """The example with these values where it is not known."""
        return jnp.where(self.known, self.x.values, values.astype(self.x.values.dtype))

    def log_prob(self, generative: Stack, z: Latents) -> Float[Array, " nodes"]:
        """Log p of what was given, then of each latent layer, as `Stack.log_prob` [nats]."""
        if self.reading is None:
            return generative.log_prob(self.x, z)
        noisy = self.reading.noisy(self.likelihood(generative, z))
        first = total_log_prob(noisy, jnp.asarray(self.x.values), self.read)
        return jnp.concatenate([first[None], generative.log_prob(self.x, z)[1:]])
