"""`nelbo predict`."""

import argparse

import jax.random as jr
import numpy as np

from nelbo.cli.commands import Command
from nelbo.cli.output import note, print_json
from nelbo.cli.pairs import pair_flags, predict_run_pairs
from nelbo.cli.parser import Parser, data_folder, run_folder, split
from nelbo.cli.writing import opened, target
from nelbo.core import InputError
from nelbo.evaluation import DRAWS
from nelbo.runs import check_predicts, open_run, prediction_columns, table_suffixes, write_columns
from nelbo.tasks import predict as predict_rows


def _arguments(parser: Parser) -> None:
    run_folder(parser)
    parser.add_argument("data", nargs="?", metavar="DATA", help="a named set, a file or a folder, or a table of pairs (default: the run's own data)")  # fmt: skip  # noqa: E501
    data_folder(parser)
    split(parser)
    pair_flags(parser)
    parser.add_argument("--draws", type=int, default=DRAWS, metavar="N", help=f"draws of the weights or factors from their posterior, if there is one (default {DRAWS})")  # fmt: skip  # noqa: E501
    parser.add_argument("--interval", type=float, default=0.9, metavar="P", help="probability of the intervals of a regression (default 0.9)")  # fmt: skip  # noqa: E501
    parser.add_argument("-o", "--output", metavar="FILE", help="a table in the format of the data, or .npy (default RUN/predictions)")  # fmt: skip  # noqa: E501


def predict(options: argparse.Namespace) -> None:
    """Predict the target of every row and write it beside the row."""
    if (pairs := open_run(options.run)).model.is_of_pairs:
        predict_run_pairs(options, pairs, draws=options.draws, interval=options.interval)
        return
    if options.all:
        raise InputError("--all is for the values of pairs: give the rows to predict.")
    run, data, rows = opened(options, options.split)
    check_predicts(run)
    path = target(options, run, "predictions", (*table_suffixes(data), ".npy"))
    taken = () if data.table is None or path.suffix == ".npy" else data.table.names
    found = predict_rows(jr.key(options.seed), run.model, rows, draws=options.draws, interval=options.interval)
    columns = prediction_columns(run, found, taken)
    write_columns(path, data, columns, everything=True)
    if options.json:
        shown = {name: column.tolist() for name, column in columns.items()}
        print_json({"file": str(path), "rows": len(rows), "draws": found.draws, "columns": shown})
        return
    weights = "the weights are a point" if found.draws == 1 else f"averaged over {found.draws} draws of the weights"
    whole = data.table is not None and path.suffix != ".npy"  # else numbers alone
    written = [name for name, column in columns.items() if whole or column.dtype.kind != "O"]
    note(options, f"Wrote {path}: {', '.join(written)} of {np.size(rows.arrays.values)} rows; {weights}")


COMMAND = Command(
    (
        "nelbo predict runs/wine new.csv -o out.csv",
        "nelbo predict runs/wine-bayes new.csv --draws 200 --interval 0.95 -o out.csv",
        "nelbo predict runs/mnist-classes mnist --split test --data-dir data/ -o classes.npy",
        "nelbo predict runs/ratings --all -o matrix.npz",
    ),
    _arguments,
    predict,
)
