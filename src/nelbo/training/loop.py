"""The one training loop."""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NoReturn

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Key

from nelbo.core import InputError, NotFiniteError
from nelbo.data import Source
from nelbo.models import Model, check_source
from nelbo.objectives import Objective
from nelbo.training.interrupt import Interrupted, interruptible
from nelbo.training.order import OrderMaker, Reshuffled
from nelbo.training.state import TrainState, copy_tree, finite
from nelbo.training.steps import Rule, convolve, heldout_bound, resident, run_chunk, run_steps, start

Event = Literal["start", "progress", "evaluate", "interrupted", "failed", "done"]
Callback = Callable[[Event, TrainState], None]
Resume = Callable[[TrainState], TrainState]
MAX_STEPS = 2**31 - 1
CALL_SECONDS = 1.0  # duration of one compiled call, once the time of a step is known


@dataclasses.dataclass(frozen=True)
class Fit:
    """A finished run.

    Args:
        model: the model with the kept parameters (the best by validation bound, or the last).
        objective: the objective that it was trained with.
        trained: the objective's own trained arrays (`ObjectiveState.trained`), or None.
        history: a row per evaluation; bounds in nats per example.
        state: the last state, from which training can continue.
        order: the order of the examples, see `Order.record`.
    """

    model: Any
    objective: Objective
    trained: Any
    history: list[dict[str, Any]]
    state: TrainState
    order: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class _Plan:
    steps: int
    interval: int
    chunk: int
    batch: int
    patience: int | None
    keep_best: bool
    mesh: Mesh | None


def fit(
    key: Key[Array, ""],
    model: Any,
    objective: Objective,
    data: Source,
    optimizer: optax.GradientTransformation,
    *,
    steps: int | None = None,
    epochs: float | int | None = None,
    batch_size: int = 100,
    order: OrderMaker = Reshuffled,
    valid: Source | None = None,
    watch: Mapping[str, Source] | None = None,
    watch_by: Objective | None = None,
    evaluate_every: int | None = None,
    patience: int | None = None,
    keep: Literal["best", "last"] = "best",
    chunk: int = 100,
    callbacks: Sequence[Callback] = (),
    resume: Resume | None = None,
    mesh: Mesh | None = None,
) -> Fit:
    """Train a model. The same key, data and settings give the same bits on the same device.

    Args:
        key: for everything random in the run.
        model: an Equinox module; its float arrays are trained, except those inside `nets.Frozen`.
        objective: bound and gradient rule.
        data: training examples; on the device, or memory-mapped and streamed in chunks.
        optimizer: from optax.
        steps: number of steps; or give `epochs`.
        epochs: passes over the data.
        batch_size: examples in a step.
        order: chooses the examples of each step and their weights, see `nelbo.training.Order`.
        valid: held-out examples, for the validation bound.
        watch: further examples by name, whose bounds are only written to the history.
        watch_by: the objective that gives these bounds; None: the one that trains.
        evaluate_every: steps between evaluations (one pass by default).
        patience: stop after this many evaluations without a better validation bound.
        keep: which parameters to return; "best" needs `valid`.
        chunk: largest number of steps in one compiled call.
        callbacks: called with an event and the state; see `Callback`.
        resume: turns the initial state into the one to continue from (see `load_state`).
        mesh: devices with an axis "data" over which batches are sharded.

    Raises:
        InputError: settings that contradict each other or the data, or values that the likelihood cannot give.
        NotFiniteError: a NaN or infinity; the callbacks have received the last good state.
        Interrupted: Ctrl-C or SIGTERM; the callbacks have received the state.
    """
    for rows in (data, *(() if valid is None else (valid,)), *(watch or {}).values()):
        if isinstance(model, Model):
            check_source(model, rows)
    plan = _plan(len(data), steps, epochs, batch_size, evaluate_every, patience, chunk, mesh)
    plan = dataclasses.replace(plan, keep_best=keep == "best")
    loop = _Loop(key, model, objective, data, optimizer, plan, order)
    loop.valid, loop.watch, loop.callbacks = valid, dict(watch or {}), tuple(callbacks)
    loop.watch_by = objective if watch_by is None else watch_by
    if resume is not None:
        loop.state = resume(loop.state)
    if mesh is not None:
        loop.state.carry = jax.device_put(loop.state.carry, NamedSharding(mesh, PartitionSpec()))
        if resident(data):
            loop.data = jax.device_put(data, NamedSharding(mesh, PartitionSpec()))
    loop.run()
    kept = loop.state.carry.params if loop.state.best is None else loop.state.best
    whole = eqx.combine(copy_tree(kept), loop.static)
    trained = whole.model.absorbed(loop.last_key, data) if isinstance(whole.model, Model) else whole.model
    return Fit(trained, objective, whole.objective, loop.state.history, loop.state, loop.order.record())


