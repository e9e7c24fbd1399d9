"""Finding out how the text of a table is written: encoding, delimiter, decimal mark, header."""

import csv
import itertools
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nelbo.core import InputError
from nelbo.data.columns import MISSING
from nelbo.data.formats import damaged
from nelbo.data.notation import is_number

SAMPLE = 500  # lines
_ENOUGH = 20  # lines in whose range a row of data would lie
_DELIMITERS = {"\t": "tabs", ";": "semicolons", "|": "bars"}
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_COMMA_NUMBER = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_POINT_NUMBER = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?")
_GROUPED_NUMBER = re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+,\d+")  # 1.234,5
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+")
_WHOLE = re.compile(r"\d+")
_BREAK = re.compile(r"\r\n|\r|\n")
_NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1f\ufeff\ufffe\uffff]")


def decoded(raw: bytes, path: Path) -> tuple[str, str, bool, tuple[str, ...]]:
    """The text of a file: UTF-8, UTF-16 with a byte order mark, or else Windows-1252 (latin-1).

    Returns:
        The text, its encoding, whether it began with a byte order mark, and what was assumed.

    Raises:
        InputError: bytes that are no text.
    """
    encoding, mark = next(((name, start) for start, name in _MARKS if raw.startswith(start)), (None, b""))
    body, notes = raw[len(mark) :], []
    for name in [encoding] if encoding else ["utf-8", "cp1252", "latin-1"]:
        try:
            text = body.decode(name)
        except UnicodeDecodeError as error:
            reason = str(error)
            continue
        if _NO_TEXT.search(text):
            raise damaged(path, "CSV table", "it holds control characters")
        if name in {"cp1252", "latin-1"}:
            notes.append(f"{path}: the text is not UTF-8; it was read as Windows-1252 (latin-1).")
        return text, name, bool(mark), tuple(notes)
    raise damaged(path, "CSV table", reason)


def delimiter_of(text: str) -> str:
    """The character between cells: a tab, semicolon or bar of which every line has as many, else a comma."""
    head = text[: 2**20]
    complete = head if len(head) == len(text) else head[: head.rfind("\n") + 1]
    for delimiter in _DELIMITERS:
        try:
            rows = list(itertools.islice(records(complete, delimiter), SAMPLE))
        except csv.Error:
            continue
        widths = {len(row) for row in rows[1:]} or {len(row) for row in rows}
        first = len(rows[0]) if rows else 0
        if len(widths) == 1 and min(widths) > 1 and first in {min(widths), min(widths) - 1} and first > 1:
            return delimiter
    return ","


def delimiter_note(delimiter: str, path: Path) -> tuple[str, ...]:
    """What to say about cells that are not parted by commas."""
    return (f"{path}: its cells are parted by {_DELIMITERS[delimiter]}.",) if delimiter in _DELIMITERS else ()


def records(text: str, delimiter: str) -> itertools.filterfalse:
    """The cells of each line that is not blank."""
    reader = csv.reader(_lines(text), delimiter=delimiter, skipinitialspace=True)
    return itertools.filterfalse(_is_blank, reader)


def _is_blank(row: list[str]) -> bool:
    return not row or (len(row) == 1 and not row[0].strip())


def _lines(text: str) -> list[str]:
    # not splitlines, which takes form feeds and other marks for ends of lines too
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", text)


def check_widths(text: str, delimiter: str, path: Path) -> tuple[int, int]:
    """See that all rows have one length.

    Returns:
        The cells of the first line, and of all others (the header may lack one).

    Raises:
        InputError: a line of another length, or quotes that are never closed.
    """
    lines = _lines(text)
    if '"' not in text:  # counting is ten times as fast as reading
        counts = [line.count(delimiter) + 1 for line in lines if line.strip()]
        if counts and len(set(counts[1:])) <= 1 and counts[-1] in {counts[0], counts[0] + 1}:
            return counts[0], counts[-1]
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    rows = itertools.filterfalse(_is_blank, reader)
    try:
        first, second = len(next(rows, ())), next(rows, None)
        if second is None:
            return first, first
        width = len(second) if len(second) == first + 1 else first
        for row in itertools.chain((second,), rows):
            if len(row) != width:
                raise InputError(f"{path}: {_of_another_width(row, reader.line_num, first, delimiter)}")
    except csv.Error as error:
        raise damaged(path, "CSV table", f"line {reader.line_num}: {error}") from error
    return first, width


