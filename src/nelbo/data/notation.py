"""How the numbers of a column are written: grouped, signed, with exponents; and new ones written alike."""

import re
from collections.abc import Sequence
from functools import cache

import numpy as np

_POINT = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?)")
_COMMA = re.compile(r"[+-]?(?:\d+,?\d*|,\d+)(?:[eE][+-]?\d+)?")
_EXPONENT = re.compile(r"[^eE]*([eE])([+-]?)(\d+)")
_SEPARATORS = (",", ".", "'", "\u2019", "\u00a0", "\u202f", " ")
_MOST_PLACES = 8
_LEAST_MANTISSA = 2  # places behind the point of a new number with an exponent: 1e3 is often a shortened 1.04e3


def is_number(cell: str, decimal: str = ".", separator: str = "") -> bool:
    """Whether a stripped cell holds a number with this decimal mark, its thousands grouped by the separator or not."""
    if (_POINT if decimal == "." else _COMMA).fullmatch(cell) is not None:
        return True
    return bool(separator) and _grouped(separator, decimal).fullmatch(cell) is not None


@cache
def _grouped(separator: str, decimal: str) -> re.Pattern[str]:
    return re.compile(rf"[+-]?[1-9]\d{{0,2}}(?:{re.escape(separator)}\d{{3}})+(?:{re.escape(decimal)}\d*)?")


def separator_of(cells: Sequence[str], decimal: str) -> str:
    """The mark between thousands in a column of numbers; "" where there is none.

    It groups more than half of the cells that are no plain numbers: the others are faults, to be named as such. Blanks
    between digits are told from telephone numbers and other codes by the numbers below a thousand that stand among
    them, none of four digits and more, and no other cell.

    Args:
        cells: distinct, stripped, none of them missing.
        decimal: the decimal mark.
    """
    odd = [cell for cell in cells if not is_number(cell, decimal)]
    plain = [cell for cell in cells if is_number(cell, decimal)]
    long = sum(len(cell.lstrip("+-").partition(decimal)[0]) > 3 for cell in plain)
    for mark in _SEPARATORS:
        grouped = 0 if mark == decimal else sum(_grouped(mark, decimal).fullmatch(cell) is not None for cell in odd)
        if mark in ",.'\u2019":
            is_mark = 2 * grouped > len(odd) and long < grouped
        else:
            is_mark = grouped == len(odd) and plain and not long
        if grouped and is_mark:
            return mark
    return ""


def number_in(cell: str, decimal: str, separator: str) -> float:
    """The number in a cell that holds one."""
    return float(cell.replace(separator, "").replace(decimal, ".") if separator else cell.replace(decimal, "."))


def places_of(cells: Sequence[str], found: np.ndarray, decimal: str) -> int | None:
    """The decimal places of new numbers; None where the column is written with exponents or holds tiny numbers."""
    if any("e" in cell or "E" in cell for cell in cells) or not np.isfinite(found).all():
        return None
    most = max(len(cell.partition(decimal)[2]) for cell in cells)
    tiny = most > _MOST_PLACES and float(np.abs(found).max()) < 0.01
    return None if tiny else min(most, _MOST_PLACES)


def pattern_of(cells: Sequence[str], found: np.ndarray, decimal: str, separator: str) -> str:
    """A number that stands for how the column's are written, with a decimal point; "" where they are plain.

    "+1.00E+00" has a sign before positive numbers, two places, a capital letter, and a sign and two digits in its
    exponent, as where at least half of the numbers have one; "1,000" has grouped thousands.

    Args:
        cells: distinct numbers.
        found: their values.
        decimal: the decimal mark.
        separator: between thousands.
    """
    positive = [cell for cell, value in zip(cells, found, strict=True) if value > 0]
    sign = "+" if positive and all(cell.startswith("+") for cell in positive) else ""
    matches = [match for cell in cells if (match := _EXPONENT.fullmatch(cell))]
    if 2 * len(matches) >= len(cells):
        most = max(len(match.group().lower().partition("e")[0].partition(decimal)[2]) for match in matches)
        plus = "+" if any(match[2] == "+" for match in matches) else ""
        digits = "0" * min(len(match[3]) for match in matches)
        return f"{sign}1.{'0' * max(min(most, _MOST_PLACES), _LEAST_MANTISSA)}{matches[0][1]}{plus}{digits}"
    return f"{sign}1{separator}000" if separator else f"{sign}1" if sign else ""


def number_text(value: float, places: int | None, pattern: str, decimal: str, *, exact: bool) -> str:
    """A number as its column's are written.

    Args:
        value: to write.
        places: behind the decimal mark; None: as many as the number needs.
        pattern: see `pattern_of`.
        decimal: the decimal mark.
        exact: 15 significant digits where the places are open, not 8.
    """
    match = _EXPONENT.fullmatch(pattern)
    sign = "+" if pattern.startswith("+") else ""
    if match is not None:
        most = len(pattern.lower().partition("e")[0].partition(".")[2])
        mantissa, _, exponent = format(value, f".{most}e").partition("e")
        power = f"{abs(int(exponent)):0{len(match[3])}d}"
        text = f"{mantissa}{match[1]}{'-' if exponent.startswith('-') else match[2]}{power}"
    else:
        separator = pattern.lstrip("+")[1:-3]
        form = (".15g" if exact else ".8g") if places is None else f".{places}f"
        text = format(value, f",{form}" if separator else form)
        if separator:
            whole, point, rest = text.partition(".")
            text = whole.replace(",", separator) + point.replace(".", decimal) + rest
            decimal = "."
    if text.startswith("-") and not text.partition("e")[0].partition("E")[0].strip("-0."):
        text = text[1:]  # no negative zero
    return (sign if value > 0 else "") + text.replace(".", decimal)
