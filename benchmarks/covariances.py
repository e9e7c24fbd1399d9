"""Speed of a training step with each covariance family of q, and of the imputation chain.

    python benchmarks/covariances.py --latents 200 --rounds 9
    python benchmarks/covariances.py --chain

The first trains deep latent Gaussian models that differ in nothing but the covariance of q (200 latents, 200 rectified
units on each side, batch 100, Adam) on binary pictures drawn here; their values do not change the work of a step.
Blocks of the families are interleaved and compared by their best and their median one, since the machine may change its
speed while this runs. The second fills in 10000 pictures by 15 steps of the uncorrected chain, one chain each.
"""

import argparse
import json
import statistics
import time
from typing import Any

import numpy as np

PIXELS, HIDDEN, EXAMPLES, CHUNK, STEPS = 784, 200, 10_000, 50, 15
FAMILIES = ("diagonal", "rank-one", "low-rank", "full")


def pictures() -> np.ndarray:
    """Binary vectors."""
    rng = np.random.default_rng(0)
    return (rng.random((EXAMPLES, PIXELS)) < rng.beta(0.3, 1.2, PIXELS)).astype(np.uint8)


def model_of(posterior: str, latents: int) -> Any:
    """The network of the paper with one family of q."""
    import jax

    from nelbo.models import dlgm

    sizes = {"layers": (latents,), "hidden": (HIDDEN,), "centre": pictures().mean(0)}
    return dlgm(jax.random.key(0), (PIXELS,), posterior=posterior, **sizes)


class Training:
    """The chunks of `nelbo.fit`."""

    def __init__(self, posterior: str, latents: int, batch: int) -> None:
        import jax
        import optax
        from stepping import Stepping

        from nelbo.data import Split, source
        from nelbo.objectives import Sgvb

        data = source(Split(pictures()), "binary")
        key, model = jax.random.key(2), model_of(posterior, latents)
        self._steps = Stepping(key, model, Sgvb("B"), data, optax.adam(1e-3), batch=batch, chunk=CHUNK)

    def block(self) -> float:
        """Milliseconds a step, over at least one chunk."""
        return 1e3 * self._steps.seconds(CHUNK) / CHUNK


def steps(latents: int, batch: int, rounds: int, families: tuple[str, ...]) -> dict[str, Any]:
    """Milliseconds a step of each family, and how many times the diagonal one's."""
    contestants = {name: Training(name, latents, batch) for name in families}
    times: dict[str, list[float]] = {name: [] for name in families}
    for number in range(rounds + 1):
        for name, contestant in contestants.items():
            took = contestant.block()
            if number:  # the first block compiles
                times[name].append(took)
    first = families[0]
    rows = {
        name: {
            "best_ms": min(values),
            "median_ms": statistics.median(values),
            f"times_{first}_best": min(values) / min(times[first]),
            f"times_{first}_paired": statistics.median(a / b for a, b in zip(values, times[first], strict=True)),
        }
        for name, values in times.items()
    }
    return {"latents": latents, "batch": batch, "rounds": rounds, "families": rows}


def chain(latents: int) -> dict[str, Any]:
    """Seconds for 15 steps of the chain on 10000 pictures of which 60 % is missing."""
    import jax
    import jax.numpy as jnp

    from nelbo.data import Source
    from nelbo.tasks import ImputationSettings, hide, impute

    observed = np.random.default_rng(1).random((EXAMPLES, PIXELS)) < 0.4
    data = hide(Source(jnp.asarray(pictures()), "binary", dynamic=False), observed)
    model, seconds = model_of("diagonal", latents), []
    for _ in range(2):  # the first compiles
        start = time.perf_counter()
        impute(jax.random.key(0), model, data, ImputationSettings("chain", steps=STEPS, draws=1))
        seconds.append(time.perf_counter() - start)
    return {"latents": latents, "images": EXAMPLES, "steps": STEPS, "seconds": seconds[1], "first_seconds": seconds[0]}


def main() -> None:
    """Print the numbers as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latents", type=int, default=200)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--families", nargs="+", default=list(FAMILIES[:2]), choices=FAMILIES)
    parser.add_argument("--chain", action="store_true", help="time the imputation chain instead")
    options = parser.parse_args()
    if options.chain:
        print(json.dumps(chain(options.latents), indent=2))
    else:
        print(json.dumps(steps(options.latents, options.batch, options.rounds, tuple(options.families)), indent=2))


if __name__ == "__main__":
    main()
