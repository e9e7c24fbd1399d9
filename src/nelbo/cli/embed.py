"""`nelbo embed`."""

import argparse
import io
from pathlib import Path

import jax.random as jr
import numpy as np

from nelbo.cli.commands import Command
from nelbo.cli.events import embed_events
from nelbo.cli.output import note
from nelbo.cli.parser import Parser, data_folder, refine, run_folder, split
from nelbo.cli.series import beside_rows
from nelbo.cli.series import target as series_target
from nelbo.cli.writing import inferring, opened, target, tell
from nelbo.core import InputError, atomic_write
from nelbo.data import TABLES, Data, Source
from nelbo.runs import Run, codes_of_rows, open_run, series_rows, table_suffixes, write_columns
from nelbo.tasks import embed as embed_data
from nelbo.tasks import sequence_codes


def _arguments(parser: Parser) -> None:
    run_folder(parser)
    parser.add_argument(
        "data", nargs="?", metavar="DATA", help="a named set, a file or a folder (default: the run's own data)"
    )
    data_folder(parser)
    split(parser)
    refine(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="a .npy, .npz or table file (default RUN/embedding.npy)",
    )


def embed(options: argparse.Namespace) -> None:
    """Posterior means of a split, of the rows of a table of series, or of the users of events."""
    run = open_run(options.run)
    schema = run.fitted_data.schema
    if schema is not None and schema.events is not None:
        embed_events(options, run)
        return
    if schema is not None and schema.series is not None and Path(options.output or "").suffix in TABLES:
        _embed_rows(options, run)
        return
    run, data, rows = opened(options, options.split)
    path = target(options, run, "embedding", (".npy", ".npz", *table_suffixes(data)))
    if run.model.has_static_code and options.refine is None:
        _embed_sequences(options, path, run, data, rows)
        return
    values = embed_data(jr.key(options.seed), inferring(options, run), rows)
    write_columns(path, data, {f"z{i + 1}": column for i, column in enumerate(values.T)})
    tell(options, path, values.shape)


def _embed_rows(options: argparse.Namespace, run: Run) -> None:
    """The table of series with the codes of each row beside it.

    Raises:
        InputError: an option that is about single rows.
    """
    for name in ("refine", "split"):
        if vars(options)[name] is not None:
            raise InputError(f"A table of series comes back with the codes of all its rows, so --{name} says nothing "
                             "here: leave it out.")  # fmt: skip
    rows = series_rows(run, options.data)
    for text in rows.notes:
        note(options, text)
    path = series_target(options, run, rows, "embedding")
    codes = codes_of_rows(jr.key(options.seed), run, rows)
    with atomic_write(path) as file:
        file.write(beside_rows(rows, codes))
    tell(options, path, (len(rows.ids), len(codes)))


def _embed_sequences(options: argparse.Namespace, path: Path, run: Run, data: Data, rows: Source) -> None:
    """Static and dynamic codes: columns f1, f2, ... and, frame by frame, z1_1, z1_2, ...; in .npz two arrays."""
    static, dynamic = sequence_codes(run.model, rows)
    if path.suffix == ".npz":
        stream = io.BytesIO()
        np.savez_compressed(stream, allow_pickle=False, static=static, dynamic=dynamic)
        with atomic_write(path) as file:
            file.write(stream.getvalue())
    else:
        columns = {f"f{i + 1}": column for i, column in enumerate(static.T)}
        for t in range(dynamic.shape[1]):
            columns |= {f"z{t + 1}_{i + 1}": column for i, column in enumerate(dynamic[:, t].T)}
        write_columns(path, data, columns)
    tell(options, path, static.shape)
    note(
        options, f"  static codes {'x'.join(map(str, static.shape))}, dynamic ones {'x'.join(map(str, dynamic.shape))}"
    )


COMMAND = Command(
    (
        "nelbo embed runs/digits digits -o z.npy",
        "nelbo embed runs/people people.csv -o coordinates.csv",
        "nelbo embed runs/mnist mnist --split valid --refine 50 --data-dir data/",
    ),
    _arguments,
    embed,
)
