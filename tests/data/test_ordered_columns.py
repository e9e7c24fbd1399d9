"""Columns of ordered levels: what says the order, how cells become levels, and how they come back."""

import numpy as np
import pandas as pd
import pytest

from nelbo.core import InputError
from nelbo.data import Schema, filled_table, load_frame, load_rows


def write(path, text):
    path.write_text(text)
    return path


def levels_of(data):
    return {column.name: column.levels for column in data.schema.features if column.asked == "ordinal"}


def filled_with(data, place):
    """The table with the level of a place in every gap of its first column."""
    values = np.zeros((len(data.only), data.schema.shape[0]))
    values[:, place] = 1.0
    return filled_table(data, data.only, values, data.only.observed)


def test_numbers_have_an_order_and_words_are_given_one(tmp_path):
    path = write(tmp_path / "t.csv", "grade,size,x\n10,M,1\n9,S,2\n,L,3\n10.0,,4\n2,M,5\n?,S,6\n")
    data = load_rows(path, words=True, column=("grade=ordinal", "size=ordinal:S<M<L<XL"))
    assert levels_of(data) == {"grade": ("2", "9", "10"), "size": ("S", "M", "L", "XL")}
    assert data.schema.by_column(data.only.x)[[0, 1, 3, 4], 0].tolist() == [2, 1, 2, 0]
    assert data.only.observed[:, 0].tolist() == [True, True, False, True, True, False]
    assert any("column 'size' is ordered ('S' < 'M' < 'L' < 'XL')" in note for note in data.notes)
    lines = filled_with(data, 1).decode().splitlines()
    assert [line.split(",")[0] for line in lines] == ["grade", "10", "9", "9", "10.0", "2", "9"]
    schema = Schema.from_record(data.schema.record())
    assert schema == data.schema
    new = load_rows(write(tmp_path / "n.csv", "x,size,grade\n1,XL,9.0\n2,XXL,3\n"), schema)
    assert new.schema.by_column(new.only.x)[0].tolist() == [1, 3, 1]
    assert new.only.observed.tolist() == [[True] * 8, [False] * 7 + [True]]
    assert sum("holds a word that the model was not fitted to" in note for note in new.notes) == 2


@pytest.mark.parametrize("kind", ["words", "numbers"])
def test_ordered_categories_of_pandas_are_levels_and_stay_categories(tmp_path, kind):
    categories = {"words": ["low", "middle", "high"], "numbers": [10, 5, 1]}[kind]
    codes = pd.Categorical.from_codes([0, 1, -1, 1, 0], categories=categories, ordered=True)
    frame = pd.DataFrame({"grade": codes, "x": np.arange(5.0)})
    suffix = "parquet" if kind == "words" else "feather"  # Parquet forgets that numbers were categories
    path = tmp_path / f"t.{suffix}"
    {"parquet": frame.to_parquet, "feather": frame.to_feather}[suffix](path)
    for data in (load_frame(frame), load_rows(path, words=True)):
        assert levels_of(data) == {"grade": tuple(map(str, categories))}
    path.write_bytes(filled_with(data, 2))
    again = {"parquet": pd.read_parquet, "feather": pd.read_feather}[suffix](path)["grade"]
    assert again.dtype == frame["grade"].dtype
    assert again.tolist() == [categories[i] for i in (0, 1, 2, 1, 0)]
    plain = load_frame(frame.astype({"grade": pd.CategoricalDtype(categories)}))
    assert levels_of(plain) == {}
    assert levels_of(load_rows(path, words=True, column=("grade=words",))) == {}


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ("size=ordinal", r"words \('L', 'M', 'S', ...\) have no order of their own: state it"),
        ("size=ordinal:S<M", r"line 4 holds 'L', which is none of S<M: name every level"),
        ("size=ordinal:S<M<S", "each once"),
        ("size=ordinal:", "at least two"),
        ("one=ordinal", "it holds one level alone"),
        ("size=real:3", "kind of column"),
    ],
)
def test_what_is_no_order_is_refused(tmp_path, column, told):
    path = write(tmp_path / "t.csv", "size,one,x\nM,1,1\nS,1,2\nL,1,3\nM,1,5\n")
    with pytest.raises(InputError, match=told):
        load_rows(path, words=True, column=(column,))
