"""nelbo in the speed benchmark: its model, objective and training loop, from the benchmark's initial parameters."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from aevb_task import ACCUMULATOR, BATCH, EPOCH_STEPS, EPSILON, HIDDEN, LATENTS, LEARNING_RATE, PIXELS, Task
from stepping import Stepping

from nelbo.data import Split, source
from nelbo.models import Model, skeleton
from nelbo.objectives import Sgvb
from nelbo.training import fit

CHUNK = 100
PLACES = {  # benchmark name -> (recognition or generative, layer)
    "enc": ("recognition", 0),
    "head": ("recognition", 1),
    "dec": ("generative", 0),
    "out": ("generative", 1),
}


def _layer(model: Model, name: str) -> Any:
    part, index = PLACES[name]
    return getattr(model, part).layers[0].net.layers[index]


def _from_task(init: dict[str, np.ndarray]) -> Model:
    model = skeleton("vae", {"shape": [PIXELS], "latents": LATENTS, "hidden": [HIDDEN]})  # the task brings the weights
    leaves = lambda m: [leaf for name in PLACES for leaf in (_layer(m, name).kernel, _layer(m, name).bias)]  # noqa: E731
    values = [jnp.asarray(v) for name in PLACES for v in (init[f"{name}_w"], init[f"{name}_b"])]
    return eqx.tree_at(leaves, model, values)


def parameters_of(model: Model) -> dict[str, np.ndarray]:
    """A model's parameters under the benchmark's names."""
    found = {}
    for name in PLACES:
        layer = _layer(model, name)
        found[f"{name}_w"], found[f"{name}_b"] = np.array(layer.kernel), np.array(layer.bias)
    return found


class Nelbo:
    """`nelbo.fit`, run in one piece; blocks are cut out of it by a callback that waits at their ends."""

    def setup(self, task: Task) -> None:
        """Make the model and put the data on the device."""
        self._model = _from_task(task.init)
        self._data = source(Split(task.train.astype(np.uint8)), "binary")
        self._optimizer = optax.adagrad(LEARNING_RATE, initial_accumulator_value=ACCUMULATOR, eps=EPSILON)
        self._run = None

    def run_block(self, n_steps: int) -> float:
        """Take at least `n_steps` through the training loop's own compiled chunks; give seconds for `n_steps`."""
        if self._run is None:
            sizes = {"batch": BATCH, "chunk": CHUNK, "evaluate_every": None}
            self._run = Stepping(jax.random.key(3), self._model, Sgvb("B"), self._data, self._optimizer, **sizes)
        return self._run.seconds(n_steps)

    def train(self, epochs: int) -> None:
        """The whole run by `nelbo.fit`."""
        done = fit(jax.random.key(3), self._model, Sgvb("B"), self._data, self._optimizer, steps=epochs * EPOCH_STEPS)
        self._model, self._run = done.model, None

    def parameters(self) -> dict[str, np.ndarray]:
        """The present parameters under the benchmark's names."""
        model = self._model
        if self._run is not None:
            model = self._run.model
        return parameters_of(model)
