"""What the events of a data set are: whose, when, and of which kinds."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Events:
    """What the sequences of events of a data set are.

    Args:
        names: of the columns of user, time and mark, and maybe of the sequence.
        marks: the kinds of events.
        unit: the mean gap between training events, in the user's numbers or in seconds; gaps are in it.
        dated: whether times are dates.
        window: events in one example at most.
        held: users of the validation and of the test split.
    """

    names: tuple[str, ...]
    marks: tuple[str, ...]
    unit: float
    dated: bool
    window: int
    held: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Events":
        """Read it from JSON."""
        names = tuple(str(name) for name in record["names"])
        valid, test = (tuple(str(one) for one in ids) for ids in record["held"])
        marks = tuple(str(one) for one in record["marks"])
        found = cls(names, marks, float(record["unit"]), bool(record["dated"]), int(record["window"]),
                    (valid, test))  # fmt: skip
        if len(names) not in {3, 4} or not marks or found.window < 1 or not 0.0 < found.unit < math.inf:
            raise ValueError(
                "three names or four, at least one mark, a window of one event and a positive unit were wanted"
            )
        return found
