"""Which columns of a table are modelled, which is the label, and which are set aside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from nelbo.core import InputError, choice
from nelbo.data.asked import as_asked, check_kind, not_numeric
from nelbo.data.columns import Column, Content, sentinel_in
from nelbo.data.reading import ReadTable

LABEL_COLUMNS = ("label", "y")
MOST_LEVELS = 100  # of a column of words
Targets = Literal["number", "class"]
_INDEX_NAMES = ("", "Unnamed: 0")


@dataclass(frozen=True)
class TableOptions:
    """What a user can say about a table.

    Args:
        header: whether the first line of a CSV file names the columns; None finds out.
        columns: the names of those to model; () models all that hold numbers.
        ignore: the names of those to set aside.
        target: the name of the column to predict; None: a column of labels, where one is asked for.
        targets: what is predicted: numbers or classes; None: nothing is, and labels are labels.
        words: model columns of words too, each word being an entry of 0 or 1; a column `label` or `y` is then a
            column like others.
        kinds: how columns are to be modelled, by name, see `nelbo.data.asked`.
    """

    header: bool | None = None
    columns: tuple[str, ...] = field(default=())
    ignore: tuple[str, ...] = field(default=())
    target: str | None = None
    targets: Targets | None = None
    words: bool = False
    kinds: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for _, kind in self.kinds:
            check_kind(kind)


@dataclass(frozen=True)
class Roles:
    """The columns of a table with their roles, and what is to be said about them."""

    columns: tuple[Column, ...]
    notes: tuple[str, ...]


def assign_roles(reading: ReadTable, options: TableOptions, cleaned: Sequence[Content] | None = None) -> Roles:
    """Give every column its role.

    Set aside are: what `ignore` names or `columns` does not, text, columns without a value, and a first column without
    a name that holds distinct whole numbers (a saved pandas index, shuffled too). A column `label` or `y` holds
    labels. All other columns are modelled; numbers in an identifier or a time stamp too, unless `ignore` names them.
    Where a column is to be predicted, that one is the target and all others are features, words among them, of which
    each becomes an entry of 0 or 1; text is set aside only where no two rows have the same.

    Args:
        reading: the table.
        options: what the user says about it.
        cleaned: its columns with numbers that mean "missing" (-999) taken out; None: there are none.

    Raises:
        InputError: an unknown name, a column of numbers with text in it or of too many words, or no column to model.
    """
    table, contents = reading.table, reading.contents if cleaned is None else cleaned
    if len(table) == 0:
        raise InputError(f"{table.where} has no rows; a table with at least one row was expected.")
    names = shown_names(table.names)
    asked = dict(options.kinds)
    for name in (*options.columns, *options.ignore, *asked):
        choice("column", name, names)
    label = next((name for name in LABEL_COLUMNS if name in names and name not in options.ignore), None)
    label = None if options.words else label
    target = None if options.targets is None else _target(table.where, names, label, options)
    columns = []
    named = table.dialect is None or table.dialect.header
    for i, (name, content) in enumerate(zip(names, contents, strict=True)):
        index = named and i == 0 and table.names[i] in _INDEX_NAMES and len(table) > 1 and content.counts_rows
        how = asked.get(name, "")
        content = as_asked(table.where, name, content, how)
        reason = _reason(name, content, options, index=index, asked=how)
        own, answer = (target, "target") if target is not None else (label, "label")
        role = answer if name == own else "set aside" if reason else "feature"
        if role == "feature" and content.fault:
            raise not_numeric(table.where, name, content.fault)
        worded = role == "feature" and (content.kind == "text" or bool(content.order))
        if worded and target is None and not options.words:  # named by `columns`
            raise not_numeric(table.where, name, f"its first cell is {content.texts[0]!r}")
        levels = content.levels if worded else None
        why = reason if role == "set aside" else ""
        columns.append(
            Column(
                table.names[i],
                role,
                content.kind,
                why,
                content.places,
                content.words,
                levels,
                content.form,
                sentinel_in(reading.contents[i]),
                "ordinal" if worded and content.order else "" if how in {"words", "ignore"} else how,
                content.pattern,
            )
        )
    _check_levels(table.where, names, columns)
    if not any(column.role == "feature" for column in columns):
        text = next(
            (f" ({n!r} holds {c.texts[0]!r})" for n, c in zip(names, contents, strict=True) if c.kind == "text"), ""
        )
        raise InputError(
            f"{table.where} has no columns of numbers besides its labels{text}; at least one was expected, with cells "
            "parted by commas, semicolons, tabs or bars."
        )
    return Roles(tuple(columns), (*reading.notes, *_notes(table.where, names, columns, contents)))


def _target(where: str, names: Sequence[str], label: str | None, options: TableOptions) -> str:
    """The name of the column to predict.

    Raises:
        InputError: no such column, or none was named and none holds labels.
    """
    name = options.target or label
    if name is None:
        raise InputError(
            f"{where} has no column 'label': say which column is to be predicted with --target NAME, one of "
            f"{', '.join(names)}."
        )
    if name in options.ignore:
        raise InputError(f"{where}: column {name!r} cannot be the target and be ignored: leave one of the two out.")
    return choice("target column", name, names)


def _check_levels(where: str, names: Sequence[str], columns: Sequence[Column]) -> None:
    """Refuse columns of so many words that few rows say anything about each.

    They may be what the target depends on, so they are not left out without being asked to.
    """
    many = [(name, column.width) for name, column in zip(names, columns, strict=True) if column.width > MOST_LEVELS]
    if many:
        which = ", ".join(f"{name!r} holds {width} different words" for name, width in many)
        raise InputError(
            f"{where}: column {which}, and at most {MOST_LEVELS} can be a feature: group them, or leave "
            f"{'it' if len(many) == 1 else 'them'} out with --ignore {','.join(name for name, _ in many)}."
        )


def shown_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names to call columns by: a column without a name, or with the name of one before it, is told by its place."""
    shown: list[str] = []
    for i, name in enumerate(names):
        shown.append(f"column {i + 1}" if name == "" else f"{name} (column {i + 1})" if name in shown else name)
    return tuple(shown)


