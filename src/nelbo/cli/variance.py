"""`nelbo variance`."""

import argparse
from pathlib import Path

import jax.random as jr
import numpy as np

from nelbo.cli.commands import Command
from nelbo.cli.output import note, print_json
from nelbo.cli.parser import Parser, other_data, run_folder
from nelbo.cli.writing import opened
from nelbo.core import InputError, write_json
from nelbo.evaluation import variance_report
from nelbo.report import save_png, text_table, variance_figure
from nelbo.runs import is_named
from nelbo.training import examples as read_examples


def _arguments(parser: Parser) -> None:
    run_folder(parser)
    parser.add_argument("--batch-size", type=int, default=20, metavar="N", help="examples in the batch (default 20)")
    parser.add_argument(
        "--draws", type=int, default=100, metavar="N", help="gradients drawn from each estimator (default 100)"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="a .png file (default RUN/figures/variance.png)")
    other_data(parser)


def variance(options: argparse.Namespace) -> None:
    """Gradient noise of every estimator, as a table, a record and a plot."""
    own = options.data is None or is_named(options.data)
    run, _, data = opened(options, "train" if own else None)
    if not 1 <= options.batch_size <= len(data):
        raise InputError(f"--batch-size must be between 1 and the {len(data)} examples, got {options.batch_size}.")
    data_key, key = jr.split(jr.key(options.seed))
    batch = read_examples(data_key, data, data.take(np.arange(options.batch_size)))
    found = variance_report(key, run.model, batch, draws=options.draws)
    write_json(run.folder / "variance.json", {"batch_size": options.batch_size, "draws": options.draws, "rows": found})
    path = save_png(variance_figure(found), Path(options.output or run.folder / "figures" / "variance.png"))
    if options.json:
        print_json(found)
        return
    rows = [{"estimator": name} | {layer: f"{row['variance']:.3g}" for layer, row in layers.items()}
            for name, layers in found.items()]  # fmt: skip
    print(text_table(rows))
    note(options, "Variance of the gradient of each layer [nats squared], summed over its parameters: p0 gives the "
         f"data, p1 and on the latents, q1 and on are of the recognition model; wrote {path}")  # fmt: skip


COMMAND = Command(
    (
        "nelbo variance runs/mnist --batch-size 20",
        "nelbo variance runs/mnist --draws 50 --data mnist --data-dir data/ -o variance.png",
    ),
    _arguments,
    variance,
)
