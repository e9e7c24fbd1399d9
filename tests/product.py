"""Products of parts, of which the fast tests take a share that meets every part."""

import itertools
from collections.abc import Iterable
from typing import Any

import pytest


def product(*axes: Iterable[Any], every: int = 3) -> list[Any]:
    """All combinations; those whose places do not sum to a multiple of `every` run with `-m slow`.

    Every entry of every axis is in some fast combination, if another axis is at least `every` long.
    """
    rows = []
    for places in itertools.product(*(list(enumerate(axis)) for axis in axes)):
        fast = sum(place for place, _ in places) % every == 0
        values = [part for _, value in places for part in (value if isinstance(value, tuple) else (value,))]
        rows.append(pytest.param(*values, marks=() if fast else pytest.mark.slow))
    return rows
