"""Pictures in real bytes: what is decoded is what was coded, at the length that the model says, or nothing is."""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from mutations import mutated, other_numbers
from threadpoolctl import threadpool_limits
from zoo import randomized

from nelbo.codecs import (
    DamagedError,
    codec_from,
    compress_picture,
    decompress_picture,
    describe_picture,
    picture_codec,
)
from nelbo.codecs.band_networks import COARSE, Transform, beside, differences, log_magnitudes, lowest_parts
from nelbo.codecs.band_tables import LEAST, MOST, Reader, Writer, bits, plan, table
from nelbo.codecs.picture_file import TILE, pack_picture, unpack_picture
from nelbo.codecs.pictures import SHIPPED
from nelbo.core import Example, InputError, read_arrays
from nelbo.models import build, fill, named_arrays, save_model
from nelbo.priors import coarse_bands

UNIT = 32  # blocks of 8
FROZEN = Path(__file__).parent / "frozen_pictures"


def trained_like(model, key):
    """The same model with networks of random weights, small enough for scales to stay in range."""
    first, *bands, last = model.generative.layers
    weight = 0.002 * jr.normal(jr.fold_in(key, 99), first.restoration.last.weight.shape)
    first = eqx.tree_at(lambda one: one.restoration.last.weight, first, weight)
    for i, layer in enumerate(bands):
        # for noise, which has more of high frequencies than photographs
        drawn = (layer.leave_bias + 2.0,
                 0.03 * jr.normal(jr.fold_in(key, i), layer.leave.shape),
                 0.2 * jr.normal(jr.fold_in(key, 200 + i), layer.beside_bias.shape),
                 0.01 * jr.normal(jr.fold_in(key, 100 + i), layer.slope.shape))  # fmt: skip
        bands[i] = eqx.tree_at(lambda one: (one.leave_bias, one.leave, one.beside_bias, one.slope), layer, drawn)
    return eqx.tree_at(lambda one: one.generative.layers, model, (first, *bands, last))


@pytest.fixture(scope="module")
def model():
    plain = build(jr.key(0), "image-codec", {"shape": (64, 96, 3), "block": 8, "units": 4, "restore": 3})
    return trained_like(plain, jr.key(1))


@pytest.fixture(scope="module")
def codec(model):
    return codec_from(named_arrays(model), model.spec.record(), "here")


