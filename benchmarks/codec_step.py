"""Speed of one training step of a scale hyperprior: nelbo against CompressAI, the same layers on the same cores.

    python -m venv rivals && rivals/bin/pip install torch==2.13.0 torchvision compressai==1.2.8
    python benchmarks/codec_step.py --torch-python rivals/bin/python --json benchmarks/results/codec_step.json

Both have four 5 x 5 convolutions of stride two with divisive normalization, three of the hyper-latents, and their
transposes (Balle et al. 2018), and take steps of Adam on rate and distortion of the same crops. nelbo's is the loop
inside `nelbo.fit`, each crop with its own step, in a process that keeps its memory as the command does; CompressAI's is
its published loop without the separate optimizer of quantiles. Blocks take turns, since the machine may change its
speed while this runs.
"""

import argparse
import datetime as dt
import importlib.metadata
import os
from pathlib import Path
from typing import Any

import numpy as np
from turns import Here, Process, There, in_turns, pin_threads, print_table, summary

THREADS, SIDE = 2, 128
# filters and latents of nelbo's sizes
SIZES = {"small": (48, 128), "published": (192, 192)}


class Nelbo:
    """The chunks of `nelbo.fit`."""

    def __init__(self, size: str, batch: int, chunk: int) -> None:
        import jax.random as jr
        from stepping import Stepping

        from nelbo.core import Example, keep_memory
        from nelbo.data import Source
        from nelbo.models import build
        from nelbo.objectives import Sgvb
        from nelbo.training import optimizer

        keep_memory()  # as `nelbo fit` does

        rng = np.random.default_rng(0)
        crops = rng.integers(0, 256, (32, SIDE, SIDE, 3)).astype(np.uint8)
        steps = np.full((32, 1), 3.0, np.float32)
        options = {"shape": crops.shape[1:], "size": size, "prior": "hyperprior"}
        model = build(jr.key(0), "convolutional-codec", options)
        source = Source(Example(crops, context=steps), "uint8", dynamic=False)
        adam = optimizer("adam", learning_rate=1e-4)
        self._steps = Stepping(jr.key(1), model, Sgvb("A"), source, adam, batch=batch, chunk=chunk)

    def block(self, steps: int) -> int:
        """How many steps were taken."""
        return self._steps.advance(steps)


def measure(size: str, options: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds of a step of all contestants in one size."""
    ready: dict[str, Any] = {"nelbo": Here(lambda: Nelbo(size, options.batch, options.block))}
    process = None
    if options.torch_python is not None:
        process = Process(options.torch_python, "codec_step_torch.py")
        filters, latents = SIZES[size]
        process.ask(f"make {filters} {latents} {options.batch} {SIDE}")
        ready["compressai"] = There(process, "compressai")
    for one in ready.values():
        one.block(2)
    found = summary(in_turns(ready, options.rounds, options.block, size))
    print_table(size, found)
    return {"ms_per_step": found, "versions": {} if process is None else process.ask("versions")}


def main() -> None:
    """Run, print the tables, write the results file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8, help="turns of each contestant")
    parser.add_argument("--block", type=int, default=3, help="steps in a block")
    parser.add_argument("--batch", type=int, default=8, help=f"crops of {SIDE} x {SIDE}")
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=["small"])
    parser.add_argument("--torch-python", help="interpreter with torch and compressai")
    parser.add_argument("--json", type=Path, help="results file, benchmarks/results/codec_step.json say")
    options = parser.parse_args()
    pin_threads(THREADS)
    head = {"date": dt.date.today().isoformat(), "load": round(os.getloadavg()[0], 2), "cores": THREADS}
    head |= {"batch": options.batch, "side": SIDE, "rounds": options.rounds, "block_steps": options.block}
    head |= {"jax": importlib.metadata.version("jax")}
    results = {size: measure(size, options) for size in options.sizes}
    if options.json:
        from nelbo.core import write_json

        write_json(options.json, head | {"sizes": results})


if __name__ == "__main__":
    main()
