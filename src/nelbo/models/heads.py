"""Heads: the last step of a conditional distribution, from a network's flat output to a distribution.

A head with k parameters per unit takes a flat array of k * units numbers, parameter-major.
"""

import math
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jax.nn import sigmoid
from jaxtyping import Array, Float, Int, Key

from nelbo.core import softplus
from nelbo.distributions import (
    AutoregressiveBernoulli,
    BagOfWords,
    Bernoulli,
    BernoulliMixture,
    BetaBinomial,
    Categorical,
    DiscretizedLogistic,
    Distribution,
    Nade,
    Normal,
)
from nelbo.nets import Frozen, initial_weight

if TYPE_CHECKING:
    # a checker takes Equinox's marker for a field, and asks every subclass's __init__ for it
    from typing import ClassVar as AbstractVar
else:
    from equinox import AbstractVar

# where the logs of scales end, each with 1 more beyond it (see `soft_bound`); inside these a head is what it says

# variance of a latent, near 1 under its prior: standard deviations of 5e-5 to 20. A recognition network fed with
# unscaled data, or an unlucky step, gives log variances in the hundreds, whose exponentials are infinite
LATENT_LOG_VARIANCE = (-20.0, 6.0)
# variance of data in units that nobody knows: standard deviations of 3e-7 to 3e6
DATA_LOG_VARIANCE = (-30.0, 30.0)
# factor by which a trained scale may leave its first value: 3e-7 to 3e6
LOG_FACTOR = (-15.0, 15.0)
# standard deviation in units of the data's own: 5 is that of the 4 % of rows that make up the whole variance. A column
# with two values would otherwise be given, away from the data, intervals thousands of times as wide as itself
STANDARDIZED_LOG_SCALE = (-30.0, math.log(5.0))
# scale of a discretized logistic in units of 16 levels: from 0.16 levels, where a level at the location has all mass
# but 1 %, to 17,546, where the ends have all mass but 0.4 %
LOGISTIC_LOG_SCALE = (-5.0, 7.0)


def soft_bound(x: Float[Array, "*d"], bounds: tuple[float, float]) -> Float[Array, "*d"]:
    """X itself within `bounds`; beyond them it bends towards 1 more, twice differentiable and never quite flat.

    The slope u beyond a bound is 1 / (1 + (pi u / 2)^2): a unit that has run away can come back, which a clipped one
    cannot. An infinite x gives a finite number.
    """
    low, high = bounds
    over, under = jnp.maximum(x - high, 0.0), jnp.maximum(low - x, 0.0)
    beyond = jnp.arctan(0.5 * math.pi * over) - jnp.arctan(0.5 * math.pi * under)
    return jnp.clip(x, low, high) + (2.0 / math.pi) * beyond


class Head(eqx.Module):
    """Abstract head."""

    shape: AbstractVar[tuple[int, ...]]
    planes: AbstractVar[int]
    # whether it is a normal whose mean is affine in `raw` and whose scale no `raw` changes
    is_homoscedastic: AbstractVar[bool]

    def __call__(self, raw: Float[Array, " raw"]) -> Distribution:
        """Distribution of one example of shape `shape` with parameters `raw`."""
        raise NotImplementedError

    @property
    def size(self) -> int:
        """How many numbers the network must give."""
        return self.planes * math.prod(self.shape)

    def _split(self, raw: Float[Array, " raw"]) -> Float[Array, "planes ..."]:
        return raw.reshape((self.planes, *self.shape))


class BernoulliHead(Head):
    """Independent Bernoulli variables on logits."""

    shape: tuple[int, ...] = eqx.field(static=True)
    planes: ClassVar[int] = 1
    is_homoscedastic: ClassVar[bool] = False

    def __call__(self, raw: Float[Array, " raw"]) -> Bernoulli:
        """One logit per unit."""
        return Bernoulli(self._split(raw)[0])


class AutoregressiveBernoulliHead(Head):
    """Bernoulli variables each of which also depends on those before it (Gregor et al. 2014).

    Args:
        key: for the weights.
        shape: of one example.
        init: "glorot" or the standard deviation of the weights.
    """

    weight: Float[Array, "n n"]
    shape: tuple[int, ...] = eqx.field(static=True)
    planes: ClassVar[int] = 1
    is_homoscedastic: ClassVar[bool] = False

    def __init__(self, key: Key[Array, ""], shape: tuple[int, ...], *, init: str | float | int = "glorot") -> None:
        self.shape = shape
        size = math.prod(shape)
        self.weight = jnp.tril(initial_weight(key, (size, size), fan_in=size, fan_out=size, init=init), -1)

    def __call__(self, raw: Float[Array, " raw"]) -> AutoregressiveBernoulli:
        """One logit per unit, to which the earlier units add."""
        return AutoregressiveBernoulli(self._split(raw)[0], self.weight)


