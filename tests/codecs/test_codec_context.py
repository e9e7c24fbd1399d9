"""What examples are conditioned on goes beside them: no bits in the file, and the receiver must have the same."""

import hashlib

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import zoo

from nelbo.codecs import BlockCoder, Layout, Networks, compress, decompress, describe
from nelbo.core import InputError
from nelbo.models import (
    Amortized,
    BernoulliHead,
    Conditional,
    Head,
    Model,
    NormalHead,
    Stack,
    StandardNormal,
    Unconditional,
    vae,
)
from nelbo.nets import MLP

SMALL = Layout(batch=16, lanes=4, block=25)
LABELS = np.random.default_rng(1).integers(0, 3, 60)
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]


@pytest.fixture(scope="module")
def model():
    return zoo.randomized(vae(jr.key(0), (6,), latents=2, hidden=(5,), context=3), jr.key(1), 0.7)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).integers(0, 2, (60, 6)).astype(np.uint8)


@pytest.fixture(scope="module")
def packed(model, x):
    return compress(model, x, context=ONE_HOT, layout=SMALL)


def test_examples_come_back_beside_their_context(model, x, packed):
    assert np.array_equal(decompress(packed, model, context=ONE_HOT), x)
    assert np.array_equal(decompress(packed, model, context=ONE_HOT.astype(int)), x)  # the same numbers
    assert np.array_equal(decompress(packed, model, context=ONE_HOT, blocks=[2, 1]), np.concatenate([x[50:], x[25:50]]))
    content = f"{ONE_HOT.shape}|".encode() + np.ascontiguousarray(ONE_HOT, "<f4").tobytes()
    assert describe(packed)["context_sha256"] == hashlib.sha256(content).hexdigest()


def test_the_context_decides_the_code_and_costs_nothing():
    """Bits whose logit the label sets to -4 or 4: beside the label at their entropy, beside a wrong one far over."""
    rng, units = np.random.default_rng(2), 20
    labels = rng.integers(0, 2, 400)
    head = Conditional(MLP(jr.key(0), (1 + 1, units)), BernoulliHead((units,)), conditioned=True)
    where = lambda layer: (layer.net.layers[0].kernel, layer.net.layers[0].bias)  # noqa: E731
    kernel = jnp.stack([jnp.zeros(units), jnp.full(units, 8.0)])  # nothing of the latent, 8 of the label
    assert kernel.shape == where(head)[0].shape
    head = eqx.tree_at(where, head, (kernel, jnp.full(units, -4.0)))
    q = jax.tree.map(lambda leaf: 0.0 * leaf, Conditional(MLP(jr.key(1), (units, 2)), NormalHead((1,))))  # the prior
    own = Model(Stack((head, StandardNormal(1)), 1), Amortized((q,)))
    logits = np.broadcast_to(8.0 * labels[:, None] - 4.0, (400, units))
    data = (rng.random((400, units)) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    right = labels[:, None].astype(float)

    def size(context):
        coder = BlockCoder(Networks(own, (units,), 64, context=context), 64, 16)
        return len(coder.encode(data, context).message)

    exact = 400 * units * 0.130  # bits: the entropy of a bit of probability sigmoid(4)
    assert abs(8 * size(right) - exact) < 0.1 * exact + 300  # a standard deviation is 68 bits, a start 64
    assert size(1.0 - right) > 5 * size(right)


@pytest.mark.slow
def test_a_receiver_without_the_context_or_with_another_is_told(model, x, packed):
    with pytest.raises(InputError, match="which is not inside"):
        decompress(packed, model)
    with pytest.raises(InputError, match="another context"):
        decompress(packed, model, context=np.eye(3)[(LABELS + 1) % 3])
    with pytest.raises(InputError, match="59 rows"):
        decompress(packed, model, context=ONE_HOT[:-1])
    plain = vae(jr.key(0), (6,), latents=2, hidden=(5,))
    with pytest.raises(InputError, match="without a context"):
        decompress(compress(plain, x, layout=SMALL), plain, context=ONE_HOT)


@pytest.mark.parametrize(
    ("context", "words"),
    [
        (None, "context of 3 numbers"),
        (ONE_HOT[:, :2], "but the context has 2"),
        (ONE_HOT[:10], "10 rows"),
        (np.full((60, 3), np.nan), "not finite"),
        (np.full((60, 3), "a"), "array of numbers"),
    ],
)
def test_a_context_that_does_not_belong_is_refused(model, x, context, words):
    with pytest.raises(InputError, match=words):
        compress(model, x, context=context)


class _Tree(Conditional):
    """Reads one leaf of a context that is a tree."""

    def __call__(self, parents, context=None):
        return super().__call__(parents, context["time"])


@pytest.mark.slow
def test_a_context_may_be_a_tree_and_reach_a_chain():
    """Two layers of latents, all given a time stamp; the bins of the middle one come from draws in these contexts."""
    keys = iter(jr.split(jr.key(4), 9))

    def part(inputs, head: Head):
        return _Tree(MLP(next(keys), (inputs + 2, head.size), init=0.5), head, conditioned=True)

    down = (part(2, BernoulliHead((5,))), part(1, NormalHead((2,), min_scale=0.1)), StandardNormal(1))
    up = (part(5, NormalHead((2,), min_scale=0.1)), part(2, NormalHead((1,), min_scale=0.1)))
    model = Model(Stack(down, 2), Amortized(up))
    rng = np.random.default_rng(3)
    context, x = {"time": rng.normal(size=(40, 2))}, rng.integers(0, 2, (40, 5)).astype(bool)
    packed = compress(model, x, context=context, layout=SMALL, verify=False)
    assert np.array_equal(decompress(packed, model, context=context), x)


def test_binary_latents_are_conditioned_too():
    keys = jr.split(jr.key(4), 3)
    top = Unconditional(jnp.zeros(3), BernoulliHead((3,)))
    down = (Conditional(MLP(keys[1], (3 + 1, 5)), BernoulliHead((5,)), conditioned=True), top)
    up = (Conditional(MLP(keys[2], (5 + 1, 3)), BernoulliHead((3,)), conditioned=True),)
    model, rng = Model(Stack(down, 1), Amortized(up)), np.random.default_rng(3)
    x, context = rng.integers(0, 2, (40, 5)).astype(bool), rng.normal(size=40)
    packed = compress(model, x, context=context, layout=SMALL, verify=False)
    assert np.array_equal(decompress(packed, model, context=context), x)