def _reason(name: str, content: Content, options: TableOptions, *, index: bool, asked: str) -> str:
    """Why a column is not modelled; "" where it is."""
    if name in options.ignore or asked == "ignore":
        return "as asked"
    if options.words and content.kind == "text" and len(content.levels) > MOST_LEVELS:
        return f"it holds {len(content.levels)} different words" if asked or _repeats(content) else "it holds text"
    if asked:
        return ""
    if options.columns:
        return "" if name in options.columns else "not among the columns to model"
    with_words = options.words or options.targets is not None
    reasons = {
        "it has no values": content.kind == "empty",
        "it holds dates": content.kind == "date" and not with_words,
        "it holds text": content.kind == "text" and not (with_words and _repeats(content)),
        "saved index": index,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _repeats(content: Content) -> bool:
    """Whether two rows have the same text, so that it tells groups of rows and is no name."""
    return len(content.levels) < int(np.count_nonzero(content.codes >= 0))


def _notes(where: str, names: Sequence[str], columns: Sequence[Column], contents: Sequence[Content]) -> list[str]:
    aside: dict[str, list[str]] = {}
    for name, column in zip(names, columns, strict=True):
        if column.role == "set aside":
            aside.setdefault(column.reason, []).append(name)
    notes = []
    for reason, which in aside.items():
        listed = listing(which)
        if reason == "saved index":
            notes.append(f"{where}: its first column has no name and holds distinct whole numbers; it was taken for a "
                         "saved index and set aside.")  # fmt: skip
        elif reason == "it has no values":
            notes.append(f"{where}: {listed} set aside, for want of values: nothing can be learned about it.")
        elif reason == "it holds text":
            notes.append(f"{where}: {listed} set aside, for holding text.")
        else:
            notes.append(f"{where}: {listed} set aside ({reason}).")
    return [
        *notes,
        *_readings(where, names, columns, contents),
        *(f"{where}: {text}" for text in holes_that_stay(names, columns, contents)),
    ]


def _readings(where: str, names: Sequence[str], columns: Sequence[Column], contents: Sequence[Content]) -> list[str]:
    """How the cells of modelled columns were read, where they are no plain numbers."""
    notes = []
    for name, column in zip(names, columns, strict=True):
        if column.asked == "ordinal":
            order = " < ".join(map(repr, (column.levels or ())[:8])) + (" < ..." if column.width > 8 else "")
            notes.append(f"{where}: column {name!r} is ordered ({order}).")
        elif column.levels is not None:
            words = ", ".join(map(repr, column.levels[:8])) + (", ..." if column.width > 8 else "")
            notes.append(f"{where}: column {name!r} holds words, each of which became a feature of 0 or 1 ({words}).")
        if column.kind == "date" and column.role == "feature":
            notes.append(f"{where}: column {name!r} holds dates, which are modelled as days.")
    modelled = [place for place, column in enumerate(columns) if column.role == "feature"]
    return [*notes, *marker_notes(where, [names[i] for i in modelled], [contents[i] for i in modelled])]


def marker_notes(where: str, names: Sequence[str], contents: Sequence[Content]) -> list[str]:
    """A sentence for each text that was taken for a missing cell, such as "NA".

    Args:
        where: for messages.
        names: of the modelled columns.
        contents: their cells.
    """
    having: dict[tuple[str, bool], list[str]] = {}
    for name, content in zip(names, contents, strict=True):
        for marker in content.markers:
            having.setdefault((marker, content.kind == "text"), []).append(name)
    what = {True: "word", False: "number"}
    return [
        f"{where}: {marker!r} in {listing(which).rpartition(' ')[0]} was read as a missing {what[text]}."
        for (marker, text), which in having.items()
    ]


def set_aside_notes(where: str, columns: Sequence[Column], contents: Mapping[str, Content]) -> list[str]:
    """A sentence about the columns of a table that were set aside when the model was fitted.

    Args:
        where: for messages.
        columns: of the table that the model was fitted to.
        contents: of the columns of the table at hand, by name.
    """
    there = [column.name for column in columns if column.role == "set aside" and column.name in contents]
    if not there:
        return []
    blank = sum(int(np.count_nonzero(contents[name].codes < 0)) for name in there)
    stay = f", and {blank} blank cell{'s' * (blank > 1)} there stay{'s' * (blank == 1)} blank" if blank else ""
    return [f"{where}: {listing(there)} set aside when the model was fitted, and left alone{stay}."]


def holes_that_stay(names: Sequence[str], columns: Sequence[Column], contents: Sequence[Content]) -> list[str]:
    """A sentence about blank cells of columns that are set aside, which nothing fills in."""
    holes = {
        name: int(np.count_nonzero(content.codes < 0))
        for name, column, content in zip(names, columns, contents, strict=True)
        if column.role == "set aside" and content.kind != "empty"
    }
    which = [name for name, count in holes.items() if count]
    if not which:
        return []
    total = sum(holes.values())
    cells = "1 blank cell stays blank" if total == 1 else f"{total} blank cells stay blank"
    return [f"{cells}: {listing(which)} set aside."]


def listing(names: Sequence[str], most: int = 8) -> str:
    """The names as the subject of a sentence: "column 'a' was", "columns 'a', 'b' were"."""
    shown = ", ".join(repr(name) for name in names[:most]) + (
        f" and {len(names) - most} more" if len(names) > most else ""
    )
    return f"column {shown} was" if len(names) == 1 else f"columns {shown} were"


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
            held = (
                content.fault
                or f"row {int(np.argmax(content.codes >= 0))} holds {content.texts[content.codes.max()]!r}"
            )
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
