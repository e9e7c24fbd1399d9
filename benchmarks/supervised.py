"""Defaults of supervised models: a point, priors and a posterior over weights on tables of scikit-learn.

    python benchmarks/supervised.py --seeds 2

Each row is a mean over splits (`split_seed`), in nats per test row and in the target's units; higher is better.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets

from nelbo.runs import Experiment, execute

TABLES = {
    "diabetes": ("regression", lambda: datasets.load_diabetes(as_frame=True, scaled=False)),
    "iris": ("classification", lambda: datasets.load_iris(as_frame=True)),
    "wine": ("classification", lambda: datasets.load_wine(as_frame=True)),
    "breast-cancer": ("classification", lambda: datasets.load_breast_cancer(as_frame=True)),
}
WEIGHTS: dict[str, dict[str, Any]] = {
    "maximum likelihood": {"weight_prior": None},
    "prior 1": {"weight_prior": 1.0},
    "prior 0.3": {"weight_prior": 0.3},
    "mean field": {"posterior": "mean-field"},
}


def table(name: str, folder: Path) -> Path:
    """A table of scikit-learn as a CSV file with the column `target`; classes by their names."""
    task, load = TABLES[name]
    found = load()
    frame: pd.DataFrame = found.data.copy()
    frame["target"] = found.target if task == "regression" else [str(found.target_names[i]) for i in found.target]
    path = folder / f"{name}.csv"
    frame.to_csv(path, index=False)
    return path


def main() -> None:
    """Print a row for each table, network and treatment of the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", choices=list(TABLES))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, (task, _) in TABLES.items():
            if options.only not in (None, name):
                continue
            path = table(name, folder)
            for architecture in ("linear", "mlp"):
                for weights, arguments in WEIGHTS.items():
                    rows = []
                    for seed in range(options.seeds):
                        experiment = Experiment(
                            model={"name": task, "arguments": {"architecture": architecture}},
                            data={"name": str(path), "target": "target", "split_seed": seed},
                            objective={"name": "maximum-likelihood", "arguments": arguments},
                            training={},
                            seed=seed,
                        )
                        record = execute(experiment, folder / f"{name}-{architecture}-{weights}-{seed}", figures=False)
                        rows.append({**record["results"][0], "seconds": record["training_seconds"]})
                    measure = "rmse" if task == "regression" else "accuracy"
                    means = {key: np.mean([row[key] for row in rows]) for key in ("nats", measure, "calibration_error")}
                    shown = "  ".join(f"{key} {value:.3f}" for key, value in means.items())
                    seconds = np.mean([row["seconds"] for row in rows])
                    print(f"{name:14} {architecture:7} {weights:19} {shown}  {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
