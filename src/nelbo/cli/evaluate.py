"""`nelbo evaluate`."""

import argparse

import jax.random as jr

from nelbo.cli.commands import Command
from nelbo.cli.output import counter, print_json, show_results
from nelbo.cli.parser import Parser, other_data, run_folder, split
from nelbo.cli.writing import opened
from nelbo.core import InputError
from nelbo.runs import BOUNDS, add_result, result_row

DEFAULT_SAMPLES = {"elbo": 100, "iwae": 5000}


def _arguments(parser: Parser) -> None:
    usual = ", ".join(f"{name} {count}" for name, count in DEFAULT_SAMPLES.items())
    run_folder(parser)
    parser.add_argument("--bound", choices=list(BOUNDS), default="elbo", help="which bound (default elbo)")
    parser.add_argument("--samples", type=int, metavar="K", help=f"draws for each example (default: {usual})")
    split(parser)
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N examples")
    other_data(parser)


def evaluate(options: argparse.Namespace) -> None:
    """Score a split and put the row into the run's record."""
    count = DEFAULT_SAMPLES[options.bound] if options.samples is None else options.samples
    for name, value in (("--limit", options.limit), ("--samples", count)):
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, got {value}.")
    run, data, sources = opened(options)
    examples = sources[options.split]
    if options.limit is not None:
        examples = examples.head(options.limit)
    progress = counter(options, len(examples))
    score = BOUNDS[options.bound](jr.key(options.seed), run.model, examples, num_samples=count, progress=progress)
    row = result_row(score, options.bound, options.split, data)
    add_result(run.folder, row)
    if options.json:
        print_json(row)
    else:
        show_results([row])


COMMAND = Command("nelbo evaluate runs/mnist --bound iwae --samples 5000", _arguments, evaluate)
