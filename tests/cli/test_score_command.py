"""`nelbo score`: ids come back, rows of any form, the refusals."""

import csv
import json

import numpy as np
import pytest

from nelbo.cli import main

HEADER = ["id", "height", "weight", "town", "odd"]


def write(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([HEADER, *rows])
    return path


def people(rng, count, start=0):
    height = rng.normal(170, 10, count)
    weight = height - 100 + rng.normal(0, 3, count)
    towns = rng.choice(["Graz", "Wien"], count)
    return [[f"p{start + i}", f"{height[i]:.1f}", f"{weight[i]:.1f}", towns[i], "0"] for i in range(count)]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("novelty"), np.random.default_rng(0)
    path = write(folder / "people.csv", people(rng, 80))
    words = ["fit", "table", "--data", str(path), "--ignore", "odd", "--latents", "1", "--hidden", "4", "--epochs",
             "20", "--no-figures", "--out", str(folder / "run"), "--quiet"]  # fmt: skip
    assert main(words) == 0
    new = [*people(rng, 10, 100), ["x1", "170.0", "400.0", "Graz", "1"], ["x2", "10.0", "", "Wien", "1"]]
    return folder / "run", write(folder / "new.csv", new)


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_novel_rows_come_with_their_ids_and_the_columns_to_blame(fitted, nelbo, tmp_path):
    run, new = fitted
    done = nelbo("score", run, new, "-o", tmp_path / "s.csv", "--truth", "odd=1", "--by-column", "--json",
                 "--held-out", "train", "--samples", "20")  # fmt: skip
    assert done.code == 0, done.err
    rows, record = read(tmp_path / "s.csv"), json.loads(done.out)
    assert [row["id"] for row in rows] == [f"p{100 + i}" for i in range(10)] + ["x1", "x2"]
    assert rows[10]["unusual columns"].startswith("weight +")
    assert rows[11]["unusual columns"].startswith("height +")
    assert float(rows[11]["weight bits"]) == 0  # a gap
    assert [row["novel"] for row in rows[10:]] == ["1", "1"]
    assert float(rows[10]["p-value"]) == pytest.approx(1 / 65)
    assert record["auroc"] == 1.0
    total = sum(float(rows[0][name]) for name in ("latent bits", "height bits", "weight bits", "town bits"))
    assert total == pytest.approx(float(rows[0]["excess bits"]), abs=1e-4)


def test_few_held_out_rows_and_rows_that_were_trained_on_are_told(fitted, nelbo, tmp_path):
    run, _ = fitted
    own = run.parent / "people.csv"
    done = nelbo("score", run, own, "-o", tmp_path / "s.csv", "--samples", "5")
    assert done.code == 0, done.err
    assert "64 of the rows were trained on" in done.err
    assert "16 held-out rows give no p-value below 0.059" in done.err
    assert nelbo("score", run, "-o", tmp_path / "t.csv", "--background", run, "--samples", "5", "--quiet").code == 0
    assert {float(row["excess bits"]) for row in read(tmp_path / "t.csv")} == {0.0}


@pytest.mark.slow
def test_pictures_come_back_by_name_and_arrays_by_place(run, nelbo, tmp_path):
    from PIL import Image

    pictures = np.random.default_rng(0).integers(0, 255, (3, 8, 8)).astype(np.uint8)
    (tmp_path / "folder").mkdir()
    for name, picture in zip("bca", pictures, strict=True):
        Image.fromarray(picture).save(tmp_path / "folder" / f"{name}.png")
    np.save(tmp_path / "x.npy", pictures)
    done = nelbo("score", run, tmp_path / "folder", "-o", tmp_path / "s.csv", "--samples", "2", "--quiet")
    assert done.code == 0, done.err
    other = nelbo("score", run, tmp_path / "x.npy", "-o", tmp_path / "t.csv", "--samples", "2", "--quiet")
    assert other.code == 0, other.err
    by_name, by_place = read(tmp_path / "s.csv"), read(tmp_path / "t.csv")
    assert [row["file"] for row in by_name] == ["a.png", "b.png", "c.png"]
    assert [row["row"] for row in by_place] == ["0", "1", "2"]
    again = nelbo("score", run, tmp_path / "x.npy", "-o", tmp_path / "t.npz", "--samples", "2", "--quiet")
    assert again.code == 0
    with np.load(tmp_path / "t.npz") as found:
        assert found["entry_bits"].shape == (3, 8, 8, 1)


def test_what_cannot_be_scored_is_refused(fitted, nelbo, tmp_path):
    run, new = fitted
    for words, told in (
        (("-o", tmp_path / "s.xyz"), "ends in .csv"),
        (("-o", tmp_path / "s.csv", "--truth", "old=1"), "no column 'old'"),
        (("-o", tmp_path / "s.csv", "--truth", "odd=7"), "None of the"),
        (("-o", tmp_path / "s.csv", "--fdr", "2"), "between 0 and 1"),
    ):
        assert nelbo("score", run, new, *words, "--samples", "2", "--quiet").is_refusal(told)
        assert not (tmp_path / "s.csv").exists()
    lines = new.read_text().splitlines()
    far = ",".join("1e37" if "." in cell else cell for cell in lines[3].split(","))
    (tmp_path / "far.csv").write_text("\n".join([*lines[:3], far, *lines[4:]]) + "\n")
    answer = nelbo("score", run, tmp_path / "far.csv", "-o", tmp_path / "s.csv", "--samples", "2", "--quiet")
    assert answer.is_refusal("line 4 holds a number so far beyond")
