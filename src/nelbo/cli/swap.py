"""`nelbo swap`."""

import argparse
import io
from pathlib import Path

import jax
import numpy as np

from nelbo.cli.commands import Command
from nelbo.cli.output import fetching, note
from nelbo.cli.parser import Parser, run_folder, split
from nelbo.cli.series import written_table
from nelbo.cli.writing import check_form, tell
from nelbo.core import atomic_write
from nelbo.data import LongSeries
from nelbo.report import image_grid, save_gif, save_png
from nelbo.runs import Run, open_run, sequences_named, series_of
from nelbo.tasks import require_static
from nelbo.tasks import swap as swap_sequences

_ACROSS = 480  # pixels of the pictures


def _arguments(parser: Parser) -> None:
    run_folder(parser)
    parser.add_argument("first", metavar="A", help="the name of a series; for films and other arrays, the number of a row, from 0")  # fmt: skip  # noqa: E501
    parser.add_argument("second", metavar="B", help="the same for the other sequence")
    parser.add_argument(
        "data", nargs="?", metavar="DATA", help="sequences like those of the run (default: the run's own data)"
    )
    split(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="for films .gif (with a .png of all frames beside it) or .png, for series .csv; or .npz (default RUN/swap.gif or .csv)")  # fmt: skip  # noqa: E501


def swap(options: argparse.Namespace) -> None:
    """The content of one sequence in the motion of another, and the other way round."""
    run = open_run(options.run)
    require_static(run.model, "A swap")
    forms = (".gif", ".png", ".npz") if run.is_film else (".csv", ".npz")
    path = Path(options.output or run.folder / f"swap{forms[0]}")
    check_form(path, forms)
    pair, rows = sequences_named(run, (options.first, options.second), options.data, options.split, progress=fetching(options))  # fmt: skip  # noqa: E501
    content, motion = (
        jax.tree.map(lambda leaf, at=at: leaf[np.array(at)], pair) for at in ((0, 1, 0, 1), (0, 1, 1, 0))
    )
    made = swap_sequences(run.model, content, motion)
    a, b = options.first, options.second
    names = [f"{a}", f"{b}", f"{a} moving as {b}", f"{b} moving as {a}"]
    if path.suffix == ".npz":
        _write_npz(path, run, made, names)
    elif path.suffix == ".csv":
        with atomic_write(path) as file:
            file.write(_table(path, run, made, names, rows))
    else:
        films = made / run.white
        save_png(image_grid(films, columns=1, width=_ACROSS, name="swap"), path.with_suffix(".png"))
        if path.suffix == ".gif":
            save_gif(films, path, columns=2, width=_ACROSS)
            note(options, f"  {path.with_suffix('.png')}")
    note(options, f"In this order: {'; '.join(names)} (all as the model decodes them)")
    tell(options, path, made.shape)


def _write_npz(path: Path, run: Run, made: np.ndarray, names: list[str]) -> None:
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, values=run.in_user_units(made), ids=np.array(names, dtype=str))
    with atomic_write(path) as file:
        file.write(stream.getvalue())


def _table(path: Path, run: Run, made: np.ndarray, names: list[str], rows: LongSeries | None) -> bytes:
    """In long form: which, step, and the channels."""
    length, size = made.shape[1:]
    channels = series_of(run).names if rows is not None else tuple(f"channel {i}" for i in range(size))
    columns = {"sequence": [name for name in names for _ in range(length)], "step": list(range(length)) * len(names)}
    flat = made.reshape(-1, size)
    columns |= {name: flat[:, i].tolist() for i, name in enumerate(channels)}
    if rows is not None:
        return written_table(path, columns, rows)
    import pandas as pd

    return pd.DataFrame(columns).to_csv(index=False).encode()


COMMAND = Command(
    (
        "nelbo swap runs/sprites 3 17 -o swap.gif",
        "nelbo swap runs/sprites 0 1 --split valid -o swap.npz",
    ),
    _arguments,
    swap,
)
