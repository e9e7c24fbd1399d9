"""Series: how time grows with their length, and gaps and forecasts of a wind mast by both models of series.

    python benchmarks/sequences.py                          the cost of Markov kernels, of a step of both auto-encoders
    python benchmarks/sequences_torch.py                    the step of gp-vae by hand, where there is PyTorch
    python benchmarks/sequences.py windmast.npz --epochs 150    and the models, on 3500 rows of seven channels
    python benchmarks/sequences.py windmast.npz --epochs 200 --only gp-vae --pypots-python rivals/bin/python
                                                            and PyPOTS, trained as long (see sequences_pypots.py)

The file holds `values` (time x channels), `unix_time` and `names`. Gaps are twelve rows of one channel, in the held-out
end; they are drawn eight times, and PyPOTS fills the first draw alone.
"""

import argparse
import dataclasses
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from nelbo.data import cut_windows
from nelbo.priors import gaussian_process, kernel_named
from nelbo.report import text_table
from nelbo.runs import (
    Experiment,
    FilledSeries,
    calibrated,
    execute,
    fill_errors,
    fill_rows,
    open_run,
    score_futures,
    series_of,
    series_rows,
)
from nelbo.runs.forecasts import most_central

CHANNELS = ("Spd80mN", "Spd60mN", "Spd40mN", "Dir78mSStd", "T2m", "RH2m", "P2m")
ROWS = slice(20_000, 23_500)
GAPS, GAP, HORIZON, DRAWS = 25, 12, 24, 8
MODELS: dict[str, tuple[str, dict[str, Any], str]] = {
    "state-space": ("state-space", {"latents": 6}, "maximum-likelihood"),
    "gp-vae": ("gp-vae", {"latents": 6}, "sgvb"),
}


def lengths(counts: tuple[int, ...]) -> list[dict[str, Any]]:
    """Seconds of one posterior of a Matern 3/2 process given noisy readings, by the number of times."""
    rows = []
    for count in counts:

        @jax.jit
        def posterior(y: Any) -> Any:
            process = gaussian_process((kernel_named("matern32", (20.0,)),), jnp.arange(len(y), dtype=jnp.float32),
                                       "state-space")  # fmt: skip
            return process.given(y, jnp.ones_like(y))

        y = jr.normal(jr.key(0), (count, 1))
        jax.block_until_ready(posterior(y))
        taken = []
        for _ in range(3):
            began = time.perf_counter()
            jax.block_until_ready(posterior(y))
            taken.append(time.perf_counter() - began)
        best = min(taken)
        rows.append({"times": count, "seconds": f"{best:.4f}", "microseconds a time": f"{1e6 * best / count:.2f}"})
    return rows


def timed(model: Any, objective: Any, batch: Any, blocks: int = 12) -> float:
    """Milliseconds of one step of Adam, the best of several blocks of ten."""
    import equinox as eqx
    import optax

    from nelbo.nets import trainable

    params, static = eqx.partition(model, trainable(model))
    optimizer, state = optax.adam(1e-3), objective.init(jr.key(0), model)

    @jax.jit
    def step(key: Any, params: Any, moments: Any) -> Any:
        loss = lambda p: objective(key, eqx.combine(p, static), batch, state)[0].surrogate  # noqa: E731
        updates, moments = optimizer.update(jax.grad(loss)(params), moments)
        return optax.apply_updates(params, updates), moments

    moments, taken = optimizer.init(params), []
    for block in range(blocks):
        began = time.perf_counter()
        for i in range(10):
            params, moments = step(jr.key(10 * block + i), params, moments)
        jax.block_until_ready(params)
        taken.append(100.0 * (time.perf_counter() - began))
    return min(taken)


