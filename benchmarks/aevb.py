"""Speed of training Kingma and Welling's MNIST VAE: nelbo against hand-written JAX, NumPyro, PyTorch, Pythae, Pyro.

    python benchmarks/aevb.py                       # milliseconds a training step, blocks interleaved
    python benchmarks/aevb.py --whole               # seconds for ten epochs, imports and compilation included

Set NELBO_DATA to a folder with `mnist.npz`. The machine may change its speed while this runs, so contestants take
turns and are compared by their best block; the lower quartile and the median show how far to trust it. Every
contestant starts from the same parameters, and its bound at the end of the warm-up is checked against the others.
"""

import argparse
import datetime as dt
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aevb_task
import numpy as np
from aevb_contestants import CHUNK, CONTESTANTS, THREADS, Contestant, UnavailableError

import nelbo  # its version; its rooms import JAX, which a process of another library must not wait for

CHECK_STEPS = 1000  # untimed: compilation, warm-up and the check of the bound
TOLERANCE = 3.0  # nats from the median bound
QUIET = 0.5  # processes ready to run, last minute; above it PyTorch's threads wait for each other and look slow
COMMANDS = {  # by the shell: the work of the others, and beside it ten validations, the test score and pictures
    "nelbo_fit": ("--train-only",),
    "nelbo_fit_all": (),
}
WHOLE = ("nelbo", *COMMANDS, "jax", "numpyro", "torch", "torch_compile", "pythae", "pyro")
NELBO_COMMAND = (
    f"{sys.executable} -m nelbo fit vae --data mnist --epochs {{epochs}} --latents 20 --hidden 500 --optimizer adagrad "
    "--learning-rate 0.01 --init 0.1 --binarize threshold --set centre=false --out {out}"
)
PACKAGES = ("jax", "jaxlib", "optax", "equinox", "numpyro", "torch", "pythae", "pyro-ppl", "numpy")


def pin_threads() -> None:
    """Give every library the same cores and threads, this process and its children; before any of them is imported."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(THREADS)
    if hasattr(os, "sched_setaffinity"):  # XLA takes as many threads as it may use cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    os.environ["JAX_PLATFORMS"] = "cpu"


def versions() -> dict[str, str]:
    """Installed versions of everything that takes part."""
    found = {"python": platform.python_version(), "nelbo": nelbo.__version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Processor, cores used, load of the machine when the run began (processes ready to run, last minute)."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = lines[0] if lines else model
    waiting = os.environ.get("OMP_WAIT_POLICY", "default")  # "passive" rescues PyTorch on a busy machine
    load = round(os.getloadavg()[0], 2)
    return {"processor": model, "cores": THREADS, "system": platform.system(), "load": load, "omp_wait_policy": waiting}


def build(names: list[str], task: aevb_task.Task) -> tuple[dict[str, Contestant], dict[str, str]]:
    """Set up the contestants that can run; the reason for each that cannot."""
    ready, skipped = {}, {}
    for name in names:
        try:
            contestant = CONTESTANTS[name]()
            contestant.setup(task)
        except (ImportError, UnavailableError) as error:
            skipped[name] = str(error)
            print(f"skip {name}: {error}", flush=True)
        else:
            ready[name] = contestant
    return ready, skipped


def steps(options: argparse.Namespace, names: list[str], task: aevb_task.Task) -> dict[str, Any]:
    """Milliseconds a step: warm up and check each contestant, then blocks in turn, the order reversed every round."""
    ready, skipped = build(names, task)
    bounds, times = {}, {name: [] for name in ready}
    for name, contestant in ready.items():
        contestant.run_block(CHECK_STEPS)
        bounds[name] = aevb_task.bound(contestant.parameters(), task.valid)
        print(f"warm {name}: bound {bounds[name]:.2f} nats after {CHECK_STEPS} steps", flush=True)
    for turn in range(options.rounds):
        for name in list(ready)[:: 1 if turn % 2 == 0 else -1]:
            times[name].append(1e3 * ready[name].run_block(options.block) / options.block)
        now = "  ".join(f"{name} {times[name][-1]:.2f}" for name in ready)
        print(f"round {turn + 1}/{options.rounds}, ms/step: {now}", flush=True)
    row = {"unit": "ms/step", "rounds": options.rounds, "block_steps": options.block, "bound_after": CHECK_STEPS}
    return row | summary(times, bounds) | {"skipped": skipped}


def train_one(name: str, epochs: int, out: Path) -> None:
    """The body of a contestant's own process: load, set up, train, save parameters and the time of training alone."""
    task = aevb_task.load_task()
    contestant = CONTESTANTS[name]()
    contestant.setup(task)
    start = time.perf_counter()
    contestant.train(epochs)
    seconds = time.perf_counter() - start
    np.savez(out / "parameters.npz", train_seconds=seconds, **contestant.parameters())


def trained(run: Path) -> dict[str, np.ndarray]:
    """The parameters in a run folder."""
    from aevb_nelbo import parameters_of

    from nelbo.runs import open_run

    return parameters_of(open_run(run).model)


