"""`nelbo sample`."""

import argparse

import jax.random as jr

from nelbo.cli.commands import Command
from nelbo.cli.parser import Parser, run_folder
from nelbo.cli.writing import suffixes, target, tell, write
from nelbo.report import GRID_WIDTH, image_grid
from nelbo.runs import open_run
from nelbo.tasks import sample as draw_samples


def _arguments(parser: Parser) -> None:
    run_folder(parser)
    parser.add_argument("-n", "--count", type=int, default=64, metavar="N", help="number of examples (default 64)")
    parser.add_argument("--mean", action="store_true", help="give E[x | z] instead of draws of x")
    parser.add_argument(
        "--context", metavar="LABEL", help="for a run with a context: the label that examples are drawn for"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="a .npy, .npz or table file (rows), a .png file or a folder (images); default RUN/samples.png or .npy",
    )


def sample(options: argparse.Namespace) -> None:
    """Draw from the generative model."""
    run = open_run(options.run)
    path = target(options, run, "samples", suffixes(run))
    context = run.context(options.context)
    values = draw_samples(jr.key(options.seed), run.model, options.count, mean=options.mean, context=context)
    shape = write(path, run, values, lambda: image_grid(values / run.white, width=GRID_WIDTH))
    tell(options, path, shape)


COMMAND = Command(
    (
        "nelbo sample runs/mnist -n 64",
        "nelbo sample runs/mnist --count 16 --mean -o samples.png",
        "nelbo sample runs/conditional --context 3 -o threes/",
    ),
    _arguments,
    sample,
)
