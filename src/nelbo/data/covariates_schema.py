"""What is known of each example beside what is modelled: times, angles, and whose it is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Covariates:
    """What is known of each example, without its values.

    The context of an example is its numbers, less `offsets` and divided by `units`, and behind them the place of its
    object in `objects`, where there are any.

    Args:
        names: of the columns (or arrays) of numbers.
        id: that of the objects; "" where there are none.
        objects: their ids, in the order of their vectors.
        dated: of each column of numbers, whether it holds dates, which are seconds since 1970-01-01 UTC.
        offsets: of each.
        units: of each.
    """

    names: tuple[str, ...]
    id: str
    objects: tuple[str, ...]
    dated: tuple[bool, ...]
    offsets: tuple[float, ...]
    units: tuple[float, ...]

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Covariates":
        """Read it from JSON."""
        found = cls(
            tuple(str(name) for name in record["names"]),
            str(record["id"]),
            tuple(str(one) for one in record["objects"]),
            tuple(bool(one) for one in record["dated"]),
            tuple(float(one) for one in record["offsets"]),
            tuple(float(one) for one in record["units"]),
        )
        sizes = {len(part) for part in (found.names, found.dated, found.offsets, found.units)}
        if len(sizes) != 1 or not all(map(math.isfinite, found.offsets)) or not all(u > 0.0 for u in found.units):
            raise ValueError("an offset and a positive unit for each name were expected")
        if not found.names and not found.id:
            raise ValueError("at least one covariate was expected")
        return found
