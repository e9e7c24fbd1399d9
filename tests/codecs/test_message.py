"""The stack: push and pop undo each other, and do what a plain implementation does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import PlainMessage, ground

from nelbo.codecs import (
    Bits,
    DamagedError,
    LocationScale,
    Message,
    Rows,
    Uniform,
    bits_back,
    conditional,
    from_weights,
    level_bins,
    quantile_bins,
    repeat,
    sequence,
    tabled,
)
from nelbo.codecs.message import ground_words

MILLION = 1_000_000


def categorical(rng, rows, symbols=5):
    weights = rng.dirichlet(np.ones(symbols), size=3)
    return Rows(from_weights(weights), rng.integers(0, 3, rows))


def draw(table, rng, count):
    """Symbols of a table, as a decoder of random bits makes them."""
    return table.find(rng.integers(0, 2**16, count).astype(np.uint32), slice(0, count))[0].astype(np.int64)


def tables(rng, count):
    """One table of each kind, `count` rows."""
    scale, loc = rng.integers(-80, 80, count), rng.integers(-40, 40, count)
    return {
        "bits": Bits(rng.integers(-192, 193, count)),
        "uniform": Uniform(12),
        "categorical": categorical(rng, count),
        "logistic": LocationScale("logistic", level_bins(256, 1.0), scale, 16 * loc, floor=True),
        "normal on integers": LocationScale("normal", level_bins(256, 1 / 255), scale - 80, loc, floor=True),
        "normal on a grid": LocationScale("normal", quantile_bins(), scale - 60, loc, floor=False),
    }


@pytest.mark.parametrize("name", list(tables(np.random.default_rng(0), 1)))
def test_a_million_random_symbols_come_back(name):
    rng = np.random.default_rng(1)
    table = tables(rng, MILLION)[name]
    symbols = draw(table, rng, MILLION)
    message = Message()
    message.resize(4096)
    codec = tabled(table, MILLION)
    codec.push(message, symbols)
    starts, frequencies = table.interval(symbols)
    ideal = (16.0 - np.log2(frequencies)).sum()
    message.resize(1)
    # the 4096 heads were made of 44 bits each
    assert message.bits < ideal * 1.00001 + 4096 * 44 + 64
    received = Message(message.to_bytes())
    received.resize(4096)
    _, back = codec.pop(received)
    received.resize(1)
    assert np.array_equal(back, symbols)
    assert received.is_spent()
    assert starts.max() < 2**16


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 8]), st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_it_is_the_plain_coder(seed, heads, sizes):
    """Random pushes and pops, some of them from the ground below the message: the same words as the plain coder's."""
    rng = np.random.default_rng(seed)
    message = Message()
    message.resize(heads)
    plain = PlainMessage([int(head) for head in message._heads], [int(word) for word in message._words[: message._top]])
    plain.dug = message._ground
    for size in sizes:
        table = categorical(rng, size)
        symbols = rng.integers(0, 5, size)
        every = np.stack([table.interval(np.full(size, k))[1] for k in range(5)], axis=1).tolist()
        if rng.random() < 0.5:
            starts, frequencies = table.interval(symbols)
            message.push(starts, frequencies)
            plain.push(list(zip(starts.tolist(), frequencies.tolist(), strict=True)))
        else:
            assert message.pop(size, table.find).tolist() == plain.pop(every)
        assert message._heads.tolist() == plain.heads
        both = min(message._top, len(plain.words))  # they dig in portions of different sizes
        assert message._words[message._top - both : message._top].tolist() == plain.words[len(plain.words) - both :]


def test_the_ground_is_the_plain_sequence():
    assert ground_words(5, 7).tolist() == [ground(i) for i in range(5, 12)]


@pytest.mark.parametrize("heads", [1, 2, 64, 1024])
def test_popping_is_undone_by_pushing(heads):
    """Latents drawn from a message and put back leave it as it was, bit for bit."""
    rng = np.random.default_rng(2)
    message = Message()
    first = categorical(rng, 2000)
    tabled(first, 2000).push(message, draw(first, rng, 2000))
    before = message.to_bytes()
    message.resize(heads)
    table = tables(rng, 800)["normal on a grid"]
    symbols = message.pop(800, table.find)
    message.push(*table.interval(symbols))
    message.resize(1)
    after = message.to_bytes()  # ground words may have come to light below
    assert after[:6] == before[:6]
    assert after.endswith(before[6:])


