"""Arrays, tables and folders of pictures go in and come out by the same door."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from nelbo.data import TABLES, array_bytes, load_rows


def test_pictures_come_back_as_pictures_by_their_names(run, nelbo, tmp_path):
    folder = tmp_path / "in"
    assert nelbo("sample", run, "-n", 3, "-o", folder).code == 0
    (folder / "2.png").rename(folder / "two.png")
    names = ["1.png", "3.png", "two.png"]
    assert nelbo("reconstruct", run, folder, "-o", tmp_path / "out").code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    with Image.open(tmp_path / "out" / "two.png") as picture:
        assert (picture.mode, picture.size) == ("L", (8, 8))
    assert nelbo("embed", run, folder, "-o", tmp_path / "z.parquet").code == 0
    frame = pd.read_parquet(tmp_path / "z.parquet")
    assert list(frame["file"]) == names
    assert list(frame)[1:] == [f"z{i + 1}" for i in range(frame.shape[1] - 1)]
    assert nelbo("embed", run, folder, "-o", tmp_path / "z.npz").code == 0
    with np.load(tmp_path / "z.npz") as found:
        assert list(found["ids"]) == names
        np.testing.assert_allclose(found["x"], frame.drop(columns="file"), rtol=1e-6)
    done = nelbo("impute", run, folder, "--hide", 0.3, "--draws", 2, "--steps", 1, "-o", tmp_path / "filled", "--quiet")
    assert done.code == 0, done.err
    assert sorted(path.name for path in (tmp_path / "filled").iterdir()) == names


def test_nothing_in_a_folder_is_lost(run, nelbo, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    assert nelbo("sample", run, "-n", 1, "-o", tmp_path).is_refusal("not empty", "a new folder")
    assert nelbo("sample", run, "-n", 1, "-o", tmp_path / "x.jpg").is_refusal("ends in .png or .npy or .npz", "folder")
    assert nelbo("reconstruct", run, "a.npy", "--data", "b.npy").is_refusal("named twice")


def test_pictures_that_differ_in_their_suffix_alone_are_both_written(tmp_path):
    from nelbo.cli.writing import write_pictures

    write_pictures(tmp_path / "out", np.zeros((2, 3, 3, 3)), np.array(["a.jpg", "b/a.png"]))
    write_pictures(tmp_path / "same", np.zeros((2, 3, 3, 1)), np.array(["a.jpg", "a.png"]))
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png")} == {
        "out/a.png", "out/b/a.png", "same/a.jpg.png", "same/a.png.png",
    }  # fmt: skip


@pytest.mark.parametrize("suffix", [".npy", ".npz", *TABLES])
def test_an_array_is_read_as_it_was_written(suffix, tmp_path):
    values = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(array_bytes(values, suffix))
    np.testing.assert_allclose(load_rows(path).only.x, values, rtol=1e-6)
    if suffix != ".npy":
        path.write_bytes(array_bytes(values, suffix, ids=np.array(["p", "q", "r", "s", "t"])))
        np.testing.assert_allclose(load_rows(path).only.x, values, rtol=1e-6)
