"""`nelbo predict`."""

import argparse

from nelbo.cli.commands import Command
from nelbo.cli.pairs import pair_flags, predict_run_pairs
from nelbo.cli.parser import Parser, run_folder
from nelbo.runs import open_run
from nelbo.tasks import DRAWS


def _arguments(parser: Parser) -> None:
    run_folder(parser)
    parser.add_argument("data", nargs="?", metavar="PAIRS", help="a table of row and column ids, as those fitted to")
    pair_flags(parser)
    parser.add_argument("--draws", type=int, default=DRAWS, metavar="N", help=f"of the factors (default {DRAWS})")
    parser.add_argument("--interval", type=float, default=0.9, metavar="P", help="probability of the interval (default 0.9)")  # fmt: skip  # noqa: E501
    parser.add_argument("-o", "--output", metavar="FILE", help="a table as the pairs are one, or .npz (default RUN/predictions.csv)")  # fmt: skip  # noqa: E501


def predict(options: argparse.Namespace) -> None:
    """Predict the value of each pair and write it beside the pair."""
    predict_run_pairs(options, open_run(options.run), draws=options.draws, interval=options.interval)


COMMAND = Command("nelbo predict runs/ratings pairs.csv -o out.csv", _arguments, predict)
