"""Progress of a run on standard error: a bar on a terminal, occasional plain lines elsewhere."""

import sys
import time
from datetime import timedelta
from typing import Any

from nelbo.training.loop import Event
from nelbo.training.state import TrainState


class Progress:
    """Shows the latest bound, examples per second and the remaining time.

    Args:
        steps: steps of the whole run.
        batch_size: examples in a step.
        every: least time between two plain lines, and before the first one [s].
    """

    def __init__(self, steps: int, batch_size: int, *, every: float | int = 30.0) -> None:
        self._steps, self._batch, self._every = steps, batch_size, every
        # speed is measured from the end of the first call, which compiles
        self._began: tuple[int, float] | None = None
        self._spoke = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __call__(self, event: Event, state: TrainState) -> None:
        """Show the state."""
        if event == "start":
            self._spoke = time.monotonic()
            if sys.stderr.isatty():
                self._start_bar(state.step)
        if self._began is None and event == "progress":
            self._began = (state.step, time.perf_counter())
        if self._bar is not None and event != "start":
            self._bar.update(self._task, completed=state.step, description=self.text(state))
        elif event == "progress" and time.monotonic() - self._spoke >= self._every:
            self._spoke = time.monotonic()
            print(f"step {state.step} of {self._steps} · {self.text(state)}{self._left(state)}", file=sys.stderr, flush=True)  # noqa: E501, T201  # fmt: skip
        if event in {"interrupted", "failed", "done"}:
            self.close()

    def close(self) -> None:
        """Restore the terminal; to be called when training ends in an error that the loop does not handle."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def text(self, state: TrainState) -> str:
        """The latest bounds and the speed."""
        parts = []
        if state.history:
            row = state.history[-1]
            parts = [f"{name} {row[key]:.2f}" for name, key in _BOUNDS.items() if row.get(key) is not None]
        elif state.count:
            parts = [f"train {state.sums['bound'] / state.count:.2f}"]
        parts = [*parts[:-1], f"{parts[-1]} nats"] if parts else []
        rate = self._rate(state)
        return " · ".join([*parts, *([] if rate is None else [f"{rate * self._batch:,.0f} examples/s"])])

    def _rate(self, state: TrainState) -> float | None:
        """Steps per second."""
        if self._began is None or state.step <= self._began[0]:
            return None
        return (state.step - self._began[0]) / max(time.perf_counter() - self._began[1], 1e-9)

    def _left(self, state: TrainState) -> str:
        rate = self._rate(state)
        return "" if rate is None else f" · {timedelta(seconds=round((self._steps - state.step) / rate))} left"

    def _start_bar(self, step: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TextColumn("{task.description}"))
        self._bar = Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True))
        self._bar.start()
        self._task = self._bar.add_task("compiling", total=self._steps, completed=step)


_BOUNDS = {"train": "train_bound", "valid": "valid_bound"}
