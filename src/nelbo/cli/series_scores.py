"""`nelbo score` of series: anomalies in time."""

import argparse
import io
from typing import Any

import numpy as np

from nelbo.cli.output import note, note_numbers, print_json
from nelbo.cli.series import beside_rows, counter, target
from nelbo.cli.writing import refinement
from nelbo.core import InputError, atomic_write
from nelbo.report import text_table
from nelbo.runs import NovelTimes, NoveltyQuestion, Run, novel_times, open_run, series_of, series_rows
from nelbo.tasks import detection_scores

_SHOWN = 10  # rows


def score_series(options: argparse.Namespace, run: Run) -> None:
    """Say how novel each time stamp is, and each series.

    Raises:
        InputError: an option that is about rows of tables.
    """
    if options.refine is not None:
        raise InputError(f"{run.folder} is a run on series, whose posteriors are not refined: leave --refine out.")
    background = None if options.background is None else open_run(options.background)
    question = NoveltyQuestion(
        options.data, options.split, options.data_dir, options.held_out, options.by, options.fdr, options.samples,
        background, refinement(options), options.seed, options.given,
    )  # fmt: skip
    path = target(options, run, series_rows(run, options.data), "scores")
    found = novel_times(run, question, progress=counter(options, "windows"))
    rows, novel = found.rows, found.answer.found
    for text in found.answer.notes:
        note(options, text)
    record: dict[str, Any] = {
        "file": str(path), "rows": len(rows.ids), "held_out_rows": novel.held_out, "false_discovery_rate": novel.rate,
        "flagged": int(novel.flagged.sum()), "least_p_value": float(novel.p_values.min()),
    }  # fmt: skip
    if options.truth is not None:
        record |= _detected(found, options.truth)
    with atomic_write(path) as file:
        file.write(_npz(found) if path.suffix == ".npz" else scored_table(found, everything=options.by_column))
    order = np.argsort(-novel.excess, kind="stable")[:_SHOWN].tolist()
    unit, stamp = found.answer.unit, series_of(run).stamp
    shown = [
        {
            **({"series": str(rows.ids[i])} if rows.ids[i] else {}),
            "time": stamp(float(rows.times[i])),
            f"excess {unit}": f"{novel.excess[i]:.1f}",
            "p-value": f"{novel.p_values[i]:.2g}",
            "novel": "yes" if novel.flagged[i] else "",
            **({} if found.answer.by_column is None else {f"unusual channels [{unit}]": found.answer.causes([i])[0]}),
        }
        for i in order
    ]
    if options.json:
        print_json(record | {"most_novel": shown, "series": list(found.series)})
        return
    note_numbers(options, record)
    print(text_table(shown), end="")
    if len(found.series) > 1:
        ranked = sorted(found.series, key=lambda row: row["p_value"])[:_SHOWN]
        print(text_table([row | {"p_value": f"{row['p_value']:.2g}", "novel": "yes" if row["novel"] else ""}
                          for row in ranked]), end="")  # fmt: skip


def _detected(found: NovelTimes, asked: str) -> dict[str, float]:
    """How well the score tells the rows that a column of the table says are novel.

    Raises:
        InputError: no such column, a table in wide form, or rows of one kind.
    """
    rows, (name, _, value) = found.rows, asked.partition("=")
    table = rows.table
    if table is None or rows.layout != "long" or name not in table.names:
        raise InputError(f"{rows.where} has no column {name!r} that tells which rows are novel: give COLUMN=VALUE of a "
                         "table in long form.")  # fmt: skip
    cells = np.array([cell.removesuffix(".0") == (value or "1") for cell in table.cells(table.names.index(name))])
    novel = np.zeros(len(rows.ids), bool)
    there = rows.places >= 0
    np.logical_or.at(novel, rows.places[there], cells[there])
    return detection_scores(novel, found.answer.found.excess)


def scored_table(found: NovelTimes, *, everything: bool) -> bytes:
    """The user's table with new columns; in wide form for each column of values its own."""
    rows, answer = found.rows, found.answer
    columns = answer.columns(everything=everything)
    columns.pop("latent bits", None)  # the latents of a window are of all its rows
    return beside_rows(rows, columns)


def _npz(found: NovelTimes) -> bytes:
    rows, novel, unit = found.rows, found.answer.found, found.answer.unit
    stream = io.BytesIO()
    parts = {f"excess_{unit}": novel.excess, "p_values": novel.p_values, "flagged": novel.flagged}
    beside = {"series_ids": np.array([row["series"] for row in found.series], str),
              "series_p_values": np.array([row["p_value"] for row in found.series])}  # fmt: skip
    ids = np.array(rows.ids.tolist(), str)
    np.savez_compressed(stream, allow_pickle=False, ids=ids, times=rows.times, **parts, **beside)
    return stream.getvalue()
