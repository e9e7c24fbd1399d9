"""`nelbo impute`."""

import argparse
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from nelbo.cli.output import note, print_json
from nelbo.core import InputError, Masked, atomic_write, os_error, values_of
from nelbo.data import Source, missing_at_random, missing_grid, missing_square
from nelbo.report import image_grid, save_png
from nelbo.runs import Run, open_run
from nelbo.tasks import Imputation, chain_film, hide, imputation_scores
from nelbo.tasks import impute as impute_data

FILM_ROWS, FILM_STEPS = 10, 15


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


def hiding(text: str, key: Any, data: Source) -> np.ndarray:
    """The mask that `--hide` describes: a share, `square:SIDE` or `grid:STEP`.

    Raises:
        InputError: none of these.
    """
    kind, _, size = text.partition(":")
    try:
        if kind == "square":
            return np.asarray(missing_square(data.shape, size=int(size)))
        if kind == "grid":
            return np.asarray(missing_grid(data.shape, step=int(size)))
        return np.asarray(missing_at_random(key, (len(data), *data.shape), rate=float(text)))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"--hide takes a share such as 0.6, square:SIDE or grid:STEP, got {text!r}.") from error


def impute(options: argparse.Namespace) -> None:
    """Fill in what is missing and write it down."""
    run = open_run(options.run)
    _, data = run.rows(options.data, options.split, options.data_dir)
    if options.limit is not None:
        if options.limit < 1:
            raise InputError(f"--limit must be at least 1, got {options.limit}.")
        data = data.head(options.limit)
    hide_key, impute_key, film_key = jr.split(jr.key(options.seed), 3)
    if options.mask is not None:
        data = hide(data, read_mask(Path(options.mask)))
    truth = data
    if options.hide is not None:
        data = hide(data, hiding(options.hide, hide_key, data))
    counts = {"steps": options.steps, "draws": options.draws, "proposals": options.proposals}
    result = impute_data(impute_key, run.model, data, method=options.method, **counts)
    path = Path(options.output or run.folder / "imputed.npz")
    _write(path, result, data)
    record = _record(result, path, options) | _scores(result, truth, data, hidden=options.hide is not None)
    if options.film or (options.output is None and len(data.shape) == 3 and isinstance(data.arrays, Masked)):
        film = Path(options.film or run.folder / "imputation.png")
        save_png(_film(film_key, run, data, options), film)
        record["film"] = str(film)
    if options.json:
        print_json(record)
        return
    for name, value in record.items():
        note(options, f"{name.replace('_', ' ')}: {value}")
    if result.empty:
        note(options, f"{result.empty} rows have no observed entry: what they got are draws from the prior.")
    if result.observed.all():
        note(options, "Nothing is missing: the rows were written as they are.")


def _unit(values: np.ndarray, data: Source) -> np.ndarray:
    return values / 255.0 if data.values == "uint8" and data.pixels == "counts" else values


def _write(path: Path, result: Imputation, data: Source) -> None:
    """All numbers as `.npz`; the means alone as `.npy`, `.csv` (tables) or `.png` (images)."""
    if path.suffix == ".npz":
        with atomic_write(path) as stream:
            np.savez_compressed(stream, mean=result.mean, std=result.std, low=result.low, high=result.high,
                                draws=result.draws, observed=result.observed)  # fmt: skip
    elif path.suffix == ".npy":
        with atomic_write(path) as stream:
            np.save(stream, result.mean, allow_pickle=False)
    elif path.suffix == ".csv" and result.mean.ndim == 2:
        with atomic_write(path, "w") as stream:
            np.savetxt(stream, result.mean, delimiter=",", fmt="%.8g")
    elif path.suffix == ".png" and result.mean.ndim == 4:
        save_png(image_grid(_unit(result.mean[:100], data)), path)
    else:
        raise InputError(f"Cannot write {path}: choose a name in .npz, .npy, .csv (tables) or .png (images).")


def _record(result: Imputation, path: Path, options: argparse.Namespace) -> dict[str, Any]:
    missing = int((~result.observed).sum())
    record: dict[str, Any] = {"file": str(path), "rows": len(result.mean), "missing_entries": missing,
                              "method": options.method, "steps": options.steps, "draws": options.draws,
                              "empty_rows": result.empty}  # fmt: skip
    if result.accepted is not None:
        record["accepted"] = result.accepted
    return record


def _scores(result: Imputation, truth: Source, data: Source, *, hidden: bool) -> dict[str, Any]:
    """Against what `--hide` hid."""
    if not hidden:
        return {}
    keys = jr.split(jr.key(0), len(truth))
    known = jax.vmap(truth.example)(keys, truth.take(np.arange(len(truth))))
    had = np.ones(result.mean.shape, bool) if not isinstance(known, Masked) else np.asarray(known.observed)
    # entries that were missing before have no truth: count them as observed
    scored = Imputation(**{**vars(result), "observed": result.observed | ~had})
    del data
    return imputation_scores(np.asarray(values_of(known)), scored)


def _film(key: Any, run: Run, data: Source, options: argparse.Namespace) -> np.ndarray:
    """A row for each example: what was given (missing pixels coloured), then the chain from its start to its end."""
    if len(data.shape) != 3 or not isinstance(data.arrays, Masked):
        raise InputError("A film needs images with missing pixels: give --mask or --hide, or leave --film out.")
    rows = data.take(np.arange(min(FILM_ROWS, len(data))))
    batch = jax.vmap(data.example)(jr.split(jr.key(0), len(rows.values)), rows)
    batch = Masked(jnp.asarray(batch.values), jnp.asarray(batch.observed))
    steps = min(options.steps, FILM_STEPS)
    frames = chain_film(key, run.model, batch, steps=steps, corrected=options.method == "metropolis")
    given = np.where(np.asarray(batch.observed), np.asarray(batch.values), np.nan)[:, None]
    strip = np.concatenate([given, frames], 1)
    return image_grid(_unit(strip.reshape(-1, *data.shape), data), columns=strip.shape[1], name="film")
