"""Forecasts of four series by `state-space`, beside AR(1), ETS and the season before; and how long 1000 of them take.

    pip install --target /tmp/rivals --no-deps statsmodels patsy
    PYTHONPATH=/tmp/rivals python benchmarks/forecasts.py windmast.npz

Monthly carbon dioxide over Mauna Loa, monthly sea temperatures of El Nino, yearly sunspots (all three come with
statsmodels) and, of a wind mast (`values`, `unix_time`, `names`), 1500 hours of temperature. Everything is fitted to
the first 70 % of a series once; forecasts go on from twenty origins in the rest, knowing all before them.
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.random as jr
import numpy as np

from nelbo.data import read_series
from nelbo.report import text_table
from nelbo.runs import Experiment, execute, forecast_series, open_run, series_rows
from nelbo.tasks import crps

DRAWS, TRAINED, ORIGINS, HORIZON, WINDOW = 200, 0.7, 20, 12, 48
Forecaster = Callable[[np.ndarray], np.ndarray]  # from what is known to draws x horizon


def series(mast: Path | None) -> dict[str, tuple[np.ndarray, int]]:
    """Values and season of each series."""
    from statsmodels.datasets import co2, elnino, sunspots

    found = {}
    monthly = co2.load().data["co2"].resample("MS").mean().interpolate()
    found["carbon dioxide, monthly"] = (monthly.to_numpy(), 12)
    found["El Nino, monthly"] = (elnino.load().data.iloc[:, 1:].to_numpy().ravel(), 12)
    found["sunspots, yearly"] = (sunspots.load().data["SUNACTIVITY"].to_numpy(), 11)
    if mast is not None:
        arrays = np.load(mast)
        column = arrays["values"][20_000:29_000, arrays["names"].tolist().index("T2m")]
        found["air temperature, hourly"] = (column.reshape(-1, 6).mean(1).astype(float), 24)
    return found


def ours(values: np.ndarray, trained: int, season: int, horizon: int, epochs: float) -> Forecaster:
    """A state-space model with a smooth latent and three that swing with the season."""
    folder = Path(tempfile.mkdtemp())
    np.savez(folder / "s.npz", values=values[:trained])
    model = {"latents": 4, "kernels": ["matern32", "matern32*cosine", "matern12"], "period": float(season)}
    asked = Experiment({"name": "state-space", "arguments": model},
                       {"name": str(folder / "s.npz"), "window": WINDOW, "split_by": "time", "test_fraction": 0.0},
                       {"name": "maximum-likelihood", "arguments": {}},
                       {"epochs": epochs, "batch_size": 4, "score": False})  # fmt: skip
    execute(asked, folder / "run", figures=False)
    run = open_run(folder / "run")

    def forecast(known: np.ndarray) -> np.ndarray:
        np.savez(folder / "known.npz", values=known)
        rows = series_rows(run, str(folder / "known.npz"))
        return forecast_series(jr.key(len(known)), run, rows, horizon, draws=DRAWS).found.draws[0, :, :, 0]

    return forecast


def exponential_smoothing(values: np.ndarray, trained: int, season: int, horizon: int) -> Forecaster:
    """ETS with an additive trend that is damped and an additive season."""
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    options = {"error": "add", "trend": "add", "damped_trend": True, "seasonal": "add", "seasonal_periods": season}
    fitted = ETSModel(values[:trained], **options).fit(disp=False)

    def forecast(known: np.ndarray) -> np.ndarray:
        found = ETSModel(known, **options).smooth(fitted.params)
        drawn = found.simulate(horizon, anchor="end", repetitions=DRAWS, rng=len(known))
        return np.asarray(drawn).reshape(horizon, DRAWS).T

    return forecast


def autoregression(values: np.ndarray, trained: int, season: int, horizon: int) -> Forecaster:
    """AR(1) with a mean, by least squares."""
    del season
    before, after = values[: trained - 1], values[1:trained]
    slope, level = np.polyfit(before, after, 1)
    noise = (after - slope * before - level).std(ddof=2)

    def forecast(known: np.ndarray) -> np.ndarray:
        random, now, found = np.random.default_rng(len(known)), np.full(DRAWS, known[-1]), []
        for _ in range(horizon):
            now = level + slope * now + noise * random.normal(size=DRAWS)
            found.append(now)
        return np.stack(found, 1)

    return forecast


def season_before(values: np.ndarray, trained: int, season: int, horizon: int) -> Forecaster:
    """The last season again, with normal errors of the size that this makes in training."""
    noise = (values[season:trained] - values[: trained - season]).std()

    def forecast(known: np.ndarray) -> np.ndarray:
        last = np.resize(known[-season:], horizon)
        return last + noise * np.random.default_rng(len(known)).normal(size=(DRAWS, horizon))

    return forecast


def contest(mast: Path | None, epochs: float) -> list[dict[str, Any]]:
    """CRPS of each forecaster in standard deviations of the training part, and coverage of its 90 % intervals."""
    rows = []
    for name, (values, season) in series(mast).items():
        trained, horizon = round(TRAINED * len(values)), HORIZON
        rivals = {
            "state-space": ours(values, trained, season, horizon, epochs),
            "ETS": exponential_smoothing(values, trained, season, horizon),
            "AR(1)": autoregression(values, trained, season, horizon),
            "a season before": season_before(values, trained, season, horizon),
        }
        origins = np.linspace(trained, len(values) - horizon, ORIGINS).astype(int)
        truth = np.stack([values[at : at + horizon] for at in origins])
        row: dict[str, Any] = {"series": name, "steps": len(values), "horizon": horizon, "origins": len(origins)}
        for label, forecast in rivals.items():
            draws = np.stack([forecast(values[:at]) for at in origins])
            low, high = np.quantile(draws, [0.05, 0.95], axis=1)
            inside = float(((low <= truth) & (truth <= high)).mean())
            row[label] = f"{crps(draws, truth).mean() / values[:trained].std():.3f} ({100 * inside:.0f} %)"
        rows.append(row)
    return rows


def many(count: int = 1000, length: int = 200, horizon: int = 48) -> list[dict[str, Any]]:
    """Seconds of a forecast of many series, the first time and again."""
    random = np.random.default_rng(0)
    folder = Path(tempfile.mkdtemp())
    times = np.arange(length)
    phase = random.uniform(0, 6.3, (count, 1))
    values = np.sin(2 * np.pi * times / 24 + phase) + 0.3 * random.normal(size=(count, length))
    np.savez(folder / "s.npz", values=values[..., None].astype(np.float32))
    model = {"latents": 2, "kernels": ["matern12*cosine"], "period": 24.0}
    asked = Experiment({"name": "state-space", "arguments": model}, {"name": str(folder / "s.npz"), "window": 64},
                       {"name": "maximum-likelihood", "arguments": {}}, {"epochs": 1, "score": False})  # fmt: skip
    execute(asked, folder / "run", figures=False)
    run, rows = open_run(folder / "run"), []
    for label in ("first", "again"):
        began, used = time.perf_counter(), time.process_time()
        forecast_series(jr.key(0), run, read_series(folder / "s.npz"), horizon)
        rows.append({"series": count, "steps": length, "horizon": horizon, "draws": 100, "time": label,
                     "seconds": f"{time.perf_counter() - began:.1f}",
                     "seconds of processors": f"{time.process_time() - used:.1f}"})  # fmt: skip
    return rows


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--epochs", type=float, default=100.0)
    options = parser.parse_args()
    print(text_table(many()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rivals that did not converge to their last digit
        print(text_table(contest(options.data, options.epochs)))


if __name__ == "__main__":
    main()
