"""Intervals of gaps that are stretched until they hold what they say."""

import dataclasses
from pathlib import Path

import jax.random as jr
import numpy as np
import pandas as pd
import pytest

from nelbo.data import Cuts, Schema, load_series
from nelbo.models import build
from nelbo.runs import Experiment, Run, calibrated, fill_rows, interval_scale, series_rows
from nelbo.runs.calibrated import _moved, stretched
from nelbo.runs.folder import FittedData


def test_the_scale_is_the_quantile_of_errors_in_half_widths():
    """Of 99 errors of 1 to 99 hundredths of the half-width, the interval of level 0.9 holds 90 in 100 to come."""
    truth = np.arange(1, 100) / 100
    truth[::2] *= -2.0  # the half-width below the mean is twice that above
    scale = interval_scale(np.zeros(99), np.full(99, -2.0), np.ones(99), truth, 0.9)
    assert scale == pytest.approx(np.quantile(np.arange(1, 100) / 100, 0.9 * 100 / 99))


def test_gaps_are_moved_onto_known_values_of_a_region():
    gaps = np.zeros((60, 2), bool)
    gaps[10:14, 0] = True
    free = ~gaps & (np.arange(60) >= 30)[:, None]
    hidden = _moved(np.random.default_rng(0), gaps, free, 8.0)
    assert 8 <= hidden.sum() < 12
    assert not hidden[:, 1].any()
    assert not hidden[~free].any()


@pytest.mark.slow
def test_intervals_of_values_that_vary_three_times_as_much_are_stretched(tmp_path):
    """White noise of three standard deviations of the model; 90 % lie inside, within four errors of 300 values."""
    path = tmp_path / "s.csv"
    model = build(jr.key(1), "state-space", {"shape": [8, 2], "latents": 1})
    random = np.random.default_rng(0)
    table = pd.DataFrame({"t": np.arange(800), "x": 3 * random.normal(size=800), "y": 3 * random.normal(size=800)})
    table.to_csv(path, index=False)
    data = load_series(path, ["time=t"], cuts=Cuts(0, 0.25, 0.25), split_by="time", window=8)
    about = Experiment({"name": "state-space", "arguments": {}}, {"name": str(path)}, {"name": "maximum-likelihood", "arguments": {}}, {})  # fmt: skip  # noqa: E501
    run = Run(Path("nowhere"), about, model, FittedData(Schema.from_record(data.schema.record())))
    rows = series_rows(run)
    hidden = (random.random((800, 2)) < 0.4) & (np.arange(800) >= 420)[:, None]
    shown = rows.hiding(hidden)
    filled = fill_rows(jr.key(0), run, shown)
    found, factor = calibrated(jr.key(1), run, shown, filled)
    assert factor is not None
    inside, before = (((one.low <= rows.values) & (rows.values <= one.high))[hidden] for one in (found, filled))
    assert before.mean() < 0.75
    assert abs(inside.mean() - 0.9) < 4 * np.sqrt(0.09 * (1 / hidden.sum() + 1 / 300))
    np.testing.assert_array_equal(found.mean, filled.mean)
    np.testing.assert_allclose(found.std, factor * filled.std)
    again = stretched(found, 1 / factor)
    np.testing.assert_allclose(again.draws, filled.draws, atol=1e-3)
    whole = dataclasses.replace(rows, values=np.zeros_like(rows.values))
    assert calibrated(jr.key(2), run, whole, filled) == (filled, None)  # nothing is missing
