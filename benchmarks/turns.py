"""Contestants that take turns: in this process, or in another interpreter that obeys orders line by line."""

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np


class Here:
    """A contestant in this process: `make()` gives an object whose `block(steps)` says how many steps it took."""

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
    """The interpreter that has PyTorch, and runs a script of this folder that answers orders in JSON."""

    def __init__(self, python: str, script: str) -> None:
        # threads that wait sleep, which costs nothing on a quiet machine and saves PyTorch on a busy one
        environment = {"OMP_WAIT_POLICY": "passive", "PYTHONWARNINGS": "ignore", **os.environ}
        pipe, path = subprocess.PIPE, Path(__file__).with_name(script)
        self._process = subprocess.Popen([python, str(path)], stdin=pipe, stdout=pipe, text=True, env=environment)

    def ask(self, order: str) -> Any:
        """The answer to an order."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(order, file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the process of PyTorch has ended; its reason stands above")
        return json.loads(line)


def pin_threads(threads: int) -> None:
    """Give every library the same cores and threads, this process and its children; before any of them is imported."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    os.environ["JAX_PLATFORMS"] = "cpu"


def in_turns(ready: Mapping[str, Any], rounds: int, block: int, what: str) -> dict[str, list[tuple[float, float]]]:
    """Blocks of the contestants in turn, the order reversed every round."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ready}
    for turn in range(rounds):
        for name in list(ready)[:: 1 if turn % 2 == 0 else -1]:
            times[name].append(ready[name].block(block))
        now = "  ".join(f"{name} {times[name][-1][0]:.2f}" for name in ready)
        print(f"{what}, round {turn + 1}/{rounds}, ms/step: {now}", flush=True)
    return times


def summary(times: Mapping[str, list[tuple[float, float]]]) -> dict[str, dict[str, Any]]:
    """Best and median of each, and nelbo's time over it: by best blocks, blocks of one turn, and processor time."""
    wall = {name: [one for one, _ in values] for name, values in times.items()}
    used = {name: statistics.median(one for _, one in values) for name, values in times.items()}
    found: dict[str, dict[str, Any]] = {}
    for name, values in wall.items():
        ratios = [a / b for a, b in zip(wall["nelbo"], values, strict=True)]
        found[name] = {
            "best": round(min(values), 3),
            "median": round(statistics.median(values), 3),
            "processor": round(used[name], 3),
            "nelbo_over_best": round(min(wall["nelbo"]) / min(values), 3),
            "nelbo_over_paired": round(statistics.median(ratios), 3),
            "nelbo_over_processor": round(used["nelbo"] / used[name], 3),
        }
    return found


def print_table(what: str, found: Mapping[str, Mapping[str, Any]], last: str = "") -> None:
    """One line a contestant."""
    heads = ("best", "median", "processor", "over best", "paired", "processor", *([last] if last else []))
    print(f"\n{what:<12}{''.join(f'{head:>11}' for head in heads)}  (ms a step; nelbo over it)")
    for name, row in sorted(found.items(), key=lambda item: item[1]["best"]):
        numbers = "".join(f"{value:>11.3f}" for value in row.values() if not isinstance(value, bool))
        print(f"{name:<12}{numbers}  {'' if row.get('learned', True) else 'NOT LEARNED'}")
