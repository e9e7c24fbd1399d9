"""Numbers and names out of JSON records, whose values may be anything."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64


def number(value: Any) -> float | None:
    """A finite float from a JSON value; None for anything else (a missing entry, text, a boolean, NaN, infinity)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def column(history: Sequence[Mapping[str, Any]], key: str) -> Float64[np.ndarray, " rows"]:
    """One quantity of a history, with NaN where it is missing or not finite."""
    values = (number(row.get(key)) for row in history)
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def numeric_keys(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of a history's quantities that hold a finite number in at least one row, in order of appearance."""
    return list(dict.fromkeys(key for row in history for key, value in row.items() if number(value) is not None))


def flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested JSON objects as (dotted name, value); lists and empty objects count as leaves."""
    for key, entry in value.items():
        name = f"{prefix}{key}"
        if isinstance(entry, Mapping) and entry:
            yield from flatten(entry, f"{name}.")
        else:
            yield name, entry
