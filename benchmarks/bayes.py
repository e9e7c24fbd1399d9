"""Speed of Bayes over the weights of a network: nelbo against hand-written JAX, BlackJAX, posteriors, NumPyro and Pyro.

    python -m venv rivals && rivals/bin/pip install torch==2.13.0 posteriors pyro-ppl
    python benchmarks/bayes.py --torch-python rivals/bin/python

One gradient step of SGLD, SGHMC and mean-field variational inference on a 784-400-400-10 perceptron with rectified
units, batch 100, N(0, 1) on every weight, 10000 examples drawn here. Samplers keep a draw every 100 steps. nelbo runs
the loop of `nelbo.fit` with all that belongs to it. posteriors and Pyro have a process and an environment of their own;
without --torch-python they are left out. The machine may change its speed while this runs, so contestants take turns in
short blocks, and are compared by the best one, the median, and the median ratio of blocks of the same turn. Processor
time (of all threads) is disturbed less by other work on the machine. The loss after the warm-up is checked against the
others'.
"""

import argparse
import datetime as dt
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bayes_task import BATCH, CHUNK, EXAMPLES, SIZES, THREADS, Task, draw_task, loss

METHODS = ("sgld", "sghmc", "mean-field")
TORCH = {"sgld": {"posteriors": "sgld"}, "sghmc": {"posteriors": "sghmc"},
         "mean-field": {"pyro": "pyro", "pyro_tuned": "pyro_tuned"}}  # fmt: skip
CHECK_STEPS = 500  # untimed: compilation, warm-up and the check of the loss
TOLERANCE = 0.15  # of the median loss
PACKAGES = ("jax", "jaxlib", "optax", "equinox", "blackjax", "numpyro")


class Here:
    """A contestant in this process."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._contestant = make()

    def block(self, steps: int) -> tuple[float, float]:
        """Milliseconds a step: wall and processor time."""
        wall, used = time.perf_counter(), time.process_time()
        done = self._contestant.block(steps)
        return 1e3 * (time.perf_counter() - wall) / done, 1e3 * (time.process_time() - used) / done

    def weights(self) -> dict[str, np.ndarray]:
        """The present ones, or their means."""
        return self._contestant.weights()


class There:
    """A contestant in the process of the others."""

    def __init__(self, process: "Process", name: str) -> None:
        self._process, self._name = process, name

    def block(self, steps: int) -> tuple[float, float]:
        """Milliseconds a step: wall and processor time."""
        wall, used = self._process.ask(f"block {self._name} {steps}")
        return 1e3 * wall / steps, 1e3 * used / steps

    def weights(self) -> dict[str, np.ndarray]:
        """The present ones, or their means."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "weights.npz"
            self._process.ask(f"weights {self._name} {path}")
            with np.load(path) as file:
                return dict(file)


class Process:
    """The interpreter that has PyTorch."""

    def __init__(self, python: str) -> None:
        script = Path(__file__).with_name("bayes_torch.py")
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([python, str(script)], stdin=pipe, stdout=pipe, text=True)

    def ask(self, order: str) -> Any:
        """The answer to an order."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(order, file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the process of PyTorch has ended; its reason stands above")
        return json.loads(line)


def pin_threads() -> None:
    """Give every library the same cores and threads, this process and its children; before any of them is imported."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(THREADS)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    os.environ["JAX_PLATFORMS"] = "cpu"


def contestants(method: str, task: Task, process: Process | None, draws: int) -> dict[str, Any]:
    """Those of a method, by name."""
    from bayes_jax import CONTESTANTS, Nelbo

    found: dict[str, Any] = {"nelbo": Here(lambda: Nelbo(task, method, draws))}
    found |= {name: Here(lambda make=make: make(task)) for name, make in CONTESTANTS[method].items()}
    if process is not None:
        found |= {name: There(process, known) for name, known in TORCH[method].items()}
    return found


