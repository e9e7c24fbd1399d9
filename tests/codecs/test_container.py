"""Altered files of every format are refused in one sentence, or decode to the same array."""

import hashlib
import re
import zlib
from dataclasses import replace
from pathlib import Path

import jax.random as jr
import numpy as np
import pytest
from mutations import digits_changed, mutated

from nelbo.codecs import DamagedError, Layout, compress, decompress, describe, model_digest, model_inside, pack, unpack
from nelbo.codecs.container import _START
from nelbo.core import InputError
from nelbo.models import save_model, vae

FROZEN = Path(__file__).parent / "frozen"
FORMATS = {1: FROZEN / "vae-bernoulli.nlb", 2: FROZEN / "2" / "vae-centre-spread.nlb"}


def signed(data, change):
    """The file with another header and all checksums in order, but for those of the blocks' values."""
    magic, version, size, _ = _START.unpack(bytes(data[: _START.size]))
    text = change(bytes(data[_START.size : _START.size + size]))
    body = _START.pack(magic, version, len(text), zlib.crc32(text)) + text + bytes(data[_START.size + size : -32])
    return body + hashlib.sha256(body).digest()


def sizes(entry):
    return {"message": entry.message, "roundings": entry.roundings, "checksum": entry.checksum}


def swapped(data, rng):
    """A file with two blocks in the other order."""
    del rng
    found = unpack(data)
    a, b = found.entries
    blocks = [(replace(a, **sizes(b)), *found.block(1)), (replace(b, **sizes(a)), *found.block(0))]
    return pack(found.header, blocks, found.model_file or b"")


def other_numbers(data, rng):
    """A file with other digits in its header."""
    return signed(data, lambda text: digits_changed(text, rng))


def hold(path, count, seed):
    data, right = path.read_bytes(), np.load(path.with_suffix(".npy"))
    model, rng, refused = model_inside(unpack(data)), np.random.default_rng(seed), 0
    for _ in range(count):
        altered = mutated(data, rng, swapped, other_numbers)
        told = None
        try:
            back = decompress(altered, model)
        except InputError as error:
            told = str(error)
        if told is None:  # the version of nelbo, say, which is for people
            assert (back.dtype, back.tobytes()) == (right.dtype, right.tobytes())
        else:
            refused += 1
            assert told.endswith(".")
            assert "\n" not in told
    assert refused > 0.9 * count


ALTERED = [*FORMATS.values(), FROZEN / "2" / "hvae-chain.nlb"]  # the last has grids in its header


@pytest.mark.share(2)
@pytest.mark.parametrize("path", ALTERED, ids=lambda path: path.stem)
def test_altered_files_are_refused(path):
    hold(path, 40, 0)


@pytest.mark.slow
@pytest.mark.parametrize("path", ALTERED, ids=lambda path: path.stem)
def test_ten_thousand_altered_files_are_refused(path):
    hold(path, 10_000, 1)


@pytest.mark.parametrize("new", [b'"7": [0.0, 1.0]', b'"1": [0.0, 1e300]', b'"1": [0.0, 0.25]'])
def test_a_header_with_other_grids_is_refused(new):
    data = ALTERED[-1].read_bytes()
    altered = signed(data, lambda text: re.sub(rb'"1": \[[^]]*\]', new, text))
    assert altered != data
    with pytest.raises(DamagedError):
        decompress(altered)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"|u1"', b'"|i1"'),
        (b'"|u1"', b'"|b1"'),
        (b'"shape": [60, 6]', b'"shape": [60, 2, 3]'),
        (b'"shape": [60, 6]', b'"shape": [60, 6, 1]'),
        (b'"context": null', b'"context": "' + b"0" * 64 + b'"'),
    ],
)
def test_a_header_that_would_give_another_array_is_refused(old, new):
    """Each decodes to numbers that look right; format 1 would give them back as int8, or in another shape."""
    data = FORMATS[2].read_bytes()
    altered = signed(data, lambda text: text.replace(old, new))
    assert altered != data
    context = np.zeros((60, 1)) if b"context" in old else None
    with pytest.raises(InputError):
        decompress(altered, context=context)


def test_blocks_in_another_order_are_refused():
    """Whole blocks, their digests with them: of equal size, so that only a digest that knows their place can tell."""
    model = vae(jr.key(0), (4,), latents=2, hidden=(3,))
    x = np.random.default_rng(0).integers(0, 2, (20, 4)).astype(np.uint8)
    found = unpack(compress(model, x, layout=Layout(batch=4, lanes=2, block=10)))
    blocks = [(entry, *found.block(i)) for i, entry in enumerate(found.entries)]
    assert np.array_equal(decompress(pack(found.header, blocks), model), x)
    with pytest.raises(DamagedError, match="Block 0"):
        decompress(pack(found.header, blocks[::-1]), model)


def test_the_version_of_nelbo_is_for_people():
    data = FORMATS[2].read_bytes()
    written = describe(data)["version"].encode()
    other = signed(data, lambda text: text.replace(b'"version": "' + written, b'"version": "x' + written[1:]))
    assert np.array_equal(decompress(other), np.load(FORMATS[2].with_suffix(".npy")))


def test_a_file_of_a_later_format_is_refused():
    data = FORMATS[2].read_bytes()
    magic, _, size, checksum = _START.unpack(data[: _START.size])
    with pytest.raises(InputError, match="format 3, this nelbo reads 1 and 2: update"):
        unpack(_START.pack(magic, 3, size, checksum) + data[_START.size :])


def test_digests_tell_models_apart_by_weights_and_options():
    make = lambda seed, **options: vae(jr.key(seed), (4,), latents=2, hidden=(3,), **options)  # noqa: E731
    models = [make(0), make(1), make(0, activation="relu"), make(0, missing="mask")]
    for number in FORMATS:
        assert len({model_digest(model, number) for model in models}) == len(models)
        assert model_digest(make(0), number) == model_digest(make(0), number)


def test_a_model_has_the_same_digest_when_it_is_read_back(tmp_path):
    from nelbo.models import load_model

    model = vae(jr.key(0), (4,), latents=2, hidden=(3,), centre=np.linspace(0, 1, 4))
    save_model(tmp_path / "model.safetensors", model)
    back = load_model(tmp_path / "model.safetensors")
    assert [model_digest(back, number) for number in FORMATS] == [model_digest(model, number) for number in FORMATS]
