"""`nelbo impute`."""

import argparse
import dataclasses
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.random as jr
import numpy as np
from jaxtyping import Array, Key

from nelbo.cli.commands import Command
from nelbo.cli.events import check_rows
from nelbo.cli.filling import (
    USUAL_DRAWS,
    check_completed,
    check_output,
    is_complete,
    opened,
    write_tables,
)
from nelbo.cli.output import Line, note, note_numbers, print_json
from nelbo.cli.parser import Parser, data_folder, refine, split
from nelbo.cli.series import impute_series
from nelbo.cli.writing import FOLDER, check_form, inferring, write_pictures
from nelbo.core import InputError, atomic_write, os_error
from nelbo.data import Data, Source
from nelbo.report import GRID_WIDTH, image_grid, save_png, text_table
from nelbo.runs import (
    CHAIN_STEPS,
    Run,
    chain_pictures,
    column_summary,
    comparison,
    hiding,
    in_user_units,
    is_table_of_columns,
    keep_summary,
    known_columns,
    scaled,
    scored,
    settings_for,
    table_suffixes,
    unanswered,
    user_scale,
)
from nelbo.tasks import METHODS, Imputation, ImputationSettings, hide, rows_as_seen, spoiled
from nelbo.tasks import impute as impute_data


def read_mask(path: Path) -> np.ndarray:
    """A mask from a `.npy`, `.npz` (array `observed`, or the only one) or `.csv` file.

    Raises:
        InputError: missing, of another kind, or no array of numbers.
    """
    try:
        if path.suffix == ".csv":
            return np.loadtxt(path, delimiter=",", ndmin=2)
        loaded = np.load(path, allow_pickle=False)
    except OSError as error:
        raise os_error("read", path, error) from error
    except ValueError as error:
        raise InputError(f"{path} is no mask: a .npy, .npz or .csv file of 0 and 1 was expected.") from error
    if isinstance(loaded, np.ndarray):
        return loaded
    with loaded:
        names = loaded.files
        if "observed" not in names and len(names) != 1:
            raise InputError(f"{path} holds the arrays {', '.join(names)}: call the mask `observed`.")
        return loaded["observed" if "observed" in names else names[0]]


def impute(options: argparse.Namespace) -> None:
    """Fill in what is missing and write it down."""
    if options.output is not None and options.keep is None and is_complete(options):
        check_output(options, Path(options.run))
        with atomic_write(Path(options.output)) as stream:
            stream.write(Path(options.run).read_bytes())
        note(options, f"Nothing is missing: {options.output} holds the rows as they are, and no model was fitted.")
        if options.json:
            print_json({"file": options.output, "missing_entries": 0})
        return
    with opened(options) as (run, data, fitted_now):
        schema = run.fitted_data.schema
        if schema is not None and schema.series is not None:
            impute_series(options, run)
        else:
            check_rows(run, "impute")
            _impute(options, run, data, fitted_now=fitted_now)


def _impute(options: argparse.Namespace, run: Run, name: str | None, *, fitted_now: bool) -> None:
    hide_key, impute_key, chain_key = jr.split(jr.key(options.seed), 3)
    noise, rate = _noise(options.noise)
    table, data, known = _rows(options, run, hide_key, name, fitted_now=fitted_now)
    draws = USUAL_DRAWS if options.draws is None else options.draws
    if draws > 0 and (options.intervals or is_table_of_columns(run)):
        draws = max(draws, USUAL_DRAWS)  # fewer have no ends of a 90 % interval
    asked = ImputationSettings(options.method, options.steps, draws, options.proposals, noise, rate)
    settings = settings_for(asked, run, len(data))
    if settings != asked:
        note(
            options,
            f"{len(data)} rows: filled in by weighted draws ({settings.method}); --method hmc is closer to the model's "
            "posterior, and takes ten times as long.",
        )
    path = Path(options.output or run.folder / "imputed.npz")
    _check_name(path, table, data)
    check_completed(options, path, table)
    columns, model = known_columns(run, data, options.data_dir), inferring(options, run)
    result = impute_data(impute_key, model, data, settings, truth=known, columns=columns,
                         progress=_progress(options, len(data)))  # fmt: skip
    if (lost := unanswered(table, result)) is not None:
        result = dataclasses.replace(result, warnings=(lost, *result.warnings))
    record = _record(result, path, options, table) | _write(options, path, result, table, run.white)
    if known is not None:
        record |= scored(rows_as_seen(known), result)
    pictures = len(data.shape) == 3 and data.arrays.observed is not None and noise is None and model.depth > 0
    if options.chain_picture:
        model.require_latents("A picture of the chain")
    if options.chain_picture or (options.output is None and pictures):
        picture = Path(options.chain_picture or run.folder / "imputation.png")
        steps, corrected = min(options.steps, CHAIN_STEPS), result.method == "metropolis"
        strip = chain_pictures(chain_key, model, data, white=run.white, steps=steps, corrected=corrected, truth=known)
        images = strip.reshape(-1, *data.shape)
        save_png(image_grid(images, columns=strip.shape[1], width=GRID_WIDTH, name="chain"), picture)
        record["chain_picture"] = str(picture)
    if options.compare and known is not None:
        _, train = run.rows(None, "train", options.data_dir)
        record["comparison"] = comparison(train, known, result)
    if is_table_of_columns(run) and options.hide is None and noise is None:
        record["columns"] = column_summary(jr.fold_in(impute_key, 1), run, result, settings)
        keep_summary(run, record["columns"])
    _show(options, record, result)


