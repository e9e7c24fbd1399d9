"""Tables of the user's, kept as they were given, so that answers come back in the same form."""

import abc
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import PurePath
from typing import Any

import numpy as np

from nelbo.core import InputError
from nelbo.data.columns import Column, Dialect
from nelbo.data.written import frame_bytes

_LINE_END = re.compile(r"\r\n|\r|\n")
_LARGE = 1e8  # numbers beyond it would lose whole units to eight digits


class UserTable(abc.ABC):
    """A table as the user gave it."""

    where: str
    names: tuple[str, ...]

    @property
    @abc.abstractmethod
    def dialect(self) -> Dialect | None:
        """How its text is written; None where it is no text."""

    @property
    @abc.abstractmethod
    def suffix(self) -> str:
        """Of a file in this form."""

    @abc.abstractmethod
    def cells(self, place: int) -> list[str]:
        """The cells of one column, as text."""

    @abc.abstractmethod
    def place(self, row: int) -> str:
        """Where a row, counted from 0, is found by a person: "line 7", with the header as line 1."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """Rows."""

    @abc.abstractmethod
    def filled(self, written: Mapping[int, Column], values: np.ndarray, missing: np.ndarray, **options: Any) -> bytes:
        """The table with the missing cells written anew; see `nelbo.data.filled_table`.

        Args:
            written: the columns that `values` holds, by their places in the table, in the order of `values`.
            values: `(rows, len(written))` float64, in the user's units.
            missing: bool, the cells to write.
            options: `rows`, the places of the rows to give back (None: all); `exact`, a bool for each column.
        """

    def filled_frame(self, written: Mapping[int, Column], values: np.ndarray, missing: np.ndarray) -> Any:
        """What `filled` gives, as a pandas data frame.

        Raises:
            InputError: the table is text.
        """
        del written, values, missing
        raise InputError(f"{self.where} is text and no data frame.")

    @abc.abstractmethod
    def reread(self, content: bytes, rows: int) -> "UserTable":
        """The table that `filled` gave as bytes, of so many rows."""

    @abc.abstractmethod
    def extended(self, kept: Sequence[int], new: Mapping[str, np.ndarray], rows: np.ndarray | None) -> bytes:
        """The columns at `kept` with new ones after them; see `nelbo.data.extended_table`."""


@dataclass(frozen=True, eq=False)
class TextTable(UserTable):
    """A table that is text: every cell that is not written anew comes back character for character.

    Args:
        where: its path.
        names: of the columns; "" where one has none.
        text: all of the file, without its byte order mark.
        form: how it is written.
        size: rows.
    """

    where: str
    names: tuple[str, ...]
    text: str
    form: Dialect
    size: int

    @property
    def dialect(self) -> Dialect:
        """How its text is written."""
        return self.form

    @property
    def suffix(self) -> str:
        """Of a file in this form."""
        return ".tsv" if self.where.lower().endswith(".tsv") else ".csv"

    def __len__(self) -> int:
        return self.size

    def cells(self, place: int) -> list[str]:
        """See `UserTable.cells`."""
        return [self._cells(span)[place].strip() for span in self._parts()[1]]

    def place(self, row: int) -> str:
        """See `UserTable.place`."""
        try:
            start = self._parts()[1][row][0]
        except InputError:  # quotes that can be read in two ways
            return f"row {row}"
        return f"line {len(_LINE_END.findall(self.text, 0, start)) + 1}"

    @cached_property
    def _cell(self) -> re.Pattern[str]:
        other = f"[^{re.escape(self.form.delimiter)}\r\n]*"
        return re.compile(f' *"(?:[^"]|"")*"{other}|{other}')

    @cached_property
    def _spans(self) -> list[tuple[int, int]]:
        """The beginning and end of each record that is not blank, without its line end."""
        cell = self._cell.pattern
        record = re.compile(f"(?:{cell})(?:{re.escape(self.form.delimiter)}(?:{cell}))*")
        blank = " " if self.form.delimiter == "\t" else " \t"
        spans = [match.span() for match in record.finditer(self.text) if match.group().strip(blank)]
        if len(spans) != self.size + self.form.header:
            raise InputError(
                f"{self.where} has quotes that can be read in two ways, so it cannot be written back cell by cell: "
                "write the result as .npz."
            )
        return spans

    def _cells(self, span: tuple[int, int]) -> list[str]:
        """The raw cells of a record, with their quotes and blanks."""
        cells, (at, stop) = [], span
        record = self.text[at:stop]
        if '"' not in record:
            return record.split(self.form.delimiter)
        while True:
            match = self._cell.match(self.text, at, stop)
            assert match is not None  # the pattern matches the empty string
            cells.append(match.group())
            at = match.end() + 1
            if at > stop:
                return cells

    def filled(
        self,
        written: Mapping[int, Column],
        values: np.ndarray,
        missing: np.ndarray,
        *,
        rows: np.ndarray | None = None,
        exact: Sequence[bool] | None = None,
    ) -> bytes:
        """See `UserTable.filled`."""
        places = list(written.items())
        precise = exact or [False] * len(places)
        header, records = self._parts()
        order = range(self.size) if rows is None else rows.tolist()
        lines = []
        for row, new, gaps in zip(order, values, missing, strict=True):
            if not gaps.any():
                lines.append(self.text[slice(*records[row])])
                continue
            cells = self._cells(records[row])
            for j in np.flatnonzero(gaps).tolist():
                place, column = places[j]
                if column.keeps(cells[place]):
                    continue
                text = column.written(float(new[j]), self.form.decimal, exact=precise[j])
                cells[place] = self._dressed(text, cells[place])
            lines.append(self.form.delimiter.join(cells))
        if rows is not None:
            return self._bytes("".join(line + self.form.line_end for line in [*header, *lines]))
        parts, at = [], 0
        for (start, stop), line in zip(self._spans, [*header, *lines], strict=True):
            parts += [self.text[at:start], line]  # line ends and blank lines stay as they are
            at = stop
        return self._bytes("".join([*parts, self.text[at:]]))

    def reread(self, content: bytes, rows: int) -> "TextTable":
        """See `UserTable.reread`."""
        text = content.decode(self.form.encoding, errors="replace")
        return replace(self, text=text.removeprefix("\ufeff") if self.form.mark else text, size=rows)

    def extended(self, kept: Sequence[int], new: Mapping[str, np.ndarray], rows: np.ndarray | None = None) -> bytes:
        """See `UserTable.extended`."""
        rows = np.arange(self.size) if rows is None else rows
        header, records = self._parts()
        lines = []
        for line in [self._cells(self._spans[0])] if header else []:
            cells = ["", *line] if self.form.row_names else [*line, *[""] * (len(self.names) - len(line))]
            lines.append(self.form.delimiter.join([*(cells[i] for i in kept), *map(self._quoted, new)]))
        columns = [[self._quoted(self._number(value)) for value in column.tolist()] for column in new.values()]
        for row, *fresh in zip(rows.tolist(), *columns, strict=True):
            cells = self._cells(records[row]) if kept else []
            lines.append(self.form.delimiter.join([*(cells[i] for i in kept), *fresh]))
        return self._bytes("".join(line + self.form.line_end for line in lines))

    def _parts(self) -> tuple[list[str], list[tuple[int, int]]]:
        spans = self._spans
        return ([self.text[slice(*spans[0])]], spans[1:]) if self.form.header else ([], spans)

    def _number(self, value: Any) -> str:
        if isinstance(value, float) and math.isnan(value):
            return ""
        form = ".15g" if isinstance(value, float) and abs(value) >= _LARGE else ".8g"
        return (format(value, form) if isinstance(value, float) else str(value)).replace(".", self.form.decimal)

    def _quoted(self, text: str) -> str:
        special = (self.form.delimiter, '"', "\n", "\r")
        return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in special) else text

    def _dressed(self, text: str, old: str) -> str:
        """New text between the blanks and quotes that the old cell had."""
        if not old.strip():
            return old + self._quoted(text)
        inner = old.strip()
        before, _, after = old.partition(inner)
        return before + (f'"{text}"' if inner.startswith('"') else self._quoted(text)) + after

    def _bytes(self, text: str) -> bytes:
        return (("\ufeff" if self.form.mark else "") + text).encode(self.form.encoding, errors="replace")


@dataclass(frozen=True, eq=False)
class ParquetTable(UserTable):
    """A Parquet, Feather or Excel table, or a data frame in memory; columns keep their types where new values allow it.

    Args:
        where: its path.
        names: of the columns.
        frame: the pandas data frame.
    """

    where: str
    names: tuple[str, ...]
    frame: Any

    @property
    def dialect(self) -> None:
        """It is no text."""
        return

    @property
    def suffix(self) -> str:
        """Of a file in this form."""
        return form if (form := PurePath(self.where).suffix.lower()) in {".feather", ".xlsx"} else ".parquet"

    def _bytes(self, frame: Any) -> bytes:
        return frame_bytes(frame, self.suffix)

    def place(self, row: int) -> str:
        """See `UserTable.place`."""
        return f"row {row}"

    def __len__(self) -> int:
        return len(self.frame)

    def cells(self, place: int) -> list[str]:
        """See `UserTable.cells`."""
        return [str(cell) for cell in self.frame.iloc[:, place].tolist()]

    def filled(
        self,
        written: Mapping[int, Column],
        values: np.ndarray,
        missing: np.ndarray,
        *,
        rows: np.ndarray | None = None,
        exact: Sequence[bool] | None = None,  # noqa: ARG002 (numbers are stored whole)
    ) -> bytes:
        """See `UserTable.filled`."""
        return self._bytes(self.filled_frame(written, values, missing, rows=rows))

    def filled_frame(
        self,
        written: Mapping[int, Column],
        values: np.ndarray,
        missing: np.ndarray,
        *,
        rows: np.ndarray | None = None,
    ) -> Any:
        """The data frame that `filled` writes."""
        import pandas as pd

        frame = self.frame.copy() if rows is None else self.frame.iloc[rows].copy()
        for j, (place, column) in enumerate(written.items()):
            gaps = missing[:, j]
            if not gaps.any():
                continue
            old, new = frame.iloc[:, place], values[:, j]
            if column.levels is not None:
                gaps = gaps & ~np.array([not pd.isna(cell) and column.keeps(str(cell)) for cell in old], bool)
                new = np.array(_in_type(column.levels, old), object)[new.astype(int)]
            elif column.kind == "date" and column.form is None:
                days = old.dt.tz_localize(None).dropna()
                new = np.rint(new) if (days == days.dt.normalize()).all() else new  # a day has no time of day
                new = pd.to_datetime(new, unit="D").round("s").tz_localize(old.dt.tz)
            elif (made := _maker(old)) is not None:
                new = np.array([made(column.written(value)) for value in new.tolist()], object)
            elif column.kind in {"whole", "binary"}:
                new = np.rint(new)
            elif column.kind == "truth":
                new = new >= 0.5
            merged = old.astype(object).where(~gaps, pd.Series(new, old.index).astype(object))
            typed = old.dtype.kind != "O" or pd.api.types.is_extension_array_dtype(old.dtype)
            kept = old.dtype if typed else merged.infer_objects().dtype
            whole = kept.kind in "iu" and column.kind in {"whole", "binary"}
            frame.isetitem(place, merged.astype(int).astype(kept) if whole else merged.astype(kept))
        return frame

    def reread(self, content: bytes, rows: int) -> "ParquetTable":
        """See `UserTable.reread`."""
        import pandas as pd

        readers = {".feather": pd.read_feather, ".xlsx": pd.read_excel}
        frame = readers.get(self.suffix, pd.read_parquet)(io.BytesIO(content))
        assert len(frame) == rows
        return replace(self, frame=frame)

    def extended(self, kept: Sequence[int], new: Mapping[str, np.ndarray], rows: np.ndarray | None = None) -> bytes:
        """See `UserTable.extended`."""
        frame = (self.frame if rows is None else self.frame.iloc[rows]).iloc[:, list(kept)].copy()
        for name, column in new.items():
            frame[name] = column
        return self._bytes(frame)


def _maker(column: Any) -> Callable[[str], Any] | None:
    """What makes a cell of its text in a column of Python's own objects; None of numbers, which need no text."""
    kinds = set(map(type, column.dropna())) if column.dtype.kind == "O" else set()
    makers = {str: str, Decimal: Decimal, date: date.fromisoformat}
    return makers.get(kinds.pop()) if len(kinds) == 1 else None


def _in_type(levels: Sequence[str], column: Any) -> list[Any]:
    """Levels as the cells of a pandas column have them: numbers where they are, not text."""
    own = column.dropna().unique().tolist()
    categories = column.dtype.categories.tolist() if column.dtype.name == "category" else []
    cells = {str(cell): cell for cell in [*own, *categories]}
    numbers = column.dtype.kind in "iuf"
    return [cells.get(level, float(level) if numbers else level) for level in levels]
