"""Numbers as people write them: exponents, thousands, signs; and marks for what is missing."""

import numpy as np
import pytest

from nelbo.core import InputError
from nelbo.data import Schema, filled_table, load_rows


def write(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("cells", "delimiter", "value", "written"),
    [
        (["1e3", "", "2e4"], ",", 1234.5, "1.23e3"),
        (["1.5E-05", "", "2.25E-04"], ",", 1.23456e-7, "1.23E-07"),
        (["1.5e+05", "", "2.5e+04"], ",", -12345.0, "-1.23e+04"),
        (["1e-7", "", "0.25", "1.5"], ",", 0.1234567891, "0.12345679"),
        (['"1,234"', "", '"12,500"', "7"], ",", 1234567.4, '"1,234,567"'),
        (["1,234.50", "", "999.25"], ";", 12345.678, "12,345.68"),
        (["1.234,5", "", "0,5"], ";", 12345.67, "12.345,7"),
        (["1'234", "", "1'000'000"], ",", 12345.0, "12'345"),
        (["1 234", "", "12"], ",", 4567.0, "4 567"),
        (["+1.5", "", "-2.0"], ",", 3.25, "+3.2"),
        (["+1", "", "-2", "0"], ",", 0.2, "0"),
    ],
)
def test_new_numbers_are_written_as_their_columns_are(tmp_path, cells, delimiter, value, written):
    """And all others stay as they were, character for character."""
    lines = [f"{cell}{delimiter}{i}" for i, cell in enumerate(cells)]
    path = write(tmp_path / "t.csv", "\n".join([f"a{delimiter}b", *lines]) + "\n")
    data = load_rows(path, words=True)
    assert data.schema.features[0].kind in {"real", "whole"}
    assert data.only.observed[:, 0].tolist() == [cell != "" for cell in cells]
    values = np.full((len(cells), 2), value)
    new = filled_table(data, data.only, data.schema.centred(values), data.only.observed).decode().splitlines()[1:]
    lines[1] = f"{written}{delimiter}1"
    assert new == lines
    assert Schema.from_record(data.schema.record()) == data.schema


@pytest.mark.parametrize("cells", [["030 123", "030 456"], ["555 123", "555 456"], ["1,234", "1,2,3"]])
def test_codes_are_no_grouped_numbers(tmp_path, cells):
    path = write(tmp_path / "t.csv", "\n".join(["a,b", *(f'"{cell}",1' for cell in cells * 2)]) + "\n")
    assert load_rows(path, words=True).schema.columns[0].kind == "text"


def test_every_mark_for_a_missing_cell_is_told_and_filled(tmp_path):
    path = write(tmp_path / "t.csv", "a,b,c,d\n1,u,NA,+\n?,?,2,-\nNA,v,5,+\n4,u,,-\n")
    data = load_rows(path, words=True)
    told = [note.partition(": ")[2] for note in data.notes]
    assert "'NA' in columns 'a', 'c' was read as a missing number." in told
    assert "'?' in column 'a' was read as a missing number." in told
    assert "'?' in column 'b' was read as a missing word." in told
    assert data.schema.features[1].levels == ("u", "v")
    assert data.schema.features[3].levels == ("+", "-")  # no word has a letter, so a sign is one
    values = np.zeros((4, 6))
    values[:, 2] = 1.0
    new = filled_table(data, data.only, data.schema.centred(values), data.only.observed)
    assert new.decode().splitlines()[1:] == ["1,u,0,+", "0,v,2,-", "0,v,5,+", "4,u,0,-"]
    # a single mark in a new file means the same
    new = load_rows(write(tmp_path / "n.csv", "a,b,c,d\n2,?,1,+\n"), data.schema)
    assert new.only.observed.tolist() == [[True, False, False, True, True, True]]
    assert any("'?' in column 'b' was read as a missing word" in note for note in new.notes)


def test_columns_that_were_set_aside_are_named_when_a_new_file_has_them(tmp_path):
    path = write(tmp_path / "t.csv", "id,a,remark,b\np1,1,x,2\np2,3,y,4\n")
    data = load_rows(path, words=True, ignore=("remark",))
    new = load_rows(write(tmp_path / "n.csv", "b,id,remark,a\n1,,z,2\n"), data.schema)
    assert any(
        note.endswith(
            "columns 'id', 'remark' were set aside when the model was fitted, and left alone, and 1 blank cell there "
            "stays blank."
        )
        for note in new.notes
    )
    assert load_rows(write(tmp_path / "m.csv", "b,a\n1,2\n"), data.schema).notes == ()


@pytest.mark.parametrize("bad", ["12,34", "abc"])
def test_a_wrong_cell_among_grouped_numbers_is_the_one_that_is_named(tmp_path, bad):
    cells = [f"{1000 + 37 * i:,}" for i in range(20)]
    cells[9] = bad
    path = write(tmp_path / "t.csv", "\n".join(["a;b", *(f"{cell};1.5" for cell in cells)]) + "\n")
    with pytest.raises(InputError, match=rf"line 11 holds '{bad}'"):
        load_rows(path, words=True)


def test_a_number_without_its_separator_is_a_number_all_the_same(tmp_path):
    cells = [*(f"{1000 + 37 * i:,}" for i in range(19)), "5678"]
    path = write(tmp_path / "t.csv", "\n".join(["a;b", *(f"{cell};1.5" for cell in cells)]) + "\n")
    data = load_rows(path, words=True)
    assert data.schema.features[0].kind == "whole"
    assert data.schema.restored(np.asarray(data.only.x))[-1, 0] == pytest.approx(5678)
