"""Another file is read whole, in its order, by the names of its columns, and only if the model can have such data."""

import csv
import io

import numpy as np
import pytest
from made_up import table, untrained

from nelbo.core import InputError
from nelbo.runs import known_columns, write_columns, write_filled


@pytest.fixture
def run(tmp_path):
    (tmp_path / "t.csv").write_text(table())
    return untrained(tmp_path / "run", tmp_path / "t.csv")


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def numbers(text: str) -> np.ndarray:
    names = ("one", "two", "three", "four", "five")
    return np.array([[float(row[name]) for name in names] for row in rows_of(text)], np.float32)


@pytest.mark.parametrize("count", [1, 2, 40])
def test_all_rows_of_a_new_file_in_its_order(run, tmp_path, count):
    (tmp_path / "new.csv").write_text(table(1, count))
    data, source = run.rows(str(tmp_path / "new.csv"), None)
    np.testing.assert_array_equal(data.only.x, numbers(table(1, count)))
    assert len(source) == count
    assert list(data.splits) == ["rows"]


def test_own_data_keep_their_splits(run):
    for split in ("train", "valid", "test"):
        data, source = run.rows(None, split)
        again, _ = run.rows(run.experiment.data["name"], split)
        np.testing.assert_array_equal(data.only.x, again.only.x)
        assert len(source) == len(data.only) == {"train": 48, "valid": 6, "test": 6}[split]
    assert len(run.rows(None, None)[0].only) == 6
    assert len(run.rows(run.experiment.data["name"], None)[0].only) == 60


def test_no_split_is_cut_out_of_another_file(run, tmp_path):
    (tmp_path / "new.csv").write_text(table(1))
    with pytest.raises(InputError, match="no splits of its own"):
        run.rows(str(tmp_path / "new.csv"), "test")


def test_the_splits_of_an_archive_are_its_own(run, tmp_path):
    x = numbers(table(1))
    np.savez(tmp_path / "new.npz", x_train=x[:30], x_test=x[30:])
    np.testing.assert_array_equal(run.rows(str(tmp_path / "new.npz"), None)[0].only.x, x[30:])
    np.testing.assert_array_equal(run.rows(str(tmp_path / "new.npz"), "train")[0].only.x, x[:30])
    with pytest.raises(InputError, match="no valid split"):
        run.rows(str(tmp_path / "new.npz"), "valid")


def test_columns_are_matched_by_name(run, tmp_path):
    names = ["five", "label", "one", "extra", "three", "two", "four", "id"]
    turned = [[row.get(name, "7") for name in names] for row in rows_of(table(1))]
    text = "\n".join(",".join(line) for line in [names, *turned]) + "\n"
    (tmp_path / "turned.csv").write_text(text)
    data, _ = run.rows(str(tmp_path / "turned.csv"), None)
    np.testing.assert_array_equal(data.only.x, numbers(table(1)))
    assert any("'extra'" in note for note in data.notes)
    (tmp_path / "less.csv").write_text(text.replace("three", "drei", 1))
    with pytest.raises(InputError, match="lacks the column 'three'"):
        run.rows(str(tmp_path / "less.csv"), None)


@pytest.mark.parametrize("values", [np.arange(80.0) % 256, np.where(np.arange(80) % 3, 1.0, -1.0), np.full(80, 0.5)])
def test_values_that_the_model_cannot_have_are_refused(tmp_path, values):
    bits = (np.random.default_rng(0).random((50, 4)) < 0.5).astype(np.uint8)
    np.save(tmp_path / "bits.npy", bits)
    run = untrained(tmp_path / "run", tmp_path / "bits.npy")
    np.save(tmp_path / "again.npy", bits.astype(float))
    assert len(run.rows(str(tmp_path / "again.npy"), None)[1]) == 50
    np.save(tmp_path / "other.npy", values.reshape(20, 4))
    for split in (None, "test"):
        with pytest.raises(InputError, match=r"zeros and ones were expected|no splits"):
            run.rows(str(tmp_path / "other.npy"), split)
    # a run of before schemas still knows its likelihood
    old = type(run)(run.folder, run.experiment, run.model)
    if values.min() < 0 or values.max() > 1:
        with pytest.raises(InputError, match="bernoulli scores zeros and ones"):
            old.rows(str(tmp_path / "other.npy"), None)


