"""The contestants of `benchmarks/bayes.py` that run on PyTorch, in a process of their own: posteriors and Pyro.

They have other dependencies than nelbo, so this runs in another environment (see `benchmarks/bayes.py`). It reads
orders from standard input, one a line, and answers each with one line of JSON: "names", "block NAME STEPS",
"weights NAME FILE", "versions".
"""

import importlib.metadata
import itertools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from bayes_task import (
    ADAM_RATE,
    BATCH,
    CHUNK,
    EXAMPLES,
    FIRST_SCALE,
    MOMENTUM,
    SGHMC_RATE,
    SGLD_RATE,
    SHAPES,
    SIZES,
    THREADS,
    Task,
    draw_task,
)


def network(task: Task) -> torch.nn.Sequential:
    """The perceptron with the task's first weights."""
    parts = []
    for i, (n, m) in enumerate(itertools.pairwise(SIZES)):
        layer = torch.nn.Linear(n, m)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(task.init[f"w{i}"].T.copy()))
            layer.bias.copy_(torch.from_numpy(task.init[f"b{i}"]))
        parts += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*parts[:-1])


class Stepped:
    """Blocks of eager steps on random minibatches. Abstract: `step` and `weights`."""

    def __init__(self, task: Task) -> None:
        self.x, self.y = torch.from_numpy(task.x), torch.from_numpy(task.y.astype(np.int64))
        self.draws: list[Any] = []
        self.done = 0

    def batch(self) -> tuple[Any, Any]:
        """Rows drawn with replacement."""
        rows = torch.randint(0, EXAMPLES, (BATCH,))
        return torch.index_select(self.x, 0, rows), torch.index_select(self.y, 0, rows)

    def step(self) -> None:
        """One."""
        raise NotImplementedError

    def block(self, steps: int) -> None:
        """So many."""
        for _ in range(steps):
            self.step()


class Posteriors(Stepped):
    """SGLD and SGHMC of `posteriors`, in place, on the mean of the log posterior at the temperature 1 / N."""

    def __init__(self, task: Task, method: str) -> None:
        import posteriors

        super().__init__(task)
        model = network(task)
        predict = posteriors.model_to_function(model)

        def log_posterior(p: dict[str, Any], batch: tuple[Any, Any]) -> tuple[Any, Any]:
            logits = predict(p, batch[0])
            fit = -torch.nn.functional.cross_entropy(logits, batch[1])
            prior = -0.5 * sum(leaf.square().sum() for leaf in p.values())
            return fit + prior / EXAMPLES, logits

        if method == "sgld":
            self.rule = posteriors.sgmcmc.sgld.build(log_posterior, lr=SGLD_RATE, temperature=1.0 / EXAMPLES)
        else:
            size = SGHMC_RATE**0.5
            friction = (1.0 - MOMENTUM) / size
            self.rule = posteriors.sgmcmc.sghmc.build(
                log_posterior, lr=size, alpha=friction, temperature=1.0 / EXAMPLES
            )
        self.state = self.rule.init({name: leaf.detach().clone() for name, leaf in model.named_parameters()})

    def step(self) -> None:
        """One; a draw is kept every hundred."""
        self.state, _ = self.rule.update(self.state, self.batch(), inplace=True)
        self.done += 1
        if self.done % CHUNK == 0:
            self.draws.append({name: leaf.detach().clone() for name, leaf in self.state.params.items()})

    def weights(self) -> dict[str, np.ndarray]:
        """The present ones."""
        found = [leaf.detach().numpy().T.copy() for leaf in self.state.params.values()]
        return dict(zip(SHAPES, found, strict=True))


class Pyro(Stepped):
    """Pyro's SVI with AutoNormal and TraceMeanField_ELBO; tuned: its checks of arguments are off."""

    def __init__(self, task: Task, *, tuned: bool = False) -> None:
        import pyro
        import pyro.distributions as dist
        from pyro.infer.autoguide import AutoNormal, init_to_value

        super().__init__(task)
        pyro.clear_param_store()
        # parameters and switches are global to the process: each contestant brings back its own
        self.pyro, self.store, self.tuned = pyro, pyro.get_param_store().get_state(), tuned

        def model(x: Any, y: Any) -> None:
            p = {
                name: pyro.sample(name, dist.Normal(0.0, 1.0).expand(shape).to_event(len(shape)))
                for name, shape in SHAPES.items()
            }
            h = x
            for i in range(len(SIZES) - 1):
                h = h @ p[f"w{i}"] + p[f"b{i}"]
                h = torch.relu(h) if i < len(SIZES) - 2 else h
            with pyro.plate("data", EXAMPLES, subsample_size=BATCH):
                pyro.sample("y", dist.Categorical(logits=h), obs=y)

        first = {name: torch.tensor(value) for name, value in task.init.items()}
        self.guide = AutoNormal(model, init_loc_fn=init_to_value(values=first), init_scale=FIRST_SCALE)
        adam = pyro.optim.Adam({"lr": ADAM_RATE})  # whose steps do not depend on the scale of the loss, a sum here
        self.svi = pyro.infer.SVI(model, self.guide, adam, pyro.infer.TraceMeanField_ELBO())

    def block(self, steps: int) -> None:
        """So many, with its own parameters and switches."""
        self.pyro.enable_validation(is_validate=not self.tuned)
        with self.pyro.get_param_store().scope(self.store) as self.store:
            super().block(steps)

    def step(self) -> None:
        """One."""
        self.svi.step(*self.batch())

    def weights(self) -> dict[str, np.ndarray]:
        """The means."""
        with self.pyro.get_param_store().scope(self.store) as self.store:
            medians = self.guide.median()
        return {name: medians[name].detach().numpy() for name in SHAPES}


CONTESTANTS: dict[str, Callable[[Task], Any]] = {
    "sgld": lambda task: Posteriors(task, "sgld"),
    "sghmc": lambda task: Posteriors(task, "sghmc"),
    "pyro": Pyro,
    "pyro_tuned": lambda task: Pyro(task, tuned=True),
}
PACKAGES = ("torch", "posteriors", "pyro-ppl", "numpy")


def main() -> None:
    """Obey until standard input ends."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(6)
    task, made = draw_task(), {}
    for line in sys.stdin:
        order, *words = line.split()
        answer: Any = None
        if order == "block":
            name, steps = words[0], int(words[1])
            if name not in made:
                made[name] = CONTESTANTS[name](task)
            wall, used = time.perf_counter(), time.process_time()
            made[name].block(steps)
            answer = [time.perf_counter() - wall, time.process_time() - used]
        elif order == "weights":
            np.savez(words[1], **made[words[0]].weights())
        elif order == "versions":
            answer = {package: importlib.metadata.version(package) for package in PACKAGES}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
