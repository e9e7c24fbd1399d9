"""Latent Dirichlet allocation: topics that all documents share, and each document's proportions of them."""

import math
from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample, InputError, as_example, log_mean_exp
from nelbo.distributions import LEAST, BagOfWords, Dirichlet, expected_log, log_beta, log_proportions
from nelbo.models.conjugate import ConjugateGlobals, Local, built
from nelbo.models.documents import Ascent
from nelbo.models.layers import Context, Latents, Layer, Reads
from nelbo.models.parts import drawn_at_once, positive
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model, Stack
from nelbo.nets import Frozen

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
        return BagOfWords(jnp.log(jnp.maximum(chance, LEAST)), self.words)

    @property
    def direct_weight(self) -> Float[Array, "v k"]:
        """The expected counts of a document are this matrix times its proportions."""
        return self.words * jnp.exp(self.log_topics()).T


class Proportions(Layer):
    """The Dirichlet prior of a document's proportions.

    Args:
        topics: number of topics.
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


class TopicMixing(Local):
    """A document: its proportions of the topics, and the topic of each word.

    Args:
        ascent: prior and fit of the proportions.
    """

    ascent: Ascent

    def generative(self, point: Float[Array, "k v"]) -> Stack:
        """Proportions, then words."""
        return Stack((Words(Frozen(point)), Proportions(len(point), self.ascent.concentration)))

    def posterior(self, expected: Float[Array, "k v"], x: AnyExample, power: Float[Array, ""]) -> Dirichlet:
        """Of the proportions, by coordinate ascent against the topics of the words.

        Source: Blei, Ng and Jordan (2003), section 5.2, with a temperature.
        """
        return Dirichlet(self.ascent.one(expected, as_example(x).values, power))

    def bound(self, expected: Float[Array, "k v"], x: AnyExample, power: Float[Array, ""]) -> Float[Array, ""]:
        """The bound of one document, maximized over the topics of its words in closed form."""
        return self.bound_of(self.posterior(expected, x, power), expected, x, power)

    def bound_of(
        self, q: Dirichlet, expected: Float[Array, "k v"], x: AnyExample, power: Float[Array, ""]
    ) -> Float[Array, ""]:
        """The bound at a given posterior of the proportions."""
        counts, gamma = as_example(x).values, q.concentration
        log_share, prior = expected_log(gamma), jnp.full_like(gamma, self.ascent.concentration)
        shift = jax.lax.stop_gradient(expected.max(0))
        weights, scale = jnp.exp(power * (expected - shift[None])), jnp.exp(power * log_share)
        words = counts @ jnp.log(jnp.maximum(scale @ weights, LEAST)) + power * (counts @ shift)
        energy = ((prior - 1.0) * log_share).sum() - log_beta(prior)
        entropy = log_beta(gamma) - ((gamma - 1.0) * log_share).sum()
        return words + power * energy + entropy

    def volumes(
        self, key: Key[Array, ""], points: Float[Array, "draws k v"], powers: Float[Array, " m"]
    ) -> tuple[Float[Array, "draws inner m"], Float[Array, " m"]]:
        """Log sums over a word and its topic, for draws of topics and proportions; and what tempers the proportions."""
        draws, topics = points.shape[:2]
        prior = jnp.full(topics, self.ascent.concentration, jnp.float32)

        def one(power: Array) -> tuple[Array, Array]:
            tempered = power * (prior - 1.0) + 1.0
            # the same draws for every temperature, so that their normalizers do not scatter against each other
            log_share = log_proportions(jr.clone(key), tempered, (draws, _DRAWS, topics))
            sums = logsumexp(power * points, axis=-1)
            return logsumexp(power * log_share + sums[:, None], axis=-1), log_beta(tempered) - power * log_beta(prior)

        of_words, of_shares = jax.lax.map(one, powers)
        return jnp.moveaxis(of_words, 0, -1), of_shares

    def log_volume(
        self, volumes: tuple[Float[Array, "draws inner m"], Float[Array, " m"]], x: AnyExample
    ) -> Float[Array, "draws m"]:
        """For documents of x's length."""
        return log_mean_exp(volumes[0] * as_example(x).values.sum(), axis=1) + volumes[1][None]


class Topics(ConjugateGlobals):
    """Independent Dirichlet posteriors of the topics' word probabilities; t(b) are their logs.

    Args:
        natural: their concentrations.
        concentration: of the symmetric Dirichlet prior.
        local: of a document.
    """

    natural: Float[Array, "k v"]
    concentration: float = eqx.field(static=True)
    local: TopicMixing

    @property
    def prior(self) -> Float[Array, "k v"]:
        """The prior's concentrations."""
        return jnp.full_like(self.natural, self.concentration)

    def log_normalizer(self, natural: Float[Array, "k v"]) -> Float[Array, ""]:
        """Of the Dirichlet distributions."""
        return log_beta(natural).sum()

    def mean(self) -> Float[Array, "k v"]:
        """Log of the mean probabilities."""
        return jnp.log(self.natural) - jnp.log(self.natural.sum(-1, keepdims=True))

    def draw(self, key: Key[Array, ""], natural: Float[Array, "k v"]) -> Float[Array, "k v"]:
        """Log probabilities."""
        return log_proportions(key, natural)


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
        key: for the initial posterior of the topics.
        shape: of one example, (vocabulary,).
        topics: number of topics.
        concentration: parameter of the Dirichlet prior of a document's topic proportions.
        word_concentration: parameter of the Dirichlet prior of a topic's words.
        sweeps: largest number of rounds of coordinate ascent on a document.
        tolerance: coordinate ascent stops when a document's posterior concentrations change by less than this on
            average.

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
    local = TopicMixing(Ascent(float(concentration), sweeps, float(tolerance)))
    return built(Topics(natural, float(word_concentration), local), spec)