def steps() -> list[dict[str, Any]]:
    """A step of gp-vae with the sizes of `sequences_torch.py`, and of svgp-vae by the number of rows in all."""
    from nelbo.core import Example
    from nelbo.models import build
    from nelbo.objectives import Sgvb, SparseProcess

    x, observed = jr.normal(jr.key(0), (64, 24, 35)), jr.bernoulli(jr.key(1), 0.5, (64, 24, 35))
    options = {"shape": [24, 35], "latents": 16, "hidden": [64], "convolutions": [64], "kernels": ["cauchy"],
               "lengths": [2.0], "learn_kernel": False, "posterior": "banded", "likelihood": "gaussian-fixed",
               "missing": "zero"}  # fmt: skip
    found = timed(build(jr.key(2), "gp-vae", options), Sgvb("B"), Example(jnp.where(observed, x, 0.0), observed))
    rows = [{"step": "gp-vae, batch 64 x 24 x 35, 16 latents", "ms": f"{found:.1f}", "s a pass": ""}]
    options = {"shape": [10], "latents": 8, "hidden": [64], "inducing": 32, "likelihood": "gaussian-fixed",
               "lengths": [5.0], "places": jnp.linspace(0.0, 100.0, 32)[:, None]}  # fmt: skip
    batch = Example(jr.normal(jr.key(0), (256, 10)), context=jnp.linspace(0.0, 100.0, 256)[:, None])
    for count in (1_000, 10_000, 100_000):
        found = timed(build(jr.key(2), "svgp-vae", options), SparseProcess(count), batch)
        rows.append({"step": f"svgp-vae, batch 256 of {count} rows, 32 inducing points, 8 latents",
                     "ms": f"{found:.1f}", "s a pass": f"{found * count / 256 / 1000:.2f}"})  # fmt: skip
    return rows


def by_pypots(
    python: str, folder: Path, run: Any, rows: Any, hidden: np.ndarray, seconds: float
) -> list[dict[str, Any]]:
    """Errors of PyPOTS's models on the same gaps, trained on windows of the same rows for so many seconds."""
    series = series_of(run)
    centre, spread = np.nanmean(rows.values, axis=0), np.nanstd(rows.values, axis=0)
    seen = dataclasses.replace(rows, values=(np.where(hidden, np.nan, rows.values) - centre) / spread)
    whole = cut_windows(seen, series, stride=12, every=True)
    known = np.where(whole.observed, whole.x, np.nan).astype(np.float32)
    early = whole.times[:, -1] <= series.until[0]
    between = (whole.times[:, 0] > series.until[0]) & (whole.times[:, -1] <= series.until[1])
    np.savez(folder / "windows.npz", train=known[early], valid=known[between], test=known)
    script = Path(__file__).with_name("sequences_pypots.py")
    words = [python, script, "fill", folder / "windows.npz", folder / "filled.npz", "--seconds", seconds]
    subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL)
    where, truth = most_central(whole, len(rows.ids)), (rows.values - centre) / spread
    found = []
    with np.load(folder / "filled.npz") as answers:
        for name in ("gp_vae", "saits"):
            draws = np.moveaxis(answers[name], 1, 0)[:, where[0], where[1]]
            ends = np.quantile(draws, [0.05, 0.95], axis=0)
            made = FilledSeries(seen, draws.mean(0), np.maximum(draws.std(0), 1e-6), ends[0], ends[1], draws)
            row = fill_errors(made, dataclasses.replace(rows, values=truth), hidden)[0]
            found.append({"filling": f"PyPOTS {name}", "training seconds": round(float(answers[f"{name}_seconds"])),
                          **dropped(row)})  # fmt: skip
    return found


