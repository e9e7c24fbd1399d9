"""Which defaults are best: a small measured table, family by family, one setting varied at a time.

    python benchmarks/defaults.py [--only vae/digits ...] [--settings "adam 3e-3" ...] [--minutes 30] [--table]

Every row trains with `nelbo fit` in this process and keeps the best validation bound [nats an example], the last one
and the pass at which the best was reached. Rows are appended to `benchmarks/results/defaults.json` as they come and are
not measured twice, so the script may be stopped and started again. `--table` prints what is there as Markdown.

Data: named sets, the State of the Union counts and a table (`--data-dir` with `text/sotu.jsonl.xz`,
`timeseries/pbcseq.csv`). A case whose data are missing is passed over.
"""

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.cli import main as nelbo
from nelbo.data import load

RESULTS = Path(__file__).parent / "results" / "defaults.json"
INTERRUPTED = 130  # exit code
RAW = ("--set", "centre=false", "--set", "spread=false")
CENTRED = ("--set", "centre=true", "--set", "spread=false")
SCALED = ("--set", "centre=true", "--set", "spread=true")
INPUTS = {"input raw": RAW, "input centred": CENTRED, "input centred, scaled": SCALED}
INPUTS_BINARY = {"input raw": ("--set", "centre=false"), "input centred": ("--set", "centre=true")}
INITS = {"init 0.01": ("--init", "0.01"), "init 0.1": ("--init", "0.1")}
RATES = {
    "adam 3e-4": ("--learning-rate", "3e-4"),
    "adam 3e-3": ("--learning-rate", "3e-3"),
    "adam 1e-2": ("--learning-rate", "1e-2"),
    "adagrad 0.02": ("--optimizer", "adagrad"),
    "adamax 2e-3": ("--optimizer", "adamax"),
    "adam 1e-3, cosine": ("--schedule", "cosine"),
    "adam 3e-3, cosine": ("--schedule", "cosine", "--learning-rate", "3e-3"),
}


