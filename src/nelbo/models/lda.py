"""Latent Dirichlet allocation: topics that all documents share, and each document's proportions of them."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.scipy.special import digamma, logsumexp
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample, InputError, as_example, log_mean_exp
from nelbo.distributions import BagOfWords, Dirichlet, expected_log, log_beta, log_proportions
from nelbo.models.globals import ConjugateGlobals
from nelbo.models.known import Known
from nelbo.models.layers import Context, Latents, Layer, Reads
from nelbo.models.parts import drawn_at_once, positive
from nelbo.models.recognition import InputRule, Posterior, Recognition
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model, Stack
from nelbo.nets import Frozen

_LEAST = 1e-37
_DRAWS = 16  # of proportions, for each draw of the topics, see `Topics.volumes`
_START = 100.0  # shape of the gamma distribution of the first posterior's counts, whose mean is one


class Words(Layer):
    """p(x | proportions): the words of a document, drawn from the mixture of topics.

    Args:
        log_topics: log probability of each word in each topic.
        words: length of the documents that are drawn from the model.
    """

    log_topics: Frozen
    words: int = eqx.field(static=True, default=100)
    reads: ClassVar[Reads] = Reads.NEAREST
    conditioned: ClassVar[bool] = False
    is_linear_gaussian: ClassVar[bool] = False

    def __call__(self, parents: Latents, context: Context = None) -> BagOfWords:
        """Distribution of the counts given the proportions."""
        del context
        chance = parents[0] @ jnp.exp(self.log_topics())
        return BagOfWords(jnp.log(jnp.maximum(chance, _LEAST)), self.words)

    @property
    def direct_weight(self) -> Float[Array, "v k"]:
        """The expected counts of a document are this matrix times its proportions."""
        return self.words * jnp.exp(self.log_topics()).T


class Proportions(Layer):
    """The Dirichlet prior of a document's proportions.

    Args:
        topics: how many.
        concentration: of each.
    """

    topics: int = eqx.field(static=True)
    concentration: float = eqx.field(static=True)
    reads: ClassVar[Reads] = Reads.NONE
    conditioned: ClassVar[bool] = False
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    def __call__(self, parents: Latents, context: Context = None) -> Dirichlet:
        """The distribution, whatever the parents."""
        del parents, context
        return Dirichlet(jnp.full(self.topics, self.concentration, jnp.float32))


class Mixing(eqx.Module):
    """The prior of a document's proportions, and how their posterior is fitted.

    Args:
        concentration: of the symmetric Dirichlet prior.
        sweeps: most rounds of coordinate ascent.
        tolerance: it ends when the posterior's concentrations change by less than this on average.
    """

    concentration: float = eqx.field(static=True)
    sweeps: int = eqx.field(static=True, default=50)
    tolerance: float = eqx.field(static=True, default=1e-3)

    def prior(self, topics: int) -> Float[Array, " k"]:
        """Its concentrations."""
        return jnp.full(topics, self.concentration, jnp.float32)

    def fit(
        self, log_topics: Float[Array, "k v"], counts: Float[Array, " v"], power: Float[Array, ""]
    ) -> Float[Array, " k"]:
        """Concentrations of q(proportions) by coordinate ascent against the assignments of words, with no gradient.

        Source: Blei, Ng and Jordan (2003), section 5.2, tempered as in Mandt et al. (2016), section 3.

        Args:
            log_topics: log probability of each word in each topic, or its expectation.
            counts: of each word.
            power: 1 / temperature.
        """
        log_topics, counts, power = jax.lax.stop_gradient((log_topics, counts, power))
        weights = jnp.exp(power * (log_topics - log_topics.max(0)))  # a word's factor cancels in its shares
        base = power * (self.concentration - 1.0) + 1.0

        def sweep(loop: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            gamma, _, count = loop
            scale = jnp.exp(power * (digamma(gamma) - digamma(gamma.sum())))
            share = counts / jnp.maximum(scale @ weights, _LEAST)
            new = base + power * scale * (weights @ share)
            return new, jnp.abs(new - gamma).mean(), count + 1

        def going(loop: tuple[Array, Array, Array]) -> Array:
            return (loop[1] > self.tolerance) & (loop[2] < self.sweeps)

        even = base + power * counts.sum() / len(log_topics)
        first = jnp.full(len(log_topics), 1.0, jnp.float32) * even
        start = (first, jnp.asarray(jnp.inf, jnp.float32), jnp.zeros((), jnp.int32))
        return jax.lax.while_loop(going, sweep, start)[0]


class TopicRecognition(Recognition):
    """q(proportions | x) by coordinate ascent for every document; nothing is amortized.

    Args:
        log_topics: log probability of each word in each topic.
        mixing: the prior and the fit.
    """

    log_topics: Frozen
    mixing: Mixing
    layers: ClassVar[tuple[Layer, ...]] = ()
    reads: ClassVar[tuple[Reads, ...]] = (Reads.FURTHEST,)

    def see(self, x: AnyExample) -> Array:
        """The counts."""
        return InputRule()(as_example(x))

    def __call__(self, x: AnyExample) -> Posterior:
        """The posterior of one document."""
        seen = self.see(x)
        gamma = self.mixing.fit(self.log_topics(), seen, jnp.ones((), jnp.float32))
        return Posterior((Known(Dirichlet(gamma)),), seen)


class Topics(ConjugateGlobals):
    """Independent Dirichlet posteriors of the topics' word probabilities.

    Args:
        natural: their concentrations.
        concentration: of the symmetric Dirichlet prior.
        mixing: prior and fit of the proportions.
    """

    natural: Float[Array, "k v"]
    concentration: float = eqx.field(static=True)
    mixing: Mixing

    @property
    def prior(self) -> Float[Array, "k v"]:
        """The prior's concentrations."""
        return jnp.full_like(self.natural, self.concentration)

    def log_normalizer(self, natural: Float[Array, "k v"]) -> Float[Array, ""]:
        """Of the Dirichlet distributions."""
        return log_beta(natural).sum()

    def expected(self) -> Float[Array, "k v"]:
        """E log p(word | topic)."""
        return expected_log(self.natural)

    def local_bound(self, expected: Float[Array, "k v"], x: AnyExample, power: Float[Array, ""]) -> Float[Array, ""]:
        """The bound of one document, with the words' assignments maximized over in closed form."""
        counts, topics = as_example(x).values, len(expected)
        gamma = self.mixing.fit(expected, counts, power)
        log_share, prior = expected_log(gamma), self.mixing.prior(topics)
        shift = jax.lax.stop_gradient(expected.max(0))
        weights, scale = jnp.exp(power * (expected - shift)), jnp.exp(power * log_share)
        words = counts @ jnp.log(jnp.maximum(scale @ weights, _LEAST)) + power * (counts @ shift)
        energy = ((prior - 1.0) * log_share).sum() - log_beta(prior)
        entropy = log_beta(gamma) - ((gamma - 1.0) * log_share).sum()
        return words + power * energy + entropy

    def volumes(
        self, key: Key[Array, ""], powers: Float[Array, " m"], draws: int
    ) -> tuple[Float[Array, "draws inner m"], Float[Array, " m"]]:
        """Log sums over a word and its topic, for draws of topics and proportions; and what tempers the proportions."""
        topic_key, share_key = jr.split(key)
        log_topics = log_proportions(topic_key, jnp.broadcast_to(self.prior, (draws, *self.natural.shape)))
        prior = self.mixing.prior(len(self.natural))

        def one(power: Array) -> tuple[Array, Array]:
            tempered = power * (prior - 1.0) + 1.0
            log_share = log_proportions(share_key, jnp.broadcast_to(tempered, (draws, _DRAWS, len(prior))))
            sums = logsumexp(power * log_topics, axis=-1)
            return logsumexp(power * log_share + sums[:, None], axis=-1), log_beta(tempered) - power * log_beta(prior)

        of_words, of_shares = jax.lax.map(one, powers)
        return jnp.moveaxis(of_words, 0, -1), of_shares

    def log_volume(
        self, volumes: tuple[Float[Array, "draws inner m"], Float[Array, " m"]], x: AnyExample
    ) -> Float[Array, "draws m"]:
        """For documents of x's length."""
        return log_mean_exp(volumes[0] * as_example(x).values.sum(), axis=1) + volumes[1]

    def sample(self, key: Key[Array, ""], model: Model) -> Model:
        """The model with topics drawn from their posterior."""
        return eqx.tree_at(lambda m: m.globals, _with_topics(model, log_proportions(key, self.natural)), None)

    def settled(self, model: Model) -> Model:
        """The model with the topics' means, and its posterior."""
        return _with_topics(model, jnp.log(self.natural) - jnp.log(self.natural.sum(-1, keepdims=True)))


