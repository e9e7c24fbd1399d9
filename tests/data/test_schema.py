"""A schema travels with a run: it is stored, matches other files by name, checks them, and turns answers back."""

import json

import numpy as np
import pandas as pd
import pytest

from nelbo.core import InputError
from nelbo.data import Data, Schema, Split, as_images, check_values, extended_table, filled_table, load, load_rows

RNG = np.random.default_rng(1)
FRAME = pd.DataFrame(RNG.normal(size=(30, 4)).round(3), columns=list("abcd"))


@pytest.fixture
def schema(tmp_path):
    FRAME.assign(label="x", id=1_000_000_007 + np.arange(30), name="n").to_csv(tmp_path / "train.csv", index=False)
    return load(tmp_path / "train.csv", ignore=["id"]).schema


def through_json(schema):
    return Schema.from_record(json.loads(json.dumps(schema.record())))


def test_it_survives_a_json_file(schema):
    assert through_json(schema) == schema
    assert [column.role for column in schema.columns] == ["feature"] * 4 + ["label", "set aside", "set aside"]
    for image in (load("digits").schema, Schema((2,), "real", offset=(1e9, 0.0))):
        assert through_json(image) == image
    assert load("digits").schema.is_image
    assert (load("digits").schema.top, schema.top) == (255.0, None)
    assert not load("digits").schema.is_colour


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [0]},
        {"shape": ["4"]},
        {"values": "floats"},
        {"values": None},
        {"columns": [{"name": "a", "role": "king", "kind": "real"}]},
        {"columns": [{"name": "a", "role": "feature", "kind": "real"}]},
        {"columns": 3},
        {"dialect": {"colour": "red"}},
        {"dialect": {"header": "yes"}},
        {"offset": [1.0]},
        {"offset": [1.0, 2.0, float("nan"), 1.0]},
        {"label_names": [1, 2]},
        {"more": 1},
    ],
    ids=str,
)
def test_a_damaged_record_is_one_sentence(schema, change):
    with pytest.raises(InputError, match=r"config\.json is damaged"):
        Schema.from_record(schema.record() | change, "config.json")
    for other in (None, [], "schema"):
        with pytest.raises(InputError, match="damaged"):
            Schema.from_record(other)


def test_columns_are_matched_by_name(tmp_path, schema):
    FRAME[list("dbca")].assign(extra="e").to_csv(tmp_path / "new.csv", index=False, sep=";")
    data = load_rows(tmp_path / "new.csv", schema)
    np.testing.assert_allclose(data.only.x, FRAME.to_numpy(), rtol=1e-6)
    assert data.schema == schema
    assert any("'extra' was not in the data that the model was fitted to" in note for note in data.notes)


def test_missing_and_unknown_columns_are_named(tmp_path, schema):
    FRAME.rename(columns={"b": "B", "d": "D"}).to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(InputError) as caught:
        load_rows(tmp_path / "new.csv", schema)
    assert "lacks the columns 'b', 'd' that the model was fitted to; columns 'B', 'D' were not known" in str(
        caught.value
    )
    assert "\n" not in str(caught.value)


def test_columns_without_names_are_matched_by_place_and_said(tmp_path, schema):
    FRAME.to_csv(tmp_path / "bare.csv", index=False, header=False)
    data = load_rows(tmp_path / "bare.csv", schema)
    np.testing.assert_allclose(data.only.x, FRAME.to_numpy(), rtol=1e-6)
    assert "matched by their places" in data.notes[0]
    FRAME[["a", "b"]].to_csv(tmp_path / "few.csv", index=False, header=False)
    with pytest.raises(InputError, match="has 2 columns, but"):
        load_rows(tmp_path / "few.csv", schema)


def test_numeric_names_that_are_known_need_no_guess(tmp_path):
    frame = pd.DataFrame([[1, 2], [3, 4], [5, 6], [7, 8]], columns=["4", "5"])
    frame.to_csv(tmp_path / "t.csv", index=False)
    known = load_rows(tmp_path / "t.csv", header=True).schema
    assert len(load_rows(tmp_path / "t.csv", known).only) == 4
    assert len(load_rows(tmp_path / "t.csv").only) == 5


def test_text_in_a_modelled_column_is_refused(tmp_path, schema):
    FRAME.assign(b="blue").to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(InputError, match="column 'b' is not numeric"):
        load_rows(tmp_path / "new.csv", schema)


