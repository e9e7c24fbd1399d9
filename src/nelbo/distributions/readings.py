"""Noisy readings of what a likelihood gives: the law of a reading, and of the clean value once it is read."""

import abc
import dataclasses
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key
from numpyro.distributions import Distribution

from nelbo.core import InputError, choice
from nelbo.distributions.elementary import Bernoulli
from nelbo.distributions.normal import Normal


@dataclasses.dataclass(frozen=True)
class Reading(abc.ABC):
    """Abstract: noise that every reading has, entry by entry and independent.

    Args:
        rate: how much of it; what it measures is the kind's.
    """

    rate: float
    about: ClassVar[str]

    def __post_init__(self) -> None:
        """Check the rate."""
        self.check_rate()

    @abc.abstractmethod
    def check_rate(self) -> None:
        """Refuse a rate that the noise cannot have.

        Raises:
            InputError: such a rate.
        """

    @abc.abstractmethod
    def check(self, likelihood: Distribution) -> None:
        """Refuse a likelihood whose values have no such readings.

        Raises:
            InputError: any other than the one that it is for.
        """

    @abc.abstractmethod
    def noisy(self, likelihood: Any) -> Distribution:
        """The law of a reading, the clean value summed out."""

    @abc.abstractmethod
    def clean(self, likelihood: Any, value: Array, read: Array) -> Distribution:
        """The law of the clean value given the reading.

        Args:
            likelihood: its law before that.
            value: the readings.
            read: where there are any.
        """

    @abc.abstractmethod
    def spoil(self, key: Key[Array, ""], values: Float[Array, "..."]) -> Float[Array, "..."]:
        """Readings of clean values."""


class BitFlip(Reading):
    """Each bit is turned over with probability `rate`."""

    about = "each bit is turned over with this probability (Bernoulli likelihoods)"

    def check_rate(self) -> None:
        """Refuse what is no probability, and certainty.

        Raises:
            InputError: such a rate.
        """
        if not 0.0 < self.rate < 1.0:
            raise InputError(f"The rate of bit-flip readings must be between 0 and 1, got {self.rate}.")

    def check(self, likelihood: Distribution) -> None:
        """Refuse all but the Bernoulli.

        Raises:
            InputError: another likelihood.
        """
        if not isinstance(likelihood, Bernoulli):
            name = type(likelihood).__name__
            raise InputError(f"bit-flip readings need a Bernoulli likelihood, but the model's is {name}.")

    def noisy(self, likelihood: Any) -> Distribution:
        """Bernoulli with probability (1 - rate) p + rate (1 - p), on logits."""
        up, down = jax.nn.log_sigmoid(likelihood.logits), jax.nn.log_sigmoid(-likelihood.logits)
        stay, flip = math.log1p(-self.rate), math.log(self.rate)
        return Bernoulli(jnp.logaddexp(stay + up, flip + down) - jnp.logaddexp(stay + down, flip + up))

    def clean(self, likelihood: Any, value: Array, read: Array) -> Distribution:
        """Bayes' rule on logits."""
        evidence = (2.0 * value - 1.0) * (math.log1p(-self.rate) - math.log(self.rate))
        return Bernoulli(likelihood.logits + jnp.where(read, evidence, 0.0))

    def spoil(self, key: Key[Array, ""], values: Float[Array, "..."]) -> Float[Array, "..."]:
        """The bits, some of them turned over.

        Raises:
            InputError: what is no zero or one.
        """
        if not bool(((values == 0.0) | (values == 1.0)).all()):
            raise InputError("Only zeros and ones have bits to flip: use gaussian readings.")
        return jnp.where(jr.bernoulli(key, self.rate, values.shape), 1.0 - values, values)


class GaussianNoise(Reading):
    """Normal noise of standard deviation `rate`, in the data's units, is added."""

    about = "normal noise of this standard deviation is added (Gaussian likelihoods)"

    def check_rate(self) -> None:
        """Refuse what is no standard deviation.

        Raises:
            InputError: such a rate.
        """
        if not 0.0 < self.rate < math.inf:
            raise InputError(f"The rate of gaussian readings must be positive, got {self.rate}.")

    def check(self, likelihood: Distribution) -> None:
        """Refuse all but the normal.

        Raises:
            InputError: another likelihood.
        """
        if not isinstance(likelihood, Normal):
            name = type(likelihood).__name__
            raise InputError(f"gaussian readings need a Gaussian likelihood, but the model's is {name}.")

    def noisy(self, likelihood: Any) -> Distribution:
        """Normal with both variances."""
        return Normal(likelihood.loc, jnp.sqrt(likelihood.scale**2 + self.rate**2))

    def clean(self, likelihood: Any, value: Array, read: Array) -> Distribution:
        """The mean of both, weighted by their precisions."""
        own, new = likelihood.scale**-2, jnp.where(read, self.rate**-2, 0.0)
        return Normal((own * likelihood.loc + new * value) / (own + new), (own + new) ** -0.5)

    def spoil(self, key: Key[Array, ""], values: Float[Array, "..."]) -> Float[Array, "..."]:
        """The values, with noise on them."""
        return values + self.rate * jr.normal(key, values.shape, values.dtype)


READINGS: dict[str, type[Reading]] = {"bit-flip": BitFlip, "gaussian": GaussianNoise}


def reading(kind: str, rate: float) -> Reading:
    """The kind of reading called `kind`.

    Raises:
        InputError: there is none, or a rate that it cannot have.
    """
    return READINGS[choice("kind of reading", kind, READINGS)](float(rate))
