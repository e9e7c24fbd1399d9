"""`nelbo compress`, `decompress` and `info`: files that come back, and refusals in one sentence."""

import hashlib
import json
import zlib
from dataclasses import replace

import numpy as np
import pytest

from nelbo.cli.other_formats import shorter_format
from nelbo.codecs import unpack
from nelbo.codecs.container import _START, pack


@pytest.fixture(scope="module")
def packed(finished, tmp_path_factory):
    from nelbo.cli import main

    folder = tmp_path_factory.mktemp("codec")
    rng = np.random.default_rng(0)
    np.save(folder / "x.npy", rng.integers(0, 2, (40, 8, 8)).astype(">f4"))
    command = f"compress {finished} {folder}/x.npy -o {folder}/x.nlb --self-contained --block 25 --quiet"
    assert main(command.split()) == 0
    return folder


def test_a_file_comes_back_as_it_was(nelbo, finished, packed):
    for extra in (("--model", finished), ("--model", finished / "model.safetensors"), ()):
        done = nelbo("decompress", packed / "x.nlb", "-o", packed / "back.npy", *extra)
        assert done.code == 0, done.err
        assert (packed / "back.npy").read_bytes() == (packed / "x.npy").read_bytes()


def test_the_runs_own_data_come_back(nelbo, finished, tmp_path):
    done = nelbo("compress", finished, "-o", tmp_path / "own.nlb", "--json")
    told = json.loads(done.out)
    assert told["bytes"] == (tmp_path / "own.nlb").stat().st_size
    assert nelbo("decompress", tmp_path / "own.nlb", "--model", finished, "-o", tmp_path / "own.npy").code == 0
    back = np.load(tmp_path / "own.npy")
    assert (len(back), back.shape[1:]) == (told["examples"], (8, 8, 1))
    assert set(np.unique(back)) == {0, 1}


def test_info_says_what_is_inside(nelbo, packed):
    assert "40x8x8" in nelbo("info", packed / "x.nlb").out
    found = json.loads(nelbo("info", packed / "x.nlb", "--json").out)
    assert [block["examples"] for block in found["blocks"]] == [25, 15]
    assert (found["dtype"], found["model_inside"]) == (">f4", True)


def test_refusals(nelbo, finished, packed, tmp_path):
    np.save(tmp_path / "grey.npy", np.full((3, 8, 8), 7, np.uint8))
    (tmp_path / "empty.nlb").write_bytes(b"")
    whole = (packed / "x.nlb").read_bytes()
    (tmp_path / "cut.nlb").write_bytes(whole[:-50])
    assert nelbo("compress", finished, tmp_path / "grey.npy", "-o", tmp_path / "a.nlb").is_refusal("0 and 1")
    assert nelbo("compress", finished, packed / "x.npy", "-o", tmp_path / "a.zip").is_refusal(".nlb")
    assert nelbo("compress", finished, packed / "x.npy", "--split", "test").is_refusal("--split")
    beside = ("--context", packed / "x.npy")  # which the file could not be read without
    assert nelbo("compress", finished, packed / "x.npy", *beside).is_refusal("conditioned on nothing")
    assert nelbo("decompress", packed / "x.nlb", "-o", tmp_path / "a.png").is_refusal(".npy")
    for name in ("empty.nlb", "cut.nlb", "grey.npy", "missing.nlb"):
        assert nelbo("info", tmp_path / name).is_refusal()
        assert nelbo("decompress", tmp_path / name, "--model", finished, "-o", tmp_path / "b.npy").is_refusal()
    assert not (tmp_path / "b.npy").exists()


def sizes(entry):
    return {"message": entry.message, "roundings": entry.roundings, "checksum": entry.checksum}


def mutated(data, rng):
    """A file with flipped bits, a cut end, bytes put in or taken, swapped blocks, or another number in its header."""
    data = bytearray(data)
    how = rng.integers(6)
    at = int(rng.integers(len(data)))
    if how == 0:
        for _ in range(int(rng.integers(1, 5))):
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    elif how == 1:
        del data[at:]
    elif how == 2:
        data[at:at] = rng.bytes(int(rng.integers(1, 50)))
    elif how == 3:
        del data[at : at + int(rng.integers(1, 50))]
    elif how == 5:  # with all checksums in order, but for those of the values
        found = unpack(bytes(data))
        a, b = found.entries
        swapped = [(replace(a, **sizes(b)), *found.block(1)), (replace(b, **sizes(a)), *found.block(0))]
        return pack(found.header, swapped, found.model_file or b"")
    else:  # another header, with all checksums in order
        magic, version, size, _ = _START.unpack(bytes(data[: _START.size]))
        text = bytearray(data[_START.size : _START.size + size])
        digits = [i for i, byte in enumerate(text) if chr(byte).isdigit()]
        for place in rng.choice(digits, 3):
            text[place] = ord(str(rng.integers(10)))
        data[: _START.size + size] = _START.pack(magic, version, size, zlib.crc32(text)) + text
        data[-32:] = hashlib.sha256(data[:-32]).digest()
    return bytes(data)


def hold(nelbo, packed, finished, folder, count, seed):
    """Every mutation is refused in one sentence, or decodes to the same array."""
    whole, right = (packed / "x.nlb").read_bytes(), (packed / "x.npy").read_bytes()
    rng, refused = np.random.default_rng(seed), 0
    for _ in range(count):
        data = mutated(whole, rng)
        (folder / "m.nlb").write_bytes(data)
        done = nelbo("decompress", folder / "m.nlb", "--model", finished, "-o", folder / "m.npy")
        if done.code == 0:  # the version of nelbo, say, which is for people
            assert (folder / "m.npy").read_bytes() == right
        else:
            assert done.is_refusal(), done.err
            refused += 1
    assert refused > 0.9 * count


@pytest.mark.slow
def test_altered_files_are_refused(nelbo, finished, packed, tmp_path):
    hold(nelbo, packed, finished, tmp_path, 150, 0)


@pytest.mark.slow
def test_ten_thousand_altered_files_are_refused(nelbo, finished, packed, tmp_path):
    hold(nelbo, packed, finished, tmp_path, 10_000, 1)


def test_a_shorter_format_is_named():
    """Smooth pictures are WebP's or PNG's business; noise nobody's; zeros and ones are not compared."""
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8), (30, 64, 64))
    name, size = shorter_format(ramp, 10_000)
    assert name in ("PNG", "WebP")
    assert size < 10_000
    noise = np.random.default_rng(0).integers(0, 256, (30, 16, 16, 3), dtype=np.uint8)
    assert shorter_format(noise, noise.size) is None
    assert shorter_format(noise, 2 * noise.size)[1] == pytest.approx(noise.size, rel=0.1)
    assert shorter_format(noise % 2, noise.size) is None
    assert shorter_format(noise.astype(float), noise.size) is None
    assert shorter_format(noise[:0], 10) is None


def test_a_shorter_format_of_a_large_picture_is_told_from_strips():
    """Twice the noise on the lower half of ten million pixels: the strips have as much of either as the picture."""
    rng = np.random.default_rng(0)
    rows = np.repeat([16, 256], 1600)[:, None]
    large = (rng.integers(0, 256, (3200, 3125)) % rows).astype(np.uint8)
    name, size = shorter_format(large[None], large.size)
    assert name in ("PNG", "WebP")
    assert size == pytest.approx(large.size * 0.75, rel=0.05)
    assert shorter_format(large[None], large.size // 2) is None
