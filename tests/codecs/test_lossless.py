"""Arrays to bytes and back: every family, likelihood and type, at the length that the model promises."""

import jax
import jax.random as jr
import numpy as np
import pytest
import zoo
from hypothesis import given, settings
from hypothesis import strategies as st

from nelbo.codecs import (
    BlockCoder,
    Coded,
    DamagedError,
    Layout,
    Networks,
    Stage,
    compress,
    decompress,
    describe,
    schedule,
    sequential,
    unpack,
)
from nelbo.core import NATS_PER_BIT, InputError
from nelbo.models import Amortized, Model, Stack, Unconditional, darn, dlgm, fdarn, hvae, mixture, nade, sbn, vae
from nelbo.models.heads import AutoregressiveBernoulliHead

SHAPE = (6,)


def made(name, scale=0.7, **options):
    """A small model with large random weights, so that its distributions differ from example to example."""
    constructors = {"vae": vae, "sbn": sbn, "fdarn": fdarn, "darn": darn, "dlgm": dlgm, "hvae": hvae}
    constructors |= {"nade": nade, "mixture": mixture}
    return zoo.randomized(constructors[name](jr.key(1), SHAPE, **options), jr.key(2), scale)


SMALL = {"latents": 3, "hidden": (5,)}
MODELS = {
    "bernoulli": lambda: made("vae", **SMALL),
    "beta-binomial": lambda: made("vae", likelihood="beta-binomial", **SMALL),
    "categorical": lambda: made("vae", likelihood="categorical", **SMALL),
    "discretized logistic": lambda: made("vae", likelihood="discretized-logistic", **SMALL),
    "gaussian on integers": lambda: made("vae", likelihood="gaussian-unit", **SMALL),
    "rank-one posterior": lambda: made("vae", posterior="rank-one", **SMALL),
    "full posterior": lambda: made("vae", posterior="full", **SMALL),
    "two gaussian layers": lambda: made("dlgm", layers=(3, 2), hidden=(4,)),
    "deep chain": lambda: made("hvae", likelihood="categorical", layers=(3, 2, 2), hidden=(4,)),
    "gaussian layers in a chain": lambda: zoo.linear_stack(sizes=(6, 3, 2)).model,
    "binary layers in a chain": lambda: made("sbn", layers=(4, 3)),
    "autoregressive latents": lambda: made("fdarn", layers=(4, 3), recognition="autoregressive"),
    "autoregressive data": lambda: made("darn", layers=(4,)),
}
BINARY = {
    name
    for name in MODELS
    if not any(word in name for word in ("beta", "logistic", "integers", "chain", "categorical"))
}
BINARY.add("binary layers in a chain")


def data_for(name, count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2 if name in BINARY else 256, (count, *SHAPE)).astype(np.uint8)


# the other chains and stacks take the same steps in the same order
LONG = {"deep chain", "two gaussian layers"}


@pytest.mark.share(12)
@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in LONG else ()) for n in MODELS])
def test_every_family_comes_back(name):
    model, x = MODELS[name](), data_for(name, 60)
    packed = compress(model, x, layout=Layout(batch=16, lanes=4, block=40), verify=False)
    back = decompress(packed, model)
    assert back.dtype == x.dtype
    assert np.array_equal(back, x)


@pytest.fixture(scope="module")
def binary():
    return MODELS["bernoulli"]()


@pytest.fixture(scope="module")
def grey():
    return MODELS["gaussian on integers"]()


@settings(max_examples=6, deadline=None)
@given(
    dtype=st.sampled_from(["?", "u1", "i1", "<i2", ">i4", "<u8", "<f2", ">f4", "<f8"]),
    count=st.integers(0, 70),
    block=st.integers(1, 80),
    seed=st.integers(0, 9),
)
def test_every_type_and_length_comes_back(binary, dtype, count, block, seed):
    x = data_for("bernoulli", count, seed).astype(dtype)
    packed = compress(binary, x, layout=Layout(batch=8, lanes=8, block=block))
    back = decompress(packed, binary)
    assert (back.dtype, back.shape) == (x.dtype, x.shape)
    assert back.tobytes() == x.tobytes()
    known = describe(packed)
    assert (known["shape"], known["bytes"]) == (list(x.shape), len(packed))


@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f4"])
def test_grey_values_from_0_to_1_come_back(grey, dtype):
    x = (data_for("gaussian on integers", 30) / 255.0).astype(dtype)
    assert decompress(compress(grey, x, layout=Layout(batch=8, lanes=4)), grey).tobytes() == x.tobytes()