def picture(height, width, channels=3):
    rows, columns = np.mgrid[:height, :width]
    rng = np.random.default_rng(0)
    waves = 120 + 60 * np.sin(rows / 9.0 + columns / 23.0)[..., None] * np.array([1.0, 0.7, -0.4])[:channels]
    return np.clip(waves + rng.normal(0, 8, (height, width, channels)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def file(codec):
    return compress_picture(picture(64, 96), quality=60, codec=codec)


@pytest.mark.share(3)
@pytest.mark.parametrize("size", [(1, 1), (1, 200), (77, 1), (31, 33), (64, 96), (65, 97)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_comes_back_near(codec, size, channels):
    x = picture(*size, channels)
    data = compress_picture(x, quality=70, codec=codec)
    back = decompress_picture(data, codec)
    step = describe_picture(data)["step"]
    assert back.shape == x.shape
    assert back.dtype == np.uint8
    # within a step; rounding of the transform is orthonormal, so the mean squared error is at most its quarter
    assert np.mean((back.astype(float) - x) ** 2) <= step**2 / 4 + 1.0


def test_quality_is_monotone(codec):
    x = picture(64, 96)
    sizes, errors = [], []
    for quality in (0, 30, 60, 100):
        data = compress_picture(x, quality=quality, codec=codec)
        sizes.append(len(data))
        errors.append(np.mean((decompress_picture(data, codec).astype(float) - x) ** 2))
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["chess", "tiled"])
def test_pictures_unlike_photographs_lose_no_numbers(kind):
    """Networks that take great numbers for ones of no scale do not make them zero: quality helps, whatever the picture.

    Source: an orthonormal transform of rounded numbers has a mean squared error of a twelfth of a squared step; the
    sender's choice among numbers adds to that.
    """
    rows, columns = np.mgrid[:64, :64]
    chess = ((rows + columns) % 2 * 255).astype(np.uint8)[..., None]
    noise = np.random.default_rng(0).integers(0, 6, (16, 16, 3))
    tiled = np.tile(np.clip(noise + 100 + 8 * np.arange(16)[:, None, None], 0, 255), (4, 4, 1)).astype(np.uint8)
    pixels, errors = {"chess": chess, "tiled": tiled}[kind], []
    for quality in (50, 75, 100):
        back = decompress_picture(compress_picture(pixels, quality=quality))
        errors.append(float(np.mean((back.astype(float) - pixels) ** 2)))
    assert errors[2] < errors[1] < errors[0] < 11.3**2 / 12
    assert errors[2] < 1.0


def test_a_large_picture_is_coded_tile_by_tile(codec):
    x = np.full((TILE + 40, TILE + 10, 1), 90, np.uint8)
    x[TILE:] = 200
    data = compress_picture(x, quality=50, codec=codec)
    assert len(unpack_picture(data).streams) == 4
    assert np.abs(decompress_picture(data, codec).astype(float) - x).mean() < 2.0


def test_what_lies_beyond_the_picture_changes_no_bit_inside(codec):
    """The receiver cuts the padding off: the same stream is another size's picture, equal where both have pixels."""
    x = picture(64, 96)
    data, y = codec.coder.encode(x.astype(float), 24)
    back = codec.coder.picture(codec.coder.decode(data, (64, 96), 24), 24)
    np.testing.assert_array_equal(codec.coder.picture(y, 24), back)
    small = compress_picture(x[:50, :70], quality=57, codec=codec)
    inside = decompress_picture(small, codec)
    padded = np.pad(x[:50, :70], ((0, 14), (0, 26), (0, 0)), mode="edge")
    same = compress_picture(padded, quality=57, codec=codec)
    np.testing.assert_array_equal(decompress_picture(same, codec)[:50, :70], inside)


def test_whole_numbers_are_the_model(model, codec):
    """Scales and locations of the integer networks are the float model's to within their grids."""
    x, log_step = picture(64, 96).astype(np.float32), 3.0

    @jax.jit
    def drawn(model, x, context):
        found = model.draw(jr.key(0), Example(x, context=context))
        layers, nodes = model.generative.layers, (x, *found.z)
        return (
            found.z,
            [layers[i](nodes[i + 1 :], context) for i in range(1, len(layers))],
            model.generative.layers[0].picture(found.z, context),
        )

    z, parts, decoded = drawn(model, jnp.asarray(x), jnp.full(1, log_step))
    coder, step = codec.coder, int(8 * log_step)
    count, number = len(coarse_bands()), 1
    low = np.zeros((2, 3, 48))
    for places, own in zip(coarse_bands(), z[::-1], strict=False):
        low[..., places] = np.asarray(own, float)
    whole = np.zeros((8, 12, 192))
    whole[..., [0, 64, 128]] = lowest_parts(low) / 16
    for around, bands in (
        (differences(16 * low[..., :3]), range(1, count)),
        (differences(lowest_parts(low)), range(count, len(z))),
    ):
        odd = np.add.outer(np.arange(around.shape[0]), np.arange(around.shape[1])) % 2 == 1
        seen = [log_magnitudes(around)]
        for number in bands:
            y = np.asarray(z[-1 - number], float)
            part = parts[-1 - number].given(jnp.asarray(y, jnp.float32))
            found = coder.networks[number - 1].prepare(around, np.concatenate(seen, axis=-1), step)
            sizes = log_magnitudes(16 * y)
            for which, known in ((~odd, None), (odd, beside(np.where(odd[..., None], 0.0, sizes)))):
                least = -32 if number < count else LEAST
                scale = coder.networks[number - 1].scales(found, which, known, step, (least, MOST))
                wanted = 8 * np.log2(np.asarray(part.scale, float))[which]
                # half a grid step, and the rounding of weights and activations
                assert np.abs(scale - wanted).max() < 0.75
            assert np.abs(found.location / 8 - np.asarray(part.loc)).max() < 0.2
            seen.append(sizes)
            if number >= count:
                whole[..., coder.bands[number]] = y
    assert np.abs(coder.picture(whole, step) - np.clip(np.asarray(decoded), 0, 255)).max() <= 1.0


@pytest.mark.slow
def test_the_file_is_as_long_as_the_rate_term():
    """Within 1 % and 200 bytes of -log2 p(z), plain rounding on both sides."""
    x = picture(128, 192)
    arrays, header = read_arrays(SHIPPED, "model")
    own = build(jr.key(0), "image-codec", header["spec"]["arguments"] | {"shape": x.shape, "dead_zone": 0.0})
    own = fill(own, arrays, SHIPPED)
    coder = codec_from(arrays, header["spec"], "here").coder
    size = len(coder.encode(x.astype(float), 24, thrift=0.0)[0])
    terms = jax.jit(lambda m, x, c: m.draw(jr.key(0), Example(x, context=c)).log_p)
    rate = -float(terms(own, jnp.asarray(x, jnp.float32), jnp.full(1, 3.0))[1:].sum()) / np.log(2) / 8
    assert abs(size - rate) < 0.01 * rate + 200


@pytest.mark.parametrize("shape", ["normal", "logistic"])
def test_numbers_are_coded_at_their_ideal_length(shape):
    rng = np.random.default_rng(3)
    count = 20_000
    scale = rng.integers(-30, 60, count)
    location = rng.integers(-400, 400, count)
    noise = rng.normal(size=count) if shape == "normal" else rng.logistic(size=count)
    y = np.rint(location / 8 + np.exp2(scale / 8) * noise).astype(np.int64)
    found = plan(shape, location, scale, np.ones(count, bool))
    own, skipped = y[found.order], np.setdiff1d(np.arange(count), found.order)
    assert np.all(scale[skipped] <= -26)
    writer = Writer()
    writer.numbers(shape, found, own)
    data = writer.to_bytes()
    reader = Reader(data)
    np.testing.assert_array_equal(reader.numbers(shape, found), own)
    reader.finish()
    # 0.1 %, the wide scales' split of low bits, and 64 bits of the coder's state
    assert 8 * len(data) <= 1.002 * bits(shape, found, own).sum() + 64


def test_far_numbers_escape():
    found = plan("logistic", np.zeros(5, np.int64), np.full(5, -8), np.ones(5, bool))
    own = np.array([0, 500_000, -300_000, 12, -1])
    writer = Writer()
    writer.numbers("logistic", found, own)
    np.testing.assert_array_equal(Reader(writer.to_bytes()).numbers("logistic", found), own)


@pytest.mark.parametrize("part", [-4, 0, 3])
def test_masses_of_tables_sum_to_one(part):
    masses = table("logistic", -4, part).masses
    assert abs(int(masses.sum()) - 2**30) <= 64 * masses.size


def hold(file, codec, count, seed):
    right, rng, refused = decompress_picture(file, codec), np.random.default_rng(seed), 0
    told = set()
    for _ in range(count):
        altered = mutated(file, rng, other_numbers)
        try:
            back = decompress_picture(altered, codec)
        except InputError as error:
            refused += 1
            told.add(str(error))
        else:
            np.testing.assert_array_equal(back, right)
    assert all(sentence.endswith(".") and "Traceback" not in sentence for sentence in told)
    return refused


def test_altered_files_are_refused_or_decode_to_the_same(file, codec):
    assert hold(file, codec, 60, 0) > 50


@pytest.mark.slow
def test_many_altered_files(file, codec):
    assert hold(file, codec, 5000, 1) > 4500


def test_altered_streams_with_right_checksums_are_refused(file, codec):
    """What only the decoded pixels can tell."""
    found, rng = unpack_picture(file), np.random.default_rng(5)
    for _ in range(20):
        stream = bytearray(found.streams[0])
        stream[int(rng.integers(len(stream)))] ^= 1 << int(rng.integers(8))
        with pytest.raises(DamagedError):
            decompress_picture(pack_picture(found.header, [(bytes(stream), found.digests[0])]), codec)


def test_another_codec_is_refused(file, model):
    other = randomized(model.recognition.transform, jr.key(9))
    changed = eqx.tree_at(lambda one: one.recognition.transform, model, other)
    with pytest.raises(InputError, match="another model"):
        decompress_picture(file, codec_from(named_arrays(changed), changed.spec.record(), "there"))
    with pytest.raises(InputError, match="codes no pictures"):
        codec_from({}, {"name": "vae"}, "there")


@pytest.mark.parametrize("wrong", [np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3))])
def test_what_is_no_picture_is_refused(codec, wrong):
    with pytest.raises(InputError, match="array of bytes"):
        compress_picture(wrong, codec=codec)


def test_arrays_of_any_layout_give_the_same_file(codec):
    pixels = picture(20, 24)
    whole = compress_picture(pixels, codec=codec)
    locked = pixels.copy()
    locked.flags.writeable = False
    turned = np.ascontiguousarray(pixels[::-1, ::-1])[::-1, ::-1]
    for other in (np.asfortranarray(pixels), locked, turned, np.repeat(pixels, 2, axis=1)[:, ::2]):
        assert compress_picture(other, codec=codec) == whole
    back = decompress_picture(memoryview(bytearray(whole)), codec)
    np.testing.assert_array_equal(back, decompress_picture(whole, codec))


def test_a_model_that_was_fitted_anew_is_read_anew(tmp_path, model):
    path = tmp_path / "model.safetensors"
    save_model(path, model)
    before = picture_codec(path).digest
    other = randomized(model.recognition.transform, jr.key(9))
    save_model(path, eqx.tree_at(lambda one: one.recognition.transform, model, other))
    assert picture_codec(path).digest != before


def test_quality_out_of_range_is_refused(codec):
    with pytest.raises(InputError, match="refine is a number of steps"):
        compress_picture(picture(4, 4), refine=-1, codec=codec)
    with pytest.raises(InputError, match="0 to 100"):
        compress_picture(picture(4, 4), quality=101, codec=codec)


def test_sums_of_products_stay_exact(codec):
    """The greatest sums that the networks can make are below 2^53, whatever the picture."""
    for network in codec.coder.networks:
        seen = 256 * 17.0  # log2 of the greatest magnitude, in multiples of 2^-8
        own = np.abs(network.enter).sum(0).max() * seen + np.abs(network.enter_bias).max()
        assert own < 2**53
        assert np.abs(network.leave).sum(0).max() * 2**24 < 2**53
        mixed = np.abs(network.mix).sum((0, 1, 2)).max() * 2**24 + np.abs(network.beside).sum(0).max() * 2 * seen
        assert mixed < 2**53
    assert COARSE == 4
    assert isinstance(codec.coder.transform, Transform)


def test_frozen_streams_of_the_codec_that_comes_with_nelbo():
    """The present model's stream decodes to the same pixels; an earlier model's is refused in one sentence."""
    back = decompress_picture((FROZEN / "present.nlb").read_bytes())
    np.testing.assert_array_equal(back, np.load(FROZEN / "present.npy"))
    exact = decompress_picture((FROZEN / "lossless.nlb").read_bytes())
    np.testing.assert_array_equal(exact, np.load(FROZEN / "present.npy"))
    with pytest.raises(InputError, match=r"another model .* use the nelbo that wrote it\.$"):
        decompress_picture((FROZEN / "earlier.nlb").read_bytes())


@pytest.mark.parametrize("lossless", [False, True])
def test_threads_change_no_bit(lossless):
    """One thread of the library that multiplies matrices writes and reads the streams of several, and other orders of
    sums would too: `test_sums_of_products_stay_exact`."""
    x = np.random.default_rng(3).normal(128, 40, (200, 130, 3)).clip(0, 255).astype(np.uint8)
    written = []
    for threads in (1, 4):
        with threadpool_limits(threads):
            written.append(compress_picture(x, lossless=lossless))
    assert written[0] == written[1]
    with threadpool_limits(1):
        alone = decompress_picture(written[0])
    with threadpool_limits(4):
        np.testing.assert_array_equal(alone, decompress_picture(written[0]))


def test_a_model_of_other_bands_is_refused(model):
    arrays = named_arrays(model)
    del arrays[max(name for name in arrays if name.endswith("log_scale"))]
    with pytest.raises(InputError, match="other bands"):
        codec_from(arrays, model.spec.record(), "there")
