"""What pages measure on finished runs beside their scores; each measure is kept as files in the run's folder."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax.random as jr
import numpy as np
from jaxtyping import Array, Key

from nelbo.core import read_arrays, read_json, write_arrays, write_json
from nelbo.evaluation import importance_bound
from nelbo.runs import Run, imputation_study, open_run, result_row

FOLDER, ARRAYS = "measures", "measured arrays"
Rows = list[dict[str, Any]]
Measured = tuple[Rows, Mapping[str, np.ndarray]]


def importance(
    key: Key[Array, ""], run: Run, data_dir: str | None, *, samples: int, rows: int | None = None
) -> Measured:
    """The importance-weighted bound of the (first) test rows."""
    data, sources = run.data(data_dir=data_dir)
    test = sources["test"] if rows is None else sources["test"].head(rows)
    return [result_row(importance_bound(key, run.model, test, num_samples=samples), "iwae", "test", data)], {}


def imputation(key: Key[Array, ""], run: Run, data_dir: str | None, **arguments: Any) -> Measured:
    """Hidden entries of test rows, filled in; see `imputation_study`."""
    return imputation_study(key, run, data_dir=data_dir, **arguments)


MEASURES: dict[str, Callable[..., Measured]] = {"importance": importance, "imputation": imputation}


def measured_once(
    make: Callable[..., Measured], folder: Path, name: str, arguments: Mapping[str, Any], data_dir: str | None
) -> Rows:
    """The rows of a measure, from its file if that was made with the same arguments.

    Args:
        make: a function of `MEASURES`.
        folder: of the run.
        name: of the files.
        arguments: kind, seed, and what `make` takes.
        data_dir: a folder that holds named data sets.
    """
    path = folder / FOLDER / f"{name}.json"
    if path.is_file():
        kept = read_json(path)
        if isinstance(kept, dict) and kept.get("arguments") == dict(arguments):
            return kept["rows"]
    options = {key: value for key, value in arguments.items() if key not in {"kind", "seed"}}
    rows, arrays = make(jr.key(arguments["seed"]), open_run(folder), data_dir, **options)
    if arrays:
        write_arrays(path.with_suffix(".safetensors"), arrays, {"kind": ARRAYS})
    write_json(path, {"arguments": dict(arguments), "rows": rows})
    return rows


def measured_arrays(folder: Path, name: str) -> dict[str, np.ndarray]:
    """The arrays that a measure kept.

    Raises:
        InputError: they are missing or damaged.
    """
    return read_arrays(folder / FOLDER / f"{name}.safetensors", ARRAYS)[0]
