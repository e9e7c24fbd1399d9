"""What commands that read a run and write a file share."""

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nelbo.cli.output import fetching, note, print_json
from nelbo.core import InputError, atomic_write
from nelbo.data import Data, Schema, Source, made_table
from nelbo.models import Model, refined
from nelbo.report import save_png
from nelbo.runs import Run, open_run


def opened(options: argparse.Namespace, split: str | None) -> tuple[Run, Data, Source]:
    """The run, and the rows to use: those of a split, or all rows of a file that has none."""
    run = open_run(options.run)
    data, rows = run.rows(options.data, split, options.data_dir, fetching(options))
    for text in data.notes:
        note(options, text)
    return run, data, rows


def inferring(options: argparse.Namespace, run: Run) -> Model:
    """The run's model, with a posterior that is refined for each example where --refine asks for it.

    Raises:
        InputError: fewer than one step, or latents that are not Gaussian.
    """
    return refinement(options)(run.model)


def refinement(options: argparse.Namespace) -> Callable[[Model], Model]:
    """What --refine does to a model: nothing where it was not given.

    Raises:
        InputError: fewer than one step.
    """
    steps = options.refine
    if steps is not None and steps < 1:
        raise InputError(f"--refine takes a number of steps, at least 1, got {steps}.")
    return lambda model: model if steps is None else refined(model, steps)


def target(options: argparse.Namespace, run: Run, stem: str, suffixes: tuple[str, ...]) -> Path:
    """Where to write; checked before anything is computed.

    Raises:
        InputError: a suffix that cannot hold the result.
    """
    path = Path(options.output or run.folder / f"{stem}{suffixes[0]}")
    if path.suffix not in suffixes:
        raise InputError(f"Cannot write {path}: choose a name that ends in {' or '.join(suffixes)}.")
    if path.is_dir():
        raise InputError(f"Cannot write {path}: it is a folder; give the name of a file in it.")
    return path


def suffixes(run: Run) -> tuple[str, ...]:
    """The forms that examples can be written in, the usual one first."""
    if run.is_picture:
        return (".png", ".npy")
    return (".npy", ".csv") if len(run.shape) == 1 else (".npy",)


def write(path: Path, values: np.ndarray, picture: Callable[[], np.ndarray], schema: Schema | None = None) -> None:
    """Save as the suffix says; rows like those of a table, of which there is a schema, in its columns."""
    if path.suffix == ".png":
        save_png(picture(), path)
        return
    stream = io.BytesIO()
    if path.suffix == ".npy":
        np.save(stream, values, allow_pickle=False)
    elif schema is not None and schema.columns:
        stream.write(made_table(schema, values))
    else:
        np.savetxt(stream, values, delimiter=",", fmt="%.8g")
    with atomic_write(path) as file:
        file.write(stream.getbuffer())


def tell(options: argparse.Namespace, path: Path, values: np.ndarray) -> None:
    """Say what was written."""
    if options.json:
        print_json({"file": str(path), "shape": list(values.shape)})
    else:
        note(options, f"Wrote {path}: {'x'.join(map(str, values.shape))}")
