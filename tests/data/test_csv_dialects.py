"""How a table of text is written is found out and said, never guessed in silence."""

import numpy as np
import pandas as pd
import pytest

from nelbo.core import InputError
from nelbo.data import load, load_rows

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).round(4)
FRAME = pd.DataFrame(X, columns=list("abc"))


def rows_of(path, **options):
    data = load_rows(path, **options)
    return data, data.only


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sep": ";"}, ["parted by semicolons"]),
        ({"sep": "\t"}, ["parted by tabs"]),
        ({"sep": "|"}, ["parted by bars"]),
        ({"sep": ";", "decimal": ","}, ["semicolons", "decimal comma"]),
        ({"decimal": ","}, ["decimal comma"]),
        ({"encoding": "utf-8-sig"}, []),
        ({"encoding": "utf-16"}, []),
        ({"lineterminator": "\r\n"}, []),
        ({"lineterminator": "\r"}, []),
        ({"quoting": 1}, []),
    ],
)
def test_dialects(tmp_path, options, said):
    FRAME.to_csv(tmp_path / "t.csv", index=False, **options)
    data, split = rows_of(tmp_path / "t.csv")
    np.testing.assert_allclose(split.x, X, rtol=1e-6)
    assert data.schema.feature_names == ("a", "b", "c")
    assert len(data.notes) == len(said)
    for note, words in zip(data.notes, said, strict=True):
        assert words in note
        assert str(tmp_path / "t.csv") in note


def test_latin_1_is_read_and_said(tmp_path):
    FRAME.rename(columns={"a": "größe"}).to_csv(tmp_path / "t.csv", index=False, encoding="latin-1")
    data, _ = rows_of(tmp_path / "t.csv")
    assert data.schema.feature_names == ("größe", "b", "c")
    assert "not UTF-8" in data.notes[0]


def test_commas_that_count_thousands_are_not_decimal(tmp_path):
    (tmp_path / "t.csv").write_text('a,b\n"1,234",1\n"5,678",2\n"9,012",4\n')
    data, split = rows_of(tmp_path / "t.csv")
    assert data.schema.feature_names == ("a", "b")
    assert split.x.tolist() == [[1234.0, 1.0], [5678.0, 2.0], [9012.0, 4.0]]


def test_truth_values_with_blanks(tmp_path):
    (tmp_path / "t.csv").write_text("a,flag\n1.5,True\n2.5,\n3.5,False\n4.5,True\n")
    _, split = rows_of(tmp_path / "t.csv")
    np.testing.assert_array_equal(split.x[:, 1], [1, 0, 0, 1])
    np.testing.assert_array_equal(split.observed[:, 1], [True, False, True, True])


@pytest.mark.parametrize("header", ["a,b,", "a,b"])
def test_trailing_commas(tmp_path, header):
    (tmp_path / "t.csv").write_text(f"{header}\n1.5,2,\n3.5,4,\n5,6,\n")
    data, split = rows_of(tmp_path / "t.csv")
    assert split.x.tolist() == [[1.5, 2.0], [3.5, 4.0], [5.0, 6.0]]
    assert "column 'column 3' was set aside, for want of values" in data.notes[0]


def test_columns_without_values_are_set_aside_and_not_filled(tmp_path):
    (tmp_path / "t.csv").write_text("a,nothing,b\n1.5,NA,2\n3.5,,4\n5,,7\n")
    data, split = rows_of(tmp_path / "t.csv")
    assert split.x.shape == (3, 2)
    assert any("'nothing' was set aside, for want of values" in note for note in data.notes)
    np.save(tmp_path / "x.npy", np.where([True, False], RNG.normal(size=(30, 2)), np.nan))
    assert "no row has a value in 1 of 2 entries (1, counted from 0)" in load(tmp_path / "x.npy").notes[0]


