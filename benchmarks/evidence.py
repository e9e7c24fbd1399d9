"""Speed of what evidence needs: Boltzmann machines, Hamiltonian chains, importance-weighted bounds.

    python -m venv rivals && rivals/bin/pip install torch==2.13.0
    python benchmarks/evidence.py --torch-python rivals/bin/python --json benchmarks/results/evidence.json

`rbm`: a step of contrastive divergence (CD-1) of a 784-500 machine on a batch of 100, against scikit-learn's
`BernoulliRBM` at the same batch and, for the time of a whole pass, at its default of 10. `hmc`: one move of 10 leapfrog
steps of 1000 chains on the posteriors of 20 latents of a decoder with 200 rectified units, one chain for each of 1000
pictures, against BlackJAX and NumPyro with the same step size and no adaptation. `iwae`: the importance-weighted bound
of 5000 draws of 1000 points under that decoder, by products of bfloat16 that are corrected and by those of float32,
against hand-written PyTorch. Contestants take turns and are compared
by the best block, the median, and the median ratio of blocks of one turn.
"""

import argparse
import datetime as dt
import importlib.metadata
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from evidence_task import (
    BATCH,
    CHAINS,
    DRAWS,
    LATENTS,
    LEAPFROGS,
    PIXELS,
    POINTS,
    RBM_HIDDEN,
    STEP_SIZE,
    THREADS,
    WIDTH,
    Task,
    draw_task,
)
from turns import Here, Process, There, in_turns, pin_threads, print_table, summary

BLOCKS = {"rbm": 100, "hmc": 20, "iwae": 1}  # steps, moves, bounds of POINTS / 10 points
PART = POINTS // 10
PACKAGES = ("jax", "jaxlib", "blackjax", "numpyro", "scikit-learn", "numpy")


class Boltzmann:
    """nelbo's CD-1, through the loop of `nelbo.fit`."""

    def __init__(self, task: Task) -> None:
        import jax
        from stepping import Stepping

        from nelbo.data import Split, source
        from nelbo.models import rbm
        from nelbo.objectives import ContrastiveDivergence
        from nelbo.training import optimizer

        model = rbm(jax.random.key(0), (PIXELS,), hidden=(RBM_HIDDEN,))
        rows = source(Split(task.x.astype(np.uint8)), "binary")
        rule = optimizer("momentum", learning_rate=0.05)
        objective = ContrastiveDivergence()
        self._steps = Stepping(jax.random.key(1), model, objective, rows, rule, batch=BATCH, chunk=100)

    def block(self, steps: int) -> int:
        """How many were taken."""
        return self._steps.advance(steps)


class ScikitLearn:
    """`BernoulliRBM`, one pass over as many rows as the steps take; float32 rows, which it keeps."""

    def __init__(self, task: Task, batch: int) -> None:
        self._x, self._batch = task.x, batch

    def block(self, steps: int) -> int:
        """A step is a batch of BATCH rows, whatever batches it takes them in."""
        from sklearn.neural_network import BernoulliRBM

        machine = BernoulliRBM(RBM_HIDDEN, learning_rate=0.05, batch_size=self._batch, n_iter=1, random_state=0)
        machine.fit(self._x[: steps * BATCH])
        return steps


def decoder_density(task: Task) -> Any:
    """Log p(x, z) of one example, in JAX."""
    import jax
    import jax.numpy as jnp

    weights = tuple(map(jnp.asarray, task.decoder))

    def log_density(z: Any, x: Any) -> Any:
        w, b, v, c = weights
        logits = jax.nn.relu(z @ w + b) @ v + c
        return (x * logits - jax.nn.softplus(logits)).sum() - 0.5 * (z**2).sum()

    return log_density


class Chains:
    """A compiled block of moves of all chains, which go on where they stopped. Abstract: `start` and `move`."""

    def __init__(self, task: Task, start: Any, move: Any) -> None:
        import jax

        self._x = jax.numpy.asarray(task.x[:CHAINS])
        self._state = jax.jit(jax.vmap(start))(jax.numpy.zeros((CHAINS, LATENTS)), self._x)
        self._key = jax.random.key(0)

        def moves(key: Any, state: Any, x: Any) -> Any:
            body = lambda s, k: (move(k, s, x), None)  # noqa: E731
            return jax.lax.scan(body, state, jax.random.split(key, BLOCKS["hmc"]))[0]

        self._moves = jax.jit(lambda key, state, x: jax.vmap(moves)(jax.random.split(key, CHAINS), state, x))

    def block(self, steps: int) -> int:
        """Moves of every chain."""
        import jax

        assert steps == BLOCKS["hmc"]
        self._key, key = jax.random.split(self._key)
        self._state = jax.block_until_ready(self._moves(key, self._state, self._x))
        return steps


def nelbo_chains(task: Task) -> Chains:
    """`samplers.Hamiltonian` with its step size held."""
    from nelbo.samplers import Hamiltonian

    density = decoder_density(task)
    kernel = lambda x: Hamiltonian(lambda z: density(z, x), leapfrogs=LEAPFROGS, first_step=STEP_SIZE)  # noqa: E731
    return Chains(task, lambda z, x: kernel(x).init(z), lambda key, s, x: kernel(x).step(key, s)[0])


