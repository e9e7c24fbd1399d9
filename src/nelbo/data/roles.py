"""Which columns of a table are modelled, which is the label, and which are set aside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nelbo.core import InputError, choice
from nelbo.data.answer_columns import Targets
from nelbo.data.asked import as_asked, check_kind, not_numeric
from nelbo.data.columns import Column, Content, Role, sentinel_in
from nelbo.data.reading import ReadTable

LABEL_COLUMNS = ("label", "y")
MOST_LEVELS = 100  # of a column of words
MIXED = "it mixes numbers and words"
_MOST_NUMBERS, _MIXED_SHARE = 10, 0.2  # different numbers that may be words, and their share of the cells
_FEWEST_CODES = 20  # cells that show that a column holds two numbers and no third one
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
        beside: names of columns or arrays that say what is known of each row, which others read.
    """

    header: bool | None = None
    columns: tuple[str, ...] = field(default=())
    ignore: tuple[str, ...] = field(default=())
    target: str | None = None
    targets: Targets | None = None
    words: bool = False
    kinds: tuple[tuple[str, str], ...] = ()
    beside: tuple[str, ...] = ()

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

    These are set aside: columns that `ignore` names or `columns` does not, text, columns without a value, and a first
    column without a name that holds distinct whole numbers (a saved pandas index, even if shuffled). A column `label`
    or `y` holds labels. All other columns are modelled, also numeric identifiers and time stamps, unless `ignore` names
    them. If a column is to be predicted, it is the target and all others are features; of text columns each word
    becomes an entry of 0 or 1, and they are set aside only if no two rows have the same text.

    Args:
        reading: the table.
        options: what the user says about it.
        cleaned: its columns without numbers that mean "missing" (-999); None: there are no such numbers.

    Raises:
        InputError: an unknown name, a column of numbers with text in it or of too many words, or no column to model.
    """
    table, contents = reading.table, reading.contents if cleaned is None else cleaned
    if len(table) == 0:
        raise InputError(f"{table.where} has no rows; a table with at least one row was expected.")
    names = shown_names(table.names)
    for name in (*options.columns, *options.ignore, *dict(options.kinds)):
        choice("column", name, names)
    label = next((name for name in LABEL_COLUMNS if name in names and name not in options.ignore), None)
    label = None if options.words else label
    target = None if options.targets is None else _target(table.where, names, label, options)
    answer: tuple[str | None, Role] = (label, "label") if target is None else (target, "target")
    columns = [_column(reading, place, names[place], one, options, answer) for place, one in enumerate(contents)]
    _check_levels(table.where, names, columns)
    if not any(column.role == "feature" for column in columns):
        raise _nothing_to_model(table.where, names, columns, contents, words=options.words)
    return Roles(tuple(columns), (*reading.notes, *_notes(table.where, names, columns, contents)))


def _column(
    reading: ReadTable,
    place: int,
    name: str,
    content: Content,
    options: TableOptions,
    answer: tuple[str | None, Role],
) -> Column:
    """One column with its role; `answer` is the name of the column that is no feature, and its role.

    Raises:
        InputError: a feature that is not numeric, in a table whose words are not modelled.
    """
    table = reading.table
    how = dict(options.kinds).get(name, "")
    named = table.dialect is None or table.dialect.header
    index = named and place == 0 and table.names[0] in _INDEX_NAMES and len(table) > 1 and content.counts_rows
    content = as_asked(table, name, content, how or ("words" if options.words and _is_code(content) else ""))
    reason = _reason(name, content, options, index=index, asked=how)
    role = answer[1] if name == answer[0] else "set aside" if reason else "feature"
    worded = role == "feature" and (content.kind == "text" or bool(content.order))
    # words are features of models of words and of targets; elsewhere `columns` named them
    takes_words = options.words or options.targets is not None
    if role == "feature" and (content.fault or (worded and not takes_words)):
        raise not_numeric(table, name, content)
    return Column(
        name=table.names[place],
        role=role,
        kind=content.kind,
        reason=reason if role == "set aside" else "",
        places=content.places,
        words=content.words,
        levels=content.levels if worded else None,
        form=content.form,
        sentinel=sentinel_in(reading.contents[place]),
        asked="ordinal" if worded and content.order else "" if how in {"words", "ignore"} else how,
        pattern=content.pattern,
    )


def _nothing_to_model(
    where: str, names: Sequence[str], columns: Sequence[Column], contents: Sequence[Content], *, words: bool
) -> InputError:
    """What to raise for a table without a column that can be modelled."""
    if words:
        why = "; ".join(f"{name!r}: {column.reason}" for name, column in zip(names[:3], columns, strict=False))
        return InputError(
            f"{where} has no column that can be modelled ({why}{'; ...' * (len(names) > 3)}): at least one of "
            "numbers, dates or words that stand in several rows was expected."
        )
    text = next(
        (f" ({n!r} holds {c.texts[0]!r})" for n, c in zip(names, contents, strict=True) if c.kind == "text"), ""
    )
    return InputError(
        f"{where} has no columns of numbers besides its labels{text}; at least one was expected, with cells "
        "parted by commas, semicolons, tabs or bars."
    )


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
        MIXED: options.words and content.kind == "text" and _mixes(content),
        "it holds text": content.kind == "text" and not (with_words and _repeats(content)),
        "saved index": index,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _is_code(content: Content) -> bool:
    """Whether a column holds two whole numbers alone, such as 1 and 2 for the sexes, which no normal describes."""
    if content.kind != "whole" or content.fault or len(content.levels) != 2:
        return False
    counts = np.unique(content.codes[content.codes >= 0], return_counts=True)[1]
    return bool(counts.sum() >= _FEWEST_CODES and counts.min() > 1)


def _mixes(content: Content) -> bool:
    """Whether a column of words holds many different numbers too, each of which would be a word."""
    numbers = content.numbers[~np.isnan(content.numbers)]
    many = len(np.unique(numbers)) > _MOST_NUMBERS
    return many and not content.order and _MIXED_SHARE * int((content.codes >= 0).sum()) <= len(numbers)


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
        elif reason == MIXED:
            notes.append(f"{where}: {listed} set aside, for holding numbers and words: correct the cells, or have each "
                         "of them taken for a word (--column NAME=words).")  # fmt: skip
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
    same = [names[i] for i in modelled if len(contents[i].codes) > 1 and len(contents[i].levels) == 1]
    if same:
        told = "they tell" if len(same) > 1 else "it tells"
        notes.append(f"{where}: {listing(same)} found constant, so {told} nothing about the others.")
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
