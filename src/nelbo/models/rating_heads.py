"""Heads of one value of a pair: from a predictor to the distribution of a rating or of a measurement."""

import abc
import itertools
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro.distributions as nd
from jaxtyping import Array, Float

from nelbo.core import InputError
from nelbo.distributions import Distribution, Normal, Ordinal
from nelbo.models.heads import LOG_FACTOR, Head, soft_bound
from nelbo.nets import Frozen

RATING_LIKELIHOODS = ("gaussian", "cauchy", "ordinal")
MIN_SCALE = 1e-3  # of the noise, in units of the data's spread
_FIRST_SCALE = 0.5
_HALVINGS = 30  # of an interval of some ten standard deviations: to float32's last digits
_LOCATED: dict[str, Any] = {"gaussian": Normal, "cauchy": nd.Cauchy}


class RatingHead(Head):
    """Abstract: the distribution of one value, and the numbers that sum it up."""

    @abc.abstractmethod
    def __call__(self, raw: Float[Array, "*shape"]) -> Distribution:
        """The distribution, given the predictor."""

    @abc.abstractmethod
    def summary(self, distribution: Any) -> tuple[Array, Array]:
        """The centre that is predicted, and the variance around it; zero where there is no such variance (Cauchy)."""

    @property
    @abc.abstractmethod
    def unit(self) -> Float[Array, ""]:
        """What a difference of one in the predictor is in the user's units."""

    @property
    @abc.abstractmethod
    def is_linear(self) -> bool:
        """Whether the centre is `unit` times the predictor and a constant, and the variance the same everywhere."""

    @abc.abstractmethod
    def quantile(self, predictors: Float[Array, "draws n"], probability: Float[Array, ""]) -> Float[Array, " n"]:
        """Quantile of the equal mixture of the distributions of several predictors."""


