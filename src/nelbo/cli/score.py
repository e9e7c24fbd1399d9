"""`nelbo score`."""

import argparse
import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.cli.commands import Command
from nelbo.cli.events import check_rows
from nelbo.cli.output import Line, note, note_numbers, print_json
from nelbo.cli.parser import Parser, data_folder, refine, run_folder, split
from nelbo.cli.series_scores import score_series
from nelbo.cli.writing import refinement
from nelbo.core import InputError, atomic_write
from nelbo.data import TABLES
from nelbo.report import text_table
from nelbo.runs import GIVEN, HELD_OUT, NoveltyAnswer, NoveltyQuestion, novel_rows, open_run, truth_of, write_columns
from nelbo.tasks import FALSE_DISCOVERIES, SCORES, detection_scores

_SHOWN = 10  # rows


def _arguments(parser: Parser) -> None:
    run_folder(parser)
    parser.add_argument(
        "data", nargs="?", metavar="DATA", help="a named set, a file or a folder (default: the run's own data)"
    )
    data_folder(parser)
    split(parser)
    refine(parser)
    parser.add_argument("--by", choices=SCORES, default="elbo", help="the novelty score of a row: its code length by the bound or by the importance-weighted bound, its distance from the typical code length, the bound corrected by compressed length (pictures and bytes), or one part of the bound (default elbo)")  # fmt: skip  # noqa: E501
    parser.add_argument("--samples", type=int, default=100, metavar="K", help="draws for each row (default 100)")
    parser.add_argument("--fdr", type=float, default=FALSE_DISCOVERIES, metavar="RATE", help=f"false-discovery rate of the flagged rows (default {FALSE_DISCOVERIES})")  # fmt: skip  # noqa: E501
    parser.add_argument("--held-out", default=HELD_OUT, metavar="SPLITS|PATH", help=f"rows to compare with: splits of the run's data, or a file of rows that are not novel (default {HELD_OUT})")  # fmt: skip  # noqa: E501
    parser.add_argument("--background", metavar="RUN", help="a run on the same data: score by the likelihood ratio to it")  # fmt: skip  # noqa: E501
    parser.add_argument("--truth", metavar="COLUMN=VALUE", help="which rows are truly novel, to compute the AUROC (for data with labels: label=VALUE)")  # fmt: skip  # noqa: E501
    parser.add_argument("--given", choices=GIVEN, help="for series: what each row is predicted from, the other rows of its window or only those before it (default others; for flows past)")  # fmt: skip  # noqa: E501
    parser.add_argument("--by-column", action="store_true", help="write the bits of each column too")
    parser.add_argument("-o", "--output", metavar="FILE", help=".csv, .npz, or a table in the format of the data (default RUN/scores.csv)")  # fmt: skip  # noqa: E501


def score(options: argparse.Namespace) -> None:
    """Say how novel each row is, and why."""
    run = open_run(options.run)
    schema = run.fitted_data.schema
    if schema is not None and schema.series is not None:
        score_series(options, run)
        return
    check_rows(run, "score")
    if options.given is not None:
        raise InputError(f"--given is about series, and {run.folder} is a run on single rows: leave it out.")
    path = Path(options.output or run.folder / "scores.csv")
    line = Line()

    def progress(name: str, done: int, total: int) -> None:
        if not options.quiet:
            line.show(f"{done} of {total} {name}", done=done >= total)

    background = None if options.background is None else open_run(options.background)
    question = NoveltyQuestion(
        options.data, options.split, options.data_dir, options.held_out, options.by, options.fdr, options.samples,
        background, refinement(options), options.seed,
    )  # fmt: skip
    _check_name(path)
    answer = novel_rows(run, question, progress=progress)
    for text in answer.notes:
        note(options, text)
    truth = None if options.truth is None else truth_of(answer.data, options.truth)
    detected = {} if truth is None else detection_scores(truth, answer.found.excess)
    _write(path, answer, everything=options.by_column)
    record = _record(path, answer, options) | detected
    if truth is not None and answer.found.flagged.any():
        record["false_discoveries"] = float((~truth[answer.found.flagged]).mean())
    _show(options, record, answer)


