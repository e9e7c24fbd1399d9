"""Speed of one NVIL step on a 200-200-200 sigmoid belief net: nelbo against a hand-written JAX scan and Pyro.

    python benchmarks/nvil.py --batch 20 --rounds 7

All train on the same binary pictures (drawn here; their values do not change the work of a step) with Adam, one draw of
the latents, local learning signals, centring, variance normalization (Pyro has none) and one baseline network of 100
tanh units for each layer. Blocks of the contestants are interleaved and compared by their best one, since the machine
may change its speed while this runs. `best_cpu` is processor time of all threads, which other work on the machine
disturbs less.
"""

import argparse
import itertools
import json
import os
import time
from typing import Any

import numpy as np

THREADS, PIXELS, UNITS, DEPTH, HIDDEN, EXAMPLES, RATE, DECAY, CHUNK = 2, 784, 200, 3, 100, 10_000, 1e-3, 0.8, 100
SIZES = (PIXELS, *[UNITS] * DEPTH)


def pictures() -> np.ndarray:
    """Binary vectors."""
    rng = np.random.default_rng(0)
    return (rng.random((EXAMPLES, PIXELS)) < rng.beta(0.3, 1.2, PIXELS)).astype(np.float32)


class Nelbo:
    """The chunks of `nelbo.fit`."""

    def __init__(self, batch: int) -> None:
        import jax
        from stepping import Stepping

        from nelbo.data import Split, source
        from nelbo.models import sbn
        from nelbo.objectives import ScoreFunction
        from nelbo.training import optimizer

        x = pictures()
        model = sbn(jax.random.key(0), (PIXELS,), layers=SIZES[1:], centre=x.mean(0))
        data = source(Split(x.astype(np.uint8)), "binary")
        key = jax.random.key(2)
        adam = optimizer("adam", learning_rate=RATE)
        self._steps = Stepping(key, model, ScoreFunction(), data, adam, batch=batch, chunk=CHUNK)

    def block(self, steps: int) -> float:
        """Seconds for `steps` steps; the loop itself chooses how many it takes in one call."""
        return self._steps.seconds(steps)

    def bound(self) -> float:
        """Mean training bound so far [nats]."""
        return self._steps.bound


