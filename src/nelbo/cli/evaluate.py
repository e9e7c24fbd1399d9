"""`nelbo evaluate`."""

import argparse
from pathlib import Path

import jax.random as jr

from nelbo.cli.commands import Command
from nelbo.cli.output import counter, note, print_json, show_results
from nelbo.cli.parser import Parser, other_data, run_folder, split
from nelbo.cli.writing import opened
from nelbo.core import InputError
from nelbo.runs import EVALUATIONS, add_result, check_columns_name, evaluation, result_row, write_columns


def _arguments(parser: Parser) -> None:
    usual = ", ".join(f"{name} {one.samples}" for name, one in EVALUATIONS.items() if one.kind != "exact")
    run_folder(parser)
    parser.add_argument(
        "--bound",
        choices=list(EVALUATIONS),
        default="elbo",
        help="default elbo; exact: log p(x), where it has a closed form",
    )
    parser.add_argument("--samples", type=int, metavar="K", help=f"draws for each example (default: {usual})")
    split(parser)
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N examples")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the bound of each row: .npy, or a table")
    other_data(parser)


def evaluate(options: argparse.Namespace) -> None:
    """Score a split and put the row into the run's record."""
    asked = evaluation(options.bound)
    count = asked.samples if options.samples is None else options.samples
    for name, value in (("--limit", options.limit), ("--samples", count)):
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, got {value}.")
    run, data, examples = opened(options, options.split)
    (split_name,) = data.splits
    path = None if options.output is None else Path(options.output)
    if path is not None:
        check_columns_name(path, data)
    if options.limit is not None:
        examples = examples.head(options.limit)
    progress = counter(options, len(examples))
    score = asked.score(jr.key(options.seed), run.model, examples, num_samples=count, progress=progress)
    row = result_row(score, options.bound, split_name, data, run.model)
    add_result(run.folder, row)
    if path is not None:
        write_columns(path, data, {options.bound: score.per_example})
        note(options, f"Wrote {path}: the {options.bound} bound of each of {len(score.per_example)} rows [nats]")
    if options.json:
        print_json(row)
    else:
        show_results([row])


COMMAND = Command("nelbo evaluate runs/mnist --bound iwae --samples 5000", _arguments, evaluate)
