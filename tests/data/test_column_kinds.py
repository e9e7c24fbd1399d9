"""What a column of a table is taken for: dates, codes, numbers that mean "missing", and what was asked for."""

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from nelbo.core import InputError
from nelbo.data import Schema, filled_table, load_frame, load_rows, made_frame
from nelbo.data.dates import date_text, days_of, form_of_dates


def write(path, text):
    path.write_text(text)
    return path


def kinds(data):
    return {column.name: (column.role, column.kind) for column in data.schema.columns}


@pytest.mark.parametrize(
    ("texts", "form"),
    [
        (["2024-03-01", "1999-12-31"], "%Y-%m-%d"),
        (["31.12.1999", "01.02.2024"], "%d.%m.%Y"),
        (["12/31/1999", "01/02/2024"], "%m/%d/%Y"),
        (["01/02/2024", "03/04/2024"], None),  # day and month cannot be told
        (["2024-03-01 10:20:30.125"], "%Y-%m-%d %H:%M:%S.%f"),
        (["2024-03-01", "soon"], None),
        (["20240301"], None),
    ],
)
def test_the_form_of_dates_is_found(texts, form):
    assert form_of_dates(texts) == form
    if form is not None:
        places = 3 if "%f" in form else None
        assert [date_text(days_of(text, form), form, places) for text in texts] == texts


def test_dates_go_in_as_days_and_come_back_in_their_form(tmp_path):
    path = write(tmp_path / "t.csv", "born,size\n01.03.2024,1.5\n,2.5\n31.12.2023,3.5\n")
    data = load_rows(path, words=True)
    assert kinds(data)["born"] == ("feature", "date")
    days = data.schema.restored(data.only.x)[:, 0]
    assert days[0] - days[2] == 61
    middle = np.array([[days_of("15.01.2024", "%d.%m.%Y") + 0.3, 0.0]] * 3)
    filled = filled_table(data, data.only, data.schema.centred(middle), data.only.observed)
    assert filled.decode().splitlines() == ["born,size", "01.03.2024,1.5", "15.01.2024,2.5", "31.12.2023,3.5"]
    schema = Schema.from_record(data.schema.record())
    assert schema == data.schema
    # a single date whose day and month could be exchanged is read as those of the run
    new = load_rows(write(tmp_path / "n.csv", "born,size\n02.01.2024,1\n"), schema)
    assert new.schema.restored(new.only.x)[0, 0] == pytest.approx(days_of("02.01.2024", "%d.%m.%Y"), abs=1e-6)
    with pytest.raises(InputError, match=r"column 'born' holds dates, but line 2 holds '2024'"):
        load_rows(write(tmp_path / "o.csv", "born,size\n2024,1\n"), schema)
    assert kinds(load_rows(path))["born"] == ("set aside", "date")  # of models of numbers alone


def test_frames_bring_dates_of_their_own(tmp_path):
    frame = pd.DataFrame({"day": pd.to_datetime(["2024-01-01 00:00", None, "2024-01-03 12:00"]), "x": [1.0, 2.0, 4.0]})
    frame.to_parquet(tmp_path / "t.parquet")
    for data in (load_frame(frame), load_rows(tmp_path / "t.parquet", words=True)):
        days = data.schema.restored(data.only.x)[:, 0]
        assert days[2] - days[0] == pytest.approx(2.5, abs=1e-6)
        assert data.only.observed.tolist() == [[True, True], [False, True], [True, True]]


