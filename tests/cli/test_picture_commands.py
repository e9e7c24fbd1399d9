"""Pictures on the command line: files of any kind in, one sentence or a picture out."""

import json
import shutil
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from nelbo.codecs import describe_picture
from nelbo.codecs.pictures import SHIPPED
from nelbo.codecs.residual_coder import RESIDUALS
from nelbo.core import read_arrays
from nelbo.evaluation import ms_ssim, psnr
from nelbo.runs import Experiment


def photo(height=70, width=50, channels=3):
    rows, columns = np.mgrid[:height, :width]
    waves = 128 + 50 * np.sin(rows / 7.0) + 40 * np.cos(columns / 5.0)
    return np.clip(np.repeat(waves[..., None], channels, axis=2) + 10 * np.arange(channels), 0, 255).astype(np.uint8)


def saved(place, pixels, **options):
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(place, **options)
    return str(place)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_there_and_back(nelbo, tmp_path, channels):
    pixels = photo(channels=channels)
    name = saved(tmp_path / "a.png", pixels)
    told = json.loads(nelbo("compress", name, "--quality", "70", "-o", str(tmp_path / "a.nlb"), "--json").out)
    assert told["bytes"] == (tmp_path / "a.nlb").stat().st_size
    assert told["bits_per_pixel"] == pytest.approx(8 * told["bytes"] / (70 * 50))
    nelbo("decompress", told["file"], "-o", str(tmp_path / "b.png"))
    back = np.asarray(Image.open(tmp_path / "b.png"))
    assert back.shape == ((70, 50, 3) if channels == 3 else (70, 50))
    assert psnr(back.reshape(pixels.shape), pixels) > 38
    found = json.loads(nelbo("info", told["file"], "--json").out)
    assert (found["codec"], found["width"], found["height"], found["channels"]) == ("picture", 50, 70, channels)
    assert found["bits_per_pixel"] == told["bits_per_pixel"]
    assert "bits per pixel" in nelbo("info", told["file"]).out


def test_a_picture_without_loss(nelbo, tmp_path):
    pixels = photo(24, 30) ^ np.random.default_rng(0).integers(0, 8, (24, 30, 3)).astype(np.uint8)
    name = saved(tmp_path / "a.png", pixels)
    told = json.loads(nelbo("compress", name, "--lossless", "--json").out)
    assert told["lossless"]
    assert told["quality"] is None
    nelbo("decompress", told["file"], "-o", str(tmp_path / "b.png"))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "b.png")), pixels)
    assert "lossless" in nelbo("info", told["file"]).out


def test_another_format_is_named_where_it_is_shorter(nelbo, tmp_path):
    drawing = np.zeros((60, 80, 3), np.uint8)
    drawing[20:40] = (200, 10, 30)
    name = saved(tmp_path / "a.png", drawing)
    size = (tmp_path / "a.png").stat().st_size
    assert f"a.png takes {size} bytes" in nelbo("compress", name, "--lossless").err
    assert "it is the better choice here" in nelbo("compress", name).err
    assert "better choice" not in nelbo("compress", saved(tmp_path / "b.png", photo())).err