def _check_name(path: Path) -> None:
    if path.suffix not in {*TABLES, ".npz"} or path.is_dir():
        raise InputError(f"Cannot write {path}: choose a name that ends in .csv, .npz, or as the table that is scored.")


def _record(path: Path, answer: NoveltyAnswer, options: argparse.Namespace) -> dict[str, Any]:
    found = answer.found
    return {
        "file": str(path),
        "rows": len(found.excess),
        "held_out_rows": found.held_out,
        "score": _score_name(options, answer),
        "false_discovery_rate": found.rate,
        "flagged": int(found.flagged.sum()),
        "least_p_value": float(found.p_values.min()),
    }


def _score_name(options: argparse.Namespace, answer: NoveltyAnswer) -> str:
    if answer.unit == "score":
        return "of the detector"
    return options.by if options.background is None else f"likelihood ratio ({options.by})"


def _write(path: Path, answer: NoveltyAnswer, *, everything: bool) -> None:
    """All numbers as `.npz`; else new columns beside what tells the rows apart."""
    found, ids = answer.found, answer.data.only.ids
    if path.suffix == ".npz":
        arrays = {f"excess_{answer.unit}": found.excess, "p_values": found.p_values, "flagged": found.flagged}
        arrays |= {"latent_bits": found.kl} if answer.unit == "bits" else {}
        arrays |= {} if found.entries is None else {"entry_bits": found.entries}
        arrays |= {} if ids is None else {"ids": np.asarray(ids, str)}
        with atomic_write(path) as stream:
            np.savez_compressed(stream, allow_pickle=False, **arrays)
        return
    columns = answer.columns(everything=everything)
    if answer.data.table is not None:
        write_columns(path, answer.data, columns)
        return
    names = np.arange(len(found.excess)) if ids is None else ids
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t" if path.suffix == ".tsv" else ",", lineterminator="\n")
    writer.writerow(["row" if ids is None else "file", *columns])
    for name, *values in zip(names.tolist(), *(column.tolist() for column in columns.values()), strict=True):
        writer.writerow([name, *(f"{value:.6g}" if isinstance(value, float) else value for value in values)])
    with atomic_write(path) as stream:
        stream.write(text.getvalue().encode())


def _show(options: argparse.Namespace, record: dict[str, Any], answer: NoveltyAnswer) -> None:
    found = answer.found
    order = np.argsort(-found.excess, kind="stable")[:_SHOWN].tolist()
    ids = answer.data.only.ids if answer.data.only.ids is not None else answer.data.only.index
    rows = [
        {
            "row": str(i if ids is None else ids[i]),
            f"excess {answer.unit}": f"{found.excess[i]:.1f}" if answer.unit == "bits" else f"{found.excess[i]:.3g}",
            "p-value": f"{found.p_values[i]:.2g}",
            "novel": "yes" if found.flagged[i] else "",
            **({} if answer.by_column is None else {"unusual columns [bits]": answer.causes([i])[0]}),
        }
        for i in order
    ]
    if options.json:
        print_json(record | {"most_novel": rows})
        return
    note_numbers(options, record)
    print(text_table(rows), end="")


COMMAND = Command(
    (
        "nelbo score runs/people new.csv -o scores.csv",
        "nelbo score runs/people new.csv --held-out more.csv --fdr 0.05 --by-column -o scores.csv",
        "nelbo score runs/people new.csv --truth kind=malignant --by importance --samples 500",
        "nelbo score runs/digits digits --split test --background runs/simple --refine 20",
        "nelbo score runs/mnist mnist --by complexity --data-dir data/",
        "nelbo score runs/wind wind.csv --given past -o scores.csv",
    ),
    _arguments,
    score,
)