class _Loop:
    """The state and settings of a run, which trains in chunks of steps."""

    def __init__(
        self,
        key: Key[Array, ""],
        model: Any,
        objective: Objective,
        data: Source,
        optimizer: optax.GradientTransformation,
        plan: _Plan,
        order: OrderMaker,
    ) -> None:
        order_key, self._step_key, self._valid_key = jr.split(key, 3)
        carry, self.static = start(model, objective, optimizer, jr.fold_in(self._valid_key, 1))
        self.order = order(order_key, len(data), plan.batch, plan.steps)
        fingerprint = {"examples": len(data), "batch_size": plan.batch, "evaluate_every": plan.interval}
        fingerprint |= {"order": self.order.text()}
        self.state = TrainState(carry, None, [], {}, 0, None, 0, 0.0, fingerprint)
        self.data, self._plan, self._objective = data, plan, objective
        self._rule = Rule(self.static, objective, optimizer, plan.mesh)
        self._good = self.state
        self._stepwise: bool | None = None  # whether steps are looped in Python; None until it is known
        self._pace: float | None = None  # seconds a step; None until the first call has compiled
        self.valid: Source | None = None
        self.watch: dict[str, Source] = {}
        self.watch_by = objective
        self.callbacks: tuple[Callback, ...] = ()

    @property
    def last_key(self) -> Key[Array, ""]:
        """The key by which training rows are read after training, see `Model.absorbed`."""
        return jr.fold_in(jr.clone(self._valid_key), 2)

    def run(self) -> None:
        """Train to the end, and notify the callbacks."""
        state, plan = self.state, self._plan
        self._good = self._snapshot()
        began = time.perf_counter() - state.seconds
        with interruptible() as stop:
            # callbacks take the run's folder here; a signal meanwhile is handled after the first step
            self._tell("start", state)
            while not self._finished():
                self._advance()
                state.seconds = time.perf_counter() - began
                done = state.step
                if done % plan.interval == 0 or done == plan.steps:
                    self._evaluate()
                    state.seconds = time.perf_counter() - began
                    self._tell("evaluate", state)
                self._tell("progress", state)
                if stop.is_set and not self._finished():
                    self._tell("interrupted", state)
                    raise Interrupted(f"stopped after step {done} of {plan.steps}")
            self._tell("done", state)
        if stop.is_set:
            raise Interrupted(f"stopped after the last step, {state.step}")

    def _finished(self) -> bool:
        patience = self._plan.patience
        return self.state.step >= self._plan.steps or (patience is not None and self.state.stale >= patience)

    def _tell(self, event: Event, about: TrainState) -> None:
        for callback in self.callbacks:
            callback(event, about)

    def _snapshot(self) -> TrainState:
        carry, history = copy_tree(self.state.carry), list(self.state.history)
        return dataclasses.replace(self.state, carry=carry, history=history, sums=dict(self.state.sums))

    def _fail(self, step: int, what: str) -> NoReturn:
        self._tell("failed", self._good)
        raise NotFiniteError(
            f"Training stopped at step {step}: {what} is not finite; the state of step {self._good.step} is kept. "
            "Lower the learning rate, clip the gradient, or look for odd values in the data."
        )

    def _advance(self) -> None:
        """Run a chunk of steps and add its metrics to the running sums; fail at the first number that is not finite."""
        state, plan = self.state, self._plan
        done = state.step
        # the first call compiles and runs one step, which is timed; later calls are short enough for Ctrl-C
        most = 1 if self._pace is None else max(1, int(CALL_SECONDS / self._pace))
        count = min(most, plan.chunk, plan.interval - done % plan.interval, plan.steps - done)
        indexed = resident(self.data)
        indices, weights = self.order.feed(done, count, plan.chunk)
        feed = jax.tree.map(jnp.asarray, (indices if indexed else self.data.take(indices), weights))
        source = self.data if indexed else self.data.head(0)  # the rows stay where they are
        began = time.perf_counter()
        length = jnp.asarray(count, jnp.int32)
        arguments = (state.carry, self._rule, source, feed, self._step_key)
        if self._stepwise is None:
            self._stepwise = convolve(*arguments, length, indexed=indexed)
        if self._stepwise:
            result = run_steps(*arguments, count, indexed=indexed)
        else:
            result = run_chunk(*arguments, length, indexed=indexed)
        state.carry, buffers, sound = result
        values = {name: np.asarray(buffer, np.float64)[:count] for name, buffer in buffers.items()}
        self._pace = CALL_SECONDS if self._pace is None else max((time.perf_counter() - began) / count, 1e-9)
        bad = {name: int(np.argmin(np.isfinite(row))) for name, row in values.items() if not np.isfinite(row).all()}
        if bad:
            first = min(bad.values())
            self._fail(done + first, ", ".join(name for name, at in bad.items() if at == first))
        if not sound:
            self._fail(done + count - 1, "the gradient")
        for name, row in values.items():
            # summed in order, so that the result does not depend on where calls and runs were cut
            state.sums[name] = float(np.add.accumulate([state.sums.get(name, 0.0), *row])[-1])
        state.count += count

    def _heldout(self, source: Source, objective: Objective) -> float:
        # every evaluation has the same draws, so that bounds differ by the model alone
        key, params = jr.clone(self._valid_key), self.state.carry.params
        return heldout_bound(params, self.static, objective, source, key, 10 * self._plan.batch)

    def _evaluate(self) -> None:
        """End an interval: add a row to the history, keep the best parameters, reset the sums, take a snapshot."""
        state, plan, bound = self.state, self._plan, None
        step = state.step
        if self.valid is not None:
            bound = self._heldout(self.valid, self._objective)
            if not np.isfinite(bound):
                self._fail(step, "the validation bound")
        means = {name: finite(total / state.count) for name, total in state.sums.items()}
        row = {"step": step, "examples": step * plan.batch, "epoch": step * plan.batch / len(self.data)}
        row |= {"train_bound": means.pop("bound"), "valid_bound": bound, "seconds": state.seconds}
        means.pop("surrogate")
        for name, source in self.watch.items():
            row[f"{name}_bound"] = finite(self._heldout(source, self.watch_by))
        state.history.append(row | means)
        state.sums, state.count = {}, 0
        if bound is not None and (state.best_bound is None or bound > state.best_bound):
            state.best_bound, state.stale = bound, 0
            state.best = copy_tree(state.carry.params) if plan.keep_best else None
        elif bound is not None:
            state.stale += 1
        self._good = self._snapshot()


