"""Fill in a table with gaps, and compute a statistic that owns up to them.

The table is scikit-learn's of 442 people with diabetes. A fifth of its cells are blanked, so that the truth is known:
python examples/fill_in_a_table.py --out runs/diabetes
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes

from nelbo.estimators import TableImputer
from nelbo.tasks import Pooled, pool

BLANK = 0.2


# --8<-- [start:table]
def table_with_gaps(rows: int, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The whole table, and the same table with a fifth of its cells blank."""
    whole = load_diabetes(as_frame=True, scaled=False).frame.head(rows)
    hidden = np.random.default_rng(seed).random(whole.shape) < BLANK
    return whole, whole.mask(hidden)


# --8<-- [end:table]


# --8<-- [start:statistic]
def slope_of_bmi(table: pd.DataFrame) -> tuple[float, float]:
    """How much the disease progresses with a unit of body mass index, and its squared standard error.

    The estimate is that of least squares, with age, sex and blood pressure held fixed.
    """
    features = np.column_stack([np.ones(len(table)), table[["bmi", "age", "sex", "bp"]]])
    target = table["target"].to_numpy()
    inverse = np.linalg.inv(features.T @ features)
    weights = inverse @ features.T @ target
    residuals = target - features @ weights
    return weights[1], residuals @ residuals / (len(target) - len(weights)) * inverse[1, 1]


# --8<-- [end:statistic]


# --8<-- [start:fill]
def filled_and_pooled(gaps: pd.DataFrame, epochs: int | None, draws: int) -> tuple[pd.DataFrame, Pooled]:
    """The filled table, and the slope pooled over completed tables."""
    imputer = TableImputer(epochs=epochs, random_state=0).fit(gaps)
    completed = imputer.impute(gaps, draws=draws)
    return imputer.transform(gaps), pool(slope_of_bmi, completed)


# --8<-- [end:fill]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write diabetes.csv and filled.csv, and print the slope from all rows, from whole rows and pooled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=442)
    parser.add_argument("--epochs", type=int, help="passes over the rows (default: those of the estimator)")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("runs/diabetes"))
    options = parser.parse_args(arguments)

    whole, gaps = table_with_gaps(options.rows)
    options.out.mkdir(parents=True, exist_ok=True)
    gaps.to_csv(options.out / "diabetes.csv", index=False)
    filled, pooled = filled_and_pooled(gaps, options.epochs, options.draws)
    filled.to_csv(options.out / "filled.csv", index=False)

    hidden = gaps.isna()
    errors = ((filled - whole) / whole.std()).to_numpy()[hidden.to_numpy()]
    print(f"{hidden.to_numpy().sum()} cells filled in, error {np.sqrt(np.mean(errors**2)):.3f} standard deviations")
    for name, table in (("nothing hidden", whole), ("whole rows only", gaps.dropna()), ("filled once", filled)):
        estimate, variance = slope_of_bmi(table)
        half = 1.96 * np.sqrt(variance)
        print(f"{name:16} {len(table):4} rows  {estimate:5.2f} ({estimate - half:5.2f} to {estimate + half:5.2f})")
    print(f"{'pooled':16} {len(gaps):4} rows  {pooled.estimate:5.2f} ({pooled.low:5.2f} to {pooled.high:5.2f})")


if __name__ == "__main__":
    main()