@pytest.mark.slow
def test_any_batch_and_any_lanes_give_the_same_array(binary):
    x = data_for("bernoulli", 50)
    for batch, lanes in ((1, 1), (3, 16), (64, 2)):
        assert np.array_equal(decompress(compress(binary, x, layout=Layout(batch=batch, lanes=lanes)), binary), x)


def test_one_block_can_be_read_alone(binary):
    x = data_for("bernoulli", 50)
    packed = compress(binary, x, layout=Layout(batch=8, lanes=4, block=20))
    spoilt = bytearray(packed)
    low = unpack(packed).start
    spoilt[low + 3] ^= 1  # in block 0
    assert np.array_equal(decompress(bytes(spoilt), binary, blocks=[2, 1]), np.concatenate([x[40:], x[20:40]]))
    with pytest.raises(DamagedError, match="Block 0"):
        decompress(bytes(spoilt), binary)
    with pytest.raises(InputError, match="no block 3"):
        decompress(packed, binary, blocks=[3])


def test_the_model_can_travel_inside(tmp_path):
    del tmp_path
    model = vae(jr.key(0), SHAPE, latents=2, hidden=(3,))
    x = data_for("bernoulli", 20)
    assert np.array_equal(decompress(compress(model, x, self_contained=True, layout=Layout(batch=8))), x)


# Tightness. A chain of binary layers whose ELBO is a finite sum: the message grows by log q - log p at every example,
# whose mean and variance are known.


def test_a_belief_network_codes_at_its_elbo():
    """20,000 examples of two binary layers: within 1 % for the grids, five standard deviations and a start."""
    case = zoo.belief_network()
    count = 20_000
    x = np.random.default_rng(1).integers(0, 2, (count, 4)).astype(np.uint8)
    kinds, times = np.unique(x, axis=0, return_counts=True)
    oracle = zoo.belief_oracle(case.model)
    mean = variance = 0.0
    for row, number in zip(kinds, times, strict=True):
        log_p, log_q = oracle.table(row.astype(float))
        log_w, q = (log_p - log_q) / NATS_PER_BIT, np.exp(log_q)
        mean -= number * (q * log_w).sum()
        variance += number * ((q * log_w**2).sum() - (q * log_w).sum() ** 2)
    coded = BlockCoder(Networks(case.model, (4,), 1024), 1024, 64).encode(x.astype(np.int64))
    assert abs(8 * len(coded.message) - mean) < 0.01 * mean + 5 * variance**0.5 + 256
    # coding with the prior and no bits back would cost far more, so the test can fail
    assert mean + 0.01 * mean + 5 * variance**0.5 + 256 < 1.2 * mean


# Here q must be near the prior: where it leaves the range of the bins, the code draws from q clipped to that range, and
# is shorter than the ELBO of q itself.
TIGHT = {
    "bernoulli": lambda: made("vae", 0.2, **SMALL),
    "beta-binomial": lambda: made("vae", 0.2, likelihood="beta-binomial", **SMALL),
    "categorical": lambda: made("vae", 0.2, likelihood="categorical", **SMALL),
    "deep chain": lambda: made("hvae", 0.2, layers=(3, 2, 2), hidden=(4,)),
    "full posterior": lambda: made("vae", 0.2, posterior="full", **SMALL),
    "gaussian layers in a chain": lambda: zoo.randomized(MODELS["gaussian layers in a chain"](), jr.key(2), 0.2),
}


@pytest.mark.share(6)
@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n == "deep chain" else ()) for n in TIGHT])
def test_a_model_codes_at_its_elbo(name):
    """2,000 examples drawn from the model: within 1.5 % of the mean of log w by Monte Carlo, and a start.

    The standard error of that mean is under 0.2 % here.
    """
    import equinox as eqx
    import jax.numpy as jnp

    model = TIGHT[name]()
    if name == "gaussian layers in a chain":
        # not 0 and 255: their mass has a tail of the normal, which the density at the value has not
        x = data_for(name, 2000) % 254 + 1
        seen, scale = jnp.asarray(x / 255.0, jnp.float32), np.log2(255.0) * x[0].size
    else:
        drawn, _ = jax.vmap(model.generative.sample)(jr.split(jr.key(5), 2000))
        x, seen, scale = np.asarray(drawn).astype(np.uint8), drawn, 0.0

    @eqx.filter_jit
    def log_w(keys, rows):
        return jax.vmap(lambda key, row: jax.vmap(lambda k: model.draw(k, row).log_w)(jr.split(key, 16)).mean())(
            keys, rows
        )

    elbo = np.asarray(log_w(jr.split(jr.key(6), len(x)), seen), float)
    bits = len(x) * scale - elbo.sum() / NATS_PER_BIT
    coded = BlockCoder(Networks(model, SHAPE, 256), 256, 16).encode(x.astype(np.int64))
    assert abs(8 * len(coded.message) - bits) < 0.015 * bits + 400


