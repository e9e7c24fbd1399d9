"""Find the rows of a table that are unlike the others, and say by which columns.

The table is scikit-learn's of 569 breast tumours: a model of benign ones is asked which of the rest are novel.
python examples/novelty_in_a_table.py --out runs/tumours
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score

from nelbo.estimators import NoveltyDetector


# --8<-- [start:table]
def tables(rows: int, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Benign tumours to learn from, and others with a column `kind`: as many benign ones again as malignant ones."""
    whole = load_breast_cancer(as_frame=True).frame.rename(columns={"target": "kind"})
    whole["kind"] = whole["kind"].map({0: "malignant", 1: "benign"})
    whole.insert(0, "id", [f"t{number:03d}" for number in range(len(whole))])
    benign = whole[whole["kind"] == "benign"].sample(frac=1, random_state=seed)
    malignant = whole[whole["kind"] == "malignant"].sample(n=30, random_state=seed)
    new = pd.concat([benign.tail(30), malignant]).sample(frac=1, random_state=seed)
    return benign.head(min(rows, len(benign) - 30)).drop(columns="kind"), new


# --8<-- [end:table]


# --8<-- [start:detect]
def scored(known: pd.DataFrame, new: pd.DataFrame, epochs: int | None) -> pd.DataFrame:
    """p-values of new rows, flags at a false-discovery rate of a tenth, and the column that blames itself most."""
    detector = NoveltyDetector(ignore=["id"], epochs=epochs, random_state=0).fit(known)
    found = detector.novelty(new[known.columns])
    columns = known.columns.drop("id")
    worst = columns[np.argmax(found.entries, axis=1)]
    return pd.DataFrame(
        {"id": new["id"].to_numpy(), "excess bits": found.excess, "p-value": found.p_values, "novel": found.flagged,
         "by": worst}
    )  # fmt: skip


# --8<-- [end:detect]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write benign.csv, new.csv and scores.csv, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=327, help="to learn from")
    parser.add_argument("--epochs", type=int, help="passes over the rows (default: those of the estimator)")
    parser.add_argument("--out", type=Path, default=Path("runs/tumours"))
    options = parser.parse_args(arguments)

    known, new = tables(options.rows)
    options.out.mkdir(parents=True, exist_ok=True)
    known.to_csv(options.out / "benign.csv", index=False)
    new.to_csv(options.out / "new.csv", index=False)
    scores = scored(known, new, options.epochs)
    scores.to_csv(options.out / "scores.csv", index=False)

    malignant = (new["kind"] == "malignant").to_numpy()
    flagged = scores["novel"].to_numpy()
    print(f"AUROC {roc_auc_score(malignant, scores['excess bits']):.3f}")
    print(f"{flagged.sum()} of {len(new)} rows flagged, {(flagged & ~malignant).sum()} of them benign")
    print(scores.sort_values("excess bits", ascending=False).head(5).to_string(index=False, float_format="%.3g"))


if __name__ == "__main__":
    main()
