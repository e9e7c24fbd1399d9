"""`nelbo evaluate`."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import jax.random as jr
import numpy as np

from nelbo.cli.commands import Command
from nelbo.cli.output import counter, note, print_json, show_results
from nelbo.cli.parser import Parser, other_data, qualities, refine, run_folder, split
from nelbo.cli.picture_scores import evaluate_pictures, is_of_pictures
from nelbo.cli.series import counter as series_counter
from nelbo.cli.writing import inferring, opened
from nelbo.core import InputError
from nelbo.data import Data, Source
from nelbo.evaluation import DRAWS, PRECISIONS, PUBLISHED, STARTS, TEMPERATURES, Refinement, refinements
from nelbo.models import boltzmann_machine
from nelbo.report import reliability_diagram, save_png, text_table
from nelbo.runs import (
    EVALUATIONS,
    LADDER,
    LOG_SCORE,
    PAIR_SCORE,
    Ladder,
    Run,
    add_result,
    check_columns_name,
    evaluation,
    event_numbers,
    evidence_ladder,
    open_run,
    result_row,
    score_futures,
    score_run,
    with_errors,
    write_columns,
)
from nelbo.tasks import SERIES_DRAWS

ALL = "all"
# whose option each is
_OWNERS = {"temperatures": "ais, and of the log Z of machines", "start": "ais", "precision": "iwae"}
GAP_DRAWS = 100  # for each example, where the bound of the gap is an ELBO whatever bound is asked for


def _arguments(parser: Parser) -> None:
    usual = ", ".join(f"{name} {one.samples}" for name, one in EVALUATIONS.items())
    bounds = "; ".join(f"{name}: {one.title}" for name, one in EVALUATIONS.items())
    run_folder(parser)
    # its default must not take the place of what --data gave
    parser.add_argument("data", nargs="?", default=argparse.SUPPRESS, metavar="DATA", help="the same as --data")
    parser.add_argument("--bound", choices=[*EVALUATIONS, ALL], help=f"{bounds}; {ALL}: {', '.join(LADDER)}, where they apply, and whether they are in order (default elbo, for pairs {PAIR_SCORE}; supervised models have the {LOG_SCORE} only)")  # fmt: skip  # noqa: E501
    parser.add_argument("--samples", type=int, metavar="K", help=f"draws for each example (default: {usual}), or of the weights of a supervised model (default {DRAWS})")  # fmt: skip  # noqa: E501
    parser.add_argument("--temperatures", type=int, metavar="T", help=f"number of temperatures of ais (default {TEMPERATURES}), or of the annealing for log Z of an rbm or a dbn (default {PUBLISHED})")  # fmt: skip  # noqa: E501
    parser.add_argument(
        "--start", choices=STARTS, help=f"distribution from which the chains of ais start (default {STARTS[0]})"
    )
    parser.add_argument("--precision", choices=PRECISIONS, help="of matrix products in iwae: bfloat16 is faster on processors that multiply such numbers, and its error is corrected by float32 on a part of the data (default float32)")  # fmt: skip  # noqa: E501
    split(parser)
    parser.add_argument("--limit", type=int, metavar="N", help="score only the first N examples")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the bound of each row: .npy, or a table")
    parser.add_argument("--horizon", type=int, metavar="N", help="for series: score forecasts of the N held-out last steps instead (log score, CRPS, coverage)")  # fmt: skip  # noqa: E501
    parser.add_argument("--quality", type=qualities, metavar="Q,Q", help="for an image codec on a folder of pictures (--data): qualities from 0 to 100 (default 20,35,50, or that of the run's rate weight)")  # fmt: skip  # noqa: E501
    refine(parser)
    other_data(parser)


def evaluate(options: argparse.Namespace) -> None:
    """Score a split and put the row into the run's record."""
    for name, value in (
        ("--limit", options.limit),
        ("--samples", options.samples),
        ("--temperatures", options.temperatures),
    ):
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, got {value}.")
    if options.horizon is not None:
        _futures(options)
        return
    if (options.data is not None or options.quality is not None) and _pictures(options):
        return
    path = None if options.output is None else Path(options.output)
    run, data, examples = opened(options, options.split)
    (split_name,) = data.splits
    if path is not None:
        check_columns_name(path, data)
    if options.limit is not None:
        examples = examples.head(options.limit)
    if options.bound == ALL:
        _ladder(options, run, split_name, data, examples, path)
        return
    scored = _log_score if run.model.is_supervised else _bound
    row, name, values, gap = scored(options, run, split_name, data, examples)
    add_result(run.folder, row)
    if path is not None:
        write_columns(path, data, {name: values})
        note(options, f"Wrote {path}: the {name} of each of {len(values)} rows [nats]")
    if options.json:
        print_json(row | {"amortization_gap": [dataclasses.asdict(one) for one in gap]} if gap else row)
        return
    _show(row, gap)


