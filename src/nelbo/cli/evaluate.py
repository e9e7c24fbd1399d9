"""`nelbo evaluate`."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import jax.random as jr

from nelbo.cli.commands import Command
from nelbo.cli.output import counter, note, print_json, show_results
from nelbo.cli.parser import Parser, other_data, refine, run_folder, split
from nelbo.cli.writing import inferring, opened
from nelbo.core import InputError
from nelbo.evaluation import Refinement, refinements
from nelbo.report import text_table
from nelbo.runs import EVALUATIONS, add_result, check_columns_name, evaluation, result_row, write_columns

GAP_DRAWS = 100  # for each example, where the bound of the gap is an ELBO whatever bound is asked for


def _arguments(parser: Parser) -> None:
    usual = ", ".join(f"{name} {one.samples}" for name, one in EVALUATIONS.items())
    bounds = "; ".join(f"{name}: {one.title}" for name, one in EVALUATIONS.items())
    run_folder(parser)
    parser.add_argument("--bound", choices=list(EVALUATIONS), default="elbo", help=f"{bounds} (default elbo)")
    parser.add_argument("--samples", type=int, metavar="K", help=f"draws for each example (default: {usual})")
    split(parser)
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N examples")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the bound of each row: .npy, or a table")
    refine(parser)
    other_data(parser)


def evaluate(options: argparse.Namespace) -> None:
    """Score a split and put the row into the run's record."""
    asked = evaluation(options.bound)
    count = asked.samples if options.samples is None else options.samples
    for name, value in (("--limit", options.limit), ("--samples", count)):
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, got {value}.")
    if options.refine is not None and asked.kind == "exact":
        raise InputError("The exact log p(x) depends on no posterior: leave --refine out, or ask for another bound.")
    path = None if options.output is None else Path(options.output)
    run, data, examples = opened(options, options.split)
    (split_name,) = data.splits
    if path is not None:
        check_columns_name(path, data)
    if options.limit is not None:
        examples = examples.head(options.limit)
    progress, key, model = counter(options, len(examples)), jr.key(options.seed), inferring(options, run)
    score = asked.score(key, model, examples, num_samples=count, progress=progress)
    row = result_row(score, options.bound, split_name, data, run.model)
    gap = []
    if options.refine is not None:
        row["refined"] = options.refine
        gap = refinements(key, run.model, examples, steps=options.refine, num_samples=min(count, GAP_DRAWS))
    add_result(run.folder, row)
    if path is not None:
        write_columns(path, data, {options.bound: score.per_example})
        note(options, f"Wrote {path}: the {options.bound} bound of each of {len(score.per_example)} rows [nats]")
    if options.json:
        print_json(row | {"amortization_gap": [dataclasses.asdict(one) for one in gap]} if gap else row)
        return
    show_results([row])
    if gap:
        print(f"\nELBO of the first {gap[0].examples} examples, by how q was found [nats per example]:")
        print(text_table([_gap_row(one) for one in gap]), end="")


def _gap_row(one: Refinement) -> dict[str, Any]:
    error = None if one.standard_error is None else f"{one.standard_error:.4f}"
    last = one.posterior == "limit"
    lack = {
        "gap to the limit": None if last else f"{one.gap:.4f}",
        "error of the gap": None if last else f"{one.gap_error:.4f}",
    }
    return {"q": one.posterior, "steps": one.steps, "nats": f"{one.nats:.4f}", "Monte Carlo error": error, **lack}


COMMAND = Command("nelbo evaluate runs/mnist --bound iwae --samples 5000", _arguments, evaluate)
