"""Speed of Bayes over the weights of a network: nelbo against hand-written JAX, BlackJAX, posteriors, NumPyro and Pyro.

    python -m venv rivals && rivals/bin/pip install torch==2.13.0 posteriors pyro-ppl
    python benchmarks/bayes.py --torch-python rivals/bin/python

One gradient step of SGLD, SGHMC and mean-field variational inference on a 784-400-400-10 perceptron with rectified
units, batch 100, N(0, 1) on every weight, 10000 examples drawn here. Samplers keep a draw every 100 steps. nelbo runs
the loop of `nelbo.fit` with all that belongs to it. posteriors and Pyro have a process and an environment of their own;
without --torch-python they are left out. The machine may change its speed while this runs, so contestants take turns in
short blocks, and are compared by the best one, the median, and the median ratio of blocks of the same turn. Processor
time (of all threads) is disturbed less by other work on the machine. The loss on other examples after the warm-up
shows that all of them learn; BlackJAX's SGHMC draws its momentum anew for each minibatch, and so learns more slowly.
"""

import argparse
import datetime as dt
import importlib.metadata
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from bayes_task import BATCH, CHUNK, EXAMPLES, SIZES, THREADS, Task, draw_task, loss
from turns import Here, Process, There, in_turns, pin_threads, print_table, summary

METHODS = ("sgld", "sghmc", "mean-field")
TORCH = {"sgld": {"posteriors": "sgld"}, "sghmc": {"posteriors": "sghmc"},
         "mean-field": {"pyro": "pyro", "pyro_tuned": "pyro_tuned"}}  # fmt: skip
CHECK_STEPS = 200  # untimed: compilation, warm-up and the look at the loss
LEARNED = 0.5 * float(np.log(SIZES[-1]))  # nats; a loss above it, half that of a guess, is no training
PACKAGES = ("jax", "jaxlib", "optax", "equinox", "blackjax", "numpyro")


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
    losses = {}
    for name, one in ready.items():
        one.block(CHECK_STEPS)
        losses[name] = loss(one.weights(), task)
        print(f"{method}, warm {name}: loss {losses[name]:.3f} nats after {CHECK_STEPS} steps", flush=True)
    found = summary(in_turns(ready, options.rounds, options.block, method))
    for name, row in found.items():
        row |= {"loss": round(losses[name], 3), "learned": losses[name] <= LEARNED}
    return found


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
    pin_threads(THREADS)
    task = draw_task()
    process = None if options.torch_python is None else Process(options.torch_python, "bayes_torch.py")
    load = round(os.getloadavg()[0], 2)
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    versions |= {} if process is None else process.ask("versions")
    head = {"date": dt.date.today().isoformat(), "load": load, "cores": THREADS, "versions": versions}
    head |= {"rounds": options.rounds, "block_steps": options.block}
    head |= {"sizes": SIZES, "batch": BATCH, "examples": EXAMPLES}
    results = {}
    for method in options.only:
        results[method] = measure(method, task, process, options)
        print_table(method, results[method], "loss")
        if options.json:
            from nelbo.core import write_json

            write_json(options.json, head | {"ms_per_step": results})
    return 1 if any(not row["learned"] for found in results.values() for row in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
