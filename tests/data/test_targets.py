"""Target columns: what is predicted, what is a feature, and what becomes of rows without a target."""

import json

import numpy as np
import pytest

from nelbo.core import InputError
from nelbo.data import Schema, load, load_rows

HEADER = "id,size,price,kind\n"
LINES = [f"r{i},{i}.5,{10 * i},{'ab'[i % 2]}" for i in range(20)]


@pytest.fixture
def table(tmp_path):
    def write(lines=LINES, header=HEADER, name="t.csv"):
        path = tmp_path / name
        path.write_text(header + "\n".join(lines) + "\n")
        return path

    return write


def test_numbers_are_a_target_and_all_other_numbers_are_features(table):
    data = load(table(), target="price", targets="number", ignore=("kind",))
    assert data.schema.feature_names == ("size",)
    assert data.schema.target.name == "price"
    assert data.train.y.dtype == np.float64
    np.testing.assert_allclose(data.train.y, 10 * (data.train.x[:, 0] - 0.5))
    assert any("'id' was set aside" in note for note in data.notes)  # no two rows have the same: a name
    assert Schema.from_record(data.schema.record()) == data.schema


def test_words_become_features_of_zeros_and_ones(table):
    data = load(table(), target="price", targets="number")
    assert data.schema.feature_names == ("size", "kind = a", "kind = b")
    first = (data.train.y / 10).astype(int) % 2 == 0
    np.testing.assert_array_equal(data.train.x[:, 1], first)
    np.testing.assert_array_equal(data.train.x[:, 2], ~first)
    assert any("'kind' holds words" in note and "'a', 'b'" in note for note in data.notes)
    assert Schema.from_record(json.loads(json.dumps(data.schema.record()))) == data.schema
    # levels travel: in another order, a gap, a word that is not known, a number where words were
    new = load_rows(table(["b,1", ",2", "c,3", "7,4"], "kind,size\n", "new.csv"), data.schema, targets="number")
    np.testing.assert_array_equal(new.only.x, [[1, 0, 1], [2, 0, 0], [3, 0, 0], [4, 0, 0]])
    np.testing.assert_array_equal(new.only.observed[:, 1:].all(1), [True, False, True, True])
    assert any("in 2 rows column 'kind' holds a word" in note and "'7', 'c'" in note for note in new.notes)


def test_too_many_words_are_refused_and_none_are_features_where_nothing_is_predicted(table):
    lines = [f"{i},{i % 110},w{i % 101}" for i in range(220)]
    path = table(lines, "x,price,word\n")
    with pytest.raises(InputError, match=r"'word' holds 101 different words.*--ignore word"):
        load(path, target="price", targets="number")
    assert load(path).schema.feature_names == ("x", "price")


def test_classes_are_words_or_whole_numbers_in_order(table):
    data = load(table(), target="kind", targets="class")
    assert data.label_names == ("a", "b")
    assert data.train.y.dtype == np.int32
    tens = [f"{i},{10 if i % 2 else 9}" for i in range(20)]
    assert load(table(tens, "x,label\n"), targets="class").label_names == ("9", "10")


def test_rows_without_a_target_are_left_out_and_it_is_said(table):
    lines = [line.replace(",30,", ",,") for line in LINES]
    data = load(table(lines), target="price", targets="number", ignore=("kind",))
    assert sum(len(split) for split in data.splits.values()) == 19
    assert any("1 rows have no target" in note for note in data.notes)
    whole = load_rows(table(lines), data.schema, targets="number")
    assert np.isnan(whole.only.y[3])
    assert len(whole.only) == 20


def test_new_rows_may_lack_the_target_or_have_a_class_that_is_not_known(table):
    schema = load(table(), target="kind", targets="class").schema
    new = load_rows(table(["r1,1,2", "r2,3,4"], "id,size,price\n", "new.csv"), schema, targets="class")
    assert new.only.y is None
    odd = load_rows(table(["r1,1,2,a", "r2,3,4,c", "r3,5,6,"], name="odd.csv"), schema, targets="class")
    np.testing.assert_array_equal(odd.only.y, [0, -2, -1])
    assert any("'c'" in note for note in odd.notes)


def test_labels_of_arrays_are_classes_whatever_numbers_they_are(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(30, 2)), np.tile([-1, 1], 15)
    np.savez(tmp_path / "x.npz", x=x, y=y)
    data = load(tmp_path / "x.npz", targets="class")
    assert data.label_names == ("-1", "1")
    assert {*np.unique(data.train.y)} == {0, 1}
    np.savez(tmp_path / "y.npz", x=x, y=y * 0.5)
    assert load(tmp_path / "y.npz", targets="number").train.y.dtype == np.float64
    with pytest.raises(InputError, match="integers"):
        load(tmp_path / "y.npz", targets="class")


def test_what_cannot_be_a_target_is_refused_in_one_sentence(table):
    path = table()
    for options, words in (
        ({"target": "prize", "targets": "number"}, "price"),
        ({"targets": "number"}, "--target NAME"),
        ({"target": "price", "targets": "number", "ignore": ("price",)}, "cannot be the target"),
        ({"target": "kind", "targets": "number"}, "not numeric"),
    ):
        with pytest.raises(InputError, match=words) as refusal:
            load(path, **options)
        assert "\n" not in str(refusal.value)
    blank = table([f"{i},{i}," for i in range(20)], "x,z,price\n", "blank.csv")
    with pytest.raises(InputError, match="no values"):
        load(blank, target="price", targets="number")
