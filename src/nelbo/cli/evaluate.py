"""`nelbo evaluate`."""

import argparse
from pathlib import Path

import jax.random as jr

from nelbo.cli.commands import Command
from nelbo.cli.output import counter, note, print_json, show_results
from nelbo.cli.parser import Parser, other_data, run_folder, split
from nelbo.cli.writing import opened
from nelbo.core import InputError
from nelbo.runs import (
    EVALUATIONS,
    add_result,
    check_columns_name,
    default_bound,
    error_columns,
    evaluation,
    result_row,
    write_columns,
)


def _arguments(parser: Parser) -> None:
    usual = ", ".join(f"{name} {one.samples}" for name, one in EVALUATIONS.items())
    bounds = "; ".join(f"{name}: {one.title}" for name, one in EVALUATIONS.items())
    run_folder(parser)
    parser.add_argument(
        "--bound", choices=list(EVALUATIONS), help=f"{bounds} (default elbo; of a factorization predictive)"
    )
    parser.add_argument("--samples", type=int, metavar="K", help=f"draws for each example (default: {usual})")
    split(parser)
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N examples")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the bound of each row: .npy, or a table")
    other_data(parser)


def evaluate(options: argparse.Namespace) -> None:
    """Score a split and put the row into the run's record."""
    bound = options.bound or default_bound(options.run)
    asked = evaluation(bound)
    count = asked.samples if options.samples is None else options.samples
    for name, value in (("--limit", options.limit), ("--samples", count)):
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, got {value}.")
    path = None if options.output is None else Path(options.output)
    run, data, examples = opened(options, options.split)
    (split_name,) = data.splits
    if path is not None:
        check_columns_name(path, data)
    if options.limit is not None:
        examples = examples.head(options.limit)
    progress = counter(options, len(examples))
    score = asked.score(jr.key(options.seed), run.model, examples, num_samples=count, progress=progress)
    row = result_row(score, bound, split_name, data, run.model)
    if data.schema.pairs is not None:
        row |= error_columns(jr.fold_in(jr.key(options.seed), 1), run.model, examples)
    add_result(run.folder, row)
    if path is not None:
        write_columns(path, data, {bound: score.per_example})
        note(options, f"Wrote {path}: the {bound} bound of each of {len(score.per_example)} rows [nats]")
    if options.json:
        print_json(row)
    else:
        show_results([row])


COMMAND = Command("nelbo evaluate runs/mnist --bound iwae --samples 5000", _arguments, evaluate)
