"""Crops of photographs, and what cannot be taken for a picture."""

import struct

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from nelbo.core import InputError
from nelbo.data import (
    Crops,
    LogSteps,
    crops_of,
    load_photographs,
    load_rows,
    picture_files,
    read_picture,
    write_picture,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number, size in enumerate([(40, 60), (33, 32), (90, 41), (32, 32)]):
        write_picture(place / f"{number}.png", rng.integers(0, 256, (*size, 3), np.uint8))
    write_picture(place / "small.png", rng.integers(0, 256, (8, 40, 1), np.uint8))
    (place / "broken.png").write_bytes((place / "0.png").read_bytes()[:40])
    return place


def test_crops_are_parts_of_their_photographs_and_always_the_same(folder):
    crops, notes = crops_of(folder, 32)
    assert len(notes) == 2
    assert "small.png" in "".join(notes)
    assert "broken.png" in "".join(notes)
    indices = np.array([[0, 5], [4001, 17]])
    found = crops[indices]
    assert found.shape == (2, 2, 32, 32, 3)
    np.testing.assert_array_equal(found, crops_of(folder, 32)[0][indices])
    np.testing.assert_array_equal(crops[2:5], crops[np.arange(2, 5)])
    whole = read_picture(folder / "0.png")
    windows = np.lib.stride_tricks.sliding_window_view(whole, (32, 32, 3))[..., 0, :, :, :]
    assert (windows == crops[np.array([8])]).all(axis=(2, 3, 4)).sum() == 1  # photograph 0, eight crops on


def test_crops_lie_everywhere(folder):
    """Crops 0, 4, 8, ... of a photograph of 9 x 29 places: each place as often as any other, about (chi squared)."""
    crops = Crops((folder / "0.png",), 32)
    steps = np.asarray(LogSteps(20_000, 4.0, 64.0)[:])[:, 0]
    assert steps.min() >= 2.0
    assert steps.max() <= 6.0
    assert abs(steps.mean() - 4.0) < 5 * 4 / np.sqrt(12 * 20_000)  # one seed in 1.7 million fails
    firsts = {crop.tobytes() for crop in crops[np.arange(3000)]}
    assert len(firsts) == 9 * 29


def test_photographs_are_split_as_a_whole(folder):
    data = load_photographs(folder, side=32, steps=(8.0, 8.0), fractions={"valid": None, "test": None})
    assert data.test.x.shape == (64, 32, 32, 3)
    np.testing.assert_allclose(data.test.context, 3.0)
    assert data.describe()["sha256"].keys() == {"train", "valid", "test"}
    seen = {crop.tobytes() for crop in data.train.x[np.arange(2000)]}
    assert not seen & {crop.tobytes() for crop in data.test.x}
    with pytest.raises(InputError, match="too few photographs"):
        load_photographs(folder, side=32, steps=(8.0, 8.0), fractions={"valid": 0.9, "test": 0.9})
    with pytest.raises(InputError, match="no photographs of at least"):
        load_photographs(folder, side=512, steps=(8.0, 8.0), fractions={})


def test_orientation_is_honoured(tmp_path):
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[:, :5] = 250
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned to the right
    image.save(tmp_path / "turned.png", exif=exif)
    found = read_picture(tmp_path / "turned.png")
    assert found.shape == (20, 10, 3)
    assert found[0, 0, 0] == 250
    assert found[-1, 0, 0] == 0


UPRIGHT = {1: lambda x: x, 2: np.fliplr, 3: lambda x: np.rot90(x, 2), 4: np.flipud, 5: lambda x: np.rot90(np.fliplr(x)),
           6: lambda x: np.rot90(x, -1), 7: lambda x: np.rot90(np.fliplr(x), -1), 8: np.rot90}  # fmt: skip


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("turn", UPRIGHT)
def test_every_orientation_gives_its_pixels(tmp_path, suffix, turn):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = turn
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(pixels).save(path, exif=exif, **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(read_picture(path), UPRIGHT[turn](pixels))


def planar_tiff(deep):
    """A TIFF file of three planes of 16 bits, which Pillow takes for bytes."""
    height, width, _ = deep.shape
    planes, entries, more = [deep[..., i].astype("<u2").tobytes() for i in range(3)], [], b""
    values = [(256, [width]), (257, [height]), (258, [16] * 3), (259, [1]), (262, [2]), (273, [0] * 3), (277, [3]),
              (278, [height]), (279, [len(planes[0])] * 3), (284, [2])]  # fmt: skip
    start = 8 + 2 + 12 * len(values) + 4
    for tag, words in values:
        if tag == 273:
            words = [start + 36 + i * len(planes[0]) for i in range(3)]
        raw = struct.pack(f"<{len(words)}I", *words)
        entries.append(
            struct.pack("<HHI", tag, 4, len(words)) + (raw if len(raw) == 4 else struct.pack("<I", start + len(more)))
        )
        more += raw if len(raw) > 4 else b""
    return b"II*\0" + struct.pack("<IH", 8, len(values)) + b"".join(entries) + bytes(4) + more + b"".join(planes)


def deep_file(place, kind):
    """A picture of 16 bits a channel in a format whose colours Pillow reads as bytes."""
    deep = np.random.default_rng(0).integers(0, 2**16, (8, 10, 3)).astype(np.uint16)
    plain = b" ".join(str(value).encode() for value in deep.ravel())
    if kind == "sgi":
        words = struct.pack(">HBBHHHH", 474, 0, 2, 3, 10, 8, 3).ljust(512, b"\0") + deep.astype(">u2").tobytes()
    elif kind == "tif":
        words = planar_tiff(deep)
    elif kind == "jp2":
        Image.fromarray((deep >> 8).astype(np.uint8)).save(place / "shallow.jp2")
        whole = bytearray((place / "shallow.jp2").read_bytes())
        at = whole.index(b"\xff\x4f\xff\x51") + 42  # the first component's bits, less one
        whole[at : at + 9 : 3] = bytes([15] * 3)
        words = bytes(whole)
    else:
        words = {"ppm": b"P6 10 8 65535\n" + deep.astype(">u2").tobytes(), "plain": b"P3 10 8 65535\n" + plain}[kind]
    path = place / ("a.ppm" if kind == "plain" else f"a.{kind}")
    path.write_bytes(words)
    return path


@pytest.mark.parametrize("kind", ["ppm", "plain", "tif", "jp2", "sgi"])
def test_bits_that_pillow_would_drop_are_not(tmp_path, kind):
    path = deep_file(tmp_path, kind)
    with Image.open(path) as image:
        assert np.asarray(image).dtype == np.uint8  # Pillow says nothing
    with pytest.raises(InputError, match="more than eight bits"):
        read_picture(path)
    with pytest.raises(InputError, match="16 bits a channel"):
        load_rows(tmp_path)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr"])
def test_every_mode_of_eight_bits_is_read(tmp_path, mode):
    path = tmp_path / ("a.tif" if mode in ("CMYK", "YCbCr") else "a.png")
    Image.fromarray(np.full((5, 7, 3), 200, np.uint8)).convert(mode).save(path)
    found = read_picture(path)
    assert found.shape == (5, 7, 1 if mode in ("1", "L") else 3)
    # ink on white is dithered in black and white
    assert abs(float(found.mean()) - 200) < (40 if mode == "1" else 4)


def spoilt(place, kind):
    path = place / "a.png"
    pixels = np.full((6, 6, 3), 90, np.uint8)
    if kind == "text":
        path.write_text("no picture")
    elif kind == "cut":
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)).save(path)
        path.write_bytes(path.read_bytes()[:2000])
    elif kind == "deep":
        Image.fromarray(np.full((6, 6), 4000, np.uint16)).save(path)
    elif kind == "clear":
        Image.fromarray(np.dstack([pixels, np.full((6, 6, 1), 100, np.uint8)])).save(path)
    elif kind == "moving":
        path = path.with_suffix(".gif")
        Image.fromarray(pixels).save(path, save_all=True, append_images=[Image.fromarray(pixels // 2)])
    elif kind == "text chunk":  # Pillow refuses to unpack it, in an error of its own kind
        words = PngInfo()
        words.add_text("a", "x" * 3_000_000, zip=True)
        Image.fromarray(pixels).save(path, pnginfo=words)
    elif kind == "no size":
        path = path.with_suffix(".ppm")
        path.write_bytes(b"P6 1x 6 255" + bytes(200))
    elif kind == "program":  # Pillow opens it, and needs another program to read it
        path = path.with_suffix(".eps")
        Image.fromarray(pixels).save(path)
    elif kind == "absent":
        path = place / "b.png"
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("text", "no picture"),
        ("cut", "damaged"),
        ("deep", "more than eight bits"),
        ("clear", "transparent"),
        ("moving", "several frames"),
        ("absent", "Cannot read"),
        ("text chunk", "Pillow cannot read it"),
        ("no size", "Pillow cannot read it"),
        ("program", "no picture"),
    ],
)
def test_what_is_no_picture_of_eight_bits_is_refused(tmp_path, kind, words):
    with pytest.raises(InputError, match=words):
        read_picture(spoilt(tmp_path, kind))


def test_alpha_that_hides_nothing_is_dropped(tmp_path):
    Image.fromarray(np.full((6, 6, 4), 255, np.uint8)).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").shape == (6, 6, 3)


def test_grey_levels_with_an_unused_transparent_one_stay_grey(tmp_path):
    pixels = np.arange(1, 31, dtype=np.uint8).reshape(5, 6)
    Image.fromarray(pixels).save(tmp_path / "a.png", transparency=0)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", exact=True)[..., 0], pixels)


def test_links_back_to_a_folder_are_not_followed(tmp_path):
    (tmp_path / "one" / "inner").mkdir(parents=True)
    (tmp_path / "two").mkdir()
    links = {
        "one/self": ".",
        "one/inner/up": "../..",
        "one/other": "../two",
        "two/back": "../one",
        "one/a.jpg": "a.jpg",
    }
    for name, place in links.items():
        (tmp_path / name).symlink_to(place)
    write_picture(tmp_path / "one" / "inner" / "a.png", np.zeros((2, 2, 1), np.uint8))
    write_picture(tmp_path / "two" / "b.png", np.zeros((2, 2, 1), np.uint8))
    found = [str(path.relative_to(tmp_path / "one")) for path in picture_files(tmp_path / "one")]
    assert found == ["inner/a.png", "other/b.png"]


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "ppm", "tga", "jp2"])
@pytest.mark.parametrize("channels", [1, 3])
def test_written_pictures_keep_every_pixel(tmp_path, suffix, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, channels)).astype(np.uint8)
    write_picture(tmp_path / f"a.{suffix}", pixels)
    np.testing.assert_array_equal(read_picture(tmp_path / f"a.{suffix}"), pixels)


@pytest.mark.parametrize("suffix", ["gif", "ico", "icns", "pdf", "txt", ""])
def test_formats_that_would_change_the_picture_are_not_written(tmp_path, suffix):
    with pytest.raises(InputError, match=r"such as photo\.png"):
        write_picture(tmp_path / f"a.{suffix}", np.zeros((40, 50, 3), np.uint8))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", ["webp", "jpg", "tga"])
def test_pictures_too_large_for_a_format(tmp_path, suffix):
    with pytest.raises(InputError, match="cannot hold 1 x 70000 pixels"):
        write_picture(tmp_path / f"a.{suffix}", np.zeros((70000, 1, 3), np.uint8))
    assert not list(tmp_path.iterdir())