def _progress(options: argparse.Namespace, total: int) -> Callable[[int], None] | None:
    if options.quiet:
        return None
    line = Line()
    return lambda done: line.show(f"Filled in {done} of {total} rows", done=done >= total)


def _noise(text: str | None) -> tuple[str | None, float]:
    """The kind and the rate of `--noise KIND:RATE`."""
    if text is None:
        return None, 0.0
    kind, _, rate = text.partition(":")
    try:
        return kind, float(rate)
    except ValueError as error:
        raise InputError(f"--noise takes bit-flip:RATE or gaussian:SD, got {text!r}.") from error


def _rows(
    options: argparse.Namespace, run: Run, key: Key[Array, ""], name: str | None, *, fitted_now: bool
) -> tuple[Data, Source, Source | None]:
    """The data, the rows as they are given, and where they were spoiled here the same rows before that."""
    noise, rate = _noise(options.noise)
    _check_noise(options, noise)
    table, data = run.rows(name, options.split, options.data_dir)
    for text in () if fitted_now else table.notes:  # all of it was said when these rows were fitted to
        note(options, text)
    if options.limit is not None:
        if options.limit < 1:
            raise InputError(f"--limit must be at least 1, got {options.limit}.")
        data = data.head(options.limit)
    if options.mask is not None:
        data = hide(data, read_mask(Path(options.mask)))
    truth, spoil = data, noise is not None and options.add_noise
    if noise is not None and spoil:
        data = spoiled(jr.fold_in(key, 0), data, noise, rate)
    if options.hide is not None:
        data = hide(data, hiding(options.hide, jr.fold_in(key, 1), data))
    return table, data, truth if spoil or options.hide is not None else None


def _check_noise(options: argparse.Namespace, noise: str | None) -> None:
    if options.compare and (options.hide is None or noise is not None):
        raise InputError("--compare needs entries whose truth is known: give --hide too, and no --noise.")
    if options.add_noise and noise is None:
        raise InputError("--add-noise needs the noise: give --noise bit-flip:RATE or gaussian:SD.")
    if options.chain_picture and noise is not None:
        raise InputError("A picture of the chain shows missing pixels alone: leave --chain-picture or --noise out.")


def _show(options: argparse.Namespace, record: dict[str, Any], result: Imputation) -> None:
    for sentence in result.warnings:
        print(f"nelbo: warning: {sentence}", file=sys.stderr)
    if options.json:
        print_json(record)
        return
    table, about = record.pop("comparison", None), record.pop("columns", None)
    note_numbers(options, {name: value for name, value in record.items() if name != "warnings"})
    if table is not None:
        print(text_table(table), end="")
    if about is not None and not options.quiet:
        rounded = [
            {k: f"{v:.3f}" if isinstance(v, float) and math.isfinite(v) else v for k, v in row.items()} for row in about
        ]
        print(text_table(rounded), end="")
    if result.observed.all():
        note(options, "Nothing is missing: the rows were written as they are.")


def _check_name(path: Path, table: Data, data: Source) -> None:
    """Refuse a name that says nothing about the form, before anything is computed."""
    forms = (".npz", ".npy", *(table_suffixes(table) if len(data.shape) == 1 else ()))
    check_form(path, (*forms, ".png", FOLDER) if len(data.shape) == 3 else forms)


def _write(options: argparse.Namespace, path: Path, result: Imputation, table: Data, white: float) -> dict[str, Any]:
    """All numbers as `.npz`; the means alone as `.npy`, as the user's table, as `.png` or a folder of them (images)."""
    if path.suffix == ".npz":
        numbers = {"mean": result.mean, "low": result.low, "high": result.high, "draws": result.draws}
        arrays = {name: in_user_units(table, values, white) for name, values in numbers.items()}
        arrays["std"] = scaled(result.std, user_scale(table.values, white))
        with atomic_write(path) as stream:
            np.savez_compressed(stream, allow_pickle=False, observed=result.observed, **arrays)
    elif path.suffix == ".npy":
        with atomic_write(path) as stream:
            np.save(stream, in_user_units(table, result.mean, white), allow_pickle=False)
    elif path.suffix == ".png":
        save_png(image_grid(result.mean[:100] / white, width=GRID_WIDTH), path)
    elif path.suffix == FOLDER:
        ids = table.only.ids
        write_pictures(path, result.mean / white, None if ids is None else ids[: len(result.mean)])
    else:
        completed = write_tables(options, path, table, result, white)
        return {"completed": completed} if completed else {}
    return {}


