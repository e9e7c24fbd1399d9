"""`nelbo forecast`."""

import argparse
import io
from pathlib import Path

import jax.random as jr
import numpy as np

from nelbo.cli.commands import Command
from nelbo.cli.events import forecast_events
from nelbo.cli.films import forecast_films
from nelbo.cli.output import note, print_json
from nelbo.cli.parser import Parser, run_folder
from nelbo.cli.series import counter, target, written_table
from nelbo.core import InputError, atomic_write
from nelbo.report import fan_chart, save_png
from nelbo.runs import Forecast, checked_horizon, forecast_columns, forecast_series, open_run, series_of, series_rows
from nelbo.tasks import SERIES_DRAWS

_PARTS = ("mean", "std", "low", "high")
_SHOWN = 4  # channels of a fan chart


def _arguments(parser: Parser) -> None:
    run_folder(parser)
    parser.add_argument(
        "data", nargs="?", metavar="DATA", help="series like those of the run (default: the run's own data)"
    )
    parser.add_argument("--horizon", type=int, metavar="N", help="for series: number of steps to forecast")
    parser.add_argument("--history", type=int, metavar="N", help="frames at the end of each series that the forecast is conditioned on (default: the model's window)")  # fmt: skip  # noqa: E501
    parser.add_argument("--draws", type=int, default=SERIES_DRAWS, metavar="N", help=f"number of sampled futures (default {SERIES_DRAWS})")  # fmt: skip  # noqa: E501
    parser.add_argument("--interval", type=float, default=0.9, metavar="P", help="probability of the intervals (default 0.9)")  # fmt: skip  # noqa: E501
    parser.add_argument("--chart", metavar="FILE", help="a .png fan chart of the first series (default: beside the output; none: no chart)")  # fmt: skip  # noqa: E501
    parser.add_argument("-o", "--output", metavar="FILE", help="a table in long form, or .npz with all draws; for films a .gif (with a .png of all frames beside it) or .npz (default RUN/forecast)")  # fmt: skip  # noqa: E501


def forecast(options: argparse.Namespace) -> None:
    """Forecast the frames after the last one of each series and write them down."""
    run = open_run(options.run)
    if run.fitted_data.schema is not None and run.fitted_data.schema.events is not None:
        forecast_events(options, run)
        return
    if run.is_film:
        forecast_films(options, run)
        return
    series = series_of(run)
    checked_horizon(options.horizon, "steps")
    rows = series_rows(run, options.data)
    for text in rows.notes:
        note(options, text)
    path = target(options, run, rows, "forecast")
    chart = None if options.chart == "none" else Path(options.chart or path.with_suffix(".png"))
    if chart is not None and chart.suffix != ".png":
        raise InputError(f"Cannot write {chart}: a fan chart is a .png file.")
    found = forecast_series(
        jr.key(options.seed), run, rows, options.horizon, history=options.history, draws=options.draws,
        level=options.interval, progress=counter(options, "series"),
    )  # fmt: skip
    columns = forecast_columns(found, series, _PARTS)
    with atomic_write(path) as file:
        file.write(_npz(found, series.names) if path.suffix == ".npz" else written_table(path, columns, rows))
    if chart is not None:
        save_png(_chart(found, series.names, series.described_step(), options.interval), chart)
    if options.json:
        print_json({"file": str(path), "chart": None if chart is None else str(chart), "series": len(found.ids),
                    "horizon": options.horizon, "draws": options.draws, "columns": columns})  # fmt: skip
        return
    until = series.stamp(float(found.times[0, -1]))
    note(options, f"Wrote {path}: {options.horizon} steps of {series.described_step()} of {len(found.ids)} series, "
                  f"until {until} of the first")  # fmt: skip
    if chart is not None:
        note(options, f"  {chart}")


def _npz(found: Forecast, names: tuple[str, ...]) -> bytes:
    stream = io.BytesIO()
    parts = {name: vars(found.found)[name].astype(np.float32) for name in (*_PARTS, "draws")}
    named = {"ids": np.array(found.ids, dtype=str), "names": np.array(names, dtype=str), "times": found.times}
    np.savez_compressed(stream, allow_pickle=False, **named, **parts)
    return stream.getvalue()


def _chart(found: Forecast, names: tuple[str, ...], step: str, level: float):
    """The first series."""
    shown = names[:_SHOWN]
    past = np.where(found.past.observed[0], found.past.x[0], np.nan)[:, : len(shown)]
    return fan_chart(past, found.found.draws[0, :, :, : len(shown)], shown, step=step, level=level)


COMMAND = Command(
    (
        "nelbo forecast runs/wind new.csv --horizon 48 -o future.csv",
        "nelbo forecast runs/wind new.csv --horizon 48 --history 144 --chart fan.png -o future.csv",
        "nelbo forecast runs/wind new.csv --horizon 48 --draws 500 --interval 0.8 -o future.npz",
    ),
    _arguments,
    forecast,
)
