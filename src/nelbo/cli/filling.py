"""`nelbo impute TABLE`: a model of the table fitted on the way, completed tables, and what is said about columns."""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nelbo.cli.output import note
from nelbo.core import InputError, choice
from nelbo.data import Data
from nelbo.runs import Experiment, Run, execute, interval_columns, is_run, open_run, table_suffixes, write_filled
from nelbo.tasks import METHODS, Imputation
from nelbo.training import Progress

TABLES = (".csv", ".tsv", ".parquet")
USUAL_DRAWS = 19  # whose ends are a 90 % interval


@contextmanager
def opened(options: argparse.Namespace) -> Iterator[Run]:
    """The run that was named, or of a table that was, one that is fitted to it: `table`, with its usual settings.

    Raises:
        InputError: neither, or a folder to keep the run in that goes with no table.
    """
    path = Path(options.run)
    if path.suffix.lower() not in TABLES or path.is_dir():
        if options.ignore is not None:
            raise InputError("--ignore is about a table that is fitted now; a run knows its columns: leave it out.")
        if options.keep is not None:
            raise InputError("--keep says where the run of a table that is fitted now is to stay, and "
                             f"{path} is no table: leave it out.")  # fmt: skip
        yield open_run(path)
        return
    if options.data is not None:
        raise InputError(
            f"{path} is a table, which is filled in by itself: leave {options.data} out, or fit a model first "
            f"(nelbo fit table --data {path}) and give its folder."
        )
    if options.output is None:
        raise InputError(f"Say where the filled table goes: nelbo impute {path} -o filled{path.suffix}.")
    _check_options(options, path)
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(options.keep or f"{folder}/run")
        if is_run(kept):
            raise InputError(f"{kept} is a run already: fill in with it (nelbo impute {kept} {path} ...), or name "
                             "another folder.")  # fmt: skip
        shown: list[Progress] = []

        def progress(steps: int, batch_size: int) -> list[Progress]:
            if not options.quiet:
                shown.append(Progress(steps, batch_size))
            return shown

        usual = Experiment(
            model={"name": "table", "arguments": {}},
            data={"name": str(path)} | ({} if options.ignore is None else {"ignore": options.ignore.split(",")}),
            objective={"name": "iwae", "arguments": {}},
            training={},
            seed=options.seed,
        )
        try:
            record = execute(
                usual, kept, callbacks=progress, figures=False, command=options.line,
                say=lambda text: note(options, text),
            )  # fmt: skip
        finally:
            for one in shown:
                one.close()
        where = "" if options.keep is None else f"; the run is in {kept}"
        note(options, f"Fitted {record['steps']} steps in {record['training_seconds']:.1f} s{where}")
        options.data = str(path)  # all of its rows
        yield open_run(kept)


def _check_options(options: argparse.Namespace, path: Path) -> None:
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