def deep_png(place):
    """Colours of 16 bits, which Pillow reads but does not write: it would drop half of them."""
    rows = b"".join(b"\0" + bytes(range(48)) for _ in range(8))
    parts = ((b"IHDR", struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = [struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in parts]
    place.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return str(place)


def test_bits_and_colours_that_would_be_lost(nelbo, tmp_path):
    assert nelbo("compress", deep_png(tmp_path / "a.png")).is_refusal("more than eight bits")
    Image.fromarray(photo(16, 16)).convert("CMYK").save(tmp_path / "b.tif")
    assert nelbo("compress", str(tmp_path / "b.tif"), "--lossless").is_refusal("CMYK")
    assert nelbo("compress", str(tmp_path / "b.tif")).code == 0


def test_the_default_quality_and_name(nelbo, tmp_path):
    name = saved(tmp_path / "a.jpg", photo(), quality=95)
    nelbo("compress", name)
    assert describe_picture((tmp_path / "a.nlb").read_bytes())["quality"] == pytest.approx(50, abs=1)
    nelbo("decompress", str(tmp_path / "a.nlb"), "-o", str(tmp_path / "b.jpg"))
    with Image.open(tmp_path / "b.jpg") as back:
        assert back.size == (50, 70)


def test_a_folder_with_a_broken_picture(nelbo, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for letter in "abcd":
        saved(folder / f"{letter}.png", photo(20, 20))
    (folder / "b.png").write_text("no picture")
    (folder / "d.png").write_bytes((folder / "d.png").read_bytes()[:300])
    answer = nelbo("compress", str(folder), "-o", str(tmp_path / "out"))
    assert answer.code == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.nlb", "c.nlb"]
    assert "2 of 4 pictures" in answer.err
    assert answer.err.index("b.png") < answer.err.index("d.png")


def test_pictures_of_one_name_keep_a_file_each(nelbo, tmp_path):
    folder, out = tmp_path / "photos", tmp_path / "packed"
    (folder / "inner").mkdir(parents=True)
    saved(folder / "a.png", photo(20, 20))
    assert nelbo("compress", folder, "-o", out).code == 0
    assert nelbo("compress", folder, "-o", tmp_path / "all.nlb").is_refusal("name of a folder")
    saved(folder / "inner" / "a.png", photo(10, 20))
    saved(folder / "inner" / "a.bmp", photo(10, 30))
    assert nelbo("compress", folder, "-o", out).code == 0
    found = {str(path.relative_to(out)): describe_picture(path.read_bytes())["width"] for path in out.rglob("*.nlb")}
    assert found == {"a.nlb": 20, "a.png.nlb": 20, "inner/a.bmp.nlb": 30, "inner/a.png.nlb": 20}


def test_what_is_wrong_for_all_pictures_is_said_once(nelbo, tmp_path):
    for letter in "ab":
        saved(tmp_path / f"{letter}.png", photo(20, 20))
    assert nelbo("compress", tmp_path, "--quality", "101").is_refusal("quality is a number from 0 to 100")
    (tmp_path / "a.png").write_text("no picture")
    (tmp_path / "b.png").write_text("no picture")
    assert nelbo("compress", tmp_path).is_refusal("None of 2 pictures", "a.png", "b.png")


def test_a_picture_of_an_unusual_name(nelbo, tmp_path):
    plain = saved(tmp_path / "a.png", photo(16, 16))
    (tmp_path / "b ü.dat").write_bytes((tmp_path / "a.png").read_bytes())
    nelbo("compress", plain)
    assert nelbo("compress", tmp_path / "b ü.dat").code == 0
    assert (tmp_path / "b ü.nlb").read_bytes() == (tmp_path / "a.nlb").read_bytes()
    (tmp_path / "c.xyz").write_text("no picture")
    assert nelbo("compress", tmp_path / "c.xyz").is_refusal("no picture that Pillow can read")
    assert nelbo("compress", "").is_refusal("empty name")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--block", "5"), "no splits, blocks"),
        (("--no-verify",), "no splits, blocks"),
        (("--quality", "101"), "0 to 100"),
        (("--split", "test"), "no splits"),
        (("--gaps",), "--refine N"),
        (("-o", "a.jpg"), "ends in .nlb"),
        (("--lossless", "--quality", "30"), "leave them out"),
        (("--model", "nowhere"), "Cannot read"),
    ],
)
def test_options_that_make_no_sense(nelbo, tmp_path, words, told):
    name = saved(tmp_path / "a.png", photo(16, 16))
    assert nelbo("compress", name, *words).is_refusal(told)


def test_a_damaged_file_and_a_wrong_name(nelbo, tmp_path):
    name = saved(tmp_path / "a.png", photo(16, 16))
    nelbo("compress", name)
    whole = (tmp_path / "a.nlb").read_bytes()
    (tmp_path / "a.nlb").write_bytes(whole[:-3])
    out = str(tmp_path / "b.png")
    assert nelbo("decompress", str(tmp_path / "a.nlb"), "-o", out).is_refusal("damaged")
    (tmp_path / "a.nlb").write_bytes(whole)
    assert nelbo("decompress", str(tmp_path / "a.nlb"), "-o", str(tmp_path / "b.xyz")).is_refusal("photo.png")
    assert not (tmp_path / "b.png").exists()
    for wrong in (b"", b"no file of nelbo", whole[:8] + b"\x09" + whole[9:]):
        (tmp_path / "a.nlb").write_bytes(wrong)
        answer = nelbo("decompress", tmp_path / "a.nlb", "-o", out)
        assert answer.is_refusal("update nelbo" if wrong[:8] == whole[:8] else "no .nlb file")


def test_a_format_that_loses_pixels_is_told(nelbo, tmp_path):
    nelbo("compress", saved(tmp_path / "a.png", photo(16, 16)), "--lossless")
    assert "JPEG changes pixels" in nelbo("decompress", tmp_path / "a.nlb", "-o", tmp_path / "b.jpg").err
    assert "changes" not in nelbo("decompress", tmp_path / "a.nlb", "-o", tmp_path / "b.png").err
    assert json.loads(nelbo("info", tmp_path / "a.nlb", "--json").out)["quality"] is None


def test_the_shipped_codec_is_small():
    assert SHIPPED.stat().st_size + RESIDUALS.stat().st_size < 3_000_000


def coding_run(folder):
    """A run folder around the codec that comes with nelbo."""
    folder.mkdir()
    spec = read_arrays(SHIPPED, "model")[1]["spec"]
    experiment = Experiment(spec, {"name": "photos"}, {"name": "sgvb", "arguments": {}}, {})
    (folder / "config.json").write_text(json.dumps(experiment.record()))
    shutil.copy(SHIPPED, folder / "model.safetensors")
    return str(folder)


def test_arrays_for_a_codec_of_pictures(nelbo, tmp_path):
    np.save(tmp_path / "a.npy", photo(16, 16))
    run = coding_run(tmp_path / "run")
    assert nelbo("compress", run, tmp_path / "a.npy").is_refusal("nelbo compress PICTURE --model")


def test_a_codec_is_scored_in_bytes(nelbo, tmp_path):
    folder, run = tmp_path / "photos", coding_run(tmp_path / "run")
    folder.mkdir()
    names = [saved(folder / f"{letter}.png", photo(176, 200)) for letter in "ab"]
    (folder / "c.png").write_text("no picture")
    answer = nelbo(
        "evaluate", run, "--data", str(folder), "--quality", "20,60", "--json", "-o", str(tmp_path / "a.csv")
    )
    assert answer.code == 2
    assert "1 of 3 pictures" in answer.err
    told = json.loads(answer.out)
    assert [row["pictures"] for row in told["means"]] == [2, 2]
    low, high = told["means"]
    assert low["bits_per_pixel"] < high["bits_per_pixel"]
    assert low["psnr"] < high["psnr"]
    assert low["ms_ssim"] < high["ms_ssim"] < 1
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 5
    nelbo("compress", names[0], "--quality", "60", "-o", str(tmp_path / "a.nlb"))
    assert told["pictures"][1]["bytes"] == (tmp_path / "a.nlb").stat().st_size
    assert "bits per pixel" in nelbo("evaluate", run, "--data", names[0]).out
    assert nelbo("evaluate", run, "--data", str(folder), "--bound", "iwae").is_refusal("about bounds")
    assert nelbo("evaluate", run, "--quality", "20").is_refusal("--data")


def test_similarity_of_pictures():
    """Equal ones have 1 and no error; a shift of lightness by 16 grey levels has the error that it has."""
    x = photo(200, 180)
    assert ms_ssim(x, x) == pytest.approx(1.0)
    assert psnr(x, x) == float("inf")
    dark = np.clip(x, 16, 255)
    assert psnr(dark, dark - 16) == pytest.approx(20 * np.log10(255 / 16))
    noisy = np.clip(x + np.random.default_rng(0).normal(0, 20, x.shape), 0, 255).astype(np.uint8)
    assert ms_ssim(x, noisy) < ms_ssim(dark, dark - 16) < 1
    assert ms_ssim(x[:100], noisy[:100]) is None
