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


def _arguments(parser: Parser) -> None:
    run_folder(parser)
    parser.add_argument("-n", "--count", type=int, default=10, metavar="N", help="how many (default 10)")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="a .npy, .csv (rows) or .png file (images); default RUN/reconstructions.png or .npy",
    )
    other_data(parser)


def reconstruct(options: argparse.Namespace) -> None:
    """Encode and decode the first examples of the test set."""
    run, data, examples = opened(options, None)
    path = target(options, run, "reconstructions", suffixes(run))
    if not 1 <= options.count <= len(examples):
        what = "rows" if "rows" in data.splits else "test examples"
        raise InputError(f"-n must be between 1 and the {len(examples)} {what}, got {options.count}.")
    originals, means = reconstruct_data(jr.key(options.seed), run.model, examples, np.arange(options.count))
    picture = lambda: pair_grid(shown(originals) / run.white, means / run.white, width=GRID_WIDTH)  # noqa: E731
    write(path, run.in_user_units(means), picture, run.fitted_data.schema)
    tell(options, path, means)


COMMAND = Command("nelbo reconstruct runs/mnist -n 10", _arguments, reconstruct)
