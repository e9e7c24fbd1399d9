"""`nelbo impute`."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.random as jr
import numpy as np
from jaxtyping import Array, Key

from nelbo.cli.output import Line, note, print_json
from nelbo.core import InputError, atomic_write, os_error
from nelbo.data import Data, Source
from nelbo.report import enlarge, image_grid, save_png, text_table
from nelbo.runs import (
    FILM_STEPS,
    Run,
    comparison,
    film,
    hiding,
    in_user_units,
    known_rows,
    open_run,
    scored,
    table_suffixes,
    write_filled,
)
from nelbo.tasks import Imputation, hide, spoiled
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
    run = open_run(options.run)
    hide_key, impute_key, film_key = jr.split(jr.key(options.seed), 3)
    noise, rate = _noise(options.noise)
    dataset, data, known = _rows(options, run, hide_key, noise, rate)
    counts = {"steps": options.steps, "draws": options.draws, "proposals": options.proposals}
    path = Path(options.output or run.folder / "imputed.npz")
    _check_name(path, dataset, data)
    result = impute_data(impute_key, run.model, data, method=options.method, truth=known, noise=noise, rate=rate,
                         progress=_progress(options, len(data)), **counts)  # fmt: skip
    _write(path, result, dataset, data)
    record = _record(result, path, options)
    if known is not None:
        record |= scored(known_rows(known), result)
    pictures = len(data.shape) == 3 and data.arrays.observed is not None and noise is None
    if options.film or (options.output is None and pictures):
        picture = Path(options.film or run.folder / "imputation.png")
        steps, corrected = min(options.steps, FILM_STEPS), options.method == "metropolis"
        strip = film(film_key, run.model, data, white=run.white, steps=steps, corrected=corrected, truth=known)
        grid = image_grid(strip.reshape(-1, *data.shape), columns=strip.shape[1], name="film")
        save_png(enlarge(grid), picture)
        record["film"] = str(picture)
    if options.compare and known is not None:
        _, train = run.rows(None, "train", options.data_dir)
        record["comparison"] = comparison(train, known, result)
    _show(options, record, result)


def _progress(options: argparse.Namespace, total: int) -> Callable[[int], None] | None:
    if options.quiet:
        return None
    line = Line()
    return lambda done: line.show(f"{done} of {total} rows", done=done >= total)


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
    options: argparse.Namespace, run: Run, key: Key[Array, ""], noise: str | None, rate: float
) -> tuple[Data, Source, Source | None]:
    """The data, their rows as they are given, and where they were spoiled here the same rows before that."""
    if options.compare and (options.hide is None or noise is not None):
        raise InputError("--compare needs entries whose truth is known: give --hide too, and no --noise.")
    if options.add_noise and noise is None:
        raise InputError("--add-noise needs the noise: give --noise bit-flip:RATE or gaussian:SD.")
    if options.film and noise is not None:
        raise InputError("A film shows missing pixels alone: leave --film or --noise out.")
    dataset, data = run.rows(options.data, options.split, options.data_dir)
    for text in dataset.notes:
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
    return dataset, data, truth if spoil or options.hide is not None else None


def _show(options: argparse.Namespace, record: dict[str, Any], result: Imputation) -> None:
    if options.json:
        print_json(record)
        return
    table = record.pop("comparison", None)
    for name, value in record.items():
        note(options, f"{name.replace('_', ' ')}: {value}")
    if table is not None:
        print(text_table(table), end="")
    if result.empty:
        note(options, f"{result.empty} rows have no observed entry: what they got are draws from the prior.")
    if result.observed.all():
        note(options, "Nothing is missing: the rows were written as they are.")


def _unit(values: np.ndarray, data: Source) -> np.ndarray:
    return values / 255.0 if data.values == "uint8" and data.pixels == "counts" else values


def _check_name(path: Path, dataset: Data, data: Source) -> None:
    """Refuse a name that says nothing about the form, before anything is computed."""
    tables = dict.fromkeys(table_suffixes(dataset), len(data.shape) == 1)
    wanted = {".npz": True, ".npy": True, ".png": len(data.shape) == 3} | tables
    if not wanted.get(path.suffix, False):
        form = "/".join(tables)
        raise InputError(f"Cannot write {path}: choose a name in .npz, .npy, {form} (tables) or .png (images).")


def _write(path: Path, result: Imputation, dataset: Data, data: Source) -> None:
    """All numbers as `.npz`; the means alone as `.npy`, in the form of the user's table, or as `.png` (images)."""
    if path.suffix == ".npz":
        mean, low, high, draws = (
            in_user_units(dataset, a) for a in (result.mean, result.low, result.high, result.draws)
        )
        with atomic_write(path) as stream:
            np.savez_compressed(stream, mean=mean, std=result.std, low=low, high=high, draws=draws,
                                observed=result.observed)  # fmt: skip
    elif path.suffix == ".npy":
        with atomic_write(path) as stream:
            np.save(stream, in_user_units(dataset, result.mean), allow_pickle=False)
    elif path.suffix == ".png":
        save_png(image_grid(_unit(result.mean[:100], data)), path)
    else:
        write_filled(path, dataset, result.mean, result.observed)


def _record(result: Imputation, path: Path, options: argparse.Namespace) -> dict[str, Any]:
    missing = int((~result.observed).sum())
    record: dict[str, Any] = {"file": str(path), "rows": len(result.mean), "missing_entries": missing,
                              "method": options.method, "steps": options.steps, "draws": options.draws,
                              "empty_rows": result.empty}  # fmt: skip
    if result.accepted is not None:
        record["accepted"] = result.accepted
    return record
