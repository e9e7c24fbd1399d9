"""What values a distribution can give, and a sentence where data hold others."""

import numpy as np
from numpyro.distributions import Distribution, constraints

from nelbo.core import InputError
from nelbo.distributions.columns import Columns, column_widths

_COLUMNS = {"positive": "positive numbers", "real": "finite numbers", "student": "finite numbers",
            "count": "whole numbers from 0 on"}  # fmt: skip
_INTERVAL = type(constraints.integer_interval(0, 1))
_INDEPENDENT = type(constraints.independent(constraints.real, 1))


def check_support(
    distribution: Distribution, values: np.ndarray, observed: np.ndarray | None = None, *, what: str = "these"
) -> None:
    """Refuse values that a model's likelihood cannot give.

    Args:
        distribution: the likelihood, with the `support` that NumPyro asks of every distribution; shapes in place of
            arrays will do.
        values: of the data, in the likelihood's units; any number of examples.
        observed: where there are values, in their shape; None: everywhere.
        what: the data, as the sentence calls them.

    Raises:
        InputError: values that are not finite, reach beyond, or are not whole where they should be.
    """
    seen = np.asarray(values)
    if isinstance(distribution, Columns):
        _check_columns(distribution, seen, observed, what)
        return
    seen = seen.ravel() if observed is None else seen[np.asarray(observed)]
    support = distribution.support
    if support is None or not seen.size:
        return
    while isinstance(support, _INDEPENDENT):
        support = support.base_constraint
    needs = f"The model's {type(distribution).__name__} likelihood needs {_wanted(support)}, but {what}"
    if not np.isfinite(seen).all():
        raise InputError(f"{needs} hold NaN or infinity: mark missing entries as such.")
    if (_grey(seen) if support is constraints.boolean else np.asarray(support(seen))).all():
        return
    low, high = seen.min(), seen.max()
    fractions = seen[seen != np.rint(seen)]
    if _is_whole(support) and len(fractions) and np.asarray(support(np.rint([low, high]))).all():
        raise InputError(f"{needs} hold {fractions[0]:.4g}: give the numbers that the model was trained on, unscaled.")
    raise InputError(f"{needs} reach from {low:.4g} to {high:.4g}: scale the data as the model's training data were.")


def _check_columns(distribution: Columns, values: np.ndarray, observed: np.ndarray | None, what: str) -> None:
    """Refuse a value that its own column cannot have."""
    there = np.ones(values.shape, bool) if observed is None else np.asarray(observed, bool)
    at = 0
    for place, (kind, width) in enumerate(column_widths(distribution.kinds), 1):
        cells, seen = values[..., at : at + width], there[..., at : at + width]
        able = cell_can_be(kind, cells)
        if not (able | ~seen).all():
            bad = cells[seen & ~able][0]
            raise InputError(
                f"The model's column {place} needs {cell_values(kind)}, as its training data were, but {what} hold "
                f"{bad:.6g}: correct the cell, leave it blank, or fit the model again."
            )
        at += width


def cell_can_be(kind: str, cells: np.ndarray) -> np.ndarray:
    """Which numbers a column of a kind can hold, see `column_widths`."""
    if kind == "count":
        return (cells >= 0) & (cells == np.rint(cells))
    if kind in {"real", "student"}:
        return np.isfinite(cells)
    return (cells > 0) if kind == "positive" else np.isin(cells, (0, 1))


def cell_values(kind: str) -> str:
    """What `cell_can_be` asks of numbers, in words."""
    return _COLUMNS.get(kind, "zeros and ones")


def _grey(values: np.ndarray) -> np.ndarray:
    return (values >= 0) & (values <= 1)


def _is_whole(support: constraints.Constraint) -> bool:
    return support.is_discrete and support is not constraints.boolean


def _wanted(support: constraints.Constraint) -> str:
    """The values of a support in words."""
    if support is constraints.boolean:
        return "zeros and ones (grey values from 0 to 1 are taken too)"
    if isinstance(support, _INTERVAL):
        return f"whole numbers from {support.lower_bound} to {support.upper_bound}"
    if support is constraints.nonnegative_integer:
        return "counts, whole numbers from 0 on"
    if support in (constraints.real, constraints.real_vector):
        return "real numbers"
    return f"values in {support}"


def class_count(distribution: Distribution) -> int | None:
    """How many values a distribution of classes has, which are 0, 1, ...; None of one of numbers or counts."""
    support = distribution.support
    if support is constraints.boolean:
        return 2
    return int(support.upper_bound) + 1 if isinstance(support, _INTERVAL) else None  # pyright: ignore
