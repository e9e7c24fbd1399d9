"""Numbers in few digits: the choice against brute force, its limits, and files that come back or are refused."""

import zlib

import numpy as np
import pytest
from mutations import mutated, other_numbers

from nelbo.codecs import DamagedError, describe_model, pack_model, quantize_arrays, unpack_model
from nelbo.codecs.framing import pack_frame
from nelbo.codecs.model_file import MODELS, _unpacked
from nelbo.codecs.variational_quantization import (
    CLASSES,
    choose,
    class_of,
    index_of,
    level_of,
    plain_lengths,
    points,
    quantized,
    raw_bits,
)
from nelbo.core import InputError

EVERY = np.arange(1, 4096)
RNG = np.random.default_rng(0)
MEAN, WIDTH = RNG.normal(size=200), np.exp(RNG.normal(-2.0, 1.0, 200))


def test_fractions_and_classes_name_each_other():
    classes = class_of(EVERY)
    rest = np.where(raw_bits(classes) > 0, EVERY >> (12 - level_of(EVERY)), 0)
    np.testing.assert_array_equal(index_of(classes, rest), EVERY)
    assert set(classes) == set(range(CLASSES))
    np.testing.assert_array_equal(level_of(np.array([2048, 1024, 3072, 1, 4095])), [0, 1, 1, 11, 11])
    np.testing.assert_array_equal(plain_lengths()[classes], level_of(EVERY))
    np.testing.assert_array_equal(np.bincount(level_of(EVERY)), 2 ** np.arange(12))


@pytest.mark.parametrize("trade", [1e-3, 0.3, 3.0])
def test_no_other_fraction_costs_less(trade):
    found = choose(MEAN, WIDTH, trade, plain_lengths())
    price = trade * np.log(2) * level_of(EVERY)
    table = (points()[EVERY] - MEAN[:, None]) ** 2 / (2 * WIDTH[:, None] ** 2) + price
    own = table[np.arange(200), found.index - 1]
    np.testing.assert_allclose(own, table.min(1), rtol=1e-12)


def test_the_limits():
    """Free bits give the nearest fraction of 12 digits; dear ones the median, with no bits at all."""
    fine = choose(MEAN, WIDTH, 1e-12, plain_lengths())
    np.testing.assert_array_equal(fine.index, EVERY[np.abs(points()[EVERY] - MEAN[:, None]).argmin(1)])
    coarse = choose(MEAN, WIDTH, 1e9, plain_lengths())
    assert (coarse.index == 2048).all()
    assert coarse.bits.sum() == 0.0
    assert points()[2048] == 0.0


def test_bits_and_errors_are_monotone():
    bits, errors = [], []
    for trade in (0.01, 0.1, 1.0, 10.0):
        found = choose(MEAN, WIDTH, trade, plain_lengths())
        bits.append(found.bits.sum())
        errors.append((((points()[found.index] - MEAN) / WIDTH) ** 2).sum())
    assert bits == sorted(bits, reverse=True)
    assert errors == sorted(errors)
    wider = choose(MEAN, 2 * WIDTH, 0.1, plain_lengths())
    assert (wider.bits <= choose(MEAN, WIDTH, 0.1, plain_lengths()).bits).all()


def test_measured_lengths_pay():
    """At one trade, the cost by frequencies that were learned is below that of the first choice at its own ones."""
    mean, width = np.random.default_rng(1).normal(0, 0.3, 5000), np.full(5000, 0.1)
    first, last = choose(mean, width, 1.0, plain_lengths()), quantized(mean, width, 1.0)

    def cost(index):
        counts = np.bincount(class_of(index), minlength=CLASSES)
        share = counts[class_of(index)] / len(index)
        bits = -np.log2(share) + raw_bits(class_of(index))
        return (((points()[index] - mean) / width) ** 2 / 2 + np.log(2) * bits).sum()

    assert cost(last.index) < cost(first.index)


ARRAYS = {
    "large": np.random.default_rng(2).normal(0, 0.2, (50, 60)).astype(np.float32),
    "small": np.random.default_rng(3).normal(1, 2, 30).astype(np.float32),
    "equal": np.full(3, 0.7, np.float32),
    "count": np.arange(4, dtype=np.int32),
    "one": np.float32(3.25)[None][0:1],
}
WIDTHS = {name: np.full(ARRAYS[name].shape, 0.05, np.float32) for name in ("large", "small", "equal")}
HEAD = {"kind": "model", "spec": {"name": "vae", "arguments": {"latents": 3}}}


@pytest.fixture(scope="module")
def file():
    return pack_model(HEAD, quantize_arrays(ARRAYS, WIDTHS, 0.5), 0.5)


@pytest.mark.parametrize("trade", [1e-6, 0.5, 1e6])
def test_arrays_come_back_as_they_were_quantized(trade):
    found = quantize_arrays(ARRAYS, WIDTHS, trade)
    data = pack_model(HEAD, found, trade)
    back, head = unpack_model(data)
    assert head == HEAD
    for name, value in ARRAYS.items():
        assert back[name].dtype == value.dtype
        np.testing.assert_array_equal(back[name], found.arrays[name])
    np.testing.assert_array_equal(back["equal"], ARRAYS["equal"])  # a prior without spread
    np.testing.assert_array_equal(back["count"], ARRAYS["count"])
    # the frequencies of two groups, priors and the table beside what the fractions take
    assert len(data) < 1.01 * found.bits / 8 + 600
    told = describe_model(data)
    assert (told["quantized_numbers"], told["model"], told["bytes"]) == (3033, "vae", len(data))


def test_a_wide_posterior_costs_the_loss_that_it_predicts():
    found = quantize_arrays(ARRAYS, WIDTHS, 0.5)
    errors = [((found.arrays[n].astype(float) - ARRAYS[n]) / 0.05) ** 2 for n in WIDTHS]
    assert found.excess == pytest.approx(0.5 * sum(e.sum() for e in errors), rel=1e-5)


def test_altered_files_are_refused_or_decode_to_the_same(file):
    right, rng, told = unpack_model(file), np.random.default_rng(0), []
    for _ in range(300):
        try:
            back, head = unpack_model(mutated(file, rng, other_numbers))
        except InputError as error:
            told.append(str(error))
        else:
            assert head == right[1]
            for name, value in right[0].items():
                np.testing.assert_array_equal(back[name], value)
    assert len(told) > 250
    assert all(sentence.endswith(".") for sentence in told)


def test_streams_with_right_checksums_are_refused(file):
    """A bit of either stream flipped, the index signed anew: what only the decoded arrays can tell."""
    header, streams, digests = _unpacked(file)
    right, rng, refused = unpack_model(file)[0], np.random.default_rng(4), 0
    plain = zlib.decompress(streams[0])
    for case in range(60):
        one = bytearray(streams[1] if case % 2 else plain)
        one[int(rng.integers(len(one)))] ^= 1 << int(rng.integers(8))
        changed = (streams[0], bytes(one)) if case % 2 else (zlib.compress(bytes(one)), streams[1])
        try:
            back, _ = unpack_model(pack_frame(MODELS, header.text(), list(zip(changed, digests, strict=True))))
        except DamagedError:
            refused += 1
        else:  # the frequency of a class that nothing is of, say
            for name, value in right.items():
                np.testing.assert_array_equal(back[name], value)
    assert refused > 50


def test_what_is_not_finite_is_refused():
    with pytest.raises(InputError, match="not finite"):
        quantize_arrays(ARRAYS, WIDTHS | {"small": np.zeros(30, np.float32)}, 1.0)
