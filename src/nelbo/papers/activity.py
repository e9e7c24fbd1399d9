"""Activity coefficients at infinite dilution: the measured ones, what UNIFAC says of them, and a planted stand-in.

The measurements are those that Brouwer et al. (2021) compiled, as the repository edgarsmdn/GH-GNN has them: one file
that is not part of this package, looked for in the data folder. The groups of the molecules are in unifac_groups.json,
made by `benchmarks/unifac_groups.py`; the parameters of UNIFAC are those of the package `thermo`.
"""

import functools
import json
import os
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.core import InputError
from nelbo.data import Triples, read_triples

FILE = "brouwer_2021_ln_gamma_inf.csv"
WHERE = "https://github.com/edgarsmdn/GH-GNN (data/processed), after Brouwer et al. 2021"
NAMES = ("solute", "solvent", "ln_gamma")
COLUMNS = ("Solute_SMILES", "Solvent_SMILES", "log-gamma")
BETWEEN = (20.0, 30.0)  # degrees Celsius
LARGEST = 8.0  # |ln gamma|: three fits beyond are no measurements (triethylamine in water has 36)
ROOM = 298.15  # K
# beyond it no prediction is meant: of the public parameters those of pyridines with rings give up to -197 (16 pairs)
BROKEN = 16.0
PLANTED = (60, 50, 4)  # solutes, solvents and rank of the stand-in
PLANTED_NOISE = 0.15


def measured(data_dir: str | None) -> Triples:
    """Ln gamma of each solute in each solvent near 25 degrees: the mean over measurements from 20 to 30.

    Raises:
        InputError: the file is nowhere.
    """
    folders = [Path(one) for one in (data_dir, os.environ.get("NELBO_DATA")) if one]
    places = [folder / part for folder in folders for part in (FILE, f"thermo/{FILE}")]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise InputError(f"There is no {FILE} in --data-dir or NELBO_DATA: get it from {WHERE}.")
    every = read_triples(path, (*COLUMNS, "T"))
    assert every.values is not None
    assert every.physical is not None  # the temperature stands in its place
    near = (every.physical >= BETWEEN[0]) & (every.physical <= BETWEEN[1]) & (np.abs(every.values) <= LARGEST)
    cells: dict[tuple[str, str], list[float]] = {}
    for row, column, value in zip(every.rows[near], every.columns[near], every.values[near], strict=True):
        cells.setdefault((row, column), []).append(float(value))
    rows, columns = (np.array([cell[i] for cell in cells], object) for i in (0, 1))
    return Triples(NAMES, rows, columns, np.array([np.mean(v) for v in cells.values()]), None, np.arange(len(cells)))


def planted(data_dir: str | None = None, *, seed: int = 0) -> Triples:
    """A stand-in: rank 4, Cauchy noise, a quarter of the matrix known."""
    del data_dir
    rng = np.random.default_rng(seed)
    truth = _planted_truth()
    known = rng.random(truth.shape) < 0.25
    i, j = np.nonzero(known)
    values = truth[i, j] + PLANTED_NOISE * np.clip(rng.standard_cauchy(len(i)), -30.0, 30.0)
    return Triples(NAMES, *_planted_ids(i, j), values, None, np.arange(len(i)))


def _planted_ids(i: np.ndarray, j: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.array([f"solute {k}" for k in i], object), np.array([f"solvent {k}" for k in j], object)


@functools.cache
def _planted_truth() -> np.ndarray:
    rng = np.random.default_rng(10)
    rows, columns, rank = PLANTED
    return 1.0 + 0.9 * rng.normal(size=(rows, rank)) @ rng.normal(size=(rank, columns)) * 0.8


def planted_physics(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """A distorted predictor of the stand-in, which knows four fifths of the pairs; NaN elsewhere."""
    truth, rng = _planted_truth(), np.random.default_rng(11)
    guess = 0.7 * truth + 0.4 + 0.5 * rng.normal(size=truth.shape)
    guess[rng.permutation(len(truth))[: len(truth) // 10]] = np.nan
    guess[:, rng.permutation(truth.shape[1])[: truth.shape[1] // 10]] = np.nan
    i, j = (np.array([int(str(one).split()[1]) for one in ids], int) for ids in (rows, columns))
    return guess[i, j]


@functools.cache
def groups() -> Mapping[str, Mapping[int, int]]:
    """The subgroups of modified UNIFAC (Dortmund) in each molecule that has them, by SMILES."""
    text = (files("nelbo.papers") / "unifac_groups.json").read_text(encoding="utf-8")
    found = json.loads(text)["groups"]
    return {smiles: {int(group): count for group, count in parts.items()} for smiles, parts in found.items()}


def unifac(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Ln gamma at infinite dilution and 25 degrees by modified UNIFAC (Dortmund); NaN where groups or parameters lack.

    Raises:
        InputError: the package thermo is not installed.
    """
    try:
        from thermo import unifac as tables  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError('The UNIFAC baseline needs thermo: run pip install "nelbo[chemistry]".') from error
    known = groups()
    found: dict[tuple[str, str], float] = {}
    for pair in dict.fromkeys(zip(rows.tolist(), columns.tolist(), strict=True)):
        found[pair] = np.nan
        if pair[0] in known and pair[1] in known and pair[0] != pair[1]:
            found[pair] = _infinite_dilution(tables, dict(known[pair[0]]), dict(known[pair[1]]))
    return np.array([found[pair] for pair in zip(rows.tolist(), columns.tolist(), strict=True)])


def _infinite_dilution(tables: Any, solute: dict[int, int], solvent: dict[int, int]) -> float:
    """NaN too where thermo would take a missing interaction for zero, and beyond `BROKEN`."""
    try:
        mains = {tables.DOUFSG[group].main_group_id for molecule in (solute, solvent) for group in molecule}
        if any(b not in tables.DOUFIP2006.get(a, {}) for a in mains for b in mains if a != b):
            return np.nan
        fractions = {"T": ROOM, "xs": [1e-12, 1.0 - 1e-12]}
        mixture = tables.UNIFAC.from_subgroups(**fractions, chemgroups=[solute, solvent], version=1)
        value = float(np.log(mixture.gammas()[0]))
    except (KeyError, ValueError, ZeroDivisionError, OverflowError):
        return np.nan
    return value if abs(value) <= BROKEN else np.nan


# by the name of the data of a page's run: the measurements, and the physical model
SETS: dict[str, tuple[Callable[[str | None], Triples], Callable[[np.ndarray, np.ndarray], np.ndarray]]] = {
    "activity": (measured, unifac),
    "activity-planted": (planted, planted_physics),
}