def _pictures(options: argparse.Namespace) -> bool:
    """Score an image codec on pictures; False where the run holds another model."""
    run = open_run(options.run)
    if not is_of_pictures(run):
        if options.quality is not None:
            raise InputError(f"--quality is of image codecs, and {run.folder} holds another model: leave it out.")
        return False
    if options.data is None:
        raise InputError("--quality goes with pictures: name a folder of them by --data.")
    evaluate_pictures(options, run)
    return True


def _futures(options: argparse.Namespace) -> None:
    """Score forecasts of held-out futures beside simple ones."""
    for name in ("bound", "refine", "output", "limit", "split", "temperatures", "start", "precision"):
        if vars(options)[name] is not None:
            raise InputError(f"--{name} is not about forecasts: leave it out with --horizon.")
    draws = SERIES_DRAWS if options.samples is None else options.samples
    run = open_run(options.run)
    rows = score_futures(
        jr.key(options.seed), run, options.horizon, path=options.data, draws=draws,
        progress=series_counter(options, "origins"),
    )  # fmt: skip
    if options.json:
        print_json({"futures": rows})
        return
    print(text_table(rows), end="")
    note(
        options, "log score: nats a value. crps, rmse and mae: standard deviations of each channel over training frames"
    )


def _show(row: dict[str, Any], gap: list[Refinement]) -> None:
    """The row as a table, what is to be said about it, and the amortization gap."""
    show_results([row])
    if "normalizer" in row:
        print(f"\n{_about(row['normalizer'])}")
    if gap:
        print(f"\nELBO of the first {gap[0].examples} examples, by how q was found [nats per example]:")
        print(text_table([_gap_row(one) for one in gap]), end="")


def _about(normalizer: dict[str, Any]) -> str:
    """How log Z was found, in words."""
    log_z, error = normalizer["log_z"], normalizer["standard_error"]
    if normalizer["method"] == "enumeration":
        return f"log Z = {log_z:.3f} nats, exact: a sum over all states of the smaller layer."
    return (
        f"log Z = {log_z:.2f} +- {3 * error:.2f} nats (3 standard errors) by annealing with "
        f"{normalizer['temperatures']} temperatures "
        f"and {normalizer['chains']} chains, {normalizer['reverse']:.2f} by annealing in reverse.\n"
        "The first is low in expectation, so that log p(x) looks better than it is; the second is high, where the "
        "chains that it starts from have come to draw from the model."
    )


def _gap_row(one: Refinement) -> dict[str, Any]:
    error = None if one.standard_error is None else f"{one.standard_error:.4f}"
    last = one.posterior == "limit"
    lack = {
        "gap to the limit": None if last else f"{one.gap:.4f}",
        "error of the gap": None if last else f"{one.gap_error:.4f}",
    }
    return {"q": one.posterior, "steps": one.steps, "nats": f"{one.nats:.4f}", "Monte Carlo error": error, **lack}


def _bound(
    options: argparse.Namespace, run: Run, split_name: str, data: Data, examples: Source
) -> tuple[dict[str, Any], str, np.ndarray, list[Refinement]]:
    """The row of a bound, its name, its value for each example, and the amortization gap where q is refined."""
    of_pairs = data.schema.pairs is not None
    name = options.bound or (PAIR_SCORE if of_pairs else "elbo")
    if of_pairs != (name == PAIR_SCORE):
        has = f"has the {PAIR_SCORE} score of the values of pairs alone" if of_pairs else "is not about values of pairs"
        raise InputError(f"{run.folder} {has}: leave --bound {name} out.")
    asked = evaluation(name)
    if options.refine is not None and asked.kind == "exact":
        raise InputError("The exact log p(x) depends on no posterior: leave --refine out, or ask for another bound.")
    count = asked.samples if options.samples is None else options.samples
    progress, key, model = counter(options, len(examples)), jr.key(options.seed), inferring(options, run)
    of_machine = boltzmann_machine(model) is not None and name in {"elbo", "iwae"}
    settings = _settings(options, (*asked.settings, *("temperatures",) * of_machine), f"--bound {name}")
    if of_machine:
        settings = {"temperatures": PUBLISHED, **settings}
    score = asked.score(key, model, examples, num_samples=count, progress=progress, **settings)
    row, gap = result_row(score, name, split_name, data, run.model), []
    if data.schema.events is not None:
        row |= _of_events(options, run, examples, row)
    if of_pairs:
        row = with_errors(row, jr.fold_in(jr.clone(key), 1), run.model, examples)
    if options.refine is not None:
        row["refined"] = options.refine
        gap = refinements(key, run.model, examples, steps=options.refine, num_samples=min(count, GAP_DRAWS))
    return row, name, score.per_example, gap


