"""What the training loop adds to a convolutional step: `fit`'s time a step over that of the bare compiled gradient.

    python benchmarks/convolution.py [--rounds 12] [--json FILE]

Both make the same update: the gradient of the same objective on batches of 100 images, then Adam. The bare one is a
jitted function on a batch that is there already. They are timed in turn, in one process: between two calls of the
loop a callback runs as many bare steps. The limit is a ratio of 1.1, by the best blocks of each; the exit status says
whether it holds. Beside it stands the same ratio of processor time, which a busy machine leaves alone.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

from nelbo.data import Split, source
from nelbo.models import vae
from nelbo.nets import trainable
from nelbo.objectives import Sgvb
from nelbo.training import fit, optimizer

BATCH, SHAPE, CHANNELS = 100, (28, 28, 1), (32, 64)
BLOCK = 3  # steps
LIMIT = 1.1


def bare_steps(model: Any, batch: jax.Array) -> Any:
    """A function that makes a number of compiled updates and waits for the last."""
    objective, adam = Sgvb(), optimizer("adam")
    params, static = eqx.partition(model, trainable(model))
    state = objective.init(jr.key(2), model)

    @jax.jit
    def update(params: Any, moments: Any, key: Any) -> Any:
        grads = jax.grad(lambda p: objective(key, eqx.combine(p, static), batch, state)[0].surrogate)(params)
        with jax.numpy_dtype_promotion("standard"):  # optax multiplies floats by its integer counts
            updates, moments = adam.update(grads, moments, params)
            return optax.apply_updates(params, updates), moments

    carry = [params, adam.init(params)]

    def run(count: int) -> None:
        for _ in range(count):
            carry[:] = update(carry[0], carry[1], jr.key(0))
        jax.block_until_ready(carry)

    run(1)
    return run


def measure(architecture: str, rounds: int) -> dict[str, float]:
    """Best seconds a step of both, and their ratio."""
    x = (np.random.default_rng(0).random((2000, *SHAPE)) < 0.2).astype(np.uint8)
    model = vae(jr.key(0), SHAPE, architecture=architecture, channels=CHANNELS, hidden=(500,), activation="relu")
    bare = bare_steps(model, jnp.asarray(x[:BATCH], jnp.float32))
    seconds: dict[str, list[float]] = {"loop": [], "bare": [], "loop_cpu": [], "bare_cpu": []}
    last = {"step": 0, "time": 0.0, "cpu": 0.0}

    def note(name: str, count: int, wall: float, cpu: float) -> None:
        seconds[name].append((time.perf_counter() - wall) / count)
        seconds[f"{name}_cpu"].append((time.process_time() - cpu) / count)

    def between(event: str, state: Any) -> None:
        if event != "progress":
            return
        count = state.step - last["step"]
        if last["step"] > 1:  # the first call compiles
            note("loop", count, last["time"], last["cpu"])
            began = time.perf_counter(), time.process_time()
            bare(count)
            note("bare", count, *began)
        last.update(step=state.step, time=time.perf_counter(), cpu=time.process_time())

    steps = 2 + BLOCK * rounds
    data = source(Split(x), "binary")
    fit(
        jr.key(1), model, Sgvb(), data, optimizer("adam"), steps=steps, evaluate_every=steps, keep="last", chunk=BLOCK,
        batch_size=BATCH, callbacks=[between],
    )  # fmt: skip
    best = {name: min(values) for name, values in seconds.items()}
    return best | {"ratio": best["loop"] / best["bare"], "cpu_ratio": best["loop_cpu"] / best["bare_cpu"]}


def main() -> int:
    """Measure, print, keep, and say whether the limit holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12, help="blocks of each")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "convolution.json")
    options = parser.parse_args()
    rows = {name: measure(name, options.rounds) for name in ("conv", "mlp")}
    for name, row in rows.items():
        times = f"loop {1e3 * row['loop']:.1f} ms, bare {1e3 * row['bare']:.1f} ms"
        print(f"{name}: {times}, ratio {row['ratio']:.3f} (of processor time {row['cpu_ratio']:.3f})")
    options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return int(rows["conv"]["ratio"] > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
