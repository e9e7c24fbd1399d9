"""Tables that something is wrong with: the sensible answer, or one sentence with the column and the line."""

import numpy as np
import pytest

from nelbo.core import InputError
from nelbo.data import filled_table, load_rows

GOOD = "a,b,c\n1.5,2,u\n,3,v\n2.5,,u\n3.5,5,v\n4.5,6,\n"


def read(tmp_path, text, schema=None):
    (tmp_path / "t.csv").write_text(text)
    return load_rows(tmp_path / "t.csv", schema, words=schema is None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"is empty; a table with a header"),
        ("\n\n", r"is empty; a table with a header"),
        ("a,b,c\n", r"has no rows; a table with at least one row"),
        ("a,b,c\n1,2,u,9\n1,2,v\n", r"line 3 has 3 cells, the first has 3|line 2 has 4 cells, the first has 3"),
        ("a,b,c\n1,2,u\n1,2\n", r"line 3 has 2 cells, the first has 3"),
        ('a,b,c\n0,1,u\n1,"2,u\n3,4,v\n', r"the row from line 3 to line 4 has 2 cells, .* its quotes are closed\.$"),
        ('a,b,c\n0,1,u\n1,"2\n3","4\n"\n1,2\n', r"line 6 has 2 cells"),
        ("a,b,c\n1,2,u\n1,inf,v\n", r"column 'b' holds infinite values \(first in line 3\)"),
        (
            "a,b,c\n1,2,u\n1e39,2,v\n",
            r"column 'a' holds values up to 1.0e\+39, too large .* \(first in line 3",
        ),
        ("a,b,c\n1,2,u\n3,x,v\n4,5,u\n", r"column 'b' is not numeric \(line 3 holds 'x'\)"),
        ("a,b\n,\n,\n", r"has no column that can be modelled \('a': it has no values; 'b': it has no values\)"),
        ("a,b\np1,q1\np2,q2\n", r"has no column that can be modelled \('a': it holds text"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(tmp_path, text, told):
    with pytest.raises(InputError, match=told) as refusal:
        read(tmp_path, text)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("a,b,c\n", "has no rows; a table with at least one row"),
        ("a,B,c\n1,2,u\n", r"lacks the column 'b' that the model was fitted to; column 'B' was not known to it"),
        ("a,b\n1,2\n", r"lacks the column 'c'"),
        ("a,b,c\n1,2,u\n2,x,u\n", r"column 'b' is not numeric \(line 3 holds 'x'\).*, or leave the cell blank\.$"),
        ("c,b,a\nu,-inf,1\n", r"column 'b' holds infinite values \(first in line 2\)"),
        ("a,b,c\n1,2,u\n1,2,u,3\n", "line 3 has 4 cells, the first has 3"),
    ],
)
def test_what_is_wrong_with_a_file_at_use_is_told(tmp_path, text, told):
    schema = read(tmp_path, GOOD).schema
    with pytest.raises(InputError, match=told):
        read(tmp_path, text, schema)


@pytest.mark.parametrize(
    ("text", "filled", "told"),
    [
        ("c,new,b,a\n,7,1,\n", "c,new,b,a\nu,7,1,9.0\n", "column 'new' was not in the data"),
        ("a,b,c\n1,2,w\n,,\n", "a,b,c\n1,2,w\n9.0,9,u\n", r"holds a word that the model was not fitted to ('w')"),
        ("a,b,c,a\n,1,u,\n", "a,b,c,a\n9.0,1,u,\n", "column 'a (column 4)' was not in the data"),
        ("a,b,c\n1,2,u\n", "a,b,c\n1,2,u\n", ""),
        ("a,b,c\n1,2,u\n-999,3,u\n2,4,v\n3,5,v\n", "a,b,c\n1,2,u\n9.0,3,u\n2,4,v\n3,5,v\n", "'-999' in column 'a'"),
    ],
)
def test_what_can_be_filled_in_is_and_the_rest_stays(tmp_path, text, filled, told):
    schema = read(tmp_path, GOOD).schema
    data = read(tmp_path, text, schema)
    observed = data.only.observed
    values = schema.centred(data.only.x * 0 + 9.0)
    values[:, 2:] = [1.0, 0.0]
    mask = np.ones(values.shape, bool) if observed is None else observed
    assert filled_table(data, data.only, values, mask).decode() == filled
    assert any(told in note for note in data.notes) or not told


def test_columns_of_one_value_of_none_twice_and_of_numbers_and_words(tmp_path):
    rows = "\n".join(f"7,,{i},{i if i % 2 else 'x'},{i}" for i in range(30))
    data = read(tmp_path, f"one,none,a,mixed,a\n{rows}\n7,,,y,1\n")
    roles = [column.role for column in data.schema.columns]
    assert roles == ["feature", "set aside", "feature", "set aside", "feature"]
    assert any("column 'none' was set aside, for want of values" in note for note in data.notes)
    assert any("column 'mixed' was set aside, for holding numbers and words" in note for note in data.notes)
    assert data.schema.modelled_names == ("one", "a", "a (column 5)")
    assert any("column 'one' was found constant" in note for note in data.notes)


def test_a_cell_without_a_finite_answer_stays_blank(tmp_path):
    data = read(tmp_path, GOOD)
    observed = data.only.observed
    values = np.full(observed.shape, np.nan)
    values[:, 1] = np.inf
    assert filled_table(data, data.only, values, observed).decode() == GOOD
