"""Bits on logits with float samples, and what is asked of every distribution: a total under a mask, a KL."""

import math
from abc import abstractmethod

import jax
import jax.numpy as jnp
import numpyro.distributions as nd
from jax.nn import sigmoid
from jaxtyping import Array, Float, Key

from nelbo.core import InputError, random_words, softplus
from nelbo.distributions.correlated import CorrelatedNormal, normal_kl
from nelbo.distributions.simplex import Dirichlet, OneHot


def uniforms(key: Key[Array, ""], shape: tuple[int, ...], *, paired: bool = True) -> Float[Array, "..."]:
    """Numbers in [0, 1) with 24 random bits each, two from every 32-bit word if `paired`, else one.

    The second of a pair is the word with its halves exchanged. Each number is exactly uniform; its comparison with a
    threshold depends on the other half only where 16 bits tie, so the joint law of binary draws made by comparison
    differs from an independent one by less than 2^-15 for a pair, at half the cost of `jax.random.uniform`. For tens of
    thousands of numbers one from each word is faster still, as XLA then works on several at once.
    """
    count = math.prod(shape)
    if not paired:
        return ((random_words(key, count) >> 8).astype(jnp.float32) * 2.0**-24).reshape(shape)
    words = random_words(key, (count + 1) // 2)
    both = jnp.concatenate([words, (words << 16) | (words >> 16)])[:count]
    return ((both >> 8).astype(jnp.float32) * 2.0**-24).reshape(shape)


class BinaryUnits(nd.Distribution):
    """Abstract: bits, each of which has a probability given others of them."""

    @abstractmethod
    def conditional(self, value: Float[Array, "..."]) -> "Bernoulli":
        """Each unit given those that it depends on in `value`."""


class Marginalizable(nd.Distribution):
    """Abstract: a joint distribution out of which entries can be summed exactly."""

    @abstractmethod
    def observed_log_prob(self, value: Float[Array, "*d"], observed: Array) -> Float[Array, ""]:
        """Log probability of the observed entries of one example, the others summed out [nats].

        Args:
            value: the example; what is not observed is not read.
            observed: boolean mask of the same shape.
        """


class Completable(nd.Distribution):
    """Abstract: a joint distribution that can draw entries given others."""

    @abstractmethod
    def complete(
        self, key: Key[Array, ""], value: Float[Array, "*d"], known: Array, steps: int = 1
    ) -> tuple[Array, Array]:
        """A draw of the entries of one example that are not known, given those that are.

        Args:
            key: for the draw.
            value: the example; what is not known is not read.
            known: boolean mask of the same shape.
            steps: of a chain, where the draw is not exact.

        Returns:
            The whole example, and the probability that each drawn entry was drawn with: its mean over draws is
            P(x_d = 1 | known), with less noise than that of the draws.
        """


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
        """Draw zeros and ones, as numbers like the logits."""
        shape = sample_shape + self.batch_shape
        probs = jnp.broadcast_to(sigmoid(self.logits), shape).reshape(-1)
        return (uniforms(key, probs.shape).astype(probs.dtype) < probs).astype(probs.dtype).reshape(shape)

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

    def total_log_prob(self, value: Float[Array, "..."]) -> Float[Array, ""]:
        """The sum of `log_prob` over all entries [nats]."""
        logits, value = jnp.broadcast_arrays(jnp.asarray(self.logits), value)
        return _bits_log_prob(jnp.ravel(logits), jnp.ravel(value))

    @property
    def mean(self) -> Float[Array, "..."]:
        """P(x = 1)."""
        return sigmoid(self.logits)


_FACTORS = 16  # of 1 to 2 each, so that their product is exact to float32


@jax.custom_jvp
def _bits_log_prob(logits: Float[Array, " units"], value: Float[Array, " units"]) -> Float[Array, ""]:
    """Sum of x a - softplus(a) [nats], with one logarithm for every 16 units.

    log(1 + exp(-|a|)) of sixteen units is the log of their product: a logarithm costs as much as all the rest, and the
    sums and products are taken in one pass over the logits. What is lost is 1e-6 nats.
    """
    padding = (0, -logits.size % _FACTORS)
    logits = jnp.pad(logits, padding, constant_values=-1e9).reshape(_FACTORS, -1)  # units that are surely zero
    value = jnp.pad(value, padding).reshape(_FACTORS, -1)
    terms = (value * logits - jnp.maximum(logits, 0.0), 1.0 + jnp.exp(-jnp.abs(logits)))
    start = (jnp.zeros((), logits.dtype), jnp.ones((), logits.dtype))
    sums, products = jax.lax.reduce(terms, start, lambda a, b: (a[0] + b[0], a[1] * b[1]), (0,))
    return (sums - jnp.log(products)).sum()


@_bits_log_prob.defjvp
def _(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    logits, value = primals
    slopes = (value - jax.nn.sigmoid(logits)) * tangents[0] + logits * tangents[1]
    return _bits_log_prob(logits, value), slopes.sum()


def total_log_prob(distribution: nd.Distribution, value: Array, observed: Array | None = None) -> Float[Array, ""]:
    """Log probability of one example, summed over dimensions, of observed entries only under a mask [nats].

    Args:
        distribution: of one example; elementwise (batch shape = shape of `value`) or joint (event shape).
        value: the example.
        observed: boolean mask of the same shape; only elementwise distributions and `Marginalizable` ones can leave
            entries out.

    Raises:
        InputError: a mask for any other distribution.
    """
    if observed is not None and isinstance(distribution, Marginalizable):
        return distribution.observed_log_prob(value, observed)
    if observed is not None and tuple(distribution.event_shape):
        raise InputError(
            f"Missing entries need an elementwise likelihood or a mixture, but {type(distribution).__name__} gives "
            "whole examples a probability: fill them in first, or fit another model."
        )
    if observed is None and isinstance(distribution, Bernoulli):
        return distribution.total_log_prob(value)
    log_prob = jnp.asarray(distribution.log_prob(value))
    if observed is None:
        return jnp.ravel(log_prob).sum()
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
    if (isinstance(q, Dirichlet) and isinstance(p, Dirichlet)) or (isinstance(q, OneHot) and isinstance(p, OneHot)):
        return q.kl(p).sum()  # pyright: ignore[reportArgumentType]
    return jax.numpy.sum(nd.kl_divergence(q, p))