def contest(
    path: Path, epochs: float, only: str | None, pypots: str | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Errors of fillings and forecasts in standard deviations of each channel, for each model and for simple ones."""
    arrays = np.load(path)
    places = [arrays["names"].tolist().index(name) for name in CHANNELS]
    gaps: list[dict[str, Any]] = []
    futures: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mast.npz"
        values = arrays["values"][ROWS][:, places].astype(np.float32)
        np.savez(file, values=values, times=arrays["unix_time"][ROWS], names=np.array(CHANNELS))
        for name, (model, arguments, objective) in MODELS.items():
            if only not in {None, name}:
                continue
            asked = Experiment({"name": model, "arguments": arguments}, {"name": str(file), "window": 48},
                               {"name": objective, "arguments": {}}, {"epochs": epochs})  # fmt: skip
            began = time.process_time()
            record = execute(asked, Path(folder) / name, figures=False)
            used = time.process_time() - began
            run = open_run(Path(folder) / name)
            rows = series_rows(run, None)
            spread = np.nanstd(rows.values, axis=0)
            late = rows.times > series_of(run).until[1]
            tables = [filling(run, rows, hiding(late, rows.values.shape, draw), spread) for draw in range(1, 1 + DRAWS)]
            for kind, label in enumerate(("", ", the model's own intervals")):
                found = [table[kind] for table in tables]
                gaps += [{"filling": name + label, "training seconds": round(record["training_seconds"]),
                          **dropped(found[0]), **over_draws(found)}]  # fmt: skip
            if len(gaps) == 2:
                hidden = hiding(late, rows.values.shape, 1)
                gaps += [{"filling": one["filling"], **dropped(one), **over_draws([table[i] for table in tables])}
                         for i, one in enumerate(tables[0]) if i > 1]  # fmt: skip
                gaps += by_pypots(pypots, Path(folder), run, rows, hidden, used) if pypots else []
            scores = score_futures(jr.key(1), run, HORIZON)
            futures += [{"forecast": name, **dropped(scores[0])}]
            futures += [] if len(futures) > 1 else [{"forecast": one["forecast"], **dropped(one)} for one in scores[1:]]
    return gaps, futures


def filling(run: Any, rows: Any, hidden: np.ndarray, spread: np.ndarray) -> list[dict[str, Any]]:
    """Errors of a model with calibrated intervals, with its own, and of simple fillings, in standard deviations."""
    shown = rows.hiding(hidden)
    own = fill_rows(jr.key(0), run, shown)
    both = calibrated(jr.key(2), run, shown, own)[0], own
    truth = dataclasses.replace(rows, values=rows.values / spread)
    tables = []
    for found in both:
        parts = {part: vars(found)[part] / spread for part in ("mean", "std", "low", "high", "draws")}
        tables.append(fill_errors(dataclasses.replace(found, **parts), truth, hidden))
    return [tables[0][0], *tables[1]]


def over_draws(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the draws of gaps, and how coverage varies between them."""
    found = {f"mean {name}": round(float(np.mean([row[name] for row in rows])), 4) for name in ("crps", "rmse")}
    inside = [row["coverage"] for row in rows if row["coverage"] is not None]
    return found | {"mean coverage": f"{np.mean(inside):.3f} +- {np.std(inside):.3f}" if inside else ""}


def dropped(row: dict[str, Any]) -> dict[str, Any]:
    """Rounded numbers without the name."""
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()
            if key not in {"filling", "forecast"}}  # fmt: skip


def hiding(late: np.ndarray, shape: tuple[int, ...], draw: int) -> np.ndarray:
    """Gaps in the held-out end."""
    random = np.random.default_rng(draw)
    hidden = np.zeros(shape, bool)
    for start in random.choice(np.flatnonzero(late)[:-20], GAPS):
        hidden[start : start + GAP, random.integers(0, shape[1])] = True
    return hidden


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--epochs", type=float, default=150.0)
    parser.add_argument("--only", choices=MODELS, help="one of the models")
    parser.add_argument("--pypots-python", metavar="PYTHON", help="an interpreter that has PyPOTS")
    options = parser.parse_args()
    if options.only is None:
        print(text_table(lengths((1_000, 10_000, 100_000))))
        print(text_table(steps()))
    if options.data is not None:
        for table in contest(options.data, options.epochs, options.only, options.pypots_python):
            print(text_table(table))


if __name__ == "__main__":
    main()
