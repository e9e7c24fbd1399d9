"""`nelbo embed`."""

import argparse

import jax.random as jr

from nelbo.cli.commands import Command
from nelbo.cli.parser import Parser, data_folder, run_folder, split
from nelbo.cli.writing import opened, target, tell, write
from nelbo.tasks import embed as embed_data


def _arguments(parser: Parser) -> None:
    run_folder(parser)
    parser.add_argument("data", nargs="?", metavar="DATA", help="a named set, a file or a folder (the run's own)")
    data_folder(parser)
    split(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="a .npy or .csv file (default RUN/embedding.npy)")


def embed(options: argparse.Namespace) -> None:
    """Posterior means of a split."""
    run, _, sources = opened(options)
    path = target(options, run, "embedding", (".npy", ".csv"))
    values = embed_data(jr.key(options.seed), run.model, sources[options.split])
    write(path, values, lambda: values)
    tell(options, path, values)


COMMAND = Command("nelbo embed runs/digits digits -o z.npy", _arguments, embed)