def _of_events(options: argparse.Namespace, run: Run, examples: Source, row: dict[str, Any]) -> dict[str, Any]:
    """Nats an event, marks and residuals of a split of events, and the picture of the residuals."""
    numbers, drawn = event_numbers(run.model, examples, row)
    for kind, points in drawn.items():
        picture = run.folder / "figures" / f"{kind}.png"
        save_png(reliability_diagram(kind, points), picture)
        note(options, f"Residuals of {row['split']}: {picture}")
    return numbers


def _settings(options: argparse.Namespace, taken: tuple[str, ...], what: str) -> dict[str, Any]:
    """The options of one estimator or another that were given."""
    given = {name: vars(options)[name] for name in _OWNERS}
    for name, value in given.items():
        if value is not None and name not in taken:
            raise InputError(f"--{name} is an option of {_OWNERS[name]}: leave it out{what and f' with {what}'}.")
    return {name: value for name, value in given.items() if value is not None}


def _ladder(
    options: argparse.Namespace, run: Run, split_name: str, data: Data, examples: Source, path: Path | None
) -> None:
    """Print and keep everything that applies."""
    if run.model.is_supervised or data.schema.pairs is not None:
        raise InputError(f"{run.folder} has one score alone, and no ladder: leave --bound {ALL} out.")
    if options.refine is not None or options.samples is not None:
        raise InputError(f"--bound {ALL} takes neither --refine nor --samples: ask for one bound by its name.")

    def progress(name: str) -> Any:
        note(options, f"{name}: {EVALUATIONS[name].title}")
        return counter(options, len(examples))

    settings = _settings(options, tuple(_OWNERS), "")
    key = jr.key(options.seed)
    found = evidence_ladder(key, run.model, examples, split_name, data, settings=settings, progress=progress)
    for row in found.rows:
        add_result(run.folder, row)
    if path is not None:
        write_columns(path, data, {name: score.per_example for name, score in found.scores.items()})
        note(options, f"Wrote {path}: {', '.join(found.scores)} of each of {len(examples)} rows [nats]")
    if options.json:
        print_json(found.record())
    else:
        _show_ladder(found)
        note(options, f"Its picture: nelbo report {run.folder}")


def _show_ladder(found: Ladder) -> None:
    kept = ("split", "bound", "kind", "samples", "nats", "standard_error", "spread", "bits_per_dim", "binarization")
    show_results([{name: row[name] for name in kept} for row in found.rows])
    print()
    for sentence in found.order:
        print(sentence)
    if found.bracket is not None:
        gap, error, count = found.bracket.gap, found.bracket.gap_error, len(found.bracket.examples)
        print(f"ais on {count} examples that the model made: reverse - forward = {gap:.4f} nats, error {error:.4f}")
    for name, reason in found.skipped.items():
        print(f"{name} does not apply: {reason}")
    for row in found.rows:
        if "warning" in row:
            print(f"{row['bound']}: {row['warning']}")


def _log_score(
    options: argparse.Namespace, run: Run, split_name: str, data: Data, examples: Source
) -> tuple[dict[str, Any], str, np.ndarray, list[Refinement]]:
    """The same of predictions."""
    if options.bound is not None:
        raise InputError(f"{run.folder} predicts a target and has a {LOG_SCORE} alone: leave --bound out.")
    if options.refine is not None:
        raise InputError(f"{run.folder} predicts a target and infers no latents: leave --refine out.")
    draws = DRAWS if options.samples is None else options.samples
    row, found = score_run(run, examples, split_name, data, seed=options.seed, draws=draws)
    return row, LOG_SCORE, found.log_score, []


COMMAND = Command(
    (
        "nelbo evaluate runs/mnist --bound iwae --samples 5000",
        "nelbo evaluate runs/mnist --bound ais --temperatures 1000 --start q --limit 500",
        "nelbo evaluate runs/mnist --bound iwae --precision bfloat16",
        "nelbo evaluate runs/mnist --refine 50 --split valid",
        "nelbo evaluate runs/people --data new.csv -o bounds.csv",
        "nelbo evaluate runs/mnist --data mnist --data-dir data/",
        "nelbo evaluate runs/wind --horizon 48",
        "nelbo evaluate runs/codec --data photos/ --quality 20,35,50",
    ),
    _arguments,
    evaluate,
)
