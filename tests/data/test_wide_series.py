"""Series in wide form, in data frames and in xarray: the same series as in long form, and answers in their form."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray

from nelbo.cli.series import filled_series
from nelbo.core import InputError
from nelbo.data import Cuts, Schema, Windows, filled_xarray, future_xarray, load_series, read_like, read_series
from nelbo.runs import FilledSeries, Forecast, forecast_columns
from nelbo.tasks import FramePrediction

VALUES = np.array([[1.0, 5.5], [np.nan, 6.0], [3.0, np.nan], [4.0, 8.0]])
STAMPS = pd.date_range("2024-01-01", periods=4, freq="h")
COLUMNS = pd.DataFrame({"when": STAMPS.astype(str), "b": VALUES[:, 0], "a": VALUES[:, 1]})
ROWS = pd.DataFrame(VALUES.T, columns=STAMPS.astype(str)).assign(name=["b", "a"])
LONG = COLUMNS.melt("when", ["b", "a"], "name", "value")


def csv(folder, frame, name="s.csv"):
    frame.to_csv(folder / name, index=False)
    return folder / name


def wide(folder):
    """The same series in every form."""
    indexed = COLUMNS.drop(columns="when").set_index(STAMPS)
    return {
        "long": read_series(csv(folder, LONG), ["id=name", "time=when"]),
        "columns": read_series(csv(folder, COLUMNS), ["time=when"], layout="columns"),
        "rows": read_series(csv(folder, ROWS), ["id=name"]),
        "frame": read_series(indexed, layout="columns"),
        "levels": read_series(LONG.assign(when=pd.to_datetime(LONG["when"])).set_index(["when", "name"])),
        "xarray": read_series(xarray.DataArray(VALUES, {"time": STAMPS, "name": ["b", "a"]}, name="value")),
    }


def test_every_form_holds_the_same_series(tmp_path):
    found = wide(tmp_path)
    usual = found["long"]
    for form, one in found.items():
        np.testing.assert_array_equal(one.values, usual.values, form)
        np.testing.assert_array_equal(one.times, usual.times, form)
        assert one.ids.tolist() == usual.ids.tolist(), form
        assert one.dated, form
        assert [column.name for column in one.channels] == ["value"]
        assert any("no time zone" in note for note in one.notes), form
    assert found["rows"].layout == "rows"  # which nobody had to say


def filled(rows):
    """As if a model had said 100 and 7 for what is missing."""
    mean = np.where(rows.ids == "b", 100.25, 7.0)[:, None]
    return FilledSeries(rows, mean, mean * 0, mean - 1, mean + 1, mean[None])


@pytest.mark.parametrize("form", ["columns", "rows"])
def test_a_wide_table_comes_back_with_its_blanks_filled_in(tmp_path, form):
    rows = wide(tmp_path)[form]
    before = (tmp_path / "s.csv").read_text() if form == "rows" else COLUMNS.to_csv(index=False)
    (tmp_path / "out.csv").write_bytes(filled_series(rows, filled(rows), intervals=False))
    found = pd.read_csv(tmp_path / "out.csv")
    values = found[["b", "a"]].to_numpy() if form == "columns" else found.iloc[:, :4].to_numpy().T
    np.testing.assert_allclose(values, np.where(np.isnan(VALUES), [[100.0, 7.0]], VALUES), atol=0.3)
    known = [line for line in before.splitlines() if ",," not in line and not line.endswith(",") and line[0] != ","]
    assert known
    assert all(line in (tmp_path / "out.csv").read_text().splitlines() for line in known)
    (tmp_path / "ends.csv").write_bytes(filled_series(rows, filled(rows), intervals=True))
    ends = pd.read_csv(tmp_path / "ends.csv")
    if form == "columns":
        assert ends["b_low"].tolist()[1] == 99.25
        assert ends["b_low"].isna().tolist() == [True, False, True, True]
    else:
        assert ends[f"{STAMPS[1]}_high"].tolist()[0] == 101.25


def test_xarray_comes_back_as_xarray():
    cube = xarray.Dataset({"u": (("name", "time"), VALUES.T), "v": (("time", "name"), VALUES)},
                          {"time": STAMPS, "name": ["b", "a"]}, {"unit": "K"})  # fmt: skip
    rows = read_series(cube)
    assert rows.values.shape == (8, 2)
    whole = np.where(np.isnan(rows.values), 9.0, rows.values)
    back = filled_xarray(cube, rows, whole)
    assert back.attrs == cube.attrs
    np.testing.assert_array_equal(back["u"], np.where(np.isnan(VALUES), 9.0, VALUES).T)
    np.testing.assert_array_equal(back["v"], back["u"].T)
    future = future_xarray(cube, rows, rows.times[-1] + 3600.0 * np.arange(1, 3), {"mean": np.arange(8.0).reshape(2, 2, 2)})  # fmt: skip  # noqa: E501
    assert future["v_mean"].sel(name="a", time="2024-01-01 05:00").item() == 7.0
    one = cube["u"].rename(None)
    assert filled_xarray(one, read_series(one), whole[:, :1]).name is None
    with pytest.raises(InputError, match="dimension of time"):
        read_series(cube.rename(time="hour"), ["time=when"])
    with pytest.raises(InputError, match="different dimensions"):
        read_series(cube.assign(w=("time", VALUES[:, 0])))


def test_a_forecast_has_the_layout_of_the_table(tmp_path):
    draws = np.arange(4.0).reshape(2, 1, 2, 1)
    said = FramePrediction(draws[:, 0], draws[:, 0], draws[:, 0], draws[:, 0], draws)
    empty = np.zeros((2, 0))
    for form in ("columns", "rows"):
        data = load_series(tmp_path / "s.csv" if wide(tmp_path) and form == "rows" else csv(tmp_path, COLUMNS),
                           ["time=when"] if form == "columns" else ["id=name"], cuts=Cuts(0, 0.0, 0.0),
                           layout=form)  # fmt: skip
        schema = Schema.from_record(json.loads(json.dumps(data.schema.record())))
        assert schema == data.schema
        times = np.tile([1704081600.0, 1704085200.0], (2, 1))
        future = Forecast(("b", "a"), times, said, Windows(empty, empty, empty, empty, empty))
        found = pd.DataFrame(forecast_columns(future, schema.series, ("mean",)))
        stamps = ["2024-01-01 04:00:00", "2024-01-01 05:00:00"]
        if form == "columns":
            assert found.columns.tolist() == ["when", "b_mean", "a_mean"]
            assert found["when"].tolist() == stamps
            assert found["a_mean"].tolist() == [2.0, 3.0]
        else:
            assert found.columns.tolist() == ["name", *(f"{one}_mean" for one in stamps)]
            assert found.iloc[1].tolist() == ["a", 2.0, 3.0]


def test_a_run_reads_other_columns_as_more_series(tmp_path):
    data = load_series(csv(tmp_path, COLUMNS), ["time=when"], cuts=Cuts(0, 0.0, 0.0), layout="columns")
    more = csv(tmp_path, COLUMNS.assign(c=1.0, note="x"), "more.csv")
    assert [name for name, _ in read_like(more, data.schema.series).bounds()] == ["b", "a", "c"]
    chosen = load_series(more, ["time=when", "a", "b"], cuts=Cuts(0, 0.0, 0.0), layout="columns").schema.series
    assert [name for name, _ in read_like(more, chosen).bounds()] == ["a", "b"]


def test_time_zones_and_repeated_and_unordered_stamps_are_said(tmp_path):
    aware = COLUMNS.drop(columns="when").set_index(pd.date_range("2024-03-31", periods=4, freq="h", tz="Europe/Vienna"))
    found = read_series(aware, layout="columns")
    assert (np.diff(found.times[:4]) == 3600).all()  # an hour that the clocks leave out
    assert any("brought to UTC" in note for note in found.notes)
    odd = COLUMNS.assign(when=["2024-01-01 03:00", "2024-01-01 01:00", "2024-01-01 01:00", ""])
    found = read_series(csv(tmp_path, odd), ["time=when"], layout="columns")
    np.testing.assert_array_equal(found.values[:, 0], [3.0, 1.0, 6.0, 5.5])
    said = " ".join(found.notes)
    assert "2 cells without a time" in said
    assert "2 cells repeat the time" in said
    assert "not in the order of time" in said


@pytest.mark.parametrize(
    ("frame", "columns", "layout", "said"),
    [
        (COLUMNS, ["id=when"], "columns", "may name time=, but not id="),
        (ROWS, ["time=name"], "rows", "may name id=, but not time="),
        (COLUMNS, ["time=when"], "tall", "layout of series"),
        (COLUMNS.drop(columns="when"), [], "rows", "named by times"),
        (COLUMNS.assign(b="x", a="y"), ["time=when"], "columns", "no column of numbers"),
        (COLUMNS.assign(a=[1, 2, 3, np.inf]), ["time=when"], "columns", "infinite"),
        (COLUMNS.assign(when=""), ["time=when"], "columns", "has a time"),
    ],
)
def test_what_is_no_wide_table_is_refused_in_a_sentence(tmp_path, frame, columns, layout, said):
    with pytest.raises(InputError, match=said) as refusal:
        read_series(csv(tmp_path, frame), columns, layout=layout)
    assert "\n" not in str(refusal.value)
