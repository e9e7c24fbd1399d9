"""A large table from file to file: `nelbo fit table`, then `nelbo impute`, with their seconds and most memory.

    python benchmarks/large_table.py --rows 100000 --columns 50 --json benchmarks/results/large_table.json

The table is made here: columns are noisy functions of eight numbers that each row has, of every ten four real, two
positive, a count, a bit and two of four words; a fifth of all cells is blank. Beside times and memory it says how far
the filled numbers are from what was hidden, in standard deviations of their columns.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

FACTORS, BLANK = 8, 0.2
WORDS = np.array(["red", "green", "blue", "grey"])


def made(rows: int, columns: int, seed: int) -> pd.DataFrame:
    """The table without a gap."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(rows, FACTORS))

    def signal() -> np.ndarray:
        return factors @ rng.normal(size=FACTORS) / np.sqrt(FACTORS)

    found: dict[str, np.ndarray] = {}
    for j in range(columns):
        kind = j % 10
        if kind < 4:
            found[f"real{j}"] = np.round(50.0 + 10.0 * np.tanh(signal()) + 3.0 * rng.normal(size=rows), 2)
        elif kind < 6:
            found[f"positive{j}"] = np.round(np.exp(signal() + 0.3 * rng.normal(size=rows)), 3)
        elif kind == 6:
            found[f"count{j}"] = rng.poisson(np.exp(1.0 + 0.5 * signal()))
        elif kind == 7:
            found[f"bit{j}"] = (2.0 * signal() + rng.logistic(size=rows) > 0).astype(int)
        else:
            utilities = np.stack([2.0 * signal() for _ in WORDS], 1) + rng.gumbel(size=(rows, len(WORDS)))
            found[f"word{j}"] = WORDS[utilities.argmax(1)]
    return pd.DataFrame(found)


def measured(name: str, words: list[str]) -> dict[str, Any]:
    """Run a command of nelbo in a process of its own.

    Raises:
        SystemExit: it failed.
    """
    begun = time.perf_counter()
    pid = os.posix_spawn(sys.executable, [sys.executable, "-m", "nelbo", *words], os.environ)
    _, status, used = os.wait4(pid, 0)
    if status != 0:
        raise SystemExit(f"nelbo {' '.join(words)} failed")
    return {"command": name, "seconds": time.perf_counter() - begun, "processor seconds": used.ru_utime + used.ru_stime,
            "most memory, GiB": used.ru_maxrss / 2**20}  # fmt: skip


def main() -> None:
    """Print a row for each command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        whole = made(options.rows, options.columns, options.seed)
        hidden = np.random.default_rng(options.seed + 1).random(whole.shape) < BLANK
        gaps, filled, run = (f"{folder}/{name}" for name in ("gaps.csv", "filled.csv", "run"))
        whole.astype(object).mask(hidden).to_csv(gaps, index=False)
        rows = [
            measured("fit table", ["fit", "table", "--data", gaps, "--out", run, "--quiet", "--no-figures"]),
            measured("impute", ["impute", run, gaps, "-o", filled, "--quiet"]),
        ]
        answer = pd.read_csv(filled)
    numbers = [place for place, name in enumerate(whole.columns) if pd.api.types.is_numeric_dtype(whole[name])]
    errors = np.concatenate([
        ((answer.iloc[:, j] - whole.iloc[:, j]) / whole.iloc[:, j].std())[hidden[:, j]].to_numpy() for j in numbers
    ])  # fmt: skip
    about = {"rows": options.rows, "columns": options.columns, "rmse": float(np.sqrt((errors**2).mean()))}
    rows = [about | row for row in rows]
    for row in rows:
        print(json.dumps(row), flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