class JaxScan:
    """Written by hand: batched products, one draw of uniforms for all layers, scanned chunks."""

    def __init__(self, batch: int) -> None:
        import jax
        import jax.numpy as jnp
        import jax.random as jr
        import optax

        x = jnp.asarray(pictures())
        mean = x.mean(0)
        optimizer = optax.adam(RATE)

        @jax.custom_jvp
        def softplus(a):
            return jnp.maximum(a, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(a)))

        softplus.defjvps(lambda tangent, _, a: tangent * jax.nn.sigmoid(a))

        def dense(key, n, m):
            bound = (6 / (n + m)) ** 0.5
            return {"w": jr.uniform(key, (n, m), minval=-bound, maxval=bound), "b": jnp.zeros(m)}

        def log_bernoulli(a, h):
            return (h * a - softplus(a)).sum(-1)

        def apply(p, h):
            return h @ p["w"] + p["b"]

        keys = iter(jr.split(jr.key(0), 4 * DEPTH))
        pairs = list(itertools.pairwise(SIZES))
        params = {
            "up": [dense(next(keys), n, m) for n, m in pairs],
            "down": [dense(next(keys), m, n) for n, m in pairs],
            "top": jnp.zeros(UNITS),
            "base": [[dense(next(keys), n, HIDDEN), dense(next(keys), HIDDEN, 1)] for n, _ in pairs],
        }

        def loss(p, v, key, c, s):
            noise = jr.uniform(key, (DEPTH, batch, UNITS))
            nodes, log_q, base = [v], [], []
            for i in range(DEPTH):
                below = nodes[-1] - mean if i == 0 else nodes[-1]
                a = apply(p["up"][i], below)
                h = (noise[i] < jax.nn.sigmoid(a)).astype(jnp.float32)
                log_q.append(log_bernoulli(a, h))
                first, second = p["base"][i]
                base.append(apply(second, jnp.tanh(apply(first, below)))[:, 0])
                nodes.append(h)
            log_p = [log_bernoulli(apply(p["down"][i], nodes[i + 1]), nodes[i]) for i in range(DEPTH)]
            log_p.append(log_bernoulli(p["top"], nodes[-1]))
            log_p, log_q, base = jnp.stack(log_p), jnp.stack(log_q), jnp.stack(base)
            signal = jnp.cumsum(log_p[::-1], 0)[::-1][:-1] - jnp.cumsum(log_q[::-1], 0)[::-1]
            residual = jax.lax.stop_gradient(signal - base)
            advantage = (residual - c[:, None]) / jnp.maximum(1.0, jnp.sqrt(s))[:, None]
            surrogate = -(log_p.sum(0) + (advantage * (log_q + base)).sum(0)).mean()
            return surrogate, ((log_p.sum(0) - log_q.sum(0)).mean(), residual)

        def step(carry, i):
            p, opt, c, s, key = carry
            order_key, draw_key = jr.split(jr.fold_in(key, i))
            v = x[jr.randint(order_key, (batch,), 0, EXAMPLES)]
            grads, (bound, residual) = jax.grad(loss, has_aux=True)(p, v, draw_key, c, s)
            updates, opt = optimizer.update(grads, opt)
            c, s = DECAY * c + (1 - DECAY) * residual.mean(1), DECAY * s + (1 - DECAY) * residual.var(1)
            return (optax.apply_updates(p, updates), opt, c, s, key), bound

        self._carry = (params, optimizer.init(params), jnp.zeros(DEPTH), jnp.zeros(DEPTH), jr.key(1))
        self._run = jax.jit(lambda carry, at: jax.lax.scan(step, carry, at + jnp.arange(CHUNK)), donate_argnums=0)
        self._at, self._bounds = 0, []

    def block(self, steps: int) -> float:
        """Seconds for `steps` steps."""
        start = time.perf_counter()
        for _ in range(steps // CHUNK):
            self._carry, bounds = self._run(self._carry, self._at)
            self._bounds.append(np.asarray(bounds))
            self._at += CHUNK
        return time.perf_counter() - start

    def bound(self) -> float:
        """Mean training bound so far [nats]."""
        return float(np.mean(self._bounds))


class Pyro:
    """Pyro's TraceGraph_ELBO with a baseline network and a decaying average for each layer, eager."""

    def __init__(self, batch: int) -> None:
        import pyro
        import torch
        from pyro.distributions import Bernoulli
        from pyro.infer import SVI, TraceGraph_ELBO
        from torch import nn

        torch.set_num_threads(THREADS)
        torch.manual_seed(0)
        pyro.clear_param_store()
        pyro.enable_validation(False)  # noqa: FBT003 (its signature)
        self._x, self._batch, self._losses = torch.from_numpy(pictures()), batch, []
        self._rng = np.random.default_rng(1)
        mean = self._x.mean(0)
        pairs = list(itertools.pairwise(SIZES))
        up = nn.ModuleList([nn.Linear(n, m) for n, m in pairs])
        down = nn.ModuleList([nn.Linear(m, n) for n, m in pairs])
        base = nn.ModuleList([nn.Sequential(nn.Linear(n, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1), nn.Flatten(0))
                              for n, _ in pairs])  # fmt: skip
        top = nn.Parameter(torch.zeros(UNITS))

        def model(v: Any) -> None:
            pyro.module("down", down)
            logits = pyro.param("top", top)
            with pyro.plate("data", len(v)):
                h = pyro.sample(f"z{DEPTH}", Bernoulli(logits=logits.expand(len(v), -1)).to_event(1))
                for i in range(DEPTH - 1, 0, -1):
                    h = pyro.sample(f"z{i}", Bernoulli(logits=down[i](h)).to_event(1))
                pyro.sample("x", Bernoulli(logits=down[0](h)).to_event(1), obs=v)

        def guide(v: Any) -> None:
            pyro.module("up", up)
            pyro.module("base", base)
            with pyro.plate("data", len(v)):
                h = v - mean
                for i in range(DEPTH):
                    options = {"nn_baseline": base[i], "nn_baseline_input": h.detach(),
                               "use_decaying_avg_baseline": True, "baseline_beta": DECAY}  # fmt: skip
                    law = Bernoulli(logits=up[i](h)).to_event(1)
                    h = pyro.sample(f"z{i + 1}", law, infer={"baseline": options})

        self._svi = SVI(model, guide, pyro.optim.Adam({"lr": RATE}), TraceGraph_ELBO())

    def block(self, steps: int) -> float:
        """Seconds for `steps` steps."""
        start = time.perf_counter()
        for _ in range(steps):
            rows = self._rng.integers(0, EXAMPLES, self._batch)
            self._losses.append(self._svi.step(self._x[rows]) / self._batch)
        return time.perf_counter() - start

    def bound(self) -> float:
        """Mean training bound so far [nats]."""
        return -float(np.mean(self._losses))


CONTESTANTS = {"nelbo": Nelbo, "jax": JaxScan, "pyro": Pyro}


def main() -> None:
    """Warm up, then blocks in turn; print milliseconds a step as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--block", type=int, default=300, help="steps a block; a multiple of 100 (Pyro: a tenth)")
    parser.add_argument("--only", nargs="+", choices=list(CONTESTANTS), default=list(CONTESTANTS))
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(THREADS)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    os.environ["JAX_PLATFORMS"] = "cpu"
    for batch in options.batch:
        ready, times, work = {}, {}, {}
        for name in options.only:
            try:
                ready[name] = CONTESTANTS[name](batch)
            except ImportError as error:
                print(f"skip {name}: {error}", flush=True)
        steps = {name: options.block // 10 if name == "pyro" else options.block for name in ready}
        for name, contestant in ready.items():
            contestant.block(steps[name])
            times[name], work[name] = [], []
        for turn in range(options.rounds):
            for name in list(ready)[:: 1 if turn % 2 == 0 else -1]:
                before = time.process_time()
                times[name].append(1e3 * ready[name].block(steps[name]) / steps[name])
                work[name].append(1e3 * (time.process_time() - before) / steps[name])
        best = {name: round(min(values), 3) for name, values in times.items()}
        row = {"batch": batch, "unit": "ms/step", "best": best,
               "median": {name: round(float(np.median(values)), 3) for name, values in times.items()},
               "best_cpu": {name: round(min(values), 3) for name, values in work.items()},
               "mean_bound": {name: round(contestant.bound(), 2) for name, contestant in ready.items()}}  # fmt: skip
        if "nelbo" in best:
            row["against_nelbo"] = {name: round(value / best["nelbo"], 2) for name, value in best.items()}
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
