"""The chunks of `nelbo.fit`, a block at a time: what every benchmark of a training step measures.

`nelbo.fit` runs to its end; a benchmark has contestants take turns. This keeps the loop inside `fit` between blocks, so
that it compiles once. It is the one place in the benchmarks that reaches into that loop; a test trains with it.
"""

import time
from typing import Any

import equinox as eqx
import jax
import optax

from nelbo.data import Source
from nelbo.objectives import Objective
from nelbo.training import Reshuffled
from nelbo.training.loop import _Loop, _plan


class Stepping:
    """A training that advances by blocks of steps."""

    def __init__(
        self,
        key: jax.Array,
        model: Any,
        objective: Objective,
        data: Source,
        optimizer: optax.GradientTransformation,
        *,
        batch: int,
        chunk: int,
        evaluate_every: int | None = 10**9,
    ) -> None:
        """Arguments are those of `nelbo.fit`; `chunk` is the most steps that one compiled call takes."""
        plan = _plan(len(data), 10**9, None, batch, evaluate_every, None, chunk, None)
        self._loop = _Loop(key, model, objective, data, optimizer, plan, Reshuffled)

    def advance(self, steps: int) -> int:
        """Take at least `steps` steps, wait for them, and say how many: the loop chooses how many one call takes."""
        first = self._loop.state.step
        while self._loop.state.step < first + steps:
            self._loop._advance()
        jax.block_until_ready(self._loop.state.carry)
        return self._loop.state.step - first

    def seconds(self, steps: int) -> float:
        """Seconds for `steps` steps."""
        start = time.perf_counter()
        taken = self.advance(steps)
        return (time.perf_counter() - start) * steps / taken

    @property
    def model(self) -> Any:
        """The model as it is now."""
        return eqx.combine(self._loop.state.carry.params, self._loop.static).model

    @property
    def bound(self) -> float:
        """Mean training bound since the last evaluation [nats]."""
        return float(self._loop.state.sums["bound"] / self._loop.state.count)