def _record(result: Imputation, path: Path, options: argparse.Namespace, table: Data) -> dict[str, Any]:
    observed = result.observed[:, table.schema.first_entries] if table.schema.features else result.observed
    missing = int((~observed).sum())  # cells: a word is one, however many entries it has
    record: dict[str, Any] = {"file": str(path), "rows": len(result.mean), "missing_entries": missing,
                              "method": result.method, "steps": options.steps, "draws": len(result.draws),
                              "empty_rows": result.empty, "warnings": list(result.warnings)}  # fmt: skip
    if result.accepted is not None:
        record["accepted"] = result.accepted
    return record


def _arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder; or a table, to which a model is fitted first")
    parser.add_argument("data", nargs="?", metavar="DATA", help="a named set, a file or a folder; NaN is a missing entry (default: the run's own data)")  # fmt: skip  # noqa: E501
    data_folder(parser)
    split(parser)
    refine(parser)
    parser.add_argument("--limit", type=int, metavar="N", help="impute only the first N rows")
    parser.add_argument("--mask", metavar="FILE", help="a .npy, .npz or .csv file with 1 for each observed entry, of all rows or of one example")  # fmt: skip  # noqa: E501
    parser.add_argument(
        "--hide",
        metavar="HOW",
        help="hide known entries and score the filling: a share (0.1), of pictures square:SIDE or grid:STEP, of series "
        "gap:ROWS",
    )
    parser.add_argument("--method", metavar="NAME", help=f"how missing entries are drawn: {', '.join(METHODS)} (default hmc; importance if latents are discrete, conditional if there are none)")  # fmt: skip  # noqa: E501
    parser.add_argument("--steps", type=int, default=50, metavar="N", help="moves of each chain, trajectories of hmc (default 50)")  # fmt: skip  # noqa: E501
    parser.add_argument(
        "--draws",
        type=int,
        metavar="N",
        help="completions of each row (default 19); if given, each is also written as a table",
    )
    parser.add_argument("--proposals", type=int, metavar="N", help="draws to resample from (default 1000)")
    parser.add_argument("--noise", metavar="KIND:X", help="the noise of the given data: bit-flip:RATE or gaussian:SD")
    parser.add_argument(
        "--add-noise", action="store_true", help="add that noise to the data first, and score the result"
    )
    parser.add_argument(
        "--compare", action="store_true", help="with --hide: score mean imputation and nearest neighbours too"
    )
    parser.add_argument("--chain-picture", metavar="FILE", help="a .png that shows the Markov chain step by step (default RUN/imputation.png)")  # fmt: skip  # noqa: E501
    parser.add_argument("--film", dest="chain_picture", help=argparse.SUPPRESS)  # its name in earlier versions
    parser.add_argument("--intervals", action="store_true", help="add 90 %% intervals to a table, and the probability of each word")  # fmt: skip  # noqa: E501
    parser.add_argument("--ignore", metavar="NAME,...", help="when a table is fitted: columns that are not modelled")
    parser.add_argument("--column", metavar="NAME=KIND,...", help="when a table is fitted: how columns are modelled: real, positive, count, student (heavy tails), words, ordinal ('NAME=ordinal:LOW<HIGH' gives the order), ignore")  # fmt: skip  # noqa: E501
    parser.add_argument("--keep", metavar="DIR", help="when a table is fitted: folder in which its run is kept")
    parser.add_argument("-o", "--output", metavar="FILE", help=".npz (all), .npy, a table, .png or a folder of pictures (default RUN/imputed.npz)")  # fmt: skip  # noqa: E501


COMMAND = Command(
    (
        "nelbo impute people.csv -o filled.csv",
        "nelbo impute people.csv -o filled.csv --intervals --draws 20 --keep runs/people",
        "nelbo impute people.csv -o filled.csv --column grade=words,children=count --ignore remarks",
        "nelbo impute runs/people new.csv -o filled.csv --method importance --proposals 500",
        "nelbo impute runs/mnist --hide 0.6 --compare --limit 200 --split valid",
        "nelbo impute runs/mnist --hide square:14 --method metropolis --steps 100 --chain-picture chain.png",
        "nelbo impute runs/mnist mnist --data-dir data/ --mask mask.npy --refine 20 -o filled.npz",
        "nelbo impute runs/mnist --noise bit-flip:0.1 --add-noise -o clean.png",
        "nelbo impute runs/wind wind.csv --hide gap:12 -o filled.npz",
    ),
    _arguments,
    impute,
)
