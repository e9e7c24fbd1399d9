"""What is given of an example, entry by entry: its value, a noisy reading of it, or nothing."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.core import Example, InputError, choice
from nelbo.data import Source
from nelbo.distributions import (
    Bernoulli,
    BetaBinomial,
    Categorical,
    DiscretizedLogistic,
    Distribution,
    Normal,
    total_log_prob,
)
from nelbo.models import Latents, Model, Stack

READINGS = {
    "bit-flip": "each bit is turned over with this probability (Bernoulli likelihoods)",
    "gaussian": "normal noise of this standard deviation is added (Gaussian likelihoods)",
}


class Given(eqx.Module):
    """One example as it was given.

    Args:
        x: values or noisy readings, and the mask of where there are any.
        noise: None for exact values, or a kind of `READINGS`.
        rate: of the noise.
    """

    x: Example
    noise: str | None = eqx.field(static=True, default=None)
    rate: float = eqx.field(static=True, default=0.0)

    def likelihood(self, generative: Stack, z: Latents) -> Distribution:
        """p(x | z) in the example's context."""
        return generative.likelihood(z, self.x.context)

    @property
    def known(self) -> Array:
        """Which entries are given exactly."""
        return jnp.asarray(self.x.observed) if self.noise is None else jnp.zeros(self.x.values.shape, bool)

    def clean(self, likelihood: Distribution) -> Distribution:
        """Distribution of the entries that are not known, given z and their readings."""
        if self.noise is None:
            return likelihood
        read, value, dist = self.x.observed, self.x.values, _parameters(likelihood)
        if self.noise == "bit-flip":
            evidence = (2.0 * value - 1.0) * (math.log1p(-self.rate) - math.log(self.rate))
            return Bernoulli(dist.logits + jnp.where(read, evidence, 0.0))
        own, new = dist.scale**-2, jnp.where(read, self.rate**-2, 0.0)
        return Normal((own * dist.loc + new * value) / (own + new), (own + new) ** -0.5)

    def completed(self, key: Key[Array, ""], likelihood: Distribution) -> Array:
        """The example with everything that is not known drawn."""
        return self.filled(self.clean(likelihood).sample(key))

    def filled(self, values: Any) -> Array:
        """The example with these values where it is not known."""
        return jnp.where(self.known, self.x.values, values.astype(self.x.values.dtype))

    def log_prob(self, generative: Stack, z: Latents) -> Float[Array, " nodes"]:
        """Log p of what was given, then of each latent layer, as `Stack.log_prob` [nats]."""
        if self.noise is None:
            return generative.log_prob(self.x, z)
        dist = _parameters(generative.likelihood(z, self.x.context))
        if self.noise == "bit-flip":
            # log of (1 - r) p + r (1 - p) and of its complement, on logits
            up, down = jax.nn.log_sigmoid(dist.logits), jax.nn.log_sigmoid(-dist.logits)
            stay, flip = math.log1p(-self.rate), math.log(self.rate)
            reading = Bernoulli(jnp.logaddexp(stay + up, flip + down) - jnp.logaddexp(stay + down, flip + up))
        else:
            reading = Normal(dist.loc, jnp.sqrt(dist.scale**2 + self.rate**2))
        first = total_log_prob(reading, jnp.asarray(self.x.values), jnp.asarray(self.x.observed))
        return jnp.concatenate([first[None], generative.log_prob(self.x, z)[1:]])


def _parameters(likelihood: Distribution) -> Any:
    """The likelihood, whose parameters depend on which one it is."""
    return likelihood


def likelihood_shape(model: Model) -> Distribution:
    """The model's likelihood with shapes in place of arrays."""
    return model.generative.shapes()[0]


def latent_shapes(model: Model) -> tuple[Distribution, ...]:
    """The priors of the latent layers, with shapes in place of arrays."""
    return model.generative.shapes()[1:]


def check_noise(model: Model, noise: str | None, rate: float) -> None:
    """Refuse readings that the model's likelihood cannot take.

    Raises:
        InputError: an unknown kind, a rate out of range, or another likelihood.
    """
    if noise is None:
        return
    choice("kind of reading", noise, READINGS)
    top = 1.0 if noise == "bit-flip" else math.inf
    if not 0.0 < rate < top:
        wanted = "between 0 and 1" if noise == "bit-flip" else "positive"
        raise InputError(f"The rate of {noise} readings must be {wanted}, got {rate}.")
    likelihood = likelihood_shape(model)
    if not isinstance(likelihood, Bernoulli if noise == "bit-flip" else Normal):
        raise InputError(
            f"{noise} readings need a {'Bernoulli' if noise == 'bit-flip' else 'Gaussian'} likelihood, but the model's "
            f"is {type(likelihood).__name__}."
        )


def spoiled(key: Key[Array, ""], data: Source, noise: str, rate: float) -> Source:
    """The rows with noise of a kind of `READINGS` on every entry that is there.

    Raises:
        InputError: bits are to be flipped of what is no zero or one.
    """
    rows = jax.vmap(data.example)(jr.split(jr.key(0), len(data)), data.take(np.arange(len(data))))
    values, observed = np.asarray(rows.values), rows.observed
    spoil: dict[str, Callable[[], Any]] = {
        "bit-flip": lambda: jnp.where(jr.bernoulli(key, rate, values.shape), 1.0 - values, values),
        "gaussian": lambda: values + rate * jr.normal(key, values.shape),
    }
    if choice("kind of reading", noise, READINGS) == "bit-flip" and not np.isin(values, (0.0, 1.0)).all():
        raise InputError("Only zeros and ones have bits to flip: use gaussian readings.")
    spoilt = spoil[noise]()
    seen = np.ones(values.shape, bool) if observed is None else np.asarray(observed)
    kind = "binary" if noise == "bit-flip" else "real"
    return Source(Example(jnp.where(seen, spoilt, 0.0), jnp.asarray(seen), context=rows.context), kind, dynamic=False)


def check_values(model: Model, data: Source) -> None:
    """Refuse values that the model's likelihood cannot give.

    Raises:
        InputError: the first such value, or a likelihood that is not elementwise.
    """
    likelihood = likelihood_shape(model)
    if likelihood.event_shape:
        raise InputError(f"{type(likelihood).__name__} has no conditional of single entries: it cannot be imputed.")
    top, name = None, type(likelihood).__name__
    if isinstance(likelihood, Bernoulli):
        top = 1.0
    elif isinstance(likelihood, DiscretizedLogistic | Categorical):
        top = likelihood.levels - 1.0
    elif isinstance(likelihood, BetaBinomial):
        top = 255.0
    if top is None:
        return
    values = np.asarray(data.arrays.values)
    if data.values == "uint8" and data.pixels == "unit":
        values = values / 255.0
    whole = top > 1.0 and not np.array_equal(values, np.rint(values))
    if whole or values.min() < 0 or values.max() > top:
        wanted = "from 0 to 1" if top == 1.0 else f"that are whole and from 0 to {top:.0f}"
        raise InputError(
            f"The model's {name} likelihood needs values {wanted}, but these reach from {values.min():.4g} to "
            f"{values.max():.4g}: scale the data as the model's training data were."
        )
