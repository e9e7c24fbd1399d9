"""`nelbo impute TABLE`: a model of the table fitted on the way, completed tables, and what is said about columns."""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nelbo.cli.output import note
from nelbo.core import InputError, choice
from nelbo.data import TABLES, Data, load_rows
from nelbo.runs import Experiment, Run, execute, interval_columns, is_run, open_run, table_suffixes, write_filled
from nelbo.tasks import METHODS, Imputation
from nelbo.training import Progress

USUAL_DRAWS = 19  # whose ends are a 90 % interval


@contextmanager
def opened(options: argparse.Namespace) -> Iterator[tuple[Run, str | None, bool]]:
    """The run that was named, or of a table that was, one that is fitted to it: `table`, with its usual settings.

    Yields:
        The run, the data to fill in, and whether it was fitted to these just now.

    Raises:
        InputError: neither, or a folder to keep the run in that goes with no table.
    """
    path = Path(options.run)
    if path.suffix.lower() not in TABLES or path.is_dir():
        for name in _columns_asked(options):
            raise InputError(f"--{name} is about a table that is fitted now; a run knows its columns: leave it out.")
        if options.keep is not None:
            raise InputError("--keep says where the run of a table that is fitted now is to stay, and "
                             f"{path} is no table: leave it out.")  # fmt: skip
        yield open_run(path), options.data, False
        return
    if options.data is not None:
        raise InputError(
            f"{path} is a table, which is filled in by itself: leave {options.data} out, or fit a model first "
            f"(nelbo fit table --data {path}) and give its folder."
        )
    if options.output is None:
        raise InputError(f"Say where the filled table goes: nelbo impute {path} -o filled{path.suffix}.")
    check_output(options, path)
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(options.keep or f"{folder}/run")
        if is_run(kept):
            raise InputError(f"{kept} is a run already: fill in with it (nelbo impute {kept} {path} ...), or name "
                             "another folder.")  # fmt: skip
        _fit(options, path, kept)
        yield open_run(kept), str(path), True  # all of its rows


def _fit(options: argparse.Namespace, path: Path, kept: Path) -> None:
    """Fit the model to a table."""
    shown: list[Progress] = []

    def progress(steps: int, batch_size: int) -> list[Progress]:
        if not options.quiet:
            shown.append(Progress(steps, batch_size))
        return shown

    usual = Experiment(
        model={"name": "table", "arguments": {}},
        data={"name": str(path)} | _columns_asked(options),
        objective={"name": "iwae", "arguments": {}},
        training={},
        seed=options.seed,
    )
    try:
        record = execute(usual, kept, callbacks=progress, figures=False, command=options.line,
                         say=lambda text: note(options, text))  # fmt: skip
    finally:
        for one in shown:
            one.close()
    where = "" if options.keep is None else f"; the run is in {kept}"
    note(options, f"Fitted {record['steps']} steps in {record['training_seconds']:.1f} s{where}")


def _columns_asked(options: argparse.Namespace) -> dict[str, Any]:
    """What is said about columns, as settings of data."""
    given = {"ignore": options.ignore, "column": options.column}
    return {name: text.split(",") for name, text in given.items() if text is not None}


def is_complete(options: argparse.Namespace) -> bool:
    """Whether a table is to be fitted that has no gap, so that there is nothing to do but to write it as it is."""
    path = Path(options.run)
    if path.suffix.lower() not in TABLES or not path.is_file() or options.hide is not None or options.mask is not None:
        return False
    data = load_rows(path, words=True, **_columns_asked(options))
    empty = any(column.kind == "empty" for column in data.schema.columns)
    if empty or (data.only.observed is not None and not data.only.observed.all()):
        return False
    for text in data.notes:
        note(options, text)
    return True


def check_output(options: argparse.Namespace, path: Path) -> None:
    """Refuse what would be refused after the fit, which takes long.

    Raises:
        InputError: an unknown method, a count below one, or an output that cannot hold the answer.
    """
    if options.method is not None:
        choice("method of imputation", options.method, METHODS)
    for name in ("draws", "steps", "proposals"):
        count = vars(options)[name]
        if count is not None and count < 1:
            raise InputError(f"Imputation needs at least 1 for {name}, got {count}.")
    output, forms = Path(options.output), (path.suffix, ".npz", ".npy")
    if output.suffix not in forms or output.is_dir():
        raise InputError(f"Cannot write {output}: choose the name of a file that ends in {' or '.join(forms)}.")
    if options.intervals and output.suffix != path.suffix:
        raise InputError(f"--intervals adds columns to a table: choose a name that ends in {path.suffix}.")


def check_completed(options: argparse.Namespace, path: Path, data: Data) -> None:
    """Refuse what only a table of the user's has.

    Raises:
        InputError: intervals for another form.
    """
    if options.intervals and (data.table is None or path.suffix not in table_suffixes(data)):
        raise InputError("--intervals adds columns to a table: read one, and write it in its own form (.csv).")


def write_tables(options: argparse.Namespace, path: Path, data: Data, result: Imputation, white: float) -> list[str]:
    """The filled table, with intervals if they were asked for, and a completed one for each draw that was.

    Returns:
        The names of the completed tables.
    """
    beside = interval_columns(data, result) if options.intervals else None
    write_filled(path, data, result.mean, result.observed, white=white, beside=beside)
    if options.draws is None or data.table is None:
        return []
    width = len(str(options.draws))
    names = []
    for i, drawn in enumerate(result.draws[: options.draws], 1):
        name = path.with_name(f"{path.stem}-{i:0{width}d}{path.suffix}")
        write_filled(name, data, drawn, result.observed, white=white)
        names.append(str(name))
    return names
