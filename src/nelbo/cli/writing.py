"""What commands that read a run and write a file share."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from nelbo.cli.output import fetching, note, print_json
from nelbo.core import InputError, atomic_write
from nelbo.data import TABLES, Data, Source, array_bytes, made_file
from nelbo.models import Model, refined
from nelbo.report import as_images, save_gif, save_png
from nelbo.runs import Run, open_run

FOLDER = ""  # the suffix of a folder of pictures


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
    check_form(path, suffixes)
    return path


def check_form(path: Path, suffixes: tuple[str, ...]) -> None:
    """Refuse a name that cannot hold the result; the suffix "" is a folder of pictures.

    Raises:
        InputError: so it is, or files would be lost.
    """
    if path.suffix not in suffixes:
        folder = ", or of a folder, which has none" if FOLDER in suffixes else ""
        ends = " or ".join(suffix for suffix in suffixes if suffix)
        raise InputError(f"Cannot write {path}: choose a name that ends in {ends}{folder}.")
    if path.suffix == FOLDER:
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise InputError(f"Cannot write into {path}: it is there and not empty; give the name of a new folder.")
    elif path.is_dir():
        raise InputError(f"Cannot write {path}: it is a folder; give the name of a file in it.")


def suffixes(run: Run) -> tuple[str, ...]:
    """The forms that examples can be written in, the usual one first."""
    arrays = (".npy", ".npz")
    if run.is_film:
        return (".png", ".gif", *arrays)
    if run.is_picture:
        return (".png", *arrays, FOLDER)
    return (*arrays, *TABLES) if len(run.shape) == 1 else arrays


def write(
    path: Path, run: Run, values: np.ndarray, grid: Callable[[], np.ndarray], ids: np.ndarray | None = None
) -> tuple[int, ...]:
    """Write examples as the name of the file says; rows like those of a table in its columns.

    Args:
        path: see `suffixes`; checked by `target`.
        run: of the model.
        values: `(examples, *shape)`, as the model has them.
        grid: gives the picture that `.png` holds.
        ids: `(examples,)`, what tells them apart.

    Returns:
        The shape of what was written: a column of words is one column of a table, and an entry for each word of an
        array.
    """
    schema, shape = run.fitted_data.schema, values.shape
    if path.suffix == ".png":
        save_png(grid(), path)
    elif path.suffix == ".gif":
        save_gif(values / run.white, path)
    elif path.suffix == FOLDER:
        write_pictures(path, values / run.white, ids)
    else:
        units = run.in_user_units(values)
        if path.suffix in TABLES and schema is not None and schema.columns:
            content, shape = made_file(schema, units, path.suffix), (len(values), len(schema.features))
        else:
            content = array_bytes(units, path.suffix, ids=ids)
        with atomic_write(path) as file:
            file.write(content)
    return shape


def write_pictures(folder: Path, images: np.ndarray, ids: np.ndarray | None) -> None:
    """Write each picture as a PNG file of its own, by its name or its number.

    Args:
        folder: a new one.
        images: `(pictures, height, width, channels)`, from 0 to 1.
        ids: their names, with folders inside.
    """
    from PIL import Image

    digits = len(str(len(images)))
    numbers = [f"{i + 1:0{digits}}.png" for i in range(len(images))]
    names = numbers if ids is None else [str(Path(one).with_suffix(".png")) for one in ids]
    if len(set(names)) < len(names):  # a.jpg and a.png
        names = [f"{one}.png" for one in np.asarray(ids).tolist()]
    grey = images.shape[-1] == 1
    for name, image in zip(names, as_images(images, str(folder)), strict=True):
        with atomic_write(folder / name) as file:
            Image.fromarray(image[..., 0] if grey else image).save(file, "PNG")


def tell(options: argparse.Namespace, path: Path, shape: Sequence[int]) -> None:
    """Say what was written."""
    if options.json:
        print_json({"file": str(path), "shape": list(shape)})
    else:
        note(options, f"Wrote {path}: {'x'.join(map(str, shape))}")
