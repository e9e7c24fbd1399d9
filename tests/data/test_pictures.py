"""Folders of pictures as people have them."""

import numpy as np
import pytest
from PIL import Image

from nelbo.core import InputError
from nelbo.data import load, load_rows

RNG = np.random.default_rng(0)


def put(folder, count, suffix="png"):
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.fromarray(RNG.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / f"{i}.{suffix}")


def sizes(data):
    return {name: len(split) for name, split in data.splits.items()}


def test_folders_that_systems_leave_are_passed_over_and_said(tmp_path):
    put(tmp_path / "train", 20)
    put(tmp_path / "test", 10)
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / ".DS_Store").write_text("x")
    (tmp_path / "train" / "Thumbs.db").write_text("x")
    data = load(tmp_path)
    assert (sizes(data), data.label_names) == ({"train": 18, "valid": 2, "test": 10}, None)
    assert data.notes == (f"{tmp_path}: passed over __MACOSX, which is no part of the data.",)


@pytest.mark.parametrize("filled", [False, True])
def test_other_folders_beside_splits_are_passed_over(tmp_path, filled):
    for split in ("train", "test"):
        for kind in ("cat", "dog"):
            put(tmp_path / split / kind, 4)
    put(tmp_path / "docs", int(filled))
    (tmp_path / "readme.txt").write_text("hello")
    data = load_rows(tmp_path)
    assert (sizes(data), data.label_names) == ({"train": 8, "test": 8}, ("cat", "dog"))
    assert data.train.y.tolist() == [0] * 4 + [1] * 4
    assert "passed over docs, readme.txt, which are no part of the data" in data.notes[0]


@pytest.mark.parametrize("place", ["test", "test/all"])
def test_a_test_split_without_labels_beside_classes(tmp_path, place):
    put(tmp_path / "train" / "cat", 9)
    put(tmp_path / "train" / "dog", 9)
    put(tmp_path / place, 5)
    data = load(tmp_path)
    assert (sizes(data), data.label_names) == ({"train": 16, "valid": 2, "test": 5}, ("cat", "dog"))
    assert data.test.y is None
    assert set(data.train.y) | set(data.valid.y) == {0, 1}
    assert len(data.valid.y) == 2
    assert "test" in data.notes[0]
    assert "no labels" in data.notes[0]


def test_a_class_folder_named_train_is_a_class(tmp_path):
    for kind in ("bus", "train"):
        put(tmp_path / kind, 4)
    assert load_rows(tmp_path).label_names == ("bus", "train")


def test_all_formats_that_pillow_reads(tmp_path):
    suffixes = ("png", "tif", "tiff", "webp", "gif", "ppm", "tga")
    for suffix in suffixes:
        put(tmp_path, 3, suffix)
    assert len(load_rows(tmp_path).only) == 3 * len(suffixes)


@pytest.mark.parametrize(("turn", "orientation"), [(None, 1), (Image.ROTATE_90, 6), (Image.ROTATE_180, 3)])
def test_pictures_stand_upright(tmp_path, turn, orientation):
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:8, :, 0] = 220
    picture, exif = Image.fromarray(pixels), Image.Exif()
    exif[0x0112] = orientation
    (picture if turn is None else picture.transpose(turn)).save(tmp_path / "a.jpg", quality=95, exif=exif)
    x = load_rows(tmp_path).only.x[0]
    assert x[:6, :, 0].mean() > 200
    assert x[10:, :, 0].mean() < 20


def test_two_folders_of_one_meaning(tmp_path):
    for split in ("train", "val", "valid"):
        put(tmp_path / split, 2)
    with pytest.raises(InputError, match="mean the same"):
        load(tmp_path)
