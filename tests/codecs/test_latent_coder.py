"""Convolutional codecs in real bytes: what is decoded is what was coded, at the length that the model says."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from test_picture_codec import hold, picture

from nelbo.codecs import DamagedError, codec_from, compress_picture, decompress_picture, pictures
from nelbo.codecs.factorized_tables import Factorized
from nelbo.codecs.hyper_bits_back import LANES
from nelbo.codecs.message import Message
from nelbo.codecs.picture_file import pack_picture, unpack_picture
from nelbo.core import Example, InputError
from nelbo.models import build, named_arrays

KINDS = {
    "factorized": {"prior": "factorized"},
    "hyperprior": {"prior": "hyperprior"},
    "mean-scale": {},
    "bits-back": {"hyper": "bits-back"},
}
STEP = 24  # log2, in eighths


def model_of(kind, shape=(64, 128, 3)):
    options = {"shape": shape, "size": "tiny", "quantization": "rounded", **KINDS[kind]}
    return build(jr.key(0), "convolutional-codec", options)


def codec_of(kind):
    model = model_of(kind)
    return codec_from(named_arrays(model), model.spec.record(), "here")


@pytest.fixture(scope="module")
def codec():
    return codec_of("mean-scale")


@pytest.mark.share(4)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("size", "channels"), [((1, 1), 1), ((64, 130), 3), ((77, 40), 3)])
def test_any_size_comes_back(kind, size, channels):
    codec, x = codec_of(kind), picture(*size, channels)
    data = compress_picture(x, quality=60, codec=codec)
    back = decompress_picture(data, codec)
    assert back.shape == x.shape
    z = codec.coder.encode(pictures._padded(x, codec.coder.unit), 22)[1]
    want = codec.coder.picture(z, 22)[: size[0], : size[1]]
    np.testing.assert_array_equal(back, want if channels == 3 else want[..., 1:2])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_whole_numbers_are_the_model(kind):
    """The same latents but for ties, pixels within a grey level, and the rate term to 1 % and 24 bytes."""
    model, codec, x = model_of(kind), codec_of(kind), picture(64, 128).astype(np.float32)

    @jax.jit
    def drawn(model, x, context):
        found = model.draw(jr.key(0), Example(x, context=context))
        y = found.z[0]
        z = found.z if kind != "bits-back" else (y, jnp.round(model.recognition.layers[1]((y,), context).mean))
        nodes = (x, *z)
        rate = [
            model.generative.layers[i](nodes[i + 1 :], context).log_prob(nodes[i]).sum() for i in range(1, len(nodes))
        ]
        return z, sum(rate), model.generative.layers[0](z, context).mean

    z, rate, decoded = drawn(model, jnp.asarray(x), jnp.full(1, STEP / 8))
    data, own = codec.coder.encode(x.astype(float), STEP)
    for float_part, part in zip(z, own, strict=True):
        assert np.mean(np.asarray(float_part) != part) < 0.01
    assert np.abs(codec.coder.picture(own, STEP) - np.clip(np.asarray(decoded), 0, 255)).max() <= 1.5
    ideal = -float(rate) / np.log(2) / 8
    assert abs(len(data) - ideal) < 0.01 * ideal + 24


def test_what_lies_beyond_the_picture_changes_no_bit_inside(codec):
    x = picture(50, 70)
    small = decompress_picture(compress_picture(x, codec=codec), codec)
    padded = np.pad(x, ((0, 14), (0, 58), (0, 0)), mode="edge")
    np.testing.assert_array_equal(decompress_picture(compress_picture(padded, codec=codec), codec)[:50, :70], small)


def test_tables_of_the_factorized_density_are_its_masses(codec):
    """Masses sum to one, and are those of the float density to their grid."""
    density = codec.coder.density
    middle, tables = density.tables(np.full(density.channels, 0.5))
    for channel, one in enumerate(tables):
        assert abs(int(one.masses.sum()) - 2**20) <= one.masses.size
        points = (middle[channel] + np.arange(-one.reach, one.reach + 1)) * 0.5
        below = 1 / (1 + np.exp(-density.logits(np.tile(points + 0.25, (density.channels, 1)))[channel]))
        above = 1 / (1 + np.exp(-density.logits(np.tile(points - 0.25, (density.channels, 1)))[channel]))
        assert np.abs(one.masses[:-1] / 2**20 - (below - above)).max() < 2.0**-19


@pytest.mark.slow
def test_the_float_density_is_that_of_the_model():
    model = model_of("mean-scale")
    own = Factorized.of(named_arrays(model), ".generative.layers[2].density")
    x = np.random.default_rng(0).normal(0, 9, (50, own.channels)).astype(np.float32)
    want = jax.jit(lambda density, x: density.logits(x))(model.generative.layers[2].density, jnp.asarray(x))
    np.testing.assert_allclose(own.logits(x.T.astype(float)), np.asarray(want).T, rtol=1e-4, atol=1e-4)


def test_altered_files_are_refused_or_decode_to_the_same(codec):
    file = compress_picture(picture(40, 60), codec=codec)
    assert hold(file, codec, 40, 0) > 30


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["factorized", "mean-scale"])
def test_many_altered_files(kind):
    codec = codec_of(kind)
    assert hold(compress_picture(picture(64, 96), codec=codec), codec, 3000, 1) > 2700


@pytest.fixture
def small_tiles(monkeypatch):
    monkeypatch.setattr("nelbo.codecs.picture_file.TILE", 64)


def chain_file(codec, x, step):
    """A chained file, whether it is shorter or not."""
    plain = unpack_picture(compress_picture(x, quality=100 * (1 - step / 56), codec=codec))
    header = pictures.dataclasses.replace(plain.header, chained=True)
    message, told = Message(lanes=LANES), []
    for rows, columns in header.tiles():
        part = pictures._padded(x[rows, columns], 64)
        y = codec.coder.encode(part, step)[1]
        message = codec.coder.chained(part.shape[:2], step).push(message, y)
        told.append(
            header.digest(codec.coder.picture(y, step)[: rows.stop - rows.start, : columns.stop - columns.start])
        )
    return pack_picture(header, [(message.to_bytes(), told[0]), *((b"", one) for one in told[1:])]), message


@pytest.mark.slow
@pytest.mark.usefixtures("small_tiles")
def test_hyper_latents_get_their_bits_back():
    """A chain of tiles comes back exactly, and costs -ELBO of whole latents but for 96 bits and 0.2 % a tile."""
    codec, model = codec_of("bits-back"), model_of("bits-back", (64, 64, 3))
    x = picture(64 * 5, 64 * 5)
    data, message = chain_file(codec, x, STEP)
    back = decompress_picture(data, codec)
    np.testing.assert_array_equal(
        back, decompress_picture(compress_picture(x, quality=100 * 4 / 7, codec=codec), codec)
    )
    tiles = [x[rows, columns].astype(float) for rows, columns in unpack_picture(data).header.tiles()]
    y = np.stack([codec.coder.encode(tile, STEP)[1][0] for tile in tiles])

    @jax.jit
    def bound(model, y, key):
        context = jnp.full(1, STEP / 8)
        q = model.recognition.layers[1]((y,), context)
        z, layers = q.sample(key), model.generative.layers
        parts = (q.log_prob(z), -layers[1]((z,), context).log_prob(y), -layers[2]((), context).log_prob(z))
        return sum(part.sum() for part in parts)

    each = jax.vmap(bound, (None, 0, 0))
    draws = [each(model, jnp.asarray(y, jnp.float32), jr.split(jr.key(i), len(y))) for i in range(10)]
    ideal = float(np.mean([np.sum(d) for d in draws])) / np.log(2)
    used = message.bits - message.borrowed
    assert abs(used - ideal) < 0.002 * ideal + 96 * len(y) + 500


@pytest.mark.slow
@pytest.mark.usefixtures("small_tiles")
def test_altered_chains_are_refused_or_decode_to_the_same():
    codec = codec_of("bits-back")
    data, _ = chain_file(codec, picture(130, 130), STEP)
    assert hold(data, codec, 1000, 2) > 900


@pytest.mark.slow
@pytest.mark.usefixtures("small_tiles")
def test_altered_messages_with_right_checksums_are_refused():
    codec = codec_of("bits-back")
    data, _ = chain_file(codec, picture(64, 130), STEP)
    found, rng = unpack_picture(data), np.random.default_rng(5)
    for _ in range(20):
        stream = bytearray(found.streams[0])
        stream[int(rng.integers(len(stream)))] ^= 1 << int(rng.integers(8))
        tiles = [(bytes(stream), found.digests[0]), *((b"", one) for one in found.digests[1:])]
        with pytest.raises(DamagedError):
            decompress_picture(pack_picture(found.header, tiles), codec)


def test_chains_are_refused_where_there_are_none(codec):
    data = unpack_picture(compress_picture(picture(20, 20), codec=codec))
    header = pictures.dataclasses.replace(data.header, chained=True)
    with pytest.raises(DamagedError, match="one message"):
        decompress_picture(pack_picture(header, [(data.streams[0], data.digests[0])]), codec)
    with pytest.raises(InputError, match="no bits back"):
        codec.coder.chained((64, 64), STEP)


def test_weights_without_bound_are_refused(codec):
    arrays = {name: value * np.float32(1e9) for name, value in codec.arrays.items()}
    with pytest.raises(InputError, match="so large"):
        codec_from(arrays, {"name": "convolutional-codec", "arguments": dict(codec.arguments)}, "there")


@pytest.mark.slow
def test_side_information_has_a_marginalization_gap(codec):
    """What sent hyper-latents cost beyond the negative ELBO of their normal q: more than nothing."""
    with jax.numpy_dtype_promotion("standard"):
        found = codec.gaps(picture(64, 64), 50, 150)
    assert found.marginalization > 0
    assert found.discretization > 0