def test_labels_of_another_file_have_the_same_numbers(tmp_path):
    FRAME.assign(label=np.where(np.arange(30) % 2, "cat", "dog")).to_csv(tmp_path / "train.csv", index=False)
    known = load(tmp_path / "train.csv").schema
    FRAME.assign(label="dog").to_csv(tmp_path / "new.csv", index=False)
    assert load_rows(tmp_path / "new.csv", known).only.y.tolist() == [1] * 30
    FRAME.assign(label="cow").to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(InputError, match="'cow' is not one of cat, dog"):
        load_rows(tmp_path / "new.csv", known)
    FRAME.assign(label="").to_csv(tmp_path / "new.csv", index=False)
    assert load_rows(tmp_path / "new.csv", known).only.y is None


@pytest.mark.parametrize(
    ("values", "good", "bad"),
    [
        ("binary", [0, 1], [[-1, 0], [0, 2], [0.5, 0]]),
        ("uint8", [0, 255], [[0, 256], [-1, 0], [0.5, 1]]),
        ("unit", [0.0, 0.3], [[0, 1.5], [-0.1, 0]]),
        ("counts", [0, 10_000], [[0.5, 1], [-1, 0]]),
        ("real", [-1e30, 2], [[np.inf, 1], [np.nan, 1]]),
    ],
)
def test_kinds_are_checked(tmp_path, values, good, bad):
    check_values(values, np.array([good]), "x")
    for entries in bad:
        x = np.array([good, entries], np.float64)
        with pytest.raises(InputError, match=r"here holds .* .in row 1., but .* expected"):
            check_values(values, x, "here")
        check_values(values, x, "here", np.isin(x, good))  # what is missing is not looked at
        if np.isfinite(x).all() and values != "counts":
            np.save(tmp_path / "x.npy", x)
            with pytest.raises(InputError, match="expected: the model was fitted to such data"):
                load_rows(tmp_path / "x.npy", Schema((2,), values))


def test_kinds_are_the_models_and_not_judged_anew(tmp_path):
    # three dark pictures, or a few rows in 0..1, are still of the kind that the model was fitted to
    for kind, dtype in (("uint8", np.uint8), ("real", np.float32), ("unit", np.float32)):
        np.save(tmp_path / "x.npy", np.array([[0, 1], [1, 1]], dtype))
        data = load_rows(tmp_path / "x.npy", Schema((2,), kind))
        assert (data.values, data.only.x.dtype) == (kind, dtype)


def test_grey_images_without_a_channel_axis_are_the_same_images(tmp_path):
    x = RNG.integers(0, 256, (5, 4, 3), np.uint8)
    np.testing.assert_array_equal(as_images(x, (4, 3, 1), "x"), x[..., None])
    np.testing.assert_array_equal(as_images(x[..., None], (4, 3), "x"), x)
    for shape in ((4, 3, 3), (3, 4), (12,)):
        with pytest.raises(InputError, match=r"examples of shape .4, 3., but"):
            as_images(x, shape, "x")
    for values in (x, x[..., None], x.astype(np.float64)):
        np.save(tmp_path / "x.npy", values)
        data = load_rows(tmp_path / "x.npy", Schema((4, 3, 1), "uint8"))
        np.testing.assert_array_equal(data.only.x, x[..., None])
        assert data.only.x.dtype == np.uint8


def test_all_rows_in_their_order(tmp_path):
    x = RNG.normal(size=(30, 2))
    np.save(tmp_path / "x.npy", x)
    np.testing.assert_allclose(load_rows(tmp_path / "x.npy").only.x, x, rtol=1e-6)
    np.save(tmp_path / "two.npy", x[:2])
    assert len(load_rows(tmp_path / "two.npy").only) == 2
    np.savez(tmp_path / "x.npz", x_train=x, x_test=x[:3])
    data = load_rows(tmp_path / "x.npz")
    assert len(data.train) == 30
    with pytest.raises(InputError, match="train, test: name the one"):
        _ = data.only
    with pytest.raises(InputError, match="Unknown data set"):
        load_rows("digit")


CSV = (
    '"id",time, age,chol,flag,city,empty,label\r\n'
    '00123456789,1700000000123,4.50e1,201.25,True,"Paris, ""Fr""",,a\r\n'
    "00123456790,1700000000456, 5.2,,,Rome,,b\r\n"
    "\r\n"
    '00123456791,,NA,198.5,False,"two\nlines",,a\r\n'
    "00123456792,1700000000789,7,NaN,True, Bonn ,,b"
)


