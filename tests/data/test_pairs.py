"""Tables of row, column and value: ids, repeats, blanks, splits by entry, and what is refused."""

import json

import numpy as np
import pandas as pd
import pytest

from nelbo.core import InputError
from nelbo.data import Cuts, Schema, load_pairs, pair_context, read_triples, row_digests, source, split_by_digests

NAMES = ("student", "lecturer", "mark")


def table(path, rows, header="student,lecturer,mark"):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.fixture
def ratings(tmp_path):
    rng = np.random.default_rng(0)
    cells = rng.permutation(200)[:120]
    return table(tmp_path / "ratings.csv", [f"s{c // 10},l{c % 10},{rng.integers(1, 6)}" for c in cells])


def test_each_cell_is_an_example_in_the_context_of_its_pair(ratings):
    data = load_pairs(ratings, NAMES, cuts=Cuts())
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 96, "valid": 12, "test": 12}
    frame, pairs = pd.read_csv(ratings), data.schema.pairs
    assert pairs.levels == (1.0, 2.0, 3.0, 4.0, 5.0)
    for split in data.splits.values():
        for x, context, place in zip(split.x, split.context, split.index, strict=True):
            row = frame.iloc[place]
            assert x[0] == row.mark
            for number, ids, name in zip(context.astype(int), (pairs.row_ids, pairs.column_ids), NAMES, strict=False):
                assert (ids[number] if number >= 0 else "?") in {row[name], "?"}
    known = {frame.student[i] for i in data.train.index}
    assert set(pairs.row_ids) == known
    read = source(data.train, data)
    assert np.array_equal(read.arrays.context, data.train.context)


def test_the_schema_travels_and_numbers_other_tables(ratings, tmp_path):
    data = load_pairs(ratings, NAMES, cuts=Cuts())
    schema = Schema.from_record(json.loads(json.dumps(data.schema.record())))
    assert schema == data.schema
    other = table(tmp_path / "other.csv", [f"{data.schema.pairs.row_ids[3]},l4,2", "new,l4,3"])
    again = load_pairs(other, (), cuts=Cuts(0, 0.0, 0.0), like=schema)
    assert again.train.context.tolist() == [
        [3.0, data.schema.pairs.column_ids.index("l4")],
        [-1.0, data.schema.pairs.column_ids.index("l4")],
    ]
    assert "1 of 2 train entries" in again.notes[0]
    with pytest.raises(InputError, match="damaged"):
        Schema.from_record(
            {**schema.record(), "pairs": {"names": ["a"], "row_ids": [], "column_ids": [], "levels": []}}
        )


def test_repeated_pairs_are_one_and_it_is_said(tmp_path):
    whole = load_pairs(table(tmp_path / "a.csv", ["a,x,1", "b,x,5", "a,x,4"]), (), cuts=Cuts(0, 0.0, 0.0))
    assert whole.train.x[:, 0].tolist() == [5.0, 4.0]
    assert whole.train.index.tolist() == [1, 2]
    assert "1 pairs stand there more than once (1 rows too many); the last value counts" in whole.notes[0]
    real = load_pairs(table(tmp_path / "b.csv", ["a,x,1.5", "b,x,5", "a,x,4"]), (), cuts=Cuts(0, 0.0, 0.0))
    assert sorted(real.train.x[:, 0].tolist()) == [2.75, 5.0]
    physical = load_pairs(
        table(tmp_path / "c.csv", ["a,x,1.5,1", "a,x,2,3", "b,y,0,0"], "i,j,y,p"),
        ("i", "j", "y", "p"),
        cuts=Cuts(0, 0.0, 0.0),
    )
    assert sorted(physical.train.context[:, 2].tolist()) == [0.0, 2.0]
    assert physical.schema.pairs.has_physical


def test_ids_are_the_same_however_whole_numbers_are_stored(tmp_path):
    frame = pd.DataFrame({"u": [1, 2, 10], "v": [7.0, 8.0, 7.0], "y": [0.5, 1.5, 2.5]})
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_csv(tmp_path / "a.csv", index=False)
    np.savez(tmp_path / "a.npz", **{name: frame[name].to_numpy() for name in frame})
    found = [
        load_pairs(tmp_path / f"a.{form}", ("u", "v", "y"), cuts=Cuts(0, 0.0, 0.0))
        for form in ("csv", "parquet", "npz")
    ]
    for data in found:
        assert data.schema.pairs.row_ids == ("1", "2", "10")
        assert data.schema.pairs.column_ids == ("7", "8")
        assert np.array_equal(data.train.context, found[0].train.context)


