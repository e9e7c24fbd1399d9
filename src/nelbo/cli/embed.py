"""`nelbo embed`."""

import argparse

import jax.random as jr

from nelbo.cli.commands import Command
from nelbo.cli.parser import Parser, data_folder, refine, run_folder, split
from nelbo.cli.writing import inferring, opened, target, tell
from nelbo.runs import table_suffixes, write_columns
from nelbo.tasks import embed as embed_data


def _arguments(parser: Parser) -> None:
    run_folder(parser)
    parser.add_argument("data", nargs="?", metavar="DATA", help="a named set, a file or a folder (the run's own)")
    data_folder(parser)
    split(parser)
    refine(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="a .npy, .npz or table file (default RUN/embedding.npy)",
    )


def embed(options: argparse.Namespace) -> None:
    """Posterior means of a split."""
    run, data, rows = opened(options, options.split)
    path = target(options, run, "embedding", (".npy", ".npz", *table_suffixes(data)))
    values = embed_data(jr.key(options.seed), inferring(options, run), rows)
    write_columns(path, data, {f"z{i + 1}": column for i, column in enumerate(values.T)})
    tell(options, path, values.shape)


COMMAND = Command("nelbo embed runs/digits digits -o z.npy", _arguments, embed)
