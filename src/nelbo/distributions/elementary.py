"""Elementwise distributions in the form that training needs: float samples, logits, counts."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpyro.distributions as nd
from jax.nn import log_sigmoid, sigmoid
from jax.scipy.special import betaln, gammaln
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

from nelbo.core import InputError, random_words, softplus
from nelbo.distributions.correlated import CorrelatedNormal, normal_kl


def uniforms(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Numbers in [0, 1) with 24 random bits each, two from every 32-bit word.

    The second of a pair is the word with its halves exchanged. Each number is exactly uniform; its comparison with a
    threshold depends on the other half only where 16 bits tie, so the joint law of binary draws made by comparison
    differs from an independent one by less than 2^-15 for a pair, at half the cost of `jax.random.uniform`.
    """
    count = math.prod(shape)
    words = random_words(key, (count + 1) // 2)
    both = jnp.concatenate([words, (words << 16) | (words >> 16)])[:count]
    return ((both >> 8).astype(jnp.float32) * 2.0**-24).reshape(shape)


class BinaryUnits(nd.Distribution):
    """Abstract: bits, each of which has a probability given others of them."""

    def conditional(self, value: Float[Array, "..."]) -> "Bernoulli":
        """Each unit given those that it depends on in `value`."""
        raise NotImplementedError


def example_shape(distribution: nd.Distribution) -> tuple[int, ...]:
    """The shape of one draw."""
    return tuple(distribution.batch_shape) + tuple(distribution.event_shape)


class Bernoulli(BinaryUnits, nd.BernoulliLogits):
    """Bernoulli on logits with float samples, `log p(x) = x a - softplus(a)` [nats].

    NumPyro's own guards infinite logits with extra selects and mixes booleans with floats, which strict dtype
    promotion refuses; this form also accepts grey values in [0, 1] as Kingma and Welling (2014) used them, where
    it is a cross-entropy and no likelihood.
    """

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw zeros and ones as float32."""
        shape = sample_shape + self.batch_shape
        probs = jnp.broadcast_to(sigmoid(self.logits), shape).reshape(-1)
        return (uniforms(key, probs.shape) < probs).astype(jnp.float32).reshape(shape)

    def conditional(self, value: Float[Array, "..."]) -> "Bernoulli":
        """Each unit given the others: itself (see `AutoregressiveBernoulli.conditional`)."""
        del value
        return self

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:  # pyright: ignore
        """Elementwise log probability [nats]."""
        shape = jnp.shape(self.logits)
        if value.shape != shape:
            return value * self.logits - softplus(self.logits)
        # images are worked on as vectors: XLA's CPU backend is several times slower on height x width x channels
        logits = jnp.ravel(self.logits)
        return (jnp.ravel(value) * logits - softplus(logits)).reshape(value.shape)

    @property
    def mean(self) -> Float[Array, "..."]:
        """P(x = 1)."""
        return sigmoid(self.logits)


class DiscretizedLogistic(nd.Distribution):
    """A logistic distribution binned to the integers 0 .. levels - 1, the end bins taking the tails.

    `P(k) = F((k + 1/2 - loc) / scale) - F((k - 1/2 - loc) / scale)` with F the logistic function; loc and scale are
    in units of one level. Source: Salimans et al., PixelCNN++ (2017), eq. 2.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support: Any = constraints.nonnegative_integer
    pytree_aux_fields = ("levels",)

    def __init__(self, loc: Float[Array, "*d"], scale: Float[Array, "*d"], levels: int = 256) -> None:
        self.loc, self.scale, self.levels = loc, scale, levels
        super().__init__(batch_shape=jnp.shape(loc), validate_args=False)

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw integers, as float32."""
        shape = sample_shape + self.batch_shape
        loc, scale = (jnp.broadcast_to(value, shape) for value in (self.loc, self.scale))
        return jnp.clip(jnp.round(loc + scale * jr.logistic(key, shape)), 0.0, self.levels - 1.0)

    def log_prob(self, value: Float[Array, "*d"]) -> Float[Array, "*d"]:  # pyright: ignore
        """Elementwise log probability mass [nats]."""
        upper = (value + 0.5 - self.loc) / self.scale
        lower = (value - 0.5 - self.loc) / self.scale
        # log(F(u) - F(l)) = log F(u) + log F(-l) + log(1 - exp(-(u - l))): no difference of nearly equal numbers
        width = 1.0 / self.scale
        inside = log_sigmoid(upper) + log_sigmoid(-lower) + jnp.log(-jnp.expm1(-width))
        at_ends = jnp.where(value < 0.5, log_sigmoid(upper), log_sigmoid(-lower))
        return jnp.where((value < 0.5) | (value > self.levels - 1.5), at_ends, inside)

    @property
    def mean(self) -> Float[Array, "..."]:
        """The location clipped to the range of levels (the exact mean differs at the ends)."""
        return jnp.clip(self.loc, 0.0, self.levels - 1.0)


class BetaBinomial(nd.BetaBinomial):
    """Beta-binomial on 0 .. total with float counts, as strict dtype promotion asks for."""

    concentration1: Array
    concentration0: Array
    total_count: Array

    def __init__(self, concentration1: Float[Array, "*d"], concentration0: Float[Array, "*d"], total: int) -> None:
        counts = jnp.full(jnp.shape(concentration1), float(total), jnp.result_type(concentration1))
        super().__init__(concentration1, concentration0, counts, validate_args=False)

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw integers, as float32."""
        beta_key, count_key = jr.split(key)
        shape = sample_shape + self.batch_shape
        a, b = (jnp.broadcast_to(value, shape) for value in (self.concentration1, self.concentration0))
        probs = jr.beta(beta_key, a, b)
        return jr.binomial(count_key, jnp.broadcast_to(self.total_count, shape), probs)

    def log_prob(self, value: Float[Array, "*d"]) -> Float[Array, "*d"]:  # pyright: ignore
        """Elementwise log probability mass [nats]."""
        n, a, b = self.total_count, self.concentration1, self.concentration0
        choose = gammaln(n + 1.0) - gammaln(value + 1.0) - gammaln(n - value + 1.0)
        return choose + betaln(value + a, n - value + b) - betaln(a, b)

    @property
    def mean(self) -> Float[Array, "..."]:
        """Expected count."""
        return self.total_count * self.concentration1 / (self.concentration1 + self.concentration0)


class Categorical(nd.Distribution):
    """Any distribution on the integers 0 .. levels - 1, by the softmax of a logit for each.

    Args:
        logits: `(*d, levels)`.
    """

    arg_constraints = {"logits": constraints.real_vector}
    support: Any = constraints.nonnegative_integer

    def __init__(self, logits: Float[Array, "*d levels"]) -> None:
        self.logits = logits
        super().__init__(batch_shape=jnp.shape(logits)[:-1], validate_args=False)

    @property
    def levels(self) -> int:
        """How many integers."""
        return self.logits.shape[-1]

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw integers, as float32."""
        return jr.categorical(key, self.logits, shape=sample_shape + self.batch_shape).astype(self.logits.dtype)

    def log_prob(self, value: Float[Array, "*d"]) -> Float[Array, "*d"]:  # pyright: ignore
        """Elementwise log probability mass [nats]."""
        index = jnp.broadcast_to(value, jnp.broadcast_shapes(value.shape, self.batch_shape)).astype(jnp.int32)
        logs = jax.nn.log_softmax(self.logits)
        logs = jnp.broadcast_to(logs, (*index.shape, self.levels))
        return jnp.take_along_axis(logs, index[..., None], axis=-1)[..., 0]

    @property
    def mean(self) -> Float[Array, "..."]:
        """Expected integer."""
        return jax.nn.softmax(self.logits) @ jnp.arange(self.levels, dtype=self.logits.dtype)


def total_log_prob(distribution: nd.Distribution, value: Array, observed: Array | None = None) -> Float[Array, ""]:
    """Log probability of one example, summed over dimensions, of observed entries only under a mask [nats].

    Args:
        distribution: of one example; elementwise (batch shape = shape of `value`) or joint (event shape).
        value: the example.
        observed: boolean mask of the same shape; only elementwise distributions, and joint ones that have
            `observed_log_prob`, can leave entries out.

    Raises:
        InputError: a mask for any other distribution.
    """
    if observed is not None and hasattr(distribution, "observed_log_prob"):
        return distribution.observed_log_prob(value, observed)  # pyright: ignore
    log_prob = jnp.asarray(distribution.log_prob(value))
    if observed is None:
        return jnp.ravel(log_prob).sum()
    if log_prob.shape != observed.shape:
        raise InputError(
            f"Missing entries need an elementwise likelihood or a mixture, but {type(distribution).__name__} gives "
            "whole examples a probability: fill them in first, or fit another model."
        )
    return jnp.where(observed, log_prob, jnp.zeros_like(log_prob)).sum()


def closed_form_kl(q: nd.Distribution, p: nd.Distribution) -> Float[Array, ""]:
    """KL(q || p) summed over dimensions [nats].

    Raises:
        NotImplementedError: no closed form is known for this pair.
    """
    if isinstance(q, CorrelatedNormal) or isinstance(p, CorrelatedNormal):
        return normal_kl(q, p)
    if isinstance(q, Bernoulli) and isinstance(p, Bernoulli):
        # sigmoid(a) (a - b) - softplus(a) + softplus(b): NumPyro has no rule for this pair
        a, b = jnp.asarray(q.logits), jnp.asarray(p.logits)
        return (q.mean * (a - b) - softplus(a) + softplus(b)).sum()
    return jax.numpy.sum(nd.kl_divergence(q, p))