def blackjax_chains(task: Task) -> Chains:
    """`blackjax.hmc`."""
    import blackjax
    import jax.numpy as jnp

    density = decoder_density(task)
    masses = jnp.ones(LATENTS)
    kernel = lambda x: blackjax.hmc(lambda z: density(z, x), STEP_SIZE, masses, LEAPFROGS)  # noqa: E731
    return Chains(task, lambda z, x: kernel(x).init(z), lambda key, s, x: kernel(x).step(key, s)[0])


class NumPyro:
    """NumPyro's HMC kernel on a potential function, vectorized over the chains, its step size held."""

    def __init__(self, task: Task) -> None:
        import jax
        import jax.numpy as jnp
        from numpyro.infer.hmc import hmc

        density, x = decoder_density(task), jnp.asarray(task.x[:CHAINS])
        init, sample = hmc(potential_fn_gen=lambda row: lambda z: -density(z, row), algo="HMC")
        options = {"step_size": STEP_SIZE, "adapt_step_size": False, "adapt_mass_matrix": False,
                   "trajectory_length": LEAPFROGS * STEP_SIZE}  # fmt: skip
        keys = jax.random.split(jax.random.key(0), CHAINS)
        start = lambda key, row: init(  # noqa: E731
            jnp.zeros(LATENTS), 0, model_args=(row,), rng_key=key, **options
        )
        self._state = jax.vmap(start)(keys, x)
        body = lambda s, row: jax.lax.fori_loop(  # noqa: E731
            0, BLOCKS["hmc"], lambda _, at: sample(at, model_args=(row,)), s
        )
        self._moves = jax.jit(lambda state: jax.vmap(body)(state, x))

    def block(self, steps: int) -> int:
        """Moves of every chain."""
        import jax

        assert steps == BLOCKS["hmc"]
        self._state = jax.block_until_ready(self._moves(self._state))
        return steps


class Bound:
    """nelbo's importance-weighted bound, of a tenth of the points."""

    def __init__(self, task: Task, precision: str) -> None:
        import equinox as eqx
        import jax
        import jax.numpy as jnp

        from nelbo.data import Split, source
        from nelbo.models import vae

        model = vae(jax.random.key(0), (PIXELS,), latents=LATENTS, hidden=(WIDTH,), activation="relu")
        arrays = lambda m: [a for part in (m.recognition, m.generative)  # noqa: E731
                            for layer in part.layers[0].net.layers for a in (layer.kernel, layer.bias)]  # fmt: skip
        w, b, mean, mean_b, log_s, log_s_b = task.encoder
        new = (w, b, np.hstack([mean, log_s]), np.hstack([mean_b, log_s_b]), *task.decoder)
        self._precision = precision
        self._model = eqx.tree_at(arrays, model, [jnp.asarray(a) for a in new])
        self._rows = source(Split(task.x[:PART].astype(np.uint8)), "binary")

    def block(self, steps: int) -> int:
        """Bounds of all points of the part; the number of the last one is kept."""
        import jax

        from nelbo.evaluation import importance_bound

        for _ in range(steps):
            self.value = importance_bound(
                jax.random.key(1), self._model, self._rows, num_samples=DRAWS, precision=self._precision
            ).nats
        return steps


def contestants(method: str, task: Task, process: Process | None) -> dict[str, Any]:
    """Those of a method, by name."""
    if method == "rbm":
        return {"nelbo": Here(lambda: Boltzmann(task)), "sklearn": Here(lambda: ScikitLearn(task, BATCH)),
                "sklearn_10": Here(lambda: ScikitLearn(task, 10))}  # fmt: skip
    if method == "hmc":
        return {"nelbo": Here(lambda: nelbo_chains(task)), "blackjax": Here(lambda: blackjax_chains(task)),
                "numpyro": Here(lambda: NumPyro(task))}  # fmt: skip
    found: dict[str, Any] = {
        "nelbo": Here(lambda: Bound(task, "bfloat16")),
        "nelbo_float32": Here(lambda: Bound(task, "float32")),
    }
    return found if process is None else found | {"torch": There(process, "iwae")}


def main() -> int:
    """Run, print the tables, write the results file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="turns of each contestant")
    parser.add_argument("--only", nargs="+", choices=tuple(BLOCKS), default=list(BLOCKS))
    parser.add_argument("--torch-python", help="interpreter with torch")
    parser.add_argument("--json", type=Path, help="results file, benchmarks/results/evidence.json say")
    options = parser.parse_args()
    pin_threads(THREADS)
    warnings.simplefilter("ignore")
    task = draw_task()
    process = None if options.torch_python is None else Process(options.torch_python, "evidence_torch.py")
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    versions |= {} if process is None else process.ask("versions")
    head = {"date": dt.date.today().isoformat(), "load": round(os.getloadavg()[0], 2), "cores": THREADS}
    head |= {"versions": versions, "rounds": options.rounds, "blocks": BLOCKS}
    head |= {"rbm": [PIXELS, RBM_HIDDEN, BATCH], "hmc": [CHAINS, LEAPFROGS, LATENTS, WIDTH], "iwae": [PART, DRAWS]}
    results = {}
    for method in options.only:
        ready = contestants(method, task, process)
        for one in ready.values():
            one.block(BLOCKS[method])  # compilation
        results[method] = summary(in_turns(ready, options.rounds, BLOCKS[method], method))
        print_table(method, results[method])
        if options.json:
            from nelbo.core import write_json

            write_json(options.json, head | {"ms": results})
    return 0


if __name__ == "__main__":
    sys.exit(main())
