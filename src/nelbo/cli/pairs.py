"""What `nelbo predict` does for the values of pairs."""

import argparse
import io
from pathlib import Path

import jax.random as jr
import numpy as np

from nelbo.cli.output import Line, note, print_json
from nelbo.cli.parser import Parser
from nelbo.core import InputError, atomic_write
from nelbo.data import Pairs, Triples, frame_bytes, pair_context, read_triples
from nelbo.runs import Run, check_fresh
from nelbo.tasks import Answers, posterior_of, predict_pairs

FORMS = (".csv", ".tsv", ".parquet", ".npz")
PARTS = ("mean", "std", "low", "high")


def pair_flags(parser: Parser) -> None:
    """The options that predictions of pairs alone have."""
    parser.add_argument("--all", action="store_true", help="for a factorization: predict every pair of its rows and columns (.npz: whole matrices)")  # fmt: skip  # noqa: E501


def predict_run_pairs(options: argparse.Namespace, run: Run, *, draws: int, interval: float) -> None:
    """Predict the value of each pair of a table, or of the whole matrix, and write it down.

    Raises:
        InputError: neither a table nor --all, or both; an id or a physical prediction that is missing.
    """
    schema = run.fitted_data.schema
    if schema is None or schema.pairs is None:
        raise InputError(f"{run.folder} was not fitted to the values of pairs.")
    posterior_of(run.model)
    if options.all == (options.data is not None):
        raise InputError("Say what to predict: a table of pairs, or --all for the whole matrix.")
    if options.split is not None:
        raise InputError("A table of pairs has no splits, and all its rows are predicted: leave --split out.")
    triples = _whole(schema.pairs) if options.all else read_triples(options.data, schema.pairs.names, values=False)
    path = _target(options, run, triples)
    if triples.table is not None:
        check_fresh([f"{schema.pairs.names[2]}_{part}" for part in PARTS], triples.table.names)
    for text in triples.notes:
        note(options, text)
    pairs = pair_context(schema.pairs, triples.rows, triples.columns, triples.physical)
    _say_unseen(options, pairs, schema.pairs)
    line = Line()
    progress = None if options.quiet else lambda done: line.show(f"{done} of {len(pairs)}", done=done >= len(pairs))
    found = predict_pairs(jr.key(options.seed), run.model, pairs, draws=draws, level=interval, progress=progress)
    columns = _columns(run, schema.pairs.names[2], found)
    _write(path, schema.pairs, triples, columns, whole=options.all)
    if options.json:
        shown = {} if options.all else {"columns": {name: column.tolist() for name, column in columns.items()}}
        print_json({"file": str(path), "pairs": len(pairs), "draws": draws, "interval": interval, **shown})
        return
    note(options, f"Wrote {path}: {', '.join(columns)} of {len(pairs)} pairs")


def _target(options: argparse.Namespace, run: Run, triples: Triples) -> Path:
    """Where to write; checked before anything is computed."""
    forms = FORMS if triples.table is None else (triples.table.suffix, ".npz")
    usual = "matrix.npz" if options.all else f"predictions{forms[0]}"
    path = Path(options.output or run.folder / usual)
    if path.suffix not in forms or path.is_dir():
        raise InputError(f"Cannot write {path}: choose the name of a file that ends in {' or '.join(forms)}.")
    return path


def _columns(run: Run, value: str, found: Answers) -> dict[str, np.ndarray]:
    """The answers in the user's units by the names of their columns."""
    mean, low, high = (run.in_user_units(part[:, None])[:, 0] for part in (found.mean, found.low, found.high))
    return {f"{value}_{name}": part for name, part in zip(PARTS, (mean, found.std, low, high), strict=True)}


def _whole(pairs: Pairs) -> Triples:
    if pairs.has_physical:
        raise InputError(f"The model needs {pairs.names[3]} of each pair: give a table with it instead of --all.")
    rows = np.repeat(np.array(pairs.row_ids, object), len(pairs.column_ids))
    columns = np.tile(np.array(pairs.column_ids, object), len(pairs.row_ids))
    return Triples(pairs.names, rows, columns, None, None, np.arange(len(rows)))


def _say_unseen(options: argparse.Namespace, pairs: np.ndarray, known: Pairs) -> None:
    """How many pairs have a row or a column that the model never saw."""
    for place, name in enumerate(known.names[:2]):
        count = int((pairs[:, place] < 0).sum())
        if count:
            note(options, f"{count} pairs have a {name} that the model was not fitted to: the prior stands for it.")


def _write(path: Path, known: Pairs, triples: Triples, columns: dict[str, np.ndarray], *, whole: bool) -> None:
    stream = io.BytesIO()
    if path.suffix == ".npz":
        ids = {known.names[0]: known.row_ids, known.names[1]: known.column_ids} if whole else {
            known.names[0]: triples.rows.tolist(), known.names[1]: triples.columns.tolist()
        }  # fmt: skip
        shape = (len(known.row_ids), len(known.column_ids)) if whole else (-1,)
        arrays = {name: column.astype(np.float32).reshape(shape) for name, column in columns.items()}
        named = {name: np.array(list(values), dtype=str) for name, values in ids.items()}
        np.savez_compressed(stream, allow_pickle=False, **named, **arrays)
        content = stream.getvalue()
    elif triples.table is not None:
        fresh = {name: np.asarray(column, float) for name, column in columns.items()}
        content = triples.table.extended(range(len(triples.table.names)), fresh, triples.places)
    else:
        content = _plain(path, known, triples, columns)
    with atomic_write(path) as file:
        file.write(content)


def _plain(path: Path, known: Pairs, triples: Triples, columns: dict[str, np.ndarray]) -> bytes:
    """A table of its own, for pairs that came from none."""
    import pandas as pd  # a table of millions of rows is written in seconds

    frame = pd.DataFrame({known.names[0]: triples.rows, known.names[1]: triples.columns, **columns})
    return frame_bytes(frame, path.suffix)