def test_rows_with_a_blank_are_left_out_and_counted(tmp_path):
    path = table(tmp_path / "a.csv", ["a,x,1", ",x,2", "b,,3", "c,x,NA", "d,x,2"])
    found = read_triples(path, NAMES)
    assert found.rows.tolist() == ["a", "d"]
    assert found.places.tolist() == [0, 4]
    assert "3 rows with a blank" in found.notes[-1]
    assert read_triples(path, NAMES, values=False).rows.tolist() == ["a", "c", "d"]


def test_numbers_far_from_zero_keep_their_digits(tmp_path):
    path = table(tmp_path / "a.csv", ["a,x,101325.25", "b,x,101325.5", "a,y,101326.0"])
    data = load_pairs(path, NAMES, cuts=Cuts(0, 0.0, 0.0))
    assert np.allclose(data.schema.restored(data.train.x)[:, 0], [101325.25, 101325.5, 101326.0], rtol=0, atol=1e-6)


def test_a_changed_file_keeps_its_entries_in_their_splits(ratings):
    data = load_pairs(ratings, NAMES, cuts=Cuts())
    known = {name: row_digests(split) for name, split in data.splits.items()}
    moved = load_pairs(ratings, NAMES, cuts=Cuts(7), like=data.schema)
    again = split_by_digests(moved, known)
    for name, split in data.splits.items():
        seen = {tuple(row) for row in split.context.tolist() if min(row) >= 0}
        assert seen <= {tuple(row) for row in again.splits[name].context.tolist()}
    # the value alone does not tell cells apart
    assert len({int(one) for digests in known.values() for one in digests}) > 60


def test_ids_that_another_model_knows_come_first(ratings):
    first = load_pairs(ratings, NAMES, cuts=Cuts()).schema.pairs
    data = load_pairs(ratings, NAMES, cuts=Cuts(5), known=first)
    assert data.schema.pairs.row_ids[: len(first.row_ids)] == first.row_ids
    assert pair_context(data.schema.pairs, np.array(["s3"]), np.array(["nobody"]), None).tolist() == [
        [first.row_ids.index("s3"), -1.0]
    ]


@pytest.mark.parametrize(("rows", "names", "words"), [
    (["a,x,1"], ("student", "lecturer"), "Say which columns"),
    (["a,x,1"], ("student", "student", "mark"), "names one column twice"),
    (["a,x,1"], ("student", "teacher", "mark"), "teacher"),
    (["a,x,good", "b,x,bad"], NAMES, "not numeric"),
    (["a,x,inf", "b,x,1"], NAMES, "infinite"),
    (["a,,1", ",x,1"], NAMES, "no row has all of"),
    (["a,x,1", "b,x,2"], NAMES, "too few"),
])  # fmt: skip
def test_bad_tables_are_refused(tmp_path, rows, names, words):
    with pytest.raises(InputError, match=words):
        load_pairs(table(tmp_path / "a.csv", rows), names, cuts=Cuts())


def test_a_fourth_column_is_no_prediction_unless_it_is_named(tmp_path):
    path = table(tmp_path / "a.csv", ["a,x,1,881250949", "b,x,2,881250950"], "user,item,rating,time")
    with pytest.raises(InputError, match="Say which columns"):
        read_triples(path)
    assert read_triples(path, ("user", "item", "rating")).physical is None


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="no file"):
        read_triples(tmp_path / "none.csv")
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(InputError, match="no table of triples"):
        read_triples(tmp_path / "a.txt")
    np.savez(tmp_path / "a.npz", u=np.arange(3), v=np.arange(2), y=np.arange(3))
    with pytest.raises(InputError, match="one length"):
        read_triples(tmp_path / "a.npz", ("u", "v", "y"))
    np.savez(tmp_path / "b.npz", u=np.arange(3), v=np.arange(3), y=np.array(["a", "b", "c"]))
    with pytest.raises(InputError, match="no numbers"):
        read_triples(tmp_path / "b.npz", ("u", "v", "y"))
