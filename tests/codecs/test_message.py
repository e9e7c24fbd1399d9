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
        "uniform": Uniform(12, count),
        "categorical": categorical(rng, count),
        "logistic": LocationScale("logistic", level_bins(256, 1.0), scale, 16 * loc, floor=True),
        "normal on integers": LocationScale("normal", level_bins(256, 1 / 255), scale - 80, loc, floor=True),
        "normal on a grid": LocationScale("normal", quantile_bins(), scale - 60, loc, floor=False),
    }


@pytest.mark.share(8)
@pytest.mark.parametrize("name", list(tables(np.random.default_rng(0), 1)))
def test_a_million_random_symbols_come_back(name):
    rng = np.random.default_rng(1)
    table = tables(rng, MILLION)[name]
    symbols = draw(table, rng, MILLION)
    message = Message(lanes=4096)
    codec = tabled(table, MILLION)
    codec.push(message, symbols)
    # what the first 4096 symbols took from the ground comes on top
    assert message.bits - message.borrowed < ideal_bits(table, symbols) * 1.0005 + 4096
    received = Message(message.to_bytes(), lanes=4096)
    _, back = codec.pop(received)
    assert np.array_equal(back, symbols)
    assert received.is_spent()


def ideal_bits(table, symbols):
    return (16.0 - np.log2(table.interval(symbols)[1])).sum()


@pytest.mark.share(6)
@pytest.mark.parametrize("name", list(tables(np.random.default_rng(0), 1)))
def test_a_million_symbols_are_drawn_and_given_back(name):
    rng = np.random.default_rng(1)
    table = tables(rng, MILLION)[name]
    message = Message(rng.integers(1, 2**32, 600_000).astype("<u4").tobytes(), lanes=4096)
    before, length = message.to_bytes(), message.bits
    codec = tabled(table, MILLION, drawn=True)
    _, symbols = codec.pop(message)
    ideal = ideal_bits(table, symbols)
    assert abs(length - message.bits - ideal) < ideal * 0.0005 + 4096
    codec.push(message, symbols)
    assert message.to_bytes() == before


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 8]), st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_it_is_the_plain_coder(seed, lanes, sizes):
    """Random pushes and pops, some of them from the ground below the message: the same words as the plain coder's."""
    rng = np.random.default_rng(seed)
    message, plain = Message(lanes=lanes), PlainMessage()
    for size in sizes:
        table = categorical(rng, size)
        symbols = rng.integers(0, 5, size)
        every = np.stack([table.interval(np.full(size, k))[1] for k in range(5)], axis=1).tolist()
        ones = rng.choice([1, 5, 700, 32768, 60_001, 65_535], size)
        action = rng.integers(6)
        if action == 0:
            starts, frequencies = table.interval(symbols)
            message.push(starts, frequencies)
            plain.push(list(zip(starts.tolist(), frequencies.tolist(), strict=True)), lanes)
        elif action == 1:
            bits = rng.integers(0, 2, size)
            message.push_bits(bits, ones)
            plain.push_bits(bits.tolist(), ones.tolist())
        elif action == 2:
            assert message.pop_bits(ones).tolist() == plain.pop_bits(ones.tolist())
        elif action == 3:
            message.scramble(int(size))
            plain.scramble(size, 0x4F1BBD)
        elif action == 4:
            message.unscramble(int(size))
            plain.scramble(size, pow(0x4F1BBD, -1, 1 << 23))
        else:  # as a sender draws: any number of an interval may lie there
            drawn = message.pop(size, table.find, drawn=True)
            assert drawn.tolist() == plain.pop(every, lanes, drawn=True)
            if rng.random() < 0.5:
                starts, frequencies = table.interval(drawn)
                message.push(starts, frequencies, drawn=True)
                plain.push(list(zip(starts.tolist(), frequencies.tolist(), strict=True)), lanes, drawn=True)
        words = np.frombuffer(message.to_bytes(), "<u4").tolist()
        top = plain.top()
        both = min(len(words), len(top))  # words that were only lent are counted by the one alone
        assert words[len(words) - both :] == top[len(top) - both :]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 8]), st.integers(1, 40))
