"""Distributions of a user's own are coded with no registration, and are found by their bases."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as nd
import pytest
from numpyro.distributions import constraints

from nelbo.codecs import CODINGS, BlockCoder, Layout, Networks, coding_of, compress, decompress
from nelbo.core import NATS_PER_BIT, InputError
from nelbo.distributions import Bernoulli, CorrelatedNormal, RankOneNormal, SequentialBernoulli
from nelbo.models import (
    Amortized,
    BernoulliHead,
    Conditional,
    Head,
    InputRule,
    Model,
    Stack,
    StandardNormal,
    Unconditional,
)
from nelbo.models.posteriors import posterior_head
from nelbo.nets import MLP

SMALL = Layout(batch=16, lanes=4, block=50)


class Steps(nd.Distribution):
    """Whole numbers -2 .. 3, by a weight that grows with them: in no table of nelbo."""

    arg_constraints = {"slope": constraints.real}
    support = constraints.integer_interval(-2, 3)

    def __init__(self, slope):
        self.slope = slope
        super().__init__(batch_shape=jnp.shape(slope), validate_args=False)

    def log_prob(self, value):
        every = jnp.stack([k * self.slope for k in range(-2, 4)])
        return value * self.slope - jax.nn.logsumexp(every, axis=0)

    def sample(self, key, sample_shape=()):
        logits = jnp.stack([k * self.slope for k in range(-2, 4)], axis=-1)
        return jr.categorical(key, logits, shape=(*sample_shape, *self.batch_shape)).astype(self.slope.dtype) - 2.0


class Endless(Steps):
    """With no greatest value."""

    support = constraints.nonnegative_integer


class Together(Steps):
    """Its entries are one event."""

    def __init__(self, slope):
        self.slope = slope
        nd.Distribution.__init__(self, event_shape=jnp.shape(slope), validate_args=False)


class Coins(SequentialBernoulli):
    """Bits with logits that grow by the number of ones before; derived from what has a row in the table."""

    arg_constraints = {"logits": constraints.real}

    def __init__(self, logits):
        self.logits = logits
        super().__init__(event_shape=jnp.shape(logits), validate_args=False)

    @property
    def arguments(self):
        return (self.logits,)

    @property
    def rows(self):
        return jnp.ravel(self.logits)

    @property
    def start(self):
        return jnp.zeros((), self.logits.dtype)

    def logit(self, state, unit):
        return unit + 0.5 * state

    def after(self, state, unit, bit):
        del unit
        return state + bit


class _Head(Head):
    make: object
    shape: tuple[int, ...]
    planes: int = 1
    is_homoscedastic: bool = False

    def __call__(self, raw):
        return self.make(self._split(raw)[0])


def own_model(make, shape=(5,), latents=2):
    """A one-layer auto-encoder of parts, with another distribution of the data."""
    size = int(np.prod(shape))
    down = Conditional(MLP(jr.key(0), (latents, size), init=1.0), _Head(make, shape))
    head = posterior_head("diagonal", latents, rank=1)
    up = Conditional(MLP(jr.key(1), (size, head.size), init=0.5), head)
    return Model(Stack((down, StandardNormal(latents))), Amortized((up,), InputRule()))


@pytest.mark.slow
def test_a_users_own_distribution_is_coded_at_its_log_probability():
    """No latents, so the message is -log2 p(x): within 1 % for the grid, and a start."""
    layer = Unconditional(jnp.linspace(-1.5, 1.5, 5), _Head(Steps, (5,)))
    model = Model(Stack((layer,)), Amortized(()))
    x, _ = jax.vmap(model.generative.sample)(jr.split(jr.key(2), 4000))
    bits = -float(jax.vmap(lambda one: model.generative.likelihood(()).log_prob(one).sum())(x).sum()) / NATS_PER_BIT
    coded = BlockCoder(Networks(model, (5,), 128), 128, 16).encode(np.asarray(x).astype(np.int64) + 2)
    assert abs(8 * len(coded.message) - bits) < 0.01 * bits + 100


@pytest.mark.share(4)
@pytest.mark.parametrize(
    ("make", "low", "high"),
    [
        (Steps, -2, 3),
        (lambda a: nd.BinomialLogits(a, total_count=7), 0, 7),
        (nd.BernoulliLogits, 0, 1),
        (Coins, 0, 1),
    ],
    ids=["own", "NumPyro's binomial", "NumPyro's Bernoulli", "derived"],
)
def test_data_of_any_range_come_back(make, low, high):
    model = own_model(make)
    x = np.random.default_rng(0).integers(low, high + 1, (40, 5)).astype(np.int16)
    with jax.numpy_dtype_promotion("standard"):  # as users have it: NumPyro mixes types
        assert np.array_equal(decompress(compress(model, x, layout=SMALL, verify=False), model), x)
    for wrong in (low - 1, high + 1):
        with pytest.raises(InputError, match="0 and 1" if high == 1 else f"{low} .. {high}"):
            compress(model, np.full((3, 5), wrong))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Endless, "without an end"),
        (Together, "independent entries"),
        (lambda a: nd.Laplace(a, 1.0), "real numbers"),
        (lambda a: nd.BinomialLogits(a, total_count=100_000), "0 .. 100000"),
    ],
)
def test_what_has_no_codec_is_told_why(make, words):
    with pytest.raises(InputError, match=words):
        compress(own_model(make), np.zeros((3, 5), int))


def test_a_class_is_found_by_its_bases():
    q = RankOneNormal(jnp.zeros(2), jnp.ones(2), jnp.zeros(2))
    assert coding_of(q) is CODINGS[CorrelatedNormal]
    assert coding_of(Coins(jnp.zeros(3))) is CODINGS[SequentialBernoulli]
    assert coding_of(nd.BernoulliLogits(jnp.zeros(3))) is None


def test_a_coding_of_ones_own_is_a_value():
    """Here a Bernoulli is coded by its log probabilities: other bytes, the same array."""
    codings = {base: coding for base, coding in CODINGS.items() if base is not Bernoulli}
    model = own_model(Bernoulli)
    x = np.random.default_rng(0).integers(0, 2, (40, 5)).astype(np.uint8)
    packed = compress(model, x, layout=SMALL, codings=codings)
    assert packed != compress(model, x, layout=SMALL)
    assert np.array_equal(decompress(packed, model, codings=codings), x)


def test_latents_of_other_values_in_p_and_q_are_refused():
    head = BernoulliHead((2,))
    prior = Unconditional(jnp.zeros(2), head)
    good = own_model(Bernoulli)
    model = Model(Stack((good.generative.layers[0], prior)), good.recognition)
    with pytest.raises(InputError, match="different kinds in p and q"):
        Networks(model, (5,), 8)