def _of_another_width(row: Sequence[str], line: int, first: int, delimiter: str) -> str:
    """What is wrong with a row whose last line is `line`: a cell too few or too many, or a quote that stays open."""
    breaks = len(_BREAK.findall("".join(row)))
    begun = line - breaks + int(bool(_BREAK.search(row[-1][-1:])))  # an open quote takes in the file's last line end
    where = f"the row from line {begun} to line {line}" if breaks else f"line {line}"
    blank = f"leave a missing cell blank, but keep its {_NAMES.get(delimiter, 'comma')}"
    mend = "see whether its quotes are closed" if breaks else blank
    cells = "1 cell" if len(row) == 1 else f"{len(row)} cells"
    return f"{where} has {cells}, the first has {first}; rows of one length were expected: {mend}."


_NAMES = {"\t": "tab", ";": "semicolon", "|": "bar"}


def decimal_of(columns: Sequence[Sequence[str]], delimiter: str) -> str:
    """The decimal mark: a comma where a column's numbers have one and no column's numbers have a point.

    Args:
        columns: distinct cells of each column, stripped.
        delimiter: between cells; where it is a comma too, quoted cells such as "1,234" may count thousands.
    """
    commas = False
    for cells in columns:
        present = [cell for cell in cells if cell not in MISSING]
        with_comma = [cell for cell in present if _COMMA_NUMBER.fullmatch(cell)]
        if any(_GROUPED_NUMBER.fullmatch(cell) for cell in present):
            commas = True
        elif any(_POINT_NUMBER.fullmatch(cell) for cell in present):
            if not with_comma:
                return "."
            continue
        thousands = delimiter == "," and all(_THOUSANDS.fullmatch(cell) for cell in with_comma)
        whole = sum(is_number(cell) for cell in present)
        commas |= bool(with_comma) and not thousands and 2 * (len(with_comma) + whole) >= len(present)
    return "," if commas else "."


def names_columns(first: Sequence[str], body: Sequence[Sequence[str]], decimal: str = ".") -> bool:
    """Whether the first line of a table names its columns rather than holding a row.

    Text names them, unless it stands in its column again. Whole numbers (0, 1, 2 of a data frame; years) do where they
    are of another kind than what stands below: above fractions, or far out of the range of their columns.

    Args:
        first: its cells, stripped.
        body: the cells of some lines below.
        decimal: the decimal mark.
    """
    texts = [i for i, cell in enumerate(first) if cell not in MISSING and not is_number(cell, decimal)]
    if texts:
        repeated = all(any(row[i] == first[i] for row in body) for i in texts)
        return not (repeated and len(texts) < len(first))
    filled = [(i, cell) for i, cell in enumerate(first) if cell not in MISSING]
    if not filled or not body or not all(_WHOLE.fullmatch(cell) for _, cell in filled):
        return False
    values = [int(cell) for _, cell in filled]
    if len(set(values)) < len(values):
        return False
    if len(filled) < len(first):
        index = [row[0] for row in body]
        numbered = all(_WHOLE.fullmatch(cell) for cell in index) and len(set(index)) == len(index)
        return first[0] == "" and len(filled) == len(first) - 1 and numbered
    return _are_numeric_names(values, body, decimal)


def _are_numeric_names(values: Sequence[int], body: Sequence[Sequence[str]], decimal: str) -> bool:
    run = len(values) > 1 and all(b - a == 1 for a, b in itertools.pairwise(values))
    if run and 2 * sum(_is_run(row) for row in body) > len(body):
        return False  # every row counts on
    fractions, outside, distance = [], [], []
    for value, cells in zip(values, zip(*body, strict=True), strict=True):
        numbers = [cell for cell in cells if is_number(cell, decimal)]
        if not numbers:
            continue
        found = np.array([float(cell.replace(decimal, ".")) for cell in numbers])
        low, high = found.min(), found.max()
        gap = max(low - value, value - high, 0.0)
        spread = high - low
        fractions.append(sum(decimal in cell or "e" in cell.lower() for cell in numbers) >= 0.95 * len(numbers))
        outside.append(bool(gap > spread) and len(numbers) > 1)
        distance.append(gap / spread if spread else np.inf if gap else 0.0)
    if not fractions:
        return False
    many = len(values) > 1 or values[0] == 0
    counted = run and len(values) > 2 and values[0] in {0, 1} and len(body) >= _ENOUGH
    years = len(values) > 1 and all(1800 <= value <= 2200 for value in values)
    return bool(
        (all(a or b for a, b in zip(fractions, outside, strict=True)) and any(fractions) and many)
        or (counted and max(distance) > 0)
        or (run and len(values) > 2 and 2 * sum(outside) >= len(outside))
        or (years and all(outside))
        or (len(values) > 2 and all(outside) and min(distance) > 3)
    )


def _is_run(row: Sequence[str]) -> bool:
    if not all(_WHOLE.fullmatch(cell) for cell in row):
        return False
    return all(int(b) - int(a) == 1 for a, b in itertools.pairwise(row))