def test_symbols_come_back_as_the_plain_coder_gives_them(seed, lanes, size):
    rng = np.random.default_rng(seed)
    table, symbols = categorical(rng, size), rng.integers(0, 5, size)
    every = np.stack([table.interval(np.full(size, k))[1] for k in range(5)], axis=1).tolist()
    starts, frequencies = table.interval(symbols)
    message, plain = Message(lanes=lanes), PlainMessage()
    message.push(starts, frequencies)
    plain.push(list(zip(starts.tolist(), frequencies.tolist(), strict=True)), lanes)
    assert plain.pop(every, lanes) == symbols.tolist()
    received = Message(message.to_bytes(), lanes=lanes)
    assert received.pop(size, table.find).tolist() == symbols.tolist()
    assert received.is_spent()


def test_the_ground_is_the_plain_sequence():
    assert ground_words(5, 7).tolist() == [ground(i) for i in range(5, 12)]


@pytest.mark.share(3)
@pytest.mark.parametrize("lanes", [1, 2, 64, 1024])
def test_popping_is_undone_by_pushing(lanes):
    """Latents drawn from a message and put back leave it as it was, bit for bit."""
    rng = np.random.default_rng(2)
    message = Message(lanes=lanes)
    first = categorical(rng, 2000)
    tabled(first, 2000).push(message, draw(first, rng, 2000))
    before = message.to_bytes()
    for table in tables(rng, 800).values():
        codec = tabled(table, 800, drawn=True)
        _, symbols = codec.pop(message)
        codec.push(message, symbols)
        assert message.to_bytes().endswith(before)  # ground words may have come to light below


def test_drawn_latents_follow_their_distribution():
    """Chi-squared of 64,000 latents drawn from a message of data; 4 degrees of freedom, false alarms 1e-6."""
    rng = np.random.default_rng(3)
    message = Message(lanes=256)
    bits = Bits(rng.integers(-64, 65, 400_000))
    tabled(bits, 400_000).push(message, draw(bits, rng, 400_000))
    weights = np.array([[0.1, 0.4, 0.05, 0.25, 0.2]])
    count = 64_000
    _, symbols = tabled(Rows(from_weights(weights), np.zeros(count, int)), count, drawn=True).pop(message)
    observed, expected = np.bincount(symbols, minlength=5), count * weights[0]
    assert ((observed - expected) ** 2 / expected).sum() < 33.4


def test_what_is_drawn_is_unlike_what_was_pushed():
    """Without scrambling, drawing from the table that symbols were pushed with gives these symbols again."""
    rng = np.random.default_rng(6)
    table, count = Bits(np.zeros(20_000, int)), 20_000
    symbols = rng.integers(0, 2, count)
    message = tabled(table, count).push(Message(), symbols)
    _, drawn = tabled(table, count, drawn=True).pop(message)
    # equal with probability 1/2: 5 standard deviations, false alarms 6e-7
    assert abs((drawn == symbols).mean() - 0.5) < 5 * 0.5 / np.sqrt(count)


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
    row = lambda weights, which, **how: tabled(Rows(from_weights(weights), which), count, **how)  # noqa: E731
    codec = bits_back(
        row(prior[None], np.zeros(count, int)),
        lambda z: row(joint / prior[:, None], z),
        lambda x: row((joint / evidence).T, x, drawn=True),
    )
    x = np.random.default_rng(5).choice(3, count, p=evidence)
    message = codec.push(Message(lanes=64), x)
    exact = -np.log2(evidence)[x].sum()
    assert abs(message.bits - message.borrowed - exact) < 0.001 * exact + 128  # it began with two words
    received, back = codec.pop(Message(message.to_bytes(), lanes=64))
    assert received.is_spent()
    assert np.array_equal(back, x)


@pytest.mark.parametrize("data", [b"", b"1234", b"123456789", b"\0" * 8, b"\xff\xff\xff\xff\0\0\0\0"])
def test_what_no_sender_wrote_is_refused(data):
    with pytest.raises(DamagedError, match="damaged"):
        Message(data)


def test_a_message_that_ends_too_early_is_refused():
    message = Message(b"\xff" * 8)
    with pytest.raises(DamagedError, match="ends too early"):
        message.pop(1000, Uniform(12).find)


def test_a_symbol_without_a_frequency_is_refused():
    with pytest.raises(DamagedError, match="rules out"):
        Message().push(np.array([5], np.uint32), np.array([0], np.uint32))


def test_a_number_that_no_sender_leaves_is_refused():
    """Of an interval of 65535 the last numbers are never pushed."""
    message = Message()
    message.push(np.array([65534], np.uint32), np.array([1], np.uint32))  # not what the table below allows to be there
    with pytest.raises(DamagedError, match="no sender"):
        Message(message.to_bytes()).pop(1, lambda slots, _: (slots * 0, slots * 0, slots * 0 + 65535))