class LocationHead(RatingHead):
    """A normal or a Cauchy around centre + spread * predictor, whose scale is learned, one for all pairs.

    Args:
        noise: "gaussian" or "cauchy".
        centre: of the data; not trained.
        spread: of the data; not trained.
        scale: of the noise at the start, in units of `spread`.
        learn: whether it is trained.
    """

    raw_scale: Array | Frozen
    centre: Frozen
    spread: Frozen
    noise: str = eqx.field(static=True)
    scale: float = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)
    planes: ClassVar[int] = 1

    def __init__(
        self, noise: str, centre: Array, spread: Array, *, scale: float = _FIRST_SCALE, learn: bool = True
    ) -> None:
        self.noise, self.scale, self.shape = noise, scale, (1,)
        self.centre, self.spread = Frozen(jnp.reshape(centre, ())), Frozen(jnp.reshape(spread, ()))
        self.raw_scale = jnp.zeros((), jnp.float32) if learn else Frozen(jnp.zeros((), jnp.float32))

    @property
    def is_homoscedastic(self) -> bool:
        """Of a normal."""
        return self.noise == "gaussian"

    def __call__(self, raw: Float[Array, "*shape"]) -> Distribution:
        """The predictor in units of the data."""
        trained = self.raw_scale() if isinstance(self.raw_scale, Frozen) else self.raw_scale
        scale = MIN_SCALE + self.scale * jnp.exp(soft_bound(trained, LOG_FACTOR))
        loc = self.centre() + self.spread() * raw
        return _LOCATED[self.noise](loc, jnp.broadcast_to(self.spread() * scale, loc.shape))

    def summary(self, distribution: Any) -> tuple[Array, Array]:
        """Location, and the noise's variance where it has one."""
        loc, scale = distribution.loc, distribution.scale
        return loc, scale**2 if self.noise == "gaussian" else jnp.zeros_like(loc)

    @property
    def unit(self) -> Float[Array, ""]:
        """The spread."""
        return self.spread()

    @property
    def is_linear(self) -> bool:
        """It is."""
        return True

    def quantile(self, predictors: Float[Array, "draws n"], probability: Float[Array, ""]) -> Float[Array, " n"]:
        """By bisection, between the least and the greatest quantile of the parts."""
        parts: Any = self(predictors)
        ends = parts.icdf(jnp.broadcast_to(probability, predictors.shape))

        def halved(_: Array, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = bracket
            middle = 0.5 * (low + high)
            below = parts.cdf(middle[None]).mean(0) < probability
            return jnp.where(below, middle, low), jnp.where(below, high, middle)

        low, high = jax.lax.fori_loop(0, _HALVINGS, halved, (ends.min(0), ends.max(0)))
        return 0.5 * (low + high)


class OrdinalHead(RatingHead):
    """Cumulative logits of ordered levels; the cuts between them are learned.

    Args:
        levels: the values, increasing, at least two.
    """

    first: Float[Array, ""]
    log_steps: Float[Array, " steps"]
    levels: tuple[float, ...] = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)
    planes: ClassVar[int] = 1
    is_homoscedastic: ClassVar[bool] = False

    def __init__(self, levels: Sequence[float]) -> None:
        if len(levels) < 2 or any(not low < high for low, high in itertools.pairwise(levels)):
            raise InputError(
                f"An ordinal likelihood needs at least two levels in increasing order, got {list(levels)[:8]}: use "
                "gaussian or cauchy for measurements."
            )
        self.levels, self.shape = tuple(float(level) for level in levels), (1,)
        # levels of equal probability at predictor zero
        count = len(levels)
        cuts = [math.log(k / (count - k)) for k in range(1, count)]
        self.first = jnp.asarray(cuts[0], jnp.float32)
        steps = [math.log(high - low) for low, high in itertools.pairwise(cuts)]
        self.log_steps = jnp.asarray(steps, jnp.float32)

    @property
    def cuts(self) -> Float[Array, " cuts"]:
        """Between the levels, increasing."""
        steps = jnp.exp(soft_bound(self.log_steps, LOG_FACTOR))
        return self.first + jnp.concatenate([jnp.zeros(1, jnp.float32), jnp.cumsum(steps)])

    def __call__(self, raw: Float[Array, "*shape"]) -> Ordinal:
        """The predictor on the logits' scale."""
        return Ordinal(raw, self.cuts, jnp.asarray(self.levels, jnp.float32))

    def summary(self, distribution: Any) -> tuple[Array, Array]:
        """Mean and variance of the levels."""
        return distribution.mean, distribution.variance

    @property
    def unit(self) -> Float[Array, ""]:
        """One: the predictor is a logit."""
        return jnp.ones((), jnp.float32)

    @property
    def is_linear(self) -> bool:
        """It is not."""
        return False

    def quantile(self, predictors: Float[Array, "draws n"], probability: Float[Array, ""]) -> Float[Array, " n"]:
        """The lowest level at or below which the mixture has that much."""
        below = jnp.cumsum(self(predictors).probs.mean(0), -1)
        place = jnp.minimum((below < probability).sum(-1), len(self.levels) - 1)
        return jnp.asarray(self.levels, jnp.float32)[place]


def rating_head(
    likelihood: str,
    centre: Array,
    spread: Array,
    levels: Sequence[float],
    *,
    noise_scale: float | None = None,
) -> RatingHead:
    """The head of a likelihood by name.

    Args:
        likelihood: one of `RATING_LIKELIHOODS`.
        centre: of the data.
        spread: of the data.
        levels: of an ordinal likelihood.
        noise_scale: of the noise, fixed, in the data's units; None: learned.
    """
    if likelihood == "ordinal":
        return OrdinalHead(levels)
    scale = _FIRST_SCALE if noise_scale is None else noise_scale - MIN_SCALE
    return LocationHead(likelihood, centre, spread, scale=scale, learn=noise_scale is None)


def of_pairs(name: str) -> Any:
    """A likelihood's head for models that know no pairs: a sentence that says so."""

    def refused(shape: tuple[int, ...]) -> Head:
        del shape
        raise InputError(f"{name} is a likelihood of the values of pairs: use it with the model factorization.")

    return refused
