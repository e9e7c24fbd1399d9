"""Series in files: what is read, how times become frames, and that no split sees another."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from nelbo.core import InputError
from nelbo.data import Cuts, Schema, cut_windows, load_series, read_series

LONG = ["id=station", "time=when"]


def table(tmp_path, rows, name="series.csv"):
    """A table of station, when, temp, wind; a dot is blank."""
    lines = [",".join("" if cell == "." else cell for cell in row.split()) for row in rows]
    path = tmp_path / name
    path.write_text("\n".join(["station,when,temp,wind", *lines]) + "\n")
    return path


def hourly(count, station="a", first=0):
    return [f"{station} {hour + first} {hour}.5 {10 + hour}" for hour in range(count)]


def test_long_form_is_sorted_repeated_times_are_averaged_and_blanks_stay(tmp_path):
    path = table(tmp_path, ["b 2 5 1", "a 1 3 .", "b 1 . 2", "b 2 7 .", "a 0 1 4", "b . 9 9"])
    found = read_series(path, LONG)
    assert [name for name, _ in found.bounds()] == ["b", "a"]
    np.testing.assert_array_equal(found.times, [1, 2, 0, 1])
    np.testing.assert_array_equal(found.values, [[np.nan, 2], [6, 1], [1, 4], [3, np.nan]])
    np.testing.assert_array_equal(found.places, [1, 3, 0, 1, 2, -1])
    assert found.blank[3].tolist() == [False, True]
    said = " ".join(found.notes)
    assert "sorted" in said
    assert "1 rows repeat the time" in said
    assert "1 rows without a time" in said


@pytest.mark.parametrize(
    ("stamps", "seconds", "zone"),
    [
        (["1970-01-01T00:00", "1970-01-01T00:01"], [0, 60], ""),
        (["1970-01-01T00:00+00:00", "1970-01-01T01:01+01:00"], [0, 60], "+00:00++01:00"),
        (["1970-01-01T00:00Z", "1970-01-01T00:01Z"], [0, 60], "UTC"),
        (["1970-01-01", "1970-01-02"], [0, 86400], ""),
    ],
)
def test_dates_become_seconds(tmp_path, stamps, seconds, zone):
    found = read_series(table(tmp_path, [f"a {stamp} 1 2" for stamp in stamps]), LONG)
    np.testing.assert_array_equal(found.times, seconds)
    assert (found.dated, found.zone) == (True, zone)


def test_parquet_with_real_dates_is_the_same(tmp_path):
    frame = pd.DataFrame({"when": pd.to_datetime(["2024-01-01", "2024-01-02"]), "x": [1.0, np.nan]})
    frame.to_parquet(tmp_path / "s.parquet")
    found = read_series(tmp_path / "s.parquet", ["time=when"])
    assert found.times.tolist() == [1704067200.0, 1704153600.0]
    assert np.isnan(found.values[1, 0])


def test_arrays_are_series(tmp_path):
    np.savez(tmp_path / "s.npz", values=np.arange(12.0).reshape(2, 3, 2), when=np.array([0, 10, 20]))
    found = read_series(tmp_path / "s.npz", ["time=when"])
    assert found.values.shape == (6, 2)
    assert found.times.tolist() == [0, 10, 20] * 2
    np.savez(tmp_path / "one.npz", values=np.arange(3.0), times=np.array(["2024-01-01", "2024-01-02", "NaT"], "M8[D]"))
    assert read_series(tmp_path / "one.npz").times.tolist() == [1704067200.0, 1704153600.0]


def data_of(path, columns=LONG, **options):
    cuts = Cuts(0, options.pop("valid", None), options.pop("test", None))
    return load_series(path, columns, cuts=cuts, **options)


def test_gaps_become_missing_frames_of_a_regular_clock(tmp_path):
    rows = hourly(30)
    del rows[4:7]
    data = data_of(table(tmp_path, rows), window=6, valid=0.2, test=0.2)
    assert data.schema.series.regular
    assert data.schema.series.step == 1.0
    assert data.train.context is None
    first = data.train.observed[0, :, 0]
    assert first.tolist() == [True] * 4 + [False] * 2
    # a window is moved back to the end of its part, so every training row is in one
    assert data.train.x[..., 0].max() == pytest.approx(18.5)  # three fifths of 27 rows


def test_irregular_times_are_the_context(tmp_path):
    times = np.cumsum(np.random.default_rng(0).exponential(size=40))
    data = data_of(table(tmp_path, [f"a {t:.6f} 1 {i}" for i, t in enumerate(times)]), window=8)
    assert not data.schema.series.regular
    assert data.train.context.shape == (len(data.train), 8)
    assert (data.train.context[:, 0] == 0).all()
    np.testing.assert_allclose(
        data.train.context[0] * data.schema.series.step, np.round(times[:8], 6) - np.round(times[0], 6), rtol=1e-5
    )


def test_a_short_series_is_padded_with_what_is_not_observed(tmp_path):
    data = data_of(table(tmp_path, hourly(8) + hourly(3, "b")), window=8, split_by="time", valid=0.0, test=0.0)
    assert data.train.observed.sum() == 2 * (8 + 3)
    assert data.train.observed[-1, 3:].sum() == 0


def rows_seen(path, data):
    """The values of `wind`, which are distinct, that each split holds."""
    del path
    return {name: set(split.x[..., 1][split.observed[..., 1]].tolist()) for name, split in data.splits.items()}


@pytest.mark.parametrize("split_by", ["time", "series"])
def test_splits_share_nothing(tmp_path, split_by):
    rows = [f"s{station} {hour} 0 {100 * station + hour}" for station in range(6) for hour in range(40)]
    path = table(tmp_path, rows)
    data = data_of(path, window=7, split_by=split_by, valid=0.2, test=0.2)
    seen = rows_seen(path, data)
    assert set(seen) == {"train", "valid", "test"}
    assert not seen["train"] & seen["valid"]
    assert not seen["train"] & seen["test"]
    assert not seen["valid"] & seen["test"]
    assert sum(map(len, seen.values())) == len(rows)
    if split_by == "time":
        hours = {name: {value % 100 for value in values} for name, values in seen.items()}
        assert max(hours["train"]) < min(hours["valid"]) <= max(hours["valid"]) < min(hours["test"])
    # a run that is read again has the same cuts, and a series that grew stays where it was
    like = Schema.from_record(json.loads(json.dumps(data.schema.record())))
    assert like == data.schema
    grown = table(tmp_path, [*rows, "s0 40 0 40", "s7 0 0 700"])
    again = rows_seen(grown, load_series(grown, (), cuts=Cuts(), like=like))
    assert again["valid"] >= seen["valid"]
    if split_by == "time":
        assert again["test"] == seen["test"] | {40.0}


def test_windows_cover_every_row(tmp_path):
    found = read_series(table(tmp_path, hourly(23) + hourly(4, "b")), LONG)
    series = data_of(table(tmp_path, hourly(23) + hourly(4, "b")), window=5, split_by="time").schema.series
    windows = cut_windows(found, series, stride=2, every=True)
    assert set(windows.rows.ravel().tolist()) == {-1, *range(27)}
    assert (np.diff(windows.times, axis=1) == 1.0).all()


@pytest.mark.parametrize(
    ("rows", "columns", "options", "said"),
    [
        (["a 0 . .", "a 1 . ."], LONG, {}, "nothing is observed|no column of numbers"),
        (["a . 1 2"], LONG, {}, "no row has a time"),
        (["a x 1 2"], LONG, {}, "'x' in 'when' is no time"),
        (["a inf 1 2", "a 1 2 3"], LONG, {}, "infinite"),
        (["a 2024-01-01T00:00Z 1 2", "a 2024-01-01T00:00 1 2"], LONG, {}, "some stamps"),
        (hourly(5), LONG, {"window": 9}, "longer than the longest series"),
        (hourly(5), LONG, {"window": 0}, "at least one frame"),
        (hourly(5), ["id=station", "clock=when"], {}, "part of a series"),
        (hourly(5), ["id=station", "time=then"], {}, "column"),
        (hourly(5), ["time=when", "station"], {}, "'station' is not numeric"),
        (hourly(5), LONG, {"split_by": "series"}, "too few to hold"),
        (hourly(5), LONG, {"valid": 0.6, "test": 0.6}, "leave nothing to train on"),
        (["a 0 1 2", "a 1e300 1 2", "a 1 2 3", "a 2 3 3", "a 3 3 3"], LONG, {}, "steps long|nothing to train"),
    ],
)
def test_what_is_no_series_is_refused_in_a_sentence(tmp_path, rows, columns, options, said):
    with pytest.raises(InputError, match=said) as refusal:
        data_of(table(tmp_path, rows), columns, **options)
    assert "\n" not in str(refusal.value)


def test_a_series_without_a_value_is_named(tmp_path):
    found = read_series(table(tmp_path, ["a 0 1 2", "b 0 . .", "b 1 . .", "a 1 . 3"]), LONG)
    assert any("1 series without a value (b)" in note for note in found.notes)
    assert not any("without a value" in note for note in read_series(table(tmp_path, hourly(3)), LONG).notes)


def test_one_time_stamp_and_equal_stamps_make_one_frame(tmp_path):
    data = data_of(table(tmp_path, ["a 5 1 2", "a 5 3 4"]), valid=0.0, test=0.0)
    assert data.train.x.tolist() == [[[2.0, 3.0]]]


def test_other_series_must_have_times_of_the_same_kind(tmp_path):
    data = data_of(table(tmp_path, hourly(30)), window=4)
    dated = table(tmp_path, ["a 2024-01-01 1 2"], "dated.csv")
    with pytest.raises(InputError, match="times that are dates, but"):
        load_series(dated, (), cuts=Cuts(), like=data.schema)
    other = dataclasses.replace(data.schema, series=dataclasses.replace(data.schema.series, id="place"))
    with pytest.raises(InputError, match="place"):
        load_series(table(tmp_path, hourly(5)), (), cuts=Cuts(), like=other)
