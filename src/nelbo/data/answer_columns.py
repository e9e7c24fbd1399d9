"""Columns of labels, and of what is to be predicted: numbers or classes."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from nelbo.core import InputError
from nelbo.data.columns import Column, Content

Targets = Literal["number", "class"]


def read_labels(
    where: str, column: Column, content: Content, known: tuple[str, ...] | None
) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """The labels in a column: whole numbers as they are, or text, whose sorted values are numbered.

    Args:
        where: for messages.
        column: the label column.
        content: its cells.
        known: the label names of data that these must agree with.

    Raises:
        InputError: a blank, fractions, or a label that is not known.
    """
    blank = content.codes < 0
    if blank.any():
        row = int(np.argmax(blank))
        raise InputError(f"{where}: the label in row {row} is blank; give every row a label, or remove the column.")
    if known is None and not content.fault and content.kind in {"whole", "binary"}:
        return content.numbers.astype(np.int64), None
    if known is None and not content.fault and content.kind == "real":
        raise InputError(f"{where}: the labels in {column.name!r} are fractions; integers or text were expected.")
    names = known or tuple(sorted({content.texts[code] for code in np.unique(content.codes)}))
    number = {name: index for index, name in enumerate(names)}
    unknown = [text for code in np.unique(content.codes) if (text := content.texts[code]) not in number]
    if unknown:
        raise InputError(f"{where}: the label {unknown[0]!r} is not one of {', '.join(names)}.")
    return np.array([number.get(text, -1) for text in content.texts])[content.codes], names


MISSING_CLASS, UNKNOWN_CLASS = -1, -2


def read_targets(
    where: str, column: Column, content: Content, targets: Targets, known: tuple[str, ...] | None
) -> tuple[np.ndarray, tuple[str, ...] | None, tuple[str, ...]]:
    """What is to be predicted, as a column holds it; what is missing is NaN, or the class `MISSING_CLASS`.

    Args:
        where: for messages.
        column: the target column.
        content: its cells.
        targets: numbers or classes.
        known: the class names of data that these must agree with; others become `UNKNOWN_CLASS`.

    Returns:
        `(n,)` float64 numbers or int32 classes, the names of the classes, and what is to be said.

    Raises:
        InputError: text where numbers are predicted, or a column without a value.
    """
    if known is None and not (content.codes >= 0).any():
        raise InputError(
            f"{where}: the target column {column.name!r} has no values; at least two rows with one are needed."
        )
    if targets == "number":
        if content.fault or content.kind == "text":
            row, cell = content.odd_cell
            held = f"row {row} holds {cell!r}"
            raise InputError(
                f"{where}: the target column {column.name!r} is not numeric ({held}), but a regression predicts "
                "numbers: use classification, or correct the column."
            )
        return content.numbers.astype(np.float64), None, ()
    names = known or _class_names(content)
    number = {name: place for place, name in enumerate(names)}
    places = np.array(
        [number.get(_class_name(content, code), UNKNOWN_CLASS) for code in range(len(content.texts))], np.int32
    )
    codes = content.codes
    y = np.where(codes >= 0, places[codes] if len(places) else MISSING_CLASS, MISSING_CLASS).astype(np.int32)
    unknown = sorted({_class_name(content, int(code)) for code in np.unique(codes[y == UNKNOWN_CLASS])})
    if not unknown:
        return y, names, ()
    note = (
        f"{where}: {np.count_nonzero(y == UNKNOWN_CLASS)} rows have a class that the model was not fitted to "
        f"({', '.join(map(repr, unknown[:8]))}): it gives them no probability."
    )
    return y, names, (note,)


def numbered_classes(y: np.ndarray, own: Mapping[int, str] | Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Labels of an array as places in the names of classes; others are `UNKNOWN_CLASS`.

    Args:
        y: `(n,)` whole numbers.
        own: the name of each of them.
        names: of the classes.
    """
    number = {name: place for place, name in enumerate(names)}
    values, places = np.unique(y, return_inverse=True)
    return np.array([number.get(own[int(value)], UNKNOWN_CLASS) for value in values], np.int32)[places]


def _class_name(content: Content, code: int) -> str:
    """A class as it is called, whichever way its number is written: "3" for 3, 3.0 and 03."""
    text = content.texts[code]
    if content.kind in {"whole", "binary"} and not content.fault:
        with_point = text.replace(",", ".")
        return str(int(float(with_point)))
    return text


def _class_names(content: Content) -> tuple[str, ...]:
    """The classes of a column: whole numbers in their order, text in that of the alphabet."""
    names = {_class_name(content, int(code)) for code in np.unique(content.codes[content.codes >= 0])}
    whole = content.kind in {"whole", "binary"} and not content.fault
    return tuple(sorted(names, key=int) if whole else sorted(names))