def test_a_filled_table_keeps_all_it_had(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(CSV.encode())
    data = load_rows(path, ignore=["id"])
    assert data.schema.feature_names == ("time", "age", "chol", "flag")
    split = data.only
    values = np.where(split.observed, split.x, np.array([4.4, -0.004, 199.126, 0.7], np.float32))
    filled = filled_table(data, split, values, split.observed).decode()
    wanted = CSV.replace("5.2,,,", "5.2,199.13,True,").replace("NA,", "-0.0040000002,").replace("NaN", "199.13")
    time = round(4.4 + data.schema.offset[0])
    assert filled == wanted.replace("791,,", f"791,{time},")
    # nothing missing: not a byte is changed
    assert filled_table(data, split, values, np.ones_like(split.observed)) == CSV.encode()


def test_some_rows_of_a_table(tmp_path):
    FRAME.assign(name=[f"n{i}" for i in range(30)]).to_csv(tmp_path / "t.csv", index=False)
    data = load(tmp_path / "t.csv")
    lines = (tmp_path / "t.csv").read_text().splitlines()
    observed = np.ones(data.test.x.shape, bool)
    filled = filled_table(data, data.test, data.test.x, observed).decode().splitlines()
    assert filled == [lines[0], *(lines[i + 1] for i in data.test.index)]
    scores = extended_table(data, data.test, {"score": np.arange(3.0)}).decode().splitlines()
    assert scores == ["name,score", *(f"n{i},{j}" for j, i in enumerate(data.test.index))]
    whole = load_rows(tmp_path / "t.csv")
    everything = extended_table(whole, whole.only, {"z,1": np.arange(30) / 8}, everything=True).decode().splitlines()
    assert everything[0] == lines[0] + ',"z,1"'
    assert everything[3] == lines[3] + ",0.25"
    with pytest.raises(InputError, match="one value for each of 30 rows"):
        extended_table(whole, whole.only, {"z": np.zeros(3)})
    head = whole.only.rows(slice(0, 2))
    assert extended_table(whole, head, {"z": np.zeros(2)}).decode().splitlines() == ["name,z", "n0,0", "n1,0"]


def test_answers_of_a_table_without_a_header(tmp_path):
    (tmp_path / "t.csv").write_text("x;1,5;7\ny;;8\nx;3,25;9\n")
    data = load_rows(tmp_path / "t.csv", header=False)
    values = np.array([[0, 0], [2.3456, 0], [0, 0]])
    filled = filled_table(data, data.only, values, data.only.observed).decode()
    assert filled == "x;1,5;7\ny;2,35;8\nx;3,25;9\n"
    assert extended_table(data, data.only, {"z": np.array([0.5, 1.0, 2.0])}).decode() == "x;0,5\ny;1\nx;2\n"


def test_parquet_keeps_its_types(tmp_path):
    frame = pd.DataFrame(
        {
            "id": np.arange(4) + 2**60,
            "n": pd.array([1, None, 3, 4], dtype="Int64"),
            "yes": pd.array([True, None, False, True], dtype="boolean"),
            "r": np.array([0.5, np.nan, 2.5, 3.0], np.float32),
            "town": ["a", None, "b", "c"],
        },
        index=[9, 7, 5, 3],
    )
    frame.to_parquet(tmp_path / "t.parquet")
    data = load_rows(tmp_path / "t.parquet", ignore=["id"])
    values = np.broadcast_to(np.array([2.2, 0.9, 1.25], np.float32), (4, 3))
    (tmp_path / "f.parquet").write_bytes(filled_table(data, data.only, values, data.only.observed))
    wanted = frame.copy()
    wanted.loc[7, ["n", "yes", "r"]] = [2, True, 1.25]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "f.parquet"), wanted)
    (tmp_path / "z.parquet").write_bytes(extended_table(data, data.only, {"z": np.arange(4.0)}))
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "z.parquet"), frame[["id", "town"]].assign(z=np.arange(4.0))
    )


def test_answers_about_data_that_are_no_table():
    x = np.zeros((3, 2), np.float32)
    data = Data("x", {"rows": Split(x)}, Schema((2,), "real"))
    with pytest.raises(InputError, match="was not read from a table"):
        filled_table(data, data.only, x, np.ones((3, 2), bool))