def test_rows_that_were_trained_on_are_not_tested_on_when_the_file_has_changed(run, tmp_path):
    before = {split: run.rows(None, split)[0].only.x for split in ("train", "valid", "test")}
    lines = table().splitlines(keepends=True)
    new = table(1, 10).splitlines(keepends=True)[1:]
    (tmp_path / "t.csv").write_text("".join([lines[0], *new, *lines[1:]]))
    after = {split: run.rows(None, split)[0] for split in before}
    assert any("has changed" in note for note in after["test"].notes)
    for split in ("train", "valid"):
        np.testing.assert_array_equal(after[split].only.x, before[split])
    assert len(after["test"].only) == 16
    trained = {row.tobytes() for row in before["train"]}
    assert not any(row.tobytes() in trained for row in after["test"].only.x)


def test_a_filled_table_is_the_users_table(run, tmp_path):
    text = table(1).replace("p1-003,", "p1-003,,", 1)
    lines = text.splitlines()
    cells = lines[4].split(",")
    lines[4] = ",".join(cells[:2] + cells[3:])  # row 3 lacks its first number
    text = "\n".join(lines) + "\n"
    (tmp_path / "new.csv").write_text(text)
    data, _ = run.rows(str(tmp_path / "new.csv"), None)
    observed = data.only.observed
    assert (~observed).sum() == 1
    write_filled(tmp_path / "full.csv", data, np.where(observed, data.only.x, 9.25), observed, white=1.0)
    full = (tmp_path / "full.csv").read_text()
    assert full.splitlines()[4].split(",")[1].startswith("9.25")
    assert [line for i, line in enumerate(full.splitlines()) if i != 4] == [
        line for i, line in enumerate(lines) if i != 4
    ]
    with pytest.raises(InputError, match=r"ends in \.csv"):
        write_filled(tmp_path / "full.parquet", data, data.only.x, observed, white=1.0)


def test_warnings_about_rows_name_the_columns_of_the_table_and_their_offset(tmp_path):
    rows = rows_of(table())
    for row in rows:
        row["two"], row["three"] = "", str(float(row["three"]) + 1e6)
    rows[7]["two"] = "1.5"
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    run = untrained(tmp_path / "run", tmp_path / "t.csv")
    _, train = run.rows(None, "train")
    seen = bool(np.asarray(train.arrays.observed)[:, 1].any())
    columns = known_columns(run, run.rows(None, "test")[1])
    assert columns.listing(np.array([False, True, False, False, True])) == "columns 'two', 'five'"
    assert columns.trained.tolist() == [True, seen, True, True, True]
    assert columns.shift(0) == 0.0
    assert columns.shift(2) == pytest.approx(1e6, abs=2.0)


def test_new_columns_stand_beside_what_tells_rows_apart(run, tmp_path):
    (tmp_path / "new.csv").write_text(table(1, 7))
    data, _ = run.rows(str(tmp_path / "new.csv"), None)
    z = np.arange(14.0).reshape(7, 2)
    write_columns(tmp_path / "z.csv", data, {"z1": z[:, 0], "z2": z[:, 1]})
    found = rows_of((tmp_path / "z.csv").read_text())
    assert [row["id"] for row in found] == [f"p1-{i:03d}" for i in range(7)]
    assert [float(row["z2"]) for row in found] == z[:, 1].tolist()
    assert "one" not in found[0]
    write_columns(tmp_path / "z.npy", data, {"z1": z[:3, 0], "z2": z[:3, 1]})
    np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), z[:3])


def test_a_large_offset_comes_back_in_answers(tmp_path):
    x = np.random.default_rng(0).normal(size=(50, 3)) + 1e8
    np.save(tmp_path / "x.npy", x)
    run = untrained(tmp_path / "run", tmp_path / "x.npy")
    data, _ = run.rows(str(tmp_path / "x.npy"), None)
    write_filled(tmp_path / "back.csv", data, data.only.x, np.ones(x.shape, bool), white=1.0)
    np.testing.assert_allclose(np.loadtxt(tmp_path / "back.csv", delimiter=","), x, rtol=0, atol=1e-6)
    assert run.in_user_units(np.zeros((2, 3), np.float32)).min() > 9e7
