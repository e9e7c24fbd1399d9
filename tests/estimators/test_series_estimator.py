"""Series in data frames: fitted, filled in and predicted, in the form they were given in."""

import jax
import numpy as np
import pandas as pd
import pytest

from nelbo.core import InputError
from nelbo.estimators import SeriesModel, load

WIDE = pd.DataFrame(
    np.sin(np.arange(60)[:, None] / 4 + np.arange(3)) + 0.1 * np.random.default_rng(0).normal(size=(60, 3)),
    pd.date_range("2024-01-01", periods=60, freq="h"),
    list("abc"),
)
WIDE.iloc[5:8, 0] = np.nan


@pytest.mark.slow  # the forms are in tests/data/test_wide_series.py, fills and forecasts in tests/cli
def test_a_wide_frame_comes_back_wide(tmp_path):
    with jax.numpy_dtype_promotion("standard"):
        model = SeriesModel(layout="columns", window=12, options={"latents": 1}, epochs=100, draws=40, random_state=0)
        found = model.fit(WIDE).transform(WIDE)
        known = WIDE.notna().to_numpy()
        assert (found.to_numpy()[known] == WIDE.to_numpy()[known]).all()
        truth = np.sin(np.arange(5, 8) / 4)
        assert np.abs(found.iloc[5:8, 0] - truth).max() < 0.6
        low, high = model.intervals(WIDE)
        assert (~np.isnan(low) == ~known).all()
        assert (low[~known] < high[~known]).all()
        future = model.forecast(WIDE, 2)
        assert future.index[0] == pd.Timestamp("2024-01-03 12:00")
        assert future.columns[:2].tolist() == ["a_mean", "a_std"]
        assert (future["a_low"] < future["a_high"]).all()
        model.save(tmp_path / "run")
        pd.testing.assert_frame_equal(load(tmp_path / "run").forecast(WIDE, 2), future)
        # levels of an index come back in their order
        long = WIDE.stack(future_stack=True).rename("v").to_frame().rename_axis(["when", "station"])
        again = SeriesModel(window=12, options={"latents": 1}, epochs=1, draws=9, random_state=0).fit(long)
        assert again.forecast(long, 2).index.names == ["when", "station"]
        assert not again.transform(long)["v"].isna().any()


def test_what_holds_no_series_is_refused():
    with pytest.raises(InputError, match="pandas data frame or xarray"):
        SeriesModel().fit([[1.0]])
    with pytest.raises(InputError, match="no column of numbers"):
        SeriesModel().fit(WIDE[[]].assign(a="x"))