class NadeHead(Head):
    """Bernoulli variables each of which depends on those before it through hidden units (Larochelle and Murray 2011).

    Args:
        key: for the weights.
        shape: of one example.
        hidden: how many hidden units.
        init: "glorot" or the standard deviation of the weights.
        order: places in the flattened example in the order of the units; None is the order of the example.
    """

    weight: Float[Array, "n hidden"]
    readout: Float[Array, "n hidden"]
    bias: Float[Array, " hidden"]
    order: Int[Array, " n"] | None
    shape: tuple[int, ...] = eqx.field(static=True)
    planes: ClassVar[int] = 1
    is_homoscedastic: ClassVar[bool] = False

    def __init__(
        self,
        key: Key[Array, ""],
        shape: tuple[int, ...],
        hidden: int,
        *,
        init: str | float | int = "glorot",
        order: Int[Array, " n"] | None = None,
    ) -> None:
        self.shape, self.order = shape, order
        size = math.prod(shape)
        weight_key, readout_key = jr.split(key)
        weight = initial_weight(weight_key, (size, hidden), fan_in=size, fan_out=hidden, init=init)
        readout = initial_weight(readout_key, (size, hidden), fan_in=hidden, fan_out=size, init=init)
        self.weight, self.readout = weight, readout
        self.bias = jnp.zeros(hidden, jnp.float32)

    def __call__(self, raw: Float[Array, " raw"]) -> Nade:
        """One logit per unit, to which the earlier units add."""
        return Nade(self._split(raw)[0], self.weight, self.readout, self.bias, self.order)


class BernoulliMixtureHead(Head):
    """A mixture of products of Bernoullis; the network gives the components' weights, and their logits are the head's.

    Args:
        components: for each entry of the flattened example its logit in every component.
        shape: of one example.
    """

    components: Float[Array, "n k"]
    shape: tuple[int, ...] = eqx.field(static=True)
    planes: ClassVar[int] = 1
    is_homoscedastic: ClassVar[bool] = False

    @property
    def size(self) -> int:
        """One number for each component."""
        return self.components.shape[1]

    def __call__(self, raw: Float[Array, " raw"]) -> BernoulliMixture:
        """One log weight per component."""
        return BernoulliMixture(raw, self.components.reshape(*self.shape, -1))


class BagOfWordsHead(Head):
    """Words of a document, drawn independently from one softmax over the vocabulary (Mnih and Gregor 2014).

    Args:
        shape: of one example, (vocabulary,).
        words: length of the documents that are drawn from the model.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    words: int = eqx.field(static=True, default=100)
    planes: ClassVar[int] = 1
    is_homoscedastic: ClassVar[bool] = False

    def __call__(self, raw: Float[Array, " raw"]) -> BagOfWords:
        """One logit per word of the vocabulary."""
        return BagOfWords(self._split(raw)[0], self.words)


class NormalHead(Head):
    """Independent normals; the network gives mean and log variance (Kingma and Welling 2014, appendix C).

    Args:
        shape: of one example.
        min_scale: floor of the standard deviation: a constant pixel would otherwise drive the density to infinity.
        squash: pass the mean through a logistic function, for data in [0, 1].
        bounds: soft ones of the log variance; by default those of a latent.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    min_scale: float = eqx.field(static=True, default=0.0)
    squash: bool = eqx.field(static=True, default=False)
    bounds: tuple[float, float] = eqx.field(static=True, default=LATENT_LOG_VARIANCE)
    planes: ClassVar[int] = 2
    is_homoscedastic: ClassVar[bool] = False

    def __call__(self, raw: Float[Array, " raw"]) -> Normal:
        """Mean and log variance per unit."""
        mean, log_variance = self._split(raw)
        scale = jnp.exp(0.5 * soft_bound(log_variance, self.bounds))
        return Normal(sigmoid(mean) if self.squash else mean, self.min_scale + scale)


