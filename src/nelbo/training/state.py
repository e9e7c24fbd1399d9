"""The state of a training run, and its form on disk."""

import dataclasses
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PyTree

from nelbo.core import InputError, read_arrays, write_arrays
from nelbo.models import fill, named_arrays

KIND = "checkpoint"
FORMAT = 1
USUAL_ORDER = "reshuffled"


class Trained(eqx.Module):
    """The arrays that the optimizer changes, or the rest of the same trees.

    Args:
        model: of the model.
        objective: of the objective's state (`ObjectiveState.trained`).
    """

    model: PyTree
    objective: PyTree


class Carry(eqx.Module):
    """What one step passes to the next, on the device.

    Args:
        params: trained arrays of the model and of the objective's state, see `Trained`.
        optimizer: its state.
        carried: what the objective passes from step to step.
        step: steps done.
    """

    params: PyTree
    optimizer: PyTree
    carried: PyTree
    step: Int[Array, ""]


@dataclasses.dataclass
class TrainState:
    """A run between two chunks of steps.

    Args:
        carry: on the device.
        best: the parameters with the best validation bound so far, or None.
        history: a row per evaluation.
        sums: running totals of the training metrics since the last evaluation (float64), and `count` of steps.
        best_bound: validation bound of `best` [nats per example].
        stale: evaluations since the best one.
        seconds: wall time so far.
        fingerprint: settings that a resumed run must share.
    """

    carry: Carry
    best: PyTree
    history: list[dict[str, Any]]
    sums: dict[str, float]
    count: int
    best_bound: float | None
    stale: int
    seconds: float
    fingerprint: dict[str, Any]

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self.carry.step)


@jax.jit
def _copied(arrays: PyTree) -> PyTree:
    return jax.tree.map(jnp.copy, arrays)


def copy_tree(tree: PyTree) -> PyTree:
    """A copy in new device buffers, which no donated call can invalidate; one compiled call copies all of them."""
    arrays, rest = eqx.partition(tree, eqx.is_array)
    return eqx.combine(_copied(arrays), rest)


def save_state(path: Path | str, state: TrainState) -> None:
    """Write a checkpoint, whole or not at all.

    Raises:
        InputError: the disk is full or the folder cannot be written.
    """
    arrays = named_arrays({"carry": state.carry, "best": state.best})
    fields = {f.name: getattr(state, f.name) for f in dataclasses.fields(state) if f.name not in {"carry", "best"}}
    write_arrays(path, arrays, {"kind": KIND, "format": FORMAT, "has_best": state.best is not None, **fields})


def load_state(path: Path | str, fresh: TrainState) -> TrainState:
    """Read a checkpoint into the structure of a run that has not started.

    Args:
        path: the file.
        fresh: the state of the same run at step 0.

    Raises:
        InputError: missing, damaged, or of a run with other settings (the message names one).
    """
    arrays, header = read_arrays(path, KIND)
    if not isinstance(header, dict) or header.get("kind") != KIND or header.get("format") != FORMAT:
        raise InputError(f"{path} is no checkpoint that this nelbo reads: remove it to start again.")
    fields: dict[str, Any] = {
        f.name: header.get(f.name) for f in dataclasses.fields(TrainState) if f.name not in {"carry", "best"}
    }
    found = fields["fingerprint"]
    if not isinstance(found, dict) or "has_best" not in header:
        raise InputError(f"{path} is damaged: its header lacks entries; use another copy.")
    found = {"order": USUAL_ORDER, **found}  # older checkpoints do not say
    for name, value in fresh.fingerprint.items():
        if found.get(name) != value:
            raise InputError(
                f"{path} is of a run with {name} = {found.get(name)}, not {value}: "
                "resume with the run's own settings, or start a new folder."
            )
    best = fresh.carry.params if header["has_best"] else None
    tree = fill({"carry": fresh.carry, "best": best}, arrays, path)
    return TrainState(carry=tree["carry"], best=tree["best"], **fields)


def finite(value: float) -> float | None:
    """The number, or None for JSON where it is not finite."""
    return float(value) if np.isfinite(value) else None