def run_whole(name: str, epochs: int, task: aevb_task.Task) -> tuple[float, float | None]:
    """Seconds from the start of a fresh process to its end, and the bound it reached."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        command = [sys.executable, __file__, "--train", name, "--epochs", str(epochs), "--out", str(out)]
        if name in COMMANDS:
            command = [*NELBO_COMMAND.format(epochs=epochs, out=out / "run").split(), *COMMANDS[name]]
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - start
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
            raise UnavailableError(reason[0])
        if name in COMMANDS:
            return seconds, aevb_task.bound(trained(out / "run"), task.valid)
        with np.load(out / "parameters.npz") as file:
            return seconds, aevb_task.bound({key: file[key] for key in aevb_task.SHAPES}, task.valid)


def whole(options: argparse.Namespace, names: list[str], task: aevb_task.Task) -> dict[str, Any]:
    """Seconds for `--epochs` epochs, each run in a fresh process, in turn, the order reversed every round."""
    times, bounds, skipped = {name: [] for name in names}, {}, {}
    for turn in range(options.rounds):
        for name in names[:: 1 if turn % 2 == 0 else -1]:
            if name in skipped:
                continue
            try:
                seconds, value = run_whole(name, options.epochs, task)
            except UnavailableError as error:
                skipped[name] = str(error)
                print(f"skip {name}: {error}", flush=True)
                continue
            times[name].append(seconds)
            bounds[name] = value
            reached = "" if value is None else f", bound {value:.2f} nats"
            print(f"round {turn + 1}/{options.rounds}: {name} {seconds:.1f} s{reached}", flush=True)
    row = {"unit": "s", "rounds": options.rounds, "epochs": options.epochs}
    times = {name: values for name, values in times.items() if name not in skipped}
    return row | summary(times, bounds) | {"skipped": skipped}


def summary(times: dict[str, list[float]], bounds: dict[str, float | None]) -> dict[str, Any]:
    """Best, lower quartile and median of each, whether the bounds agree, and nelbo's time over each other's."""
    known = [value for value in bounds.values() if value is not None]
    middle = statistics.median(known) if known else None
    found = {}
    for name, values in times.items():
        value = bounds[name]
        found[name] = {
            "best": round(min(values), 4),
            "low_quartile": round(float(np.quantile(values, 0.25)), 4),
            "median": round(statistics.median(values), 4),
            "bound": None if value is None else round(value, 3),
            "agrees": None if value is None else abs(value - middle) <= TOLERANCE,
        }
    ours = found.get("nelbo")
    ratios = {name: round(ours["best"] / row["best"], 4) for name, row in found.items()} if ours else {}
    return {"contestants": found, "nelbo_over": ratios}


def print_table(row: dict[str, Any]) -> None:
    """One line a contestant; then whatever did not run or does not agree."""
    unit = row["unit"]
    heads = ("best " + unit, "low quartile", "median", "nelbo / it", "bound, nats")
    print(f"\n{'contestant':<20}{''.join(f'{head:>13}' for head in heads)}  check")
    for name, found in sorted(row["contestants"].items(), key=lambda item: item[1]["best"]):
        numbers = [f"{found[key]:.3f}" for key in ("best", "low_quartile", "median")]
        numbers.append(f"{row['nelbo_over'][name]:.3f}" if row["nelbo_over"] else "-")
        numbers.append("-" if found["bound"] is None else f"{found['bound']:.2f}")
        check = {True: "agrees", False: "DIFFERS", None: "-"}[found["agrees"]]
        print(f"{name:<20}{''.join(f'{number:>13}' for number in numbers)}  {check}")
    for name, reason in row["skipped"].items():
        print(f"{name:<20}skipped: {reason}")


def parse() -> argparse.Namespace:
    """The command line."""
    names = f"of {', '.join(CONTESTANTS)}; with --whole also {', '.join(COMMANDS)}"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whole", action="store_true", help="time whole runs instead of steps")
    parser.add_argument("--rounds", type=int, help="turns of each contestant (default 15; with --whole 3)")
    parser.add_argument("--block", type=int, default=200, help=f"steps in a block, a multiple of {CHUNK}")
    parser.add_argument("--epochs", type=int, default=10, help="epochs of a whole run")
    parser.add_argument("--only", nargs="+", choices=[*CONTESTANTS, *COMMANDS], metavar="NAME", help=names)
    parser.add_argument(
        "--json", type=Path, help="results file (default benchmarks/results/aevb.json; none with --only)"
    )
    parser.add_argument("--train", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.block < CHUNK or options.block % CHUNK:
        parser.error(f"--block {options.block}: scans take {CHUNK} steps at once; give a multiple of {CHUNK}")
    if options.json is None and not options.only:
        options.json = Path(__file__).parent / "results" / "aevb.json"
    if set(COMMANDS) & set(options.only or ()) and not options.whole:
        parser.error(f"{', '.join(COMMANDS)} take part with --whole only: their steps are those of nelbo")
    options.rounds = options.rounds or (3 if options.whole else 15)
    return options


def main() -> int:
    """Run one part, print its table, put it into the results file beside the other part."""
    options = parse()
    pin_threads()
    if options.train:
        train_one(options.train, options.epochs, options.out)
        return 0
    task = aevb_task.load_task()
    print(f"data: {task.source}; {THREADS} cores; {json.dumps(versions())}", flush=True)
    head = {
        "data": task.source,
        "date": dt.date.today().isoformat(),
        "machine": machine(),
        "versions": versions(),
    }
    load = head["machine"]["load"]
    if load > QUIET:
        print(f"warning: load {load}: busy machine, do not trust these times (OMP_WAIT_POLICY=passive helps PyTorch)")
    names = options.only or list(WHOLE if options.whole else CONTESTANTS)
    row = head | (whole if options.whole else steps)(options, names, task)
    print_table(row)
    if options.json:
        from nelbo.core import read_json, write_json

        results = read_json(options.json) if options.json.exists() else {}
        write_json(options.json, results | {"whole" if options.whole else "step": row})
        print(f"wrote {options.json}")
    return 1 if any(found["agrees"] is False for found in row["contestants"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