def test_marks_of_missing_numbers_are_said(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1.5,2\n?,4\n5,7\n")
    data, split = rows_of(tmp_path / "t.csv")
    assert not split.observed[1, 0]
    assert "'?' in column 'a' was read as a missing number" in data.notes[0]


@pytest.mark.parametrize(
    "names",
    [range(3), range(1, 4), range(2016, 2019), [2016, 2018, 2020], ["2020_01", "2020_02", "2020_03"], [101, 250, 377]],
    ids=str,
)
@pytest.mark.parametrize("kind", ["floats", "small whole numbers"])
@pytest.mark.parametrize("index", [False, True])
def test_numeric_headers_are_names(tmp_path, names, kind, index):
    x = X if kind == "floats" else RNG.integers(0, 2 if next(iter(names)) in {0, 1} else 9, X.shape)
    pd.DataFrame(x, columns=list(names)).to_csv(tmp_path / "t.csv", index=index)
    data, split = rows_of(tmp_path / "t.csv")
    assert data.schema.feature_names == tuple(map(str, names))
    np.testing.assert_allclose(split.x, x, rtol=1e-6)
    text = isinstance(next(iter(names)), str)
    assert any("was read as names of the columns" in note for note in data.notes) != text


def test_one_column_named_zero(tmp_path):
    pd.DataFrame(X[:, :1]).to_csv(tmp_path / "t.csv", index=False)
    assert len(rows_of(tmp_path / "t.csv")[1]) == 40


@pytest.mark.parametrize(
    "text",
    [
        "1,2\n3,4\n5,6\n",
        "1,2,3\n4,5,6\n7,8,9\n",
        "0,1,2\n5,3,1\n2,9,4\n7,0,3\n",
        "1,0,1\n0,1,0\n1,1,1\n",
        "1.5,2.5\n3,4\n",
        "3,4.5,2\n1.5,2,7\n3.5,2,9\n",
        "2016,2017\n2015,2019\n2018,2011\n",
        "5.1,3.5,setosa\n4.9,3.0,setosa\n6.2,3.4,virginica\n",
    ],
)
def test_rows_are_no_header(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    data, split = rows_of(tmp_path / "t.csv")
    assert len(split) == text.count("\n")
    assert not data.schema.dialect.header


def test_the_header_can_be_given(tmp_path):
    (tmp_path / "t.csv").write_text("1,2\n3,4\n5,6\n7,8\n")
    assert load_rows(tmp_path / "t.csv", header=True).schema.feature_names == ("1", "2")
    pd.DataFrame(X, columns=range(3)).to_csv(tmp_path / "n.csv", index=False)
    assert len(load_rows(tmp_path / "n.csv", header=False).only) == 41
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(InputError, match="about tables"):
        load(tmp_path / "x.npy", header=True)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_saved_indices_are_set_aside_shuffled_too(tmp_path, suffix):
    for frame in (FRAME, FRAME.sample(frac=0.9, random_state=0), FRAME.rename(index=lambda i: i + 10**9)):
        if suffix == "csv":
            frame.to_csv(tmp_path / "t.csv")
        else:
            frame.reset_index(names="Unnamed: 0").to_parquet(tmp_path / "t.parquet")
        data, split = rows_of(tmp_path / f"t.{suffix}")
        np.testing.assert_allclose(split.x, frame.to_numpy(), rtol=1e-6)
        assert "taken for a saved index and set aside" in data.notes[0]


def test_row_names_as_r_writes_them(tmp_path):
    (tmp_path / "t.csv").write_text("mpg,cyl\nMazda RX4,21.5,6\nDatsun,22.8,4\nHornet,21.4,6\n")
    data, split = rows_of(tmp_path / "t.csv")
    assert data.schema.feature_names == ("mpg", "cyl")
    np.testing.assert_allclose(split.x, [[21.5, 6], [22.8, 4], [21.4, 6]], rtol=1e-6)


def test_columns_and_ignore(tmp_path):
    FRAME.assign(id=range(40), city="x").to_csv(tmp_path / "t.csv", index=False)
    assert load_rows(tmp_path / "t.csv").schema.feature_names == ("a", "b", "c", "id")
    assert load_rows(tmp_path / "t.csv", ignore=["id", "b"]).schema.feature_names == ("a", "c")
    assert load(tmp_path / "t.csv", columns=["c", "a"]).schema.feature_names == ("a", "c")
    with pytest.raises(InputError, match="Unknown column 'ID'"):
        load(tmp_path / "t.csv", ignore=["ID"])
    with pytest.raises(InputError, match="column 'city' is not numeric"):
        load(tmp_path / "t.csv", columns=["city", "a"])
