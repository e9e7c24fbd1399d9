"""What the series of a data set are: their channels, their clock, and how they were cut."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nelbo.data.columns import Column

UNIT_NAMES = {1.0: "s", 60.0: "min", 3600.0: "h", 86400.0: "d"}


@dataclass(frozen=True)
class Series:
    """What the series of a data set are, without their values.

    Args:
        id: the column that tells series apart; "" where there is one series alone.
        time: the column of time stamps; "" where rows are counted.
        channels: the columns that are modelled.
        step: a step of time in the user's numbers, or in seconds where stamps are dates.
        dated: whether stamps are dates; they are then seconds since 1970-01-01 UTC.
        zone: how stamps say their time zone: "" (they say none, and are taken as they stand), "UTC", or an offset.
        regular: whether all stamps are whole steps apart, so that gaps are missing frames.
        window: frames in a window.
        until: up to which time series are trained on and validated by, where they are split by time; () otherwise.
        held: ids of validation and of test series, where they are split by series.
        layout: of the table: "long" (a row for each series and time), or in wide form "columns" (a column for each
            series) or "rows" (a row for each).
        chosen: the columns of values of a table in wide form, where somebody chose; (): all columns of numbers.
    """

    id: str
    time: str
    channels: tuple[Column, ...]
    step: float
    dated: bool
    zone: str
    regular: bool
    window: int
    until: tuple[float, ...] = ()
    held: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    layout: str = "long"
    chosen: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the channels."""
        return tuple(column.name for column in self.channels)

    @property
    def by_series(self) -> bool:
        """Whether whole series were held out, instead of the last part of each."""
        return not self.until

    def stamp(self, time: float) -> str:
        """A time as the user would write it."""
        if not self.dated:
            return format(time, ".15g")
        moment = datetime.fromtimestamp(round(time, 6), UTC)
        text = moment.strftime("%Y-%m-%d %H:%M:%S") + (f".{moment.microsecond:06d}" if moment.microsecond else "")
        return text + ("+00:00" if self.zone else "")

    def described_step(self) -> str:
        """The step in words."""
        if not self.dated:
            return f"{self.step:g}"
        unit = max((u for u in UNIT_NAMES if u <= self.step), default=1.0)
        return f"{self.step / unit:g} {UNIT_NAMES[unit]}"

    @classmethod
    def from_record(cls, record: Mapping[str, Any], column: Callable[[Mapping[str, Any]], Column]) -> "Series":
        """Read it from JSON."""
        held = tuple(tuple(str(one) for one in ids) for ids in record["held"])
        found = cls(
            str(record["id"]),
            str(record["time"]),
            tuple(column(one) for one in record["channels"]),
            float(record["step"]),
            bool(record["dated"]),
            str(record["zone"]),
            bool(record["regular"]),
            int(record["window"]),
            tuple(float(time) for time in record["until"]),
            (held[0], held[1]),
            str(record.get("layout", "long")),
            tuple(str(name) for name in record.get("chosen", ())),
        )
        if not found.channels or found.window < 1 or not 0.0 < found.step < math.inf:
            raise ValueError("at least one channel, a window of one frame and a positive step were expected")
        return found
