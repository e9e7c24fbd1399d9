"""`nelbo reconstruct`."""

import argparse

import jax.random as jr
import numpy as np

from nelbo.cli.commands import Command
from nelbo.cli.parser import Parser, other_data, run_folder
from nelbo.cli.writing import opened, suffixes, target, tell, write
from nelbo.core import InputError
from nelbo.report import GRID_WIDTH, pair_grid
from nelbo.runs import shown
from nelbo.tasks import reconstruct as reconstruct_data

MOST_SHOWN = 100  # pairs in a picture


def _arguments(parser: Parser) -> None:
    run_folder(parser)
    parser.add_argument(
        "given", nargs="?", metavar="DATA", help="a named set, a file or a folder (default: the run's own data)"
    )
    parser.add_argument(
        "-n", "--count", type=int, metavar="N", help="number of examples (default 10; of a file or folder, all)"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="a .npy, .npz or table file, a .png file or a folder (images); default RUN/reconstructions.png or .npy",
    )
    other_data(parser)


def reconstruct(options: argparse.Namespace) -> None:
    """Encode and decode the first examples of the test set, or all of a file."""
    if options.given is not None and options.data is not None:
        raise InputError(f"The data are named twice, {options.given} and --data {options.data}: leave one out.")
    options.data = options.data if options.given is None else options.given
    run, data, examples = opened(options, None)
    path = target(options, run, "reconstructions", suffixes(run))
    rows = "rows" in data.splits
    count = (len(examples) if rows else min(10, len(examples))) if options.count is None else options.count
    if not 1 <= count <= len(examples):
        what = "rows" if rows else "test examples"
        raise InputError(f"-n must be between 1 and the {len(examples)} {what}, got {count}.")
    originals, means = reconstruct_data(jr.key(options.seed), run.model, examples, np.arange(count))

    def first_pairs() -> np.ndarray:
        return pair_grid(*(part[:MOST_SHOWN] / run.white for part in (shown(originals), means)), width=GRID_WIDTH)

    shape = write(path, run, means, first_pairs, None if data.only.ids is None else data.only.ids[:count])
    tell(options, path, shape)


COMMAND = Command(
    (
        "nelbo reconstruct runs/mnist -n 10",
        "nelbo reconstruct runs/mnist --data mnist --data-dir data/ -o pairs.png",
        "nelbo reconstruct runs/photos pictures/ -o decoded",
    ),
    _arguments,
    reconstruct,
)