def measure(method: str, task: Task, process: Process | None, options: argparse.Namespace) -> dict[str, Any]:
    """Warm up and check each contestant of a method, then blocks in turn, the order reversed every round."""
    draws = (CHECK_STEPS + options.rounds * (options.block + CHUNK)) // CHUNK
    ready = contestants(method, task, process, draws)
    losses, times = {}, {name: [] for name in ready}
    for name, one in ready.items():
        one.block(CHECK_STEPS)
        losses[name] = loss(one.weights(), task)
        print(f"{method}, warm {name}: loss {losses[name]:.3f} nats after {CHECK_STEPS} steps", flush=True)
    for turn in range(options.rounds):
        for name in list(ready)[:: 1 if turn % 2 == 0 else -1]:
            times[name].append(ready[name].block(options.block))
        now = "  ".join(f"{name} {times[name][-1][0]:.2f}" for name in ready)
        print(f"{method}, round {turn + 1}/{options.rounds}, ms/step: {now}", flush=True)
    return summary(times, losses)


def summary(times: dict[str, list[tuple[float, float]]], losses: dict[str, float]) -> dict[str, Any]:
    """Best and median of each, and nelbo's time over it: by best blocks, blocks of one turn, and processor time."""
    middle = statistics.median(losses.values())
    wall = {name: [one for one, _ in values] for name, values in times.items()}
    used = {name: statistics.median(one for _, one in values) for name, values in times.items()}
    found = {}
    for name, values in wall.items():
        ratios = [a / b for a, b in zip(wall["nelbo"], values, strict=True)]
        found[name] = {
            "best": round(min(values), 3),
            "median": round(statistics.median(values), 3),
            "processor": round(used[name], 3),
            "nelbo_over_best": round(min(wall["nelbo"]) / min(values), 3),
            "nelbo_over_paired": round(statistics.median(ratios), 3),
            "nelbo_over_processor": round(used["nelbo"] / used[name], 3),
            "loss": round(losses[name], 3),
            "agrees": abs(losses[name] - middle) <= TOLERANCE * middle,
        }
    return found


def print_table(method: str, found: dict[str, Any]) -> None:
    """One line a contestant."""
    heads = ("best", "median", "processor", "over best", "paired", "processor", "loss")
    print(f"\n{method:<12}{''.join(f'{head:>11}' for head in heads)}  (ms a step; nelbo over it; nats)")
    for name, row in sorted(found.items(), key=lambda item: item[1]["best"]):
        numbers = [value for key, value in row.items() if key != "agrees"]
        print(f"{name:<12}{''.join(f'{number:>11.3f}' for number in numbers)}  {'' if row['agrees'] else 'DIFFERS'}")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="turns of each contestant")
    parser.add_argument("--block", type=int, default=100, help=f"steps in a block, a multiple of {CHUNK}")
    parser.add_argument("--only", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--torch-python", help="interpreter with torch, posteriors and pyro-ppl")
    parser.add_argument("--json", type=Path, help="results file, benchmarks/results/bayes.json say")
    options = parser.parse_args()
    if options.block < CHUNK or options.block % CHUNK:
        parser.error(f"--block {options.block}: scans take {CHUNK} steps at once; give a multiple of {CHUNK}")
    return options


def main() -> int:
    """Run, print the tables, write the results file."""
    options = parse()
    pin_threads()
    task = draw_task()
    process = None if options.torch_python is None else Process(options.torch_python)
    load = round(os.getloadavg()[0], 2)
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    versions |= {} if process is None else process.ask("versions")
    results = {method: measure(method, task, process, options) for method in options.only}
    for method, found in results.items():
        print_table(method, found)
    if options.json:
        from nelbo.core import write_json

        head = {"date": dt.date.today().isoformat(), "load": load, "versions": versions, "rounds": options.rounds}
        head |= {"block_steps": options.block, "sizes": SIZES, "batch": BATCH, "examples": EXAMPLES}
        write_json(options.json, head | {"ms_per_step": results})
    return 1 if any(not row["agrees"] for found in results.values() for row in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