def _plan(
    size: int,
    steps: int | None,
    epochs: float | int | None,
    batch: int,
    every: int | None,
    patience: int | None,
    chunk: int,
    mesh: Mesh | None,
) -> _Plan:
    if (steps is None) == (epochs is None):
        raise InputError("Give either steps or epochs to say how long to train, not both and not neither.")
    if not 1 <= batch <= size:
        raise InputError(f"The batch size must be between 1 and the {size} training examples, got {batch}.")
    if mesh is not None and batch % mesh.shape["data"]:
        raise InputError(f"The batch size {batch} must be a multiple of the {mesh.shape['data']} devices.")
    if epochs is not None and not 0 < epochs < math.inf:
        raise InputError(f"epochs must be a positive number, got {epochs}.")
    total = max(1, round(epochs * size / batch)) if steps is None and epochs is not None else steps
    if total is None or not 1 <= total <= MAX_STEPS:
        raise InputError(
            f"Training takes 1 to {MAX_STEPS} steps, got {total or 0:.4g}: change steps, epochs or the batch size."
        )
    interval = max(1, round(size / batch)) if every is None else every
    if interval < 1 or chunk < 1 or (patience is not None and patience < 1):
        raise InputError("evaluate_every, chunk and patience must be at least 1.")
    return _Plan(total, interval, min(chunk, interval, total), batch, patience, keep_best=True, mesh=mesh)
