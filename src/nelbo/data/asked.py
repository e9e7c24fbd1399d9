"""How columns are asked to be modelled: `--column NAME=KIND`, and the order of levels."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nelbo.core import InputError, choice
from nelbo.data.columns import Content
from nelbo.data.notation import is_number
from nelbo.data.tables import UserTable

# how a column can be asked to be modelled; "ignore" sets it aside
ASKED = ("real", "positive", "count", "student", "words", "ordinal", "ignore")
_BEFORE = "<"  # between levels, the lower one first


def kinds_asked(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """NAME=KIND as pairs; of an ordinal column the kind can have its levels behind it: NAME=ordinal:LOW<HIGH.

    Raises:
        InputError: no such text, or a column named twice.
    """
    pairs = []
    for text in texts:
        name, sign, order = text.partition("=ordinal:")
        kind = f"ordinal:{order}"
        if not sign:
            name, sign, kind = text.rpartition("=")
        if not sign or not name:
            raise InputError(f"A column's kind is given as NAME=KIND, with one of {', '.join(ASKED)}, got {text!r}.")
        if name in dict(pairs):
            raise InputError(
                f"The kind of column {name!r} is given twice, {dict(pairs)[name]} and {kind}: leave one out."
            )
        pairs.append((name, kind))
    return tuple(pairs)


def check_kind(kind: str) -> None:
    """Refuse what is no kind of column.

    Raises:
        InputError: another name, or levels that are no order.
    """
    name, sign, order = kind.partition(":")
    choice("kind of column", name if name == "ordinal" else kind, ASKED)
    levels = _levels(order)
    if sign and (len(levels) < 2 or "" in levels or len(set(levels)) < len(levels)):
        raise InputError(
            f"The levels of an ordinal column are given as ordinal:LOW{_BEFORE}MIDDLE{_BEFORE}HIGH, each once and at "
            f"least two, got {kind!r}."
        )


def as_asked(table: UserTable, name: str, content: Content, how: str) -> Content:
    """A column as it is asked for: numbers as words, and levels in their order.

    Args:
        table: for messages.
        name: of the column.
        content: its cells.
        how: as it was asked for; "" where it was not.

    Raises:
        InputError: a column of text as one of numbers, or see `ordered`.
    """
    kind, _, order = how.partition(":")
    if kind == "words":
        return replace(content, kind="text", places=None, words=None, fault="", order=())
    if kind == "ordinal" or (content.order and not how):
        found = ordered(content, _levels(order) or content.order)
        problem = _problem(table, content, found, asked=bool(order))
        if not problem:
            return found
        if how:
            raise InputError(f"{table.where}: column {name!r} cannot be ordinal, for {problem}.")
        return replace(content, order=())  # an ordered column of one level
    if how not in {"", "ignore"} and (content.kind == "text" or content.fault):
        raise not_numeric(table, name, content)
    return content


def ordered(content: Content, levels: Sequence[str] = ()) -> Content:
    """Cells as levels; a number is the level of the same value however it is written.

    Args:
        content: of the column.
        levels: in their order; () takes the distinct numbers, the smallest first, and none of a column of text.

    Returns:
        The cells with `levels` as the first of their texts; others stay behind them.
    """
    numeric = content.kind in {"real", "whole", "binary"} and not content.fault
    if not levels and not numeric:
        return content
    rows = np.flatnonzero(content.codes >= 0)
    there, first = np.unique(content.codes[rows], return_index=True)
    by_value = numeric and all(is_number(level) or is_number(level, ",") for level in levels)
    texts = [content.texts[code] for code in there]
    found: list[Any] = content.numbers[rows[first]].tolist() if by_value else texts
    if not levels:
        smallest = sorted(dict(zip(reversed(found), reversed(texts), strict=True)).items())  # as it is written first
        levels = [text for _, text in smallest]
    known = [float(level.replace(",", ".")) if by_value else level for level in levels]
    places = {value: place for place, value in enumerate(known)}
    others = [text for text, value in zip(texts, found, strict=True) if value not in places]
    behind = iter(range(len(levels), len(levels) + len(others)))
    new = np.full(len(content.texts) + 1, -1)  # the last one for what is missing
    new[there] = [places[value] if value in places else next(behind) for value in found]
    kind = content.kind if by_value else "text"
    every = (*levels, *others)
    return replace(content, kind=kind, codes=new[content.codes], texts=every, order=tuple(levels), fault="", words=None)


def _problem(table: UserTable, content: Content, found: Content, *, asked: bool) -> str:
    """Why a column has no levels; "" where it has."""
    if not found.order:
        sample = ", ".join(map(repr, content.levels[:3])) or "nothing"
        return (
            f"words ({sample}, ...) have no order of their own: state it, the lowest first, as in "
            "--column 'NAME=ordinal:low<middle<high'"
        )
    strange = found.codes >= len(found.order)
    if strange.any():
        row = int(np.argmax(strange))
        known = f"{_BEFORE}".join(found.order[:8]) + (f"{_BEFORE}..." if len(found.order) > 8 else "")
        state = "name every level, or leave the cell blank" if asked else "correct the cell"
        return f"{table.place(row)} holds {found.texts[found.codes[row]]!r}, which is none of {known}: {state}"
    only = ", ".join(map(repr, found.order))
    return "" if len(found.order) > 1 else f"it holds one level alone ({only}): leave --column out for it"


def _levels(order: str) -> tuple[str, ...]:
    return tuple(level.strip() for level in order.split(_BEFORE)) if order else ()


def not_numeric(table: UserTable, name: str, content: Content, *, fitted: bool = False) -> InputError:
    """The sentence for text among the numbers of a column; of a fitted model it cannot become another column."""
    row, cell = content.odd_cell
    fault = f"{table.place(row)} holds {cell!r}"
    ways = "correct it, or leave the cell blank."
    if not fitted:
        ways = (
            f"correct it, leave the cell blank, encode the column as numbers, set it aside with --ignore {name!r}, or "
            "call it 'label' if it is one."
        )
    return InputError(
        f"{table.where}: column {name!r} is not numeric ({fault}); numbers or blanks were expected: {ways}"
    )
