"""What a run does beside training: checkpoints and a history file. Progress is in `progress.py`."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import equinox as eqx
import jax
import numpy as np

from nelbo.core import InputError, atomic_write, remove_leftovers
from nelbo.training.loop import Event
from nelbo.training.state import TrainState, load_state, save_state

KEEP = 2


class Checkpoints:
    """Write the state into a folder at most every `seconds` seconds, and when training stops.

    The two newest are kept. A state whose parameters are not finite is never written, so that the last good one stays.

    Args:
        folder: for files `step-0000000100.safetensors`.
        seconds: least time between two of them [s]; 0 writes one after every chunk of steps.
    """

    def __init__(self, folder: Path | str, *, seconds: float | int = 30.0) -> None:
        if not seconds >= 0:
            raise InputError(f"The time between checkpoints must be zero or more seconds, got {seconds}.")
        self._folder, self._seconds, self._last = Path(folder), seconds, time.monotonic()
        self._saved = -1

    def __call__(self, event: Event, state: TrainState) -> None:
        """Save the state if a checkpoint is due."""
        if event == "start":
            remove_leftovers(self._folder)
            self._last = time.monotonic()
        due = event in {"evaluate", "progress"} and time.monotonic() - self._last >= self._seconds
        due = due or event in {"interrupted", "failed", "done"}
        if due and state.step != self._saved and _finite(state):
            save_state(self._folder / f"step-{state.step:010d}.safetensors", state)
            self._prune(state.step)
            self._saved, self._last = state.step, time.monotonic()

    def _prune(self, step: int) -> None:
        """Keep this checkpoint and the one before it; remove older ones, and later ones of an abandoned attempt."""
        here = self._folder / f"step-{step:010d}.safetensors"
        found = checkpoints(self._folder)
        place = found.index(here)
        for old in [*found[: max(0, place + 1 - KEEP)], *found[place + 1 :]]:
            old.unlink(missing_ok=True)


def _finite(state: TrainState) -> bool:
    leaves = jax.tree.leaves(eqx.filter(state.carry.params, eqx.is_inexact_array))
    return all(bool(np.isfinite(np.asarray(leaf)).all()) for leaf in leaves)


def checkpoints(folder: Path | str) -> list[Path]:
    """The checkpoints in a folder, oldest first."""
    return sorted(Path(folder).glob("step-*.safetensors"))


def resume_from(folder: Path | str, say: Callable[[str], None] | None = None) -> Callable[[TrainState], TrainState]:
    """A `resume` argument for `fit`: continue from the newest checkpoint, or from the one before it if it is damaged.

    Without any checkpoint the run starts from the beginning.

    Args:
        folder: the folder that `Checkpoints` wrote into.
        say: called with a sentence when a damaged checkpoint is skipped.
    """

    def resume(fresh: TrainState) -> TrainState:
        problems: list[str] = []
        for path in reversed(checkpoints(folder)):
            try:
                state = load_state(path, fresh)
            except InputError as problem:
                problems.append(str(problem).rstrip("."))
                continue
            if problems and say is not None:
                say(f"Going on from {path.name}, because of a newer one: {'; '.join(problems)}.")
            return state
        if problems:
            raise InputError(f"No checkpoint of this run can be used: {'; '.join(problems)}; start it again.")
        return fresh

    return resume


class HistoryFile:
    """Keep `history.jsonl` equal to the state's history, a row per evaluation."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)

    def __call__(self, event: Event, state: TrainState) -> None:
        """Rewrite the file after an evaluation (it is small, and stays whole)."""
        if event in {"evaluate", "done"}:
            with atomic_write(self._path, "w") as stream:
                stream.writelines(json.dumps(row) + "\n" for row in state.history)