def _with_topics(model: Model, log_topics: Float[Array, "k v"]) -> Model:
    places = lambda m: (m.generative.layers[0].log_topics.value, m.recognition.log_topics.value)  # noqa: E731
    return eqx.tree_at(places, model, (log_topics, log_topics))


@drawn_at_once
def lda(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    topics: int = 30,
    concentration: float | int = 0.1,
    word_concentration: float | int = 0.05,
    sweeps: int = 50,
    tolerance: float | int = 1e-3,
) -> Model:
    """Latent Dirichlet allocation of word counts (Blei, Ng and Jordan 2003; Hoffman, Blei and Bach 2010).

    Args:
        key: for the topics' first posterior.
        shape: of one example, (vocabulary,).
        topics: how many.
        concentration: of the Dirichlet prior of a document's proportions.
        word_concentration: of the Dirichlet prior of a topic's words.
        sweeps: most rounds of coordinate ascent on a document.
        tolerance: they end when the concentrations of its proportions change by less than this on average.

    Raises:
        InputError: examples that are no vectors, or a number that makes no sense.
    """
    shape, (topics, sweeps) = positive("shape", shape), positive("topics and sweeps", (topics, sweeps))
    if len(shape) != 1:
        raise InputError(f"lda takes documents as vectors of word counts, got examples of shape {list(shape)}.")
    numbers = {"concentration": concentration, "word_concentration": word_concentration, "tolerance": tolerance}
    for name, value in numbers.items():
        if not 0 < value < math.inf:
            raise InputError(f"{name} of lda must be a positive number, got {value}.")
    spec = ModelSpec.of("lda", shape=shape, topics=topics, sweeps=sweeps, **numbers)
    natural = jr.gamma(key, _START, (topics, *shape), jnp.float32) / _START
    return _lda(natural, float(word_concentration), Mixing(float(concentration), sweeps, float(tolerance)), spec)


def _lda(natural: Float[Array, "k v"], concentration: float, mixing: Mixing, spec: Any) -> Model:
    empty = jnp.zeros_like(natural)
    generative = Stack((Words(Frozen(empty)), Proportions(len(natural), mixing.concentration)))
    shared = Topics(natural, concentration, mixing)
    model = Model(generative, TopicRecognition(Frozen(empty), mixing), spec, shared)
    return shared.settled(model)
