"""Methods of imputation beside each other: whether they are right, what they say of themselves, how long they take.

    python benchmarks/imputation.py --exact
    python benchmarks/imputation.py --models

The first fills in rows of a linear-Gaussian model (5 entries of which 2 are hidden, 2 latents), whose conditionals are
known, with a recognition model that is right, wide, shifted, or shifted and narrow. The second trains small models (a
VAE and a belief network on binarized 8x8 digits, a VAE on a table of 30 columns), hides entries of test rows and scores
the fillings. Times are those of a second call, compiled.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from sklearn.datasets import load_breast_cancer

from nelbo.core import Example
from nelbo.data import Source
from nelbo.models import Model, factor_analysis
from nelbo.report import text_table
from nelbo.runs import Experiment, execute, hiding, open_run
from nelbo.tasks import (
    METHODS,
    Columns,
    ImputationSettings,
    default_method,
    hide,
    imputation_scores,
    impute,
    rows_as_seen,
)

SIZE, LATENTS, NOISE = 5, 2, 0.8
OBSERVED = np.array([True, False, True, False, True])
# shift of q in the latents' units, factor on its standard deviations
WRONG = {"right": (0.0, 1.0), "wide": (0.0, 2.0), "shifted": (0.8, 1.5), "shifted, narrow": (1.5, 0.3)}

Settings = dict[str, ImputationSettings]


def settings_of(steps: int, only: tuple[str, ...]) -> Settings:
    """The rows of the tables, or those whose names begin so."""
    chains = {name: ImputationSettings(name, steps) for name in ("chain", "metropolis", "hmc")}
    rows = {
        **chains,
        f"metropolis, {20 * steps} steps": ImputationSettings("metropolis", 20 * steps),
        "resample, 100": ImputationSettings("resample", steps, proposals=100),
        "importance, 100": ImputationSettings("importance", proposals=100),
        "importance, 1000": ImputationSettings("importance", proposals=1000),
    }
    return {name: row for name, row in rows.items() if name.startswith(only or ("",))}


def linear_gaussian(shift: float, widen: float) -> tuple[Model, np.ndarray, np.ndarray]:
    """A factor analysis with a recognition model that is wrong in a known way; the mean and covariance of x."""
    rng = np.random.default_rng(0)
    w, b = rng.normal(size=(SIZE, LATENTS)), 0.5 * rng.normal(size=SIZE)
    covariance = np.linalg.inv(np.eye(LATENTS) + w.T @ w / NOISE**2)
    gain = covariance @ w.T / NOISE**2
    lower = widen * np.linalg.cholesky(covariance)
    rest = np.concatenate([2 * np.log(np.diag(lower)), lower[np.tril_indices(LATENTS, -1)] * np.sqrt(LATENTS)])
    new = (w.T, b, gain.T, shift - gain @ b, rest)

    def places(model: Any) -> tuple[Any, ...]:
        down, up = model.generative.layers[0].net.layers[0], model.recognition.layers[0]
        return down.kernel, down.bias, up.net.layers[0].kernel, up.net.layers[0].bias, up.head.rest

    model = factor_analysis(jr.key(0), (SIZE,), latents=LATENTS, scale=NOISE)
    model = eqx.tree_at(places, model, tuple(jnp.asarray(part, jnp.float32) for part in new))
    return model, b, w @ w.T + NOISE**2 * np.eye(SIZE)


def timed(model: Model, data: Source, settings: ImputationSettings, truth: Source) -> tuple[Any, float]:
    """A filling, and the seconds of a second call."""
    trained = Columns(trained=np.ones(data.shape, bool)) if len(data.shape) == 1 else None
    impute(jr.key(1), model, data, settings, truth=truth, columns=trained)
    start = time.perf_counter()
    result = impute(jr.key(2), model, data, settings, truth=truth, columns=trained)
    return result, time.perf_counter() - start


def exact(settings: Settings, rows: int) -> list[dict[str, Any]]:
    """Errors against exact conditionals, in conditional standard deviations and nats a row."""
    table = []
    for name, (shift, widen) in WRONG.items():
        model, mean, cov = linear_gaussian(shift, widen)
        truth = np.random.default_rng(1).multivariate_normal(mean, cov, rows).astype(np.float32)
        gain = cov[np.ix_(~OBSERVED, OBSERVED)] @ np.linalg.inv(cov[np.ix_(OBSERVED, OBSERVED)])
        means = mean[~OBSERVED] + (truth[:, OBSERVED] - mean[OBSERVED]) @ gain.T
        left = cov[np.ix_(~OBSERVED, ~OBSERVED)] - gain @ cov[np.ix_(OBSERVED, ~OBSERVED)]
        scale = np.sqrt(np.diag(left))
        off = truth[:, ~OBSERVED] - means
        best = (
            -0.5 * np.einsum("ni,ij,nj->n", off, np.linalg.inv(left), off)
            - 0.5 * np.linalg.slogdet(2 * np.pi * left)[1]
        )
        source = Source(Example(jnp.asarray(truth)), "real", dynamic=False)
        hidden = hide(source, OBSERVED)
        for method, chosen in settings.items():
            result, seconds = timed(model, hidden, chosen, source)
            error = (result.mean[:, ~OBSERVED] - means) / scale
            draws = (result.draws[:, :, ~OBSERVED] - means) / scale
            table.append({
                "q": name, "method": method, "bias of mean": float(np.abs(error.mean(0)).max()),
                "rms error of mean": float(np.sqrt((error**2).mean())),
                "sd of draws": float(draws.std(0).mean()),
                "coverage": imputation_scores(truth, result)["coverage"],
                "nats lost": float((best - np.asarray(result.joint_nats)).mean()),
                "accepted": result.accepted, "warned": bool(result.warnings), "seconds": seconds,
            })  # fmt: skip
    return table


MODELS: dict[str, tuple[dict[str, Any], dict[str, Any], str, tuple[str, ...]]] = {
    "VAE, digits": ({"name": "vae", "arguments": {"latents": 10, "hidden": [100]}}, {"name": "digits"}, "sgvb",
                    ("0.3", "0.6")),
    "belief network, digits": ({"name": "sbn", "arguments": {"layers": [50]}}, {"name": "digits"}, "nvil",
                               ("0.3", "0.6")),
    "VAE, table": ({"name": "vae", "arguments": {"latents": 5, "hidden": [50], "likelihood": "gaussian"}},
                   {"name": "table.csv"}, "sgvb", ("0.3", "0.6")),
}  # fmt: skip


def write_table(path: Path) -> None:
    """569 rows of 30 measurements (Wolberg et al. 1995, from scikit-learn), each in units of its spread."""
    x = np.asarray(load_breast_cancer(return_X_y=True)[0])
    x = (x - x.mean(0)) / x.std(0)
    header = ",".join(f"m{i}" for i in range(x.shape[1]))
    np.savetxt(path, np.random.default_rng(0).permutation(x), delimiter=",", header=header, comments="", fmt="%.6g")


def models(settings: Settings, rows: int, epochs: int, folder: Path) -> list[dict[str, Any]]:
    """Scores of hidden entries of test rows."""
    table = []
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / "table.csv")
    for name, (model, data, objective, hide_words) in MODELS.items():
        run_folder = folder / name.replace(", ", "-").replace(" ", "-")
        if data["name"].endswith(".csv"):
            data = {"name": str(folder / data["name"])}
        if not run_folder.exists():
            execute(Experiment(model, data, {"name": objective, "arguments": {}}, {"epochs": epochs}, 0), run_folder)
        run = open_run(run_folder)
        truth = run.data()[1]["test"].head(rows)
        for word in hide_words:
            hidden = hide(truth, hiding(word, jr.key(3), truth))
            values = np.asarray(rows_as_seen(truth).values)
            for method, chosen in settings.items():
                if METHODS[chosen.method or ""].real_latents and default_method(run.model) != chosen.method:
                    continue
                result, seconds = timed(run.model, hidden, chosen, truth)
                scores = imputation_scores(values, result)
                table.append({"model": name, "hidden": word, "method": method, "rmse": scores["rmse"],
                              "coverage": scores["coverage"], "nats per entry": scores["nats_per_hidden_entry"],
                              "nats per row": scores["hidden_nats"], "accepted": result.accepted,
                              "warned": bool(result.warnings), "seconds": seconds})  # fmt: skip
                print(*table[-1].values(), sep=" | ", file=sys.stderr)
    return table


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exact", action="store_true", help="linear-Gaussian models")
    parser.add_argument("--models", action="store_true", help="trained models")
    parser.add_argument("--methods", nargs="*", help="only the rows whose method begins so")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--folder", type=Path, help="where trained models are kept (a temporary folder)")
    options = parser.parse_args()
    settings = settings_of(options.steps, tuple(options.methods or ()))
    if options.exact:
        print(text_table(exact(settings, options.rows)), end="")
    if options.models:
        folder = options.folder or Path(tempfile.mkdtemp())
        print(text_table(models(settings, min(options.rows, 100), options.epochs, folder)), end="")


if __name__ == "__main__":
    main()
