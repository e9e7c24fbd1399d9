"""Crops of photographs, and what cannot be taken for a picture."""

import numpy as np
import pytest
from PIL import Image

from nelbo.core import InputError
from nelbo.data import Crops, LogSteps, crops_of, load_photographs, read_picture, write_picture


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
    ],
)
def test_what_is_no_picture_of_eight_bits_is_refused(tmp_path, kind, words):
    with pytest.raises(InputError, match=words):
        read_picture(spoilt(tmp_path, kind))


def test_alpha_that_hides_nothing_is_dropped(tmp_path):
    Image.fromarray(np.full((6, 6, 4), 255, np.uint8)).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").shape == (6, 6, 3)