@dataclass(frozen=True)
class Case:
    """A family on data with a likelihood, and what is varied around the defaults.

    Args:
        model: family.
        data: a named set, or "table", "rows-10000" (the first 10,000 pictures of MNIST) or "sotu".
        epochs: passes.
        flags: of every run.
        varied: name of a variation to its flags.
    """

    model: str
    data: str
    epochs: int
    flags: tuple[str, ...] = ()
    varied: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Model, data and likelihood."""
        likelihood = self.flags[self.flags.index("--likelihood") + 1] if "--likelihood" in self.flags else ""
        return "/".join(part for part in (self.model, self.data, likelihood) if part)


def likelihood(name: str) -> tuple[str, ...]:
    """Flags for pixels under a likelihood."""
    return ("--likelihood", name, "--binarize", "none")


CASES = (
    Case("vae", "digits", 60, (), INPUTS_BINARY | INITS | RATES),
    Case("vae", "table", 100, ("--latents", "3", "--hidden", "32"), INPUTS | INITS | RATES),
    Case("vae", "digits", 60, likelihood("gaussian-unit"), INPUTS | RATES),
    Case("vae", "digits", 60, likelihood("discretized-logistic"), INPUTS | RATES),
    Case("vae", "digits", 60, likelihood("beta-binomial"), INPUTS | RATES),
    Case("vae", "digits", 60, likelihood("categorical"), INPUTS | RATES),
    Case("linear", "table", 100, ("--latents", "3"), INPUTS_BINARY | INITS | RATES),
    Case("factor-analysis", "table", 100, ("--latents", "3"), INPUTS_BINARY | INITS | RATES),
    Case("nonlinear-factor-analysis", "table", 100, ("--latents", "3"), INPUTS | RATES),
    Case("nonlinear-belief-network", "digits", 60, (), INPUTS_BINARY | RATES),
    Case("dlgm", "digits", 60, (), INPUTS_BINARY | INITS | RATES),
    Case("hvae", "digits", 60, (), INPUTS_BINARY | INITS | RATES),
    Case("sbn", "digits", 60, (), INPUTS_BINARY | INITS | RATES),
    Case("darn", "digits", 60, (), INPUTS_BINARY | INITS | RATES),
    Case("fdarn", "digits", 60, (), INPUTS_BINARY | INITS | RATES),
    Case("nade", "digits", 60, (), INPUTS_BINARY | INITS | RATES),
    Case("mixture", "digits", 60, ("--components", "100"), INPUTS_BINARY | INITS | RATES),
    Case("vae", "rows-10000", 5, (), INPUTS_BINARY | INITS | RATES),
    Case("vae", "patches", 3, ("--activation", "tanh"), INPUTS | RATES),
    Case("vae", "patches", 3, ("--activation", "relu"), INPUTS | {"adam 1e-4": ("--learning-rate", "1e-4")}),
    Case("vae", "patches", 3, likelihood("discretized-logistic"), INPUTS | RATES),
    Case("vae", "sotu", 3, ("--likelihood", "multinomial"), INPUTS | RATES),
    Case("sbn", "sotu", 3, ("--likelihood", "multinomial"), INPUTS_BINARY | RATES),
)


def prepared(data: str, folder: Path, data_dir: Path | None) -> tuple[str, ...]:
    """Flags that name the data; files are made of what is no named set."""
    if data == "table":
        import pandas as pd

        if data_dir is None:
            raise FileNotFoundError("--data-dir")
        path = folder / "table.csv"
        pd.read_csv(data_dir / "timeseries" / "pbcseq.csv").select_dtypes("number").dropna().to_csv(path, index=False)
        return ("--data", str(path))
    if data == "rows-10000":
        path = folder / "rows-10000.npz"
        whole = load("mnist")
        drawn = np.random.default_rng(0)
        parts = {name: np.asarray(whole.splits[name].x) for name in ("train", "valid", "test")}
        cut = {f"x_{name}": x[: 10_000 if name == "train" else 2000] for name, x in parts.items()}
        np.savez(path, **{name: (drawn.random(x.shape) * 255 < x).astype(np.uint8) for name, x in cut.items()})
        return ("--data", str(path))
    if data == "sotu":
        if data_dir is None:
            raise FileNotFoundError("--data-dir")
        return ("--data", "sotu", "--data-dir", str(data_dir / "text"))
    return ("--data", data)


def measured(case: Case, flags: tuple[str, ...], seed: int, where: tuple[str, ...]) -> dict[str, Any]:
    """One run: the best and the last validation bound, and when the best was."""
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        # the variation comes last and wins
        command = ["fit", case.model, *where, *case.flags, "--epochs", str(case.epochs), *flags, "--seed", str(seed)]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as told:
            code = nelbo([*command, "--out", str(out), "--no-figures", "--quiet"])
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        history = out / "history.jsonl"
        rows = [json.loads(line) for line in history.read_text().splitlines()] if history.exists() else []
    bounds = [row["valid_bound"] for row in rows]
    row: dict[str, Any] = {"code": code, "cpu_seconds": round(time.process_time() - began, 1)}
    if code:
        return row | {"error": (told.getvalue().strip().splitlines() or [""])[-1][:200]}
    best = int(np.argmax(bounds))
    return row | {"best": bounds[best], "last": bounds[-1], "best_epoch": round(rows[best]["epoch"], 1)}


def plan(cases: list[Case], seeds: int, settings: list[str] | None) -> Iterator[tuple[Case, str, tuple[str, ...], int]]:
    """All runs, the defaults of every case first and a further seed after all of the first."""
    for seed in range(seeds):
        for case in cases:
            yield case, "defaults", (), seed
        for case in cases:
            for name, flags in case.varied.items():
                if settings is None or name in settings:
                    yield case, name, flags, seed


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: a line a case, the variation with its gain over the defaults, best first."""
    heads = ("case", "defaults: best validation bound, nats (at pass)", "gain of another setting, nats")
    lines = [f"| {' | '.join(heads)} |", "|---|---|---|"]
    for case in dict.fromkeys(row["case"] for row in rows):
        own = [row for row in rows if row["case"] == case]
        base = {row["seed"]: row for row in own if row["setting"] == "defaults" and "best" in row}
        if not base:
            continue
        gains: dict[str, list[float]] = {}
        for row in own:
            if row["setting"] != "defaults" and row["seed"] in base:
                gain = row["best"] - base[row["seed"]]["best"] if "best" in row else -np.inf
                gains.setdefault(row["setting"], []).append(gain)
        means = sorted(((float(np.mean(values)), name) for name, values in gains.items()), reverse=True)
        told = ", ".join(f"{name} {gain:+.2f}" if np.isfinite(gain) else f"{name} diverged" for gain, name in means)
        best = np.mean([row["best"] for row in base.values()])
        at = np.mean([row["best_epoch"] for row in base.values()])
        lines.append(f"| {case} | {best:.2f} ({at:.0f} of {own[0]['epochs']}) | {told} |")
    return "\n".join(lines)


def main() -> int:
    """Measure what is missing until the time is over, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], help="cases whose names begin so")
    parser.add_argument("--settings", nargs="+", help="these variations only, beside the defaults")
    parser.add_argument("--minutes", type=float, default=60.0, help="of processor time, after which no run is begun")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--table", action="store_true", help="print what is there and measure nothing")
    options = parser.parse_args()
    rows = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    if options.table:
        print(table(rows))
        return 0
    done = {(row["case"], row["setting"], row["seed"]) for row in rows}
    cases = [case for case in CASES if not options.only or case.name.startswith(tuple(options.only))]
    sources: dict[str, tuple[str, ...] | None] = {}
    with tempfile.TemporaryDirectory() as folder:
        for case, setting, flags, seed in plan(cases, options.seeds, options.settings):
            name = case.name if "relu" not in case.flags else f"{case.name} relu"
            if (name, setting, seed) in done or time.process_time() > 60 * options.minutes:
                continue
            if case.data not in sources:
                try:
                    sources[case.data] = prepared(case.data, Path(folder), options.data_dir)
                except (FileNotFoundError, ImportError) as error:
                    sources[case.data] = None
                    print(f"{case.data} is passed over: {error}", flush=True)
            where = sources[case.data]
            if where is None:
                continue
            row = {"case": name, "setting": setting, "seed": seed, "epochs": case.epochs}
            rows.append(row | measured(case, flags, seed, where))
            RESULTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
            print(rows[-1], flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