def test_typed_cells_that_are_text_are_read_as_in_a_csv(tmp_path):
    """Dates and marks as text, Python's dates and exact numbers, and lists, which no model has a place for."""
    days = [date(2024, 1, i) for i in range(1, 9)]
    frame = pd.DataFrame(
        {
            "text": [None, *map(str, days)],
            "day": [*days, None],
            "money": [None, *(Decimal(f"{i}.50") for i in range(8))],
            "word": ["?", "", *"uvuvuvu"],
            "when": [*map(pd.Timestamp, days), None],
            "list": [[1, 2]] * 9,
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    data = load_rows(tmp_path / "t.parquet", words=True)
    assert kinds(data) == {
        "text": ("feature", "date"),
        "day": ("feature", "date"),
        "money": ("feature", "real"),
        "word": ("feature", "text"),
        "when": ("feature", "date"),
        "list": ("set aside", "text"),
    }
    assert any("'?' in column 'word' was read as a missing word" in note for note in data.notes)
    values = data.schema.centred(np.array([[days_of("2024-02-03", "%Y-%m-%d") + 0.3] * 2 + [2.254, 1, 0, 19757.3]] * 9))
    (tmp_path / "f.parquet").write_bytes(filled_table(data, data.only, values, data.only.observed))
    again = pd.read_parquet(tmp_path / "f.parquet")
    assert again["text"].tolist() == ["2024-02-03", *map(str, days)]
    assert again["day"].tolist() == [*days, date(2024, 2, 3)]
    assert again["money"][0] == Decimal("2.25")
    assert again["word"].tolist() == list("uuuvuvuvu")
    assert again["when"].iloc[-1] == pd.Timestamp("2024-02-04")
    with pytest.raises(InputError, match=r"column 'money' is not numeric \(row 3 holds 'much'\)"):
        load_frame(pd.DataFrame({"money": [1.5, 2.5, None, "much", 3]}))


def test_codes_with_leading_zeros_are_words(tmp_path):
    path = write(tmp_path / "t.csv", "zip,size\n01067,1\n80331,2\n01067,3\n80331,4\n")
    data = load_rows(path, words=True)
    assert data.schema.features[0].levels == ("01067", "80331")
    assert kinds(load_rows(path))["zip"] == ("set aside", "text")


def test_a_number_that_means_missing_is_found_where_it_is_plain(tmp_path):
    path = write(tmp_path / "t.csv", "age,change\n31,-5\n-999,3\n45,-999\n62,8\n")
    data = load_rows(path, words=True)
    assert data.only.observed[:, 0].tolist() == [True, False, True, True]
    assert data.only.observed[:, 1].all()  # where others are negative too, it may be one of them
    assert any("'-999' in column 'age' was read as a missing number" in note for note in data.notes)
    filled = filled_table(data, data.only, np.full((4, 2), 40.0), data.only.observed)
    assert filled.decode().splitlines()[2] == "40,3"
    # alone in a new file it means the same
    new = load_rows(write(tmp_path / "n.csv", "age,change\n-999,1\n"), data.schema)
    assert new.only.observed.tolist() == [[False, True]]


def test_a_column_has_one_kind(tmp_path):
    with pytest.raises(InputError, match="given twice, words and count"):
        load_rows(write(tmp_path / "t.csv", "a,b\n1,2\n3,4\n"), column=["a=words", "a=count"], words=True)


def test_a_kind_that_was_asked_for_holds(tmp_path):
    path = write(tmp_path / "t.csv", "grade,age,note\n1,30,u\n2,40,v\n1,50,u\n")
    data = load_rows(path, words=True, column=("grade=words", "age=count", "note=ignore"))
    grade, age, note = data.schema.columns
    assert grade.levels == ("1", "2")
    assert age.asked == "count"
    assert note.role == "set aside"
    for wrong, told in (("age=many", "kind of column"), ("age", "NAME=KIND"), ("old=real", "Unknown column"),
                        ("note=real", "not numeric")):  # fmt: skip
        with pytest.raises(InputError, match=told):
            load_rows(path, words=True, column=(wrong,))


@pytest.mark.parametrize("suffix", [".feather", ".xlsx"])
def test_feather_and_excel_come_back_in_their_form(tmp_path, suffix):
    if suffix == ".xlsx":
        pytest.importorskip("openpyxl")
    frame = pd.DataFrame({"name": ["a", "b", "c"], "size": [1.5, np.nan, 2.5], "town": ["Graz", None, "Graz"]})
    path = tmp_path / f"t{suffix}"
    {".feather": frame.to_feather, ".xlsx": lambda p: frame.to_excel(p, index=False)}[suffix](path)
    data = load_rows(path, words=True)
    assert kinds(data) == {"name": ("set aside", "text"), "size": ("feature", "real"), "town": ("feature", "text")}
    values = np.array([[2.0, 1.0]] * 3)
    (tmp_path / f"f{suffix}").write_bytes(filled_table(data, data.only, values, data.only.observed))
    again = {".feather": pd.read_feather, ".xlsx": pd.read_excel}[suffix](tmp_path / f"f{suffix}")
    assert again["size"].tolist() == [1.5, 2.0, 2.5]
    assert again["town"].tolist() == ["Graz"] * 3
    (tmp_path / f"broken{suffix}").write_bytes(b"no table")
    with pytest.raises(InputError, match="damaged or is no"):
        load_rows(tmp_path / f"broken{suffix}")


def test_marks_among_numbers_of_excel_are_missing(tmp_path):
    pytest.importorskip("openpyxl")
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        pd.DataFrame({"size": [1.5, "?", 2.5], "kind": ["u", "?", "u"]}).to_excel(book, index=False)
        pd.DataFrame({"other": [1]}).to_excel(book, sheet_name="more", index=False)
    data = load_rows(tmp_path / "t.xlsx", words=True)
    assert data.only.observed[:, 0].tolist() == [True, False, True]
    assert any("of its 2 sheets the first" in note for note in data.notes)
    assert any("'?' in column 'size' was read as a missing number" in note for note in data.notes)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [("12" * 10, "text"), ("01" * 10, "binary"), ("1213" * 5, "whole"), ("1" * 19 + "2", "whole"), ("12", "whole")],
)
def test_two_whole_numbers_alone_are_words(cells, kind, tmp_path):
    path = write(tmp_path / "t.csv", "sex,h\n" + "".join(f"{cell},{i}.5\n" for i, cell in enumerate(cells)))
    data = load_rows(path, words=True)
    assert kinds(data)["sex"] == ("feature", kind)
    assert data.schema.columns[0].levels == (("1", "2") if kind == "text" else None)


def test_new_rows_of_a_data_frame_have_the_columns_types(tmp_path):
    """Two numbers that are words are numbers again, decimals are those of the column, and a code keeps its zero."""
    lines = [f"{1 + i % 2},0{1 + i % 3},{i / 7:.2f}" for i in range(40)]
    path = write(tmp_path / "t.csv", "\n".join(["sex,code,grams", *lines]) + "\n")
    data = load_rows(path, words=True)
    frame = made_frame(data.schema, data.schema.restored(np.asarray(data.only.x)) + 0.0012)
    assert (frame["sex"].dtype, frame["grams"].dtype) == (np.int64, np.float64)
    assert sorted(set(frame["sex"])) == [1, 2]
    assert sorted(set(frame["code"])) == ["01", "02", "03"]
    assert sorted(frame["grams"]) == [round(i / 7, 2) for i in range(40)]