@pytest.mark.slow
def test_a_model_without_latents_is_coded_at_its_likelihood():
    """A fully visible belief network: no bits are borrowed, and the message is the data's own log probability."""
    head = AutoregressiveBernoulliHead(jr.key(0), (6,), init=1.5)
    model = Model(Stack((Unconditional(jr.normal(jr.key(1), (6,)), head),)), Amortized(()))
    drawn, _ = jax.vmap(model.generative.sample)(jr.split(jr.key(2), 3000))
    x = np.asarray(drawn).astype(np.uint8)
    bits = -float(jax.vmap(model.generative.likelihood(()).log_prob)(drawn).sum()) / NATS_PER_BIT
    packed = compress(model, x, self_contained=False)
    assert np.array_equal(decompress(packed, model), x)
    coded = BlockCoder(Networks(model, SHAPE, 128), 128, 16).encode(x.astype(np.int64))
    assert abs(8 * len(coded.message) - bits) < 0.01 * bits + 100


# Bits behind a state: the batches here have the same sizes, so that each class is compiled once

UNIT_BY_UNIT = {
    "nade": lambda: made("nade", hidden=(5,), order=2),
    "mixture": lambda: made("mixture", components=4),
}


@pytest.mark.share(2)
@pytest.mark.parametrize("name", UNIT_BY_UNIT)
def test_bits_one_by_one_are_as_long_as_the_likelihood_says_and_forgives_roundoff(name, monkeypatch):
    """States and logits off by 1e-10 of their size at every unit decode the same, off by a fifth they are told."""
    model, x = UNIT_BY_UNIT[name](), np.random.default_rng(0).integers(0, 2, (400, *SHAPE)).astype(np.uint8)
    log_probs = jax.jit(jax.vmap(model.generative.likelihood(()).log_prob))(x.astype(np.float32))
    bits = -float(log_probs.sum()) / NATS_PER_BIT
    packed = compress(model, x, layout=Layout(batch=16, lanes=8), verify=False)
    (block,) = describe(packed)["blocks"]
    assert abs(8 * block["bytes"] - bits) < 0.01 * bits + 100
    exact, rng = sequential._step, np.random.default_rng(0)

    def off(*given):
        return tuple(value * (1 + 1e-10 * rng.uniform(-1, 1, value.shape)) for value in exact(*given))

    monkeypatch.setattr(sequential, "_step", off)
    assert np.array_equal(decompress(packed, model), x)
    monkeypatch.setattr(sequential, "_step", lambda *given: tuple(1.2 * value for value in exact(*given)))
    with pytest.raises(DamagedError, match="Block 0 cannot be decoded"):
        decompress(packed, model)


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(
    name=st.sampled_from(sorted(UNIT_BY_UNIT)),
    count=st.integers(0, 40),
    block=st.integers(1, 50),
    scale=st.floats(0.0, 30.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_array_of_bits_coded_one_by_one_comes_back(name, count, block, scale, seed):
    """Also from weights so large that logits are at the ends of their range."""
    model = zoo.randomized(UNIT_BY_UNIT[name](), jr.key(seed), scale)
    x = np.random.default_rng(seed).integers(0, 2, (count, *SHAPE)).astype(bool)
    assert np.array_equal(
        decompress(compress(model, x, layout=Layout(batch=16, lanes=4, block=block), verify=False), model), x
    )


# Order and borrowed bits


def test_a_chain_is_coded_in_bit_swap_order():
    below, above = [{0}, {1}, {2}], [{1}, {2}, {3}, set()]
    assert schedule(below, above) == [
        ("pop", 1), ("push", 0), ("pop", 2), ("push", 1), ("pop", 3), ("push", 2), ("push", 3)]  # fmt: skip


def test_what_q_still_reads_is_not_pushed():
    below, above = [{0}, {0}], [{1, 2}, set(), set()]
    steps = schedule(below, above)
    assert steps == [("pop", 1), ("pop", 2), ("push", 0), ("push", 1), ("push", 2)]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_a_receiver_can_follow_every_schedule(latents, seed):
    rng = np.random.default_rng(seed)
    below = [{i for i in range(node) if rng.random() < 0.5} for node in range(1, latents + 1)]
    above = [{i for i in range(node + 1, latents + 1) if rng.random() < 0.5} for node in range(latents + 1)]
    steps = schedule(below, above)
    assert sorted(steps) == sorted([("pop", n) for n in range(1, latents + 1)] + [("push", n) for n in range(latents + 1)])  # fmt: skip  # noqa: E501
    known = {0}
    for how, node in steps:  # the sender
        needed = below[node - 1] if how == "pop" else above[node] | {node}
        assert needed <= known
        known |= {node}
    known = set()
    for how, node in reversed(steps):  # the receiver
        needed = above[node] if how == "push" else below[node - 1] | {node}
        assert needed <= known
        known |= {node}


@pytest.mark.slow
def test_a_chain_borrows_less_than_all_layers_at_once():
    """Messages of one example of a deep chain: Bit-Swap's order draws fewer words than latents popped all together."""
    networks = Networks(made("sbn", layers=(60, 60, 60)), SHAPE, 1)
    x = np.random.default_rng(0).integers(0, 2, (20, 1, 6))

    def length():
        return sum(len(BlockCoder(networks, 1, 1).encode(one).message) for one in x)

    chained = length()
    networks.steps = [("pop", 1), ("pop", 2), ("pop", 3), ("push", 0), ("push", 1), ("push", 2), ("push", 3)]
    assert chained < length()


# Another machine


def test_a_receiver_with_other_roundoff_decodes_the_same(binary, monkeypatch):
    """Networks that are off by 1e-10 of their size, a thousand times what threads and versions change."""
    x = data_for("bernoulli", 200)
    packed = compress(binary, x, layout=Layout(batch=16, lanes=8))
    exact = Stage.__call__
    rng = np.random.default_rng(0)

    def off(*given):
        return tuple(value * (1 + 1e-10 * rng.uniform(-1, 1, value.shape)) for value in exact(*given))

    monkeypatch.setattr(Stage, "__call__", off)
    assert np.array_equal(decompress(packed, binary), x)


def test_a_receiver_that_is_too_far_off_is_told(binary, monkeypatch):
    x = data_for("bernoulli", 200)
    packed = compress(binary, x, layout=Layout(batch=16, lanes=8))
    exact = Stage.__call__
    monkeypatch.setattr(Stage, "__call__", lambda *given: tuple(1.2 * value for value in exact(*given)))
    with pytest.raises(DamagedError, match="Block 0 cannot be decoded"):
        decompress(packed, binary)


# Refusals


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.full((3, *SHAPE), 2, np.uint8), "0 and 1"),
        (np.full((3, *SHAPE), 0.5), "0 and 1"),
        (np.full((3, *SHAPE), -0.0), "other values"),
        (np.full((3, *SHAPE), np.nan), "missing entries"),
        (np.full((3, *SHAPE), np.inf), "other values"),
        (np.full((3, *SHAPE), "a"), "type"),
        (np.zeros((3, 4), np.uint8), "fitted to"),
        (np.zeros((), np.uint8), "single number"),
    ],
)
def test_data_that_the_model_cannot_code_are_refused(binary, x, words):
    model = vae(jr.key(0), SHAPE, latents=2, hidden=(3,)) if "fitted" in words else binary
    with pytest.raises(InputError, match=words):
        compress(model, x)


def test_another_model_is_told_at_once(binary):
    packed = compress(binary, data_for("bernoulli", 5), layout=Layout(batch=8))
    with pytest.raises(InputError, match="another model"):
        decompress(packed, MODELS["rank-one posterior"]())
    with pytest.raises(InputError, match="no model inside"):
        decompress(packed)


def test_a_distribution_without_a_codec_is_refused():
    with pytest.raises(InputError, match="has no codec"):
        compress(vae(jr.key(0), SHAPE, latents=2, likelihood="multinomial"), data_for("bernoulli", 2))


@pytest.mark.parametrize(("name", "value"), [("block", 0), ("batch", 0), ("lanes", 3), ("lanes", 2**20)])
def test_sizes_that_make_no_sense_are_refused(name, value):
    with pytest.raises(InputError, match=name):
        Layout(**{name: value})


def test_a_crafted_stream_is_refused(binary):
    coder = BlockCoder(Networks(binary, SHAPE, 8), 8, 8)
    rng = np.random.default_rng(0)
    for length in (8, 40, 400):
        with pytest.raises(DamagedError):
            coder.decode(Coded(rng.bytes(length - 1) + b"\xff", b""), 30)