class SharedNormalHead(Head):
    """Normals whose standard deviations do not depend on the parents: one for all units, or one per unit.

    Args:
        shape: of one example.
        scale: (initial) standard deviation.
        learn: train it.
        per_unit: one per unit instead of one for all.
        min_scale: floor of the standard deviation.
        squash: pass the mean through a logistic function.
    """

    raw_scale: Float[Array, "..."] | None
    shape: tuple[int, ...] = eqx.field(static=True)
    scale: float = eqx.field(static=True)
    min_scale: float = eqx.field(static=True)
    squash: bool = eqx.field(static=True)
    planes: ClassVar[int] = 1

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        scale: float = 1.0,
        learn: bool = False,
        per_unit: bool = False,
        min_scale: float = 0.0,
        squash: bool = False,
    ) -> None:
        self.shape, self.scale, self.min_scale, self.squash = shape, scale, min_scale, squash
        self.raw_scale = jnp.zeros(shape if per_unit else (), jnp.float32) if learn else None

    @property
    def is_homoscedastic(self) -> bool:
        """Unless the mean is squashed."""
        return not self.squash

    def __call__(self, raw: Float[Array, " raw"]) -> Normal:
        """One mean per unit."""
        mean = self._split(raw)[0]
        mean = sigmoid(mean) if self.squash else mean
        if self.raw_scale is None:
            factor = jnp.ones((), jnp.float32)
        else:
            factor = jnp.exp(soft_bound(self.raw_scale, LOG_FACTOR))
        return Normal(mean, jnp.broadcast_to(self.min_scale + self.scale * factor, self.shape))


class StandardizedHead(Head):
    """A normal head in units of the data: mean = centre + spread * m, standard deviation = spread * s.

    Where s grows beyond 5 it bends towards 14 (`STANDARDIZED_LOG_SCALE`).

    Args:
        inner: gives m and s for standardized data.
        centre: of the data; not trained.
        spread: of the data; not trained.
    """

    inner: Head
    centre: Frozen
    spread: Frozen
    shape: tuple[int, ...] = eqx.field(static=True)
    planes: int = eqx.field(static=True)

    def __init__(self, inner: Head, centre: Array, spread: Array) -> None:
        self.inner, self.centre, self.spread = inner, Frozen(centre), Frozen(spread)
        self.shape, self.planes = inner.shape, inner.planes

    @property
    def is_homoscedastic(self) -> bool:
        """Where the inner head is."""
        return self.inner.is_homoscedastic

    def __call__(self, raw: Float[Array, " raw"]) -> Normal:
        """The inner head's distribution, rescaled."""
        inner: Any = self.inner(raw)
        # within the bounds the scale is left as it is, not taken through its logarithm and back
        log_scale = jnp.log(inner.scale)
        factor = jnp.exp(soft_bound(log_scale, STANDARDIZED_LOG_SCALE) - log_scale)
        return Normal(self.centre() + self.spread() * inner.loc, self.spread() * (inner.scale * factor))


class DiscretizedLogisticHead(Head):
    """Logistic distribution binned to the integers 0 .. 255."""

    shape: tuple[int, ...] = eqx.field(static=True)
    planes: ClassVar[int] = 2
    is_homoscedastic: ClassVar[bool] = False

    def __call__(self, raw: Float[Array, " raw"]) -> DiscretizedLogistic:
        """Location (0 is mid-grey, 1 is half the range) and log scale per unit."""
        loc, log_scale = self._split(raw)
        # the floor and the bounds together hold slopes along the location under 1 / 0.09 for each level
        scale = 0.05 + 16.0 * jnp.exp(soft_bound(log_scale, LOGISTIC_LOG_SCALE))
        return DiscretizedLogistic(127.5 + 127.5 * loc, scale)


class BetaBinomialHead(Head):
    """Beta-binomial distribution on 0 .. 255 (as in bits-back coding of raw images, Townsend et al. 2019)."""

    shape: tuple[int, ...] = eqx.field(static=True)
    planes: ClassVar[int] = 2
    is_homoscedastic: ClassVar[bool] = False

    def __call__(self, raw: Float[Array, " raw"]) -> BetaBinomial:
        """Two concentrations per unit."""
        a, b = self._split(raw)
        # under 1e-3 the log mass is not known to be right to 1e-4 nats in float32
        return BetaBinomial(1e-3 + softplus(a), 1e-3 + softplus(b), 255)


class CategoricalHead(Head):
    """Any distribution on whole numbers from 0 on: a logit for each, so 256 outputs for a grey value; or for classes.

    Args:
        shape: of one example.
        planes: how many numbers.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    planes: int = eqx.field(static=True, default=256)
    is_homoscedastic: ClassVar[bool] = False

    def __call__(self, raw: Float[Array, " raw"]) -> Categorical:
        """One logit per unit and level."""
        return Categorical(jnp.moveaxis(self._split(raw), 0, -1))