def test_drawn_latents_follow_their_distribution():
    """Chi-squared of 64,000 latents drawn from a message of data; 4 degrees of freedom, false alarms 1e-6."""
    rng = np.random.default_rng(3)
    message = Message()
    bits = Bits(rng.integers(-64, 65, 400_000))
    message.resize(256)
    message.push(*bits.interval(draw(bits, rng, 400_000)))
    weights = np.array([[0.1, 0.4, 0.05, 0.25, 0.2]])
    count = 64_000
    symbols = message.pop(count, Rows(from_weights(weights), np.zeros(count, int)).find)
    observed, expected = np.bincount(symbols, minlength=5), count * weights[0]
    assert ((observed - expected) ** 2 / expected).sum() < 33.4


def test_combinators_undo_themselves():
    rng = np.random.default_rng(4)
    one, two = categorical(rng, 6), categorical(rng, 6)
    codec = sequence([tabled(one, 6), repeat(tabled(two, 6), 2), conditional(tabled(one, 6), lambda a: tabled(two, 6) if a[0] else tabled(one, 6))])  # fmt: skip  # noqa: E501
    symbols = lambda: rng.integers(0, 5, 6)  # noqa: E731
    value = (symbols(), (symbols(), symbols()), (symbols(), symbols()))
    message = codec.push(Message(), value)
    message, back = codec.pop(Message(message.to_bytes()))
    assert message.is_spent()
    for a, b in zip(_leaves(value), _leaves(back), strict=True):
        assert np.array_equal(a, b)


def _leaves(value):
    return [value] if isinstance(value, np.ndarray) else [leaf for part in value for leaf in _leaves(part)]


def test_bits_back_gives_the_evidence_where_q_is_the_posterior():
    """log w is then constant, so the length of 20,000 symbols is -log2 p(x) with no noise but rounding's."""
    count = 20_000
    joint = np.array([[0.30, 0.05, 0.15], [0.02, 0.28, 0.20]])  # p(z, x)
    prior, evidence = joint.sum(1), joint.sum(0)
    row = lambda weights, which: tabled(Rows(from_weights(weights), which), count)  # noqa: E731
    codec = bits_back(
        row(prior[None], np.zeros(count, int)),
        lambda z: row(joint / prior[:, None], z),
        lambda x: row((joint / evidence).T, x),
    )
    x = np.random.default_rng(5).choice(3, count, p=evidence)
    message = Message()
    message.resize(64)
    begun = message.bits - 16 * _borrowed(message)
    codec.push(message, x)
    exact = -np.log2(evidence)[x].sum()
    grown = message.bits - 16 * _borrowed(message) - begun  # less ground words
    assert abs(grown - exact) < 0.001 * exact + 16 * 64  # a head holds 16 bits more or less
    message.resize(1)
    received, back = _popped(codec, message.to_bytes(), 64)
    assert received.is_spent()
    assert np.array_equal(back, x)


def _popped(codec, data, heads):
    message = Message(data)
    message.resize(heads)
    message, back = codec.pop(message)
    message.resize(1)
    return message, back


def _borrowed(message):
    """Ground words that a message has drawn on."""
    return message._ground - message._lowest


@pytest.mark.parametrize("data", [b"", b"1234", b"1234567", b"\0\0\0\0\0\0", b"\xff\xff\xff\xff\0\0"])
def test_what_no_sender_wrote_is_refused(data):
    with pytest.raises(DamagedError, match="damaged"):
        Message(data)


def test_a_message_that_ends_too_early_is_refused():
    message = Message(b"\xff" * 6)
    with pytest.raises(DamagedError, match="ends too early"):
        message.pop(1000, Uniform(12).find)


def test_a_symbol_without_a_frequency_is_refused():
    with pytest.raises(DamagedError, match="rules out"):
        Message().push(np.array([5], np.uint32), np.array([0], np.uint32))


def test_several_heads_have_no_bytes():
    message = Message()
    message.resize(2)
    with pytest.raises(ValueError, match="narrow"):
        message.to_bytes()
