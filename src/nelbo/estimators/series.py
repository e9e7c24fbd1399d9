"""Models of time series in pandas data frames and xarray objects: imputation and forecasts in the same form."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from nelbo.data import (
    Cuts,
    Data,
    LongSeries,
    filled_xarray,
    future_xarray,
    is_xarray,
    load_series,
    read_like,
    series_data,
)
from nelbo.estimators.base import RunEstimator
from nelbo.runs import (
    FilledSeries,
    Forecast,
    calibrated,
    fill_rows,
    forecast_columns,
    forecast_series,
    series_of,
)
from nelbo.tasks import SERIES_DRAWS

_PARTS = ("mean", "std", "low", "high")


@dataclasses.dataclass(eq=False, repr=False)
class SeriesModel(TransformerMixin, RunEstimator):
    """Fills in gaps in time series and forecasts them; see `nelbo.models.state_space` and `nelbo.models.gp_vae`.

    Takes pandas data frames, long and wide, with times in a column or the index, and data arrays and data sets of
    xarray with a dimension of time; results have the form of what was given. `RunEstimator` describes the other
    parameters.

    Args:
        model: "state-space" or "gp-vae".
        columns: what each column holds, written as for `--columns`: ("id=station", "time=when", "temp"). Times are
            read from an index of dates if there is one; if no channel is named, all columns of numbers are channels.
        layout: of a data frame: "long", "columns" (a column for each series) or "rows" (a row for each); None: see
            `nelbo.data.read_series`.
        window: frames in a window; None: the length of the longest series if that is at most 100, else 64.
        options: of the model, such as {"latents": 6}.
        split_by: how data are held out: by "series", by "time", or "auto".
        draws: number of posterior draws behind each answer.
    """

    model: str = "state-space"
    _: dataclasses.KW_ONLY
    columns: Sequence[str] = ()
    layout: str | None = None
    window: int | None = None
    options: Mapping[str, Any] | None = None
    split_by: str = "auto"
    draws: int = SERIES_DRAWS

    def _model_name(self) -> str:
        return self.model

    def _model_arguments(self) -> dict[str, Any]:
        return dict(self.options or {})

    def _checked(self, x: Any, *, reset: bool) -> Any:
        return x if reset else self._rows(x)

    def _cuts(self, x: Any, seed: int, test: float) -> Cuts:
        del x  # even one series is split, by its time
        return Cuts(seed, float(self.valid_fraction), test)

    def _read(self, x: Any, *, cuts: Cuts | None = None) -> Data:
        if cuts is not None:
            return load_series(x, self.columns, cuts=cuts, window=self.window, split_by=self.split_by,
                               layout=self.layout)  # fmt: skip
        schema = self.run_.fitted_data.schema
        assert schema is not None  # of series
        whole = dataclasses.replace(schema, series=dataclasses.replace(series_of(self.run_), until=(), held=((), ())))
        found = series_data(x, whole)
        return dataclasses.replace(found, splits={"rows": found.train})

    def transform(self, X: Any) -> Any:
        """The series with their gaps filled in, in the form in which they were given.

        Args:
            X: series like those of `fit`.
        """
        rows, found = self._filled(X)
        values = np.where(np.isnan(rows.values), found.mean, rows.values)
        if is_xarray(X):
            return filled_xarray(X, rows, values)
        assert rows.table is not None  # of a data frame
        return rows.table.filled_frame(rows.columns(), rows.in_file(values), rows.unknown)

    def intervals(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """The ends of 90 % intervals, each in the shape of the numbers of X; NaN for values that are known.

        Their width is calibrated on known values of X that are hidden in similar gaps, see `nelbo.runs.calibrated`.

        Args:
            X: series like those of `fit`.
        """
        rows, found = self._filled(X)
        found, _ = calibrated(self._key(6), self.run_, rows, found, draws=self.draws)
        low, high = (np.where(rows.unknown, rows.in_file(end), np.nan) for end in (found.low, found.high))
        return low, high

    def forecast(self, X: Any, horizon: int) -> Any:
        """Forecast what follows the last row of each series: NAME_mean, NAME_std, NAME_low, NAME_high for each channel.

        For a data frame, a data frame in the same layout, with an index of dates if it has one; else a data set of
        xarray.

        Args:
            X: series like those of `fit`.
            horizon: number of steps.
        """
        check_is_fitted(self)
        rows = self._rows(X)
        found = forecast_series(self._key(5), self.run_, rows, horizon, draws=self.draws)
        if is_xarray(X):
            parts = {part: vars(found.found)[part] for part in _PARTS}
            return future_xarray(X, rows, found.times[0], parts)
        return self._future_frame(X, rows, found)

    def _future_frame(self, x: Any, rows: LongSeries, found: Forecast) -> Any:
        import pandas as pd

        frame = pd.DataFrame(forecast_columns(found, series_of(self.run_), _PARTS))
        _, time = rows.parts
        if rows.dated and time in frame:
            frame[time] = pd.to_datetime(frame[time])
        called = {name if name is not None else time: name for name in x.index.names}
        indexed = [name for name in called if name in frame and name not in x.columns]
        return frame.set_index(indexed).rename_axis([called[name] for name in indexed]) if indexed else frame

    def _rows(self, x: Any) -> LongSeries:
        return read_like(x, series_of(self.run_))

    def _filled(self, x: Any) -> tuple[LongSeries, FilledSeries]:
        check_is_fitted(self)
        rows = self._rows(x)
        return rows, fill_rows(self._key(3), self.run_, rows, draws=self.draws)
