"""Series on the command line: fit, fill in, forecast, in the form of the user's file."""

import json

import numpy as np
import pandas as pd
import pytest

from nelbo.cli import main

COLUMNS = ("--columns", "id=station,time=when")


@pytest.fixture(scope="module")
def stations(tmp_path_factory):
    """Two stations that follow one slow wave, with blanks, a gap and rows out of order."""
    folder = tmp_path_factory.mktemp("series")
    random = np.random.default_rng(0)
    hours = np.arange(120)
    frames = []
    for station, phase in (("a", 0.0), ("b", 1.0)):
        wave = np.sin(2 * np.pi * hours / 24 + phase)
        frame = pd.DataFrame({"station": station, "when": pd.to_datetime(hours * 3600, unit="s"), "note": "x",
                              "temp": 15 + 5 * wave + 0.3 * random.normal(size=120),
                              "wind": 8 - 3 * wave + 0.3 * random.normal(size=120)})  # fmt: skip
        frames.append(frame.round({"temp": 2, "wind": 2}))
    table = pd.concat(frames, ignore_index=True)
    table.loc[10:14, "temp"] = np.nan
    table.loc[50, "wind"] = np.nan
    table = table.drop(index=range(60, 64)).iloc[::-1].reset_index(drop=True)
    table.to_csv(folder / "stations.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def run(stations):
    words = ("fit", "gp-vae", "--data", stations / "stations.csv", *COLUMNS, "--window", "12", "--latents", "2",
             "--hidden", "8", "--convolutions", "8", "--epochs", "100", "--out", stations / "run", "--train-only",
             "--quiet")  # fmt: skip
    assert main([str(word) for word in words]) == 0
    return stations / "run"


def test_a_fit_says_how_the_series_were_taken(run):
    config = json.loads((run / "config.json").read_text())
    assert config["schema"]["series"]["step"] == 3600.0
    assert config["schema"]["series"]["regular"]
    assert [one["name"] for one in config["schema"]["series"]["channels"]] == ["temp", "wind"]
    assert config["steps"] >= 100


def test_blanks_are_filled_in_and_every_other_cell_comes_back(run, stations, nelbo):
    out = stations / "filled.csv"
    done = nelbo("impute", run, stations / "stations.csv", "-o", out, "--intervals", "--draws", "40")
    assert done.code == 0, done.err
    before = (stations / "stations.csv").read_text().splitlines()
    after = out.read_text().splitlines()
    assert len(after) == len(before)
    assert after[0] == before[0] + ",temp_low,temp_high,wind_low,wind_high"
    found, given = pd.read_csv(out), pd.read_csv(stations / "stations.csv")
    for name in ("temp", "wind"):
        gap = given[name].isna()
        assert (found[name][~gap] == given[name][~gap]).all()
        assert found[f"{name}_low"].isna().tolist() == (~gap).tolist()
        assert (found[f"{name}_low"][gap] <= found[name][gap]).all()
        assert (found[name][gap] <= found[f"{name}_high"][gap]).all()
    whole = [line for line in before[1:] if ",," not in line and not line.endswith(",")]
    assert all(line + ",,,," in after for line in whole)


def test_hidden_values_are_scored_beside_simple_fillings(run, stations, nelbo):
    done = nelbo("impute", run, stations / "stations.csv", "-o", stations / "h.npz", "--hide", "0.1", "--draws", "40",
                 "--json")  # fmt: skip
    rows = json.loads(done.out)["hidden"]
    assert [row["filling"] for row in rows] == ["model", "linear interpolation", "last value", "mean"]
    assert rows[0]["rmse"] < rows[3]["rmse"], rows
    assert 0.0 <= rows[0]["coverage"] <= 1.0
    with np.load(stations / "h.npz") as arrays:
        assert arrays["draws"].shape == (40, 236, 2)
        assert np.isfinite(arrays["values"]).all()
    assert 0.1 < json.loads(done.out)["interval_scale"] < 10.0


@pytest.mark.slow
def test_a_table_comes_back_with_the_codes_of_its_rows(run, stations, nelbo):
    done = nelbo("embed", run, stations / "stations.csv", "-o", stations / "codes.csv")
    assert done.code == 0, done.err
    given, found = pd.read_csv(stations / "stations.csv"), pd.read_csv(stations / "codes.csv")
    assert found.columns.tolist() == [*given.columns, "z1", "z2"]
    pd.testing.assert_frame_equal(found[given.columns], given)
    assert found["z1"].notna().all()
    order = found.sort_values(["station", "when"])["z1"].to_numpy()
    assert np.abs(np.diff(order)).mean() < 0.5 * order.std()  # it follows the wave, row by row
    assert nelbo("embed", run, "-o", stations / "no.csv", "--split", "test").is_refusal("--split says nothing here")


def test_a_forecast_goes_on_from_the_last_row_of_each_series(run, stations, nelbo):
    out = stations / "future.csv"
    done = nelbo("forecast", run, stations / "stations.csv", "--horizon", "5", "-o", out, "--draws", "50")
    assert done.code == 0, done.err
    found = pd.read_csv(out)
    assert found["station"].tolist() == ["b"] * 5 + ["a"] * 5  # as they stand in the file
    assert found["when"][:2].tolist() == ["1970-01-06 00:00:00", "1970-01-06 01:00:00"]
    assert (found["temp_low"] < found["temp_mean"]).all()
    assert (found["temp_mean"] < found["temp_high"]).all()
    assert (stations / "future.png").read_bytes().startswith(b"\x89PNG")
    again = nelbo("forecast", run, stations / "stations.csv", "--horizon", "5", "-o", stations / "again.csv", "--draws",
                  "50", "--chart", "none")  # fmt: skip
    assert again.code == 0
    assert (stations / "again.csv").read_bytes() == out.read_bytes()


@pytest.mark.slow
def test_held_out_futures_are_scored(run, nelbo):
    done = nelbo("evaluate", run, "--horizon", "4", "--samples", "40", "--json")
    assert done.code == 0, done.err
    rows = json.loads(done.out)["futures"]
    assert [row["forecast"] for row in rows] == ["model", "last value"]
    assert rows[0]["values"] == rows[1]["values"] > 0
    assert np.isfinite(rows[0]["log_score"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("forecast", "RUN", "--horizon", "0"), "The horizon is a number of steps"),
        (("forecast", "RUN", "--horizon", "100000000"), "The horizon is a number of steps"),
        (("forecast", "RUN", "--horizon", "3", "--history", "0"), "at least one frame"),
        (("forecast", "RUN", "--horizon", "3", "-o", "x.docx"), "choose the name of a file that ends in"),
        (("forecast", "RUN", "--horizon", "3", "--draws", "0"), "draws must be at least 1"),
        (("forecast", "RUN", "nowhere.csv", "--horizon", "3"), "There is no file"),
        (("impute", "RUN", "--method", "hmc"), "is about single rows"),
        (("impute", "RUN", "--hide", "much"), "--hide takes a share"),
        (("evaluate", "RUN", "--horizon", "4000"), "No held-out series goes on for"),
        (("compress", "RUN"), "series"),
        (("score", "RUN", "--by", "kl"), "leave it out"),
        (("score", "RUN", "-o", "x.docx"), "choose the name of a file that ends in"),
        (("sample", "RUN", "-n", "2", "-o", "x.csv"), "ends in"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(run, nelbo, words, said):
    done = nelbo(*(run if word == "RUN" else word for word in words), "--quiet")
    assert done.is_refusal(said), (done.code, done.err, done.out)


def test_rows_and_series_are_told_apart(stations, nelbo):
    refused = nelbo("fit", "vae", "--data", stations / "stations.csv", "--window", "5", "--out", stations / "no")
    assert refused.is_refusal("window goes with models of series and events alone")
    refused = nelbo("fit", "gp-vae", "--data", "digits", "--out", stations / "no")
    assert refused.is_refusal("There is no file digits")
