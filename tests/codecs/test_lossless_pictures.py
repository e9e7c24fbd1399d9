"""Pictures without loss: every pixel comes back, at the length that the mixtures say, or nothing does."""

import dataclasses

import numpy as np
import pytest
from test_picture_codec import hold, picture

from nelbo.codecs import DamagedError, compress_picture, decompress_picture, describe_picture
from nelbo.codecs.band_tables import TAILS, WIDER, Reader, Writer, bits, plan, table, tail_logit
from nelbo.codecs.picture_file import TILE, pack_picture, parted, unpack_picture
from nelbo.codecs.pictures import SHIPPED
from nelbo.codecs.residual_coder import RESIDUALS, residual_coder
from nelbo.codecs.residual_networks import GRIDS, MARGIN, coarser, inputs, neighbours
from nelbo.core import InputError


@pytest.mark.share(4)
@pytest.mark.parametrize("size", [(1, 1), (1, 90), (77, 1), (31, 33), (64, 65)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_comes_back_as_it_was(size, channels):
    x = picture(*size, channels)
    data = compress_picture(x, lossless=True)
    np.testing.assert_array_equal(decompress_picture(data), x)
    assert describe_picture(data)["lossless"]


@pytest.mark.parametrize("x", [
    np.random.default_rng(1).integers(0, 256, (24, 40, 3)).astype(np.uint8),  # far from every prediction
    np.repeat(picture(20, 20, 1), 3, axis=2),  # grey in three channels
    np.indices((20, 30)).sum(0)[..., None].astype(np.uint8) % 2 * 255,
], ids=["noise", "grey", "chess board"])  # fmt: skip
def test_pictures_unlike_photographs_come_back(x):
    np.testing.assert_array_equal(decompress_picture(compress_picture(x, lossless=True)), x)


@pytest.mark.slow
def test_a_picture_of_several_tiles():
    x = np.tile(picture(128, 128), (9, 9, 1))[: TILE + 40, : TILE + 9]
    data = compress_picture(x, lossless=True)
    assert len(unpack_picture(data).streams) == 4
    np.testing.assert_array_equal(decompress_picture(data), x)


@pytest.fixture(scope="module")
def file():
    return compress_picture(picture(24, 30), lossless=True)


def test_altered_files_are_refused_or_decode_to_the_same(file):
    assert hold(file, None, 30, 0) > 25


@pytest.mark.slow
def test_many_altered_files(file):
    assert hold(file, None, 5000, 1) > 4500


def test_altered_streams_with_right_checksums_are_refused(file):
    found, rng = unpack_picture(file), np.random.default_rng(5)
    lossy, more = parted(found.streams[0])
    for _ in range(4):
        stream = bytearray(found.streams[0])
        at = int(rng.integers(4 + len(lossy), len(stream))) if more else 0
        stream[at] ^= 1 << int(rng.integers(8))
        with pytest.raises(DamagedError):
            decompress_picture(pack_picture(found.header, [(bytes(stream), found.digests[0])]))
    for short in (b"", b"\x01", found.streams[0][:3], b"\xff\xff\xff\x7f"):
        with pytest.raises(DamagedError, match="parts"):
            decompress_picture(pack_picture(found.header, [(short, found.digests[0])]))


def test_networks_of_another_nelbo_are_refused(file):
    found = unpack_picture(file)
    other = dataclasses.replace(found.header, residual="0" * 16)
    with pytest.raises(InputError, match="another nelbo"):
        decompress_picture(pack_picture(other, [(found.streams[0], found.digests[0])]))


def test_a_base_whose_colours_differ_serves_a_grey_picture():
    """As that of a codec of the user's own may: one colour of it is used, on both sides."""
    rng, coder = np.random.default_rng(4), residual_coder()
    x, base = rng.integers(90, 110, (13, 9, 1)).astype(np.uint8), rng.integers(90, 110, (16, 16, 3)).astype(np.uint8)
    back = coder.decode(coder.encode(x, base, grey=True), (13, 9), base, grey=True)
    np.testing.assert_array_equal(back, np.repeat(x, 3, axis=2))


def test_grids_hold_every_pixel_once_and_see_only_what_is_decoded():
    known = np.zeros((8, 8), int)
    for number, (row, column, stride) in enumerate(GRIDS):
        for i, j in neighbours(number):
            assert known[(row + i) % 8, (column + j) % 8]
        known[row::stride, column::stride] += 1
    assert (known == 1).all()


def test_inputs_of_strips_are_those_of_the_whole():
    rng = np.random.default_rng(2)
    base, residual = rng.integers(0, 256, (3, 48, 32)), rng.integers(-40, 40, (3, 48, 32))
    for colour, grid in ((0, 4), (2, 6)):
        whole, _ = inputs(residual, base, colour, grid)
        parts = [inputs(residual[:, top : top + 32], base[:, top : top + 32], colour, grid)[0] for top in (0, 16)]
        np.testing.assert_array_equal(whole, np.concatenate(parts, axis=1))
    assert MARGIN == 8


def test_mixtures_are_coded_at_their_ideal_length():
    rng = np.random.default_rng(3)
    count = 20_000
    scale, tail = rng.integers(-20, 40, count), rng.integers(1, TAILS + 1, count)
    location = coarser(rng.integers(-400, 400, count), scale)
    weight = np.array([1 / (1 + np.exp(-tail_logit(kind))) for kind in range(TAILS + 1)])[tail]
    wide = rng.random(count) < weight
    y = np.rint(location / 8 + np.exp2((scale + WIDER * wide) / 8) * rng.logistic(size=count)).astype(np.int64)
    found = plan("logistic", location, scale, np.ones(count, bool), tail)
    writer = Writer()
    writer.numbers("logistic", found, y[found.order])
    data = writer.to_bytes()
    np.testing.assert_array_equal(Reader(data).numbers("logistic", found), y[found.order])
    # what the masses say, in closed form, and what the split of low bits costs
    away = np.abs(y - location / 8)

    def mass(width):
        return 1 / (1 + np.exp(-(0.5 - away) / width)) - 1 / (1 + np.exp(-(-0.5 - away) / width))

    ideal = -np.log2((1 - weight) * mass(np.exp2(scale / 8)) + weight * mass(np.exp2((scale + WIDER) / 8))).sum()
    assert 8 * len(data) <= 1.004 * ideal + 64
    # without the wider densities they would take more
    plain = plan("logistic", location, scale, np.ones(count, bool))
    assert 8 * len(data) < 0.99 * bits("logistic", plain, y[plain.order]).sum()


@pytest.mark.parametrize("tail", [1, TAILS])
def test_masses_of_mixtures_sum_to_one(tail):
    masses = table("logistic", 9, 1, tail).masses
    assert abs(int(masses.sum()) - 2**30) <= 64 * masses.size
    assert (masses > 0).all()


def test_sums_of_products_stay_exact():
    """The greatest sums that the networks can make are below 2^53, whatever the picture; and their files are small."""
    greatest = float(2**24)  # activations; inputs are at most 2^20 grey levels in multiples of 2^-4
    for network in residual_coder().networks.values():
        for weight, bias in (
            (network.first, network.first_bias),
            (network.second, network.second_bias),
            (network.last, network.last_bias),
        ):
            assert np.abs(weight).sum(0).max() * greatest + 256 * np.abs(bias).max() < 2**53
        assert np.abs(network.past).sum() * greatest * 16 < 2**53
    assert RESIDUALS.stat().st_size + SHIPPED.stat().st_size < 3_000_000
