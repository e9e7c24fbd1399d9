"""What one column of a table is, how a table's text is written, and how a new number is written into it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from nelbo.core import InputError
from nelbo.data.dates import date_text, days_of, form_of_dates
from nelbo.data.notation import is_number, number_in, number_text, pattern_of, places_of, separator_of

Role = Literal["feature", "label", "target", "set aside"]
Kind = Literal["real", "whole", "binary", "truth", "text", "date", "empty"]
ROLES = ("feature", "label", "target", "set aside")
KINDS = ("real", "whole", "binary", "truth", "text", "date", "empty")

MISSING = frozenset(
    ("", "NA", "N/A", "n/a", "#N/A", "#NA", "#N/A N/A", "<NA>", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None")
    + ("1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN")
)
ODD_MISSING = frozenset(("?", "-", "--", ".", "*"))  # missing where they stand among numbers, or words with letters
_TRUTH = {"true": "false", "True": "False", "TRUE": "FALSE"}
_PADDED = re.compile(r"0\d+")  # a code, such as a zip code, and no number
SENTINELS = (-99.0, -999.0, -9999.0, -99999.0)  # numbers that mean "missing" where all others are zero or more
_FEWEST_BESIDE = 3  # other numbers in a column with such a mark


@dataclass(frozen=True)
class Dialect:
    """How the text of a table is written.

    Args:
        delimiter: between cells.
        encoding: of the bytes, as Python names it.
        decimal: the decimal mark, "." or ",".
        header: whether the first line names the columns.
        mark: whether the file begins with a byte order mark.
        line_end: of the first line.
        row_names: whether the header lacks a name for the first column, as R writes it.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    decimal: str = "."
    header: bool = True
    mark: bool = False
    line_end: str = "\n"
    row_names: bool = False


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Args:
        name: as the table has it; "" where it has none.
        role: "feature": modelled, or what a target is predicted from; "label"; "target": predicted; "set aside": left
            alone, and given back as it was.
        kind: "real", "whole" (whole numbers), "binary" (0 and 1), "truth" (words for false and true), "text", "date"
            (days since 1970) or "empty" (no values at all).
        reason: why it is set aside.
        places: decimal places to write; None: as many as the number needs.
        words: for false and true, of a column of truth values.
        levels: the distinct words of a column of text that is a feature, or ordered levels from the lowest, each of
            which is an entry of 0 or 1; None of numbers, which are one entry.
        form: of dates, as `strftime` has it; None where they are no text, and of other columns.
        sentinel: the number that means "missing", such as -999; None where there is none.
        asked: how it is modelled, where the user or the type of the column said so; "" where the data decide.
        pattern: how its numbers are written, see `nelbo.data.notation.pattern_of`; "" where they are plain.
    """

    name: str
    role: Role
    kind: Kind
    reason: str = ""
    places: int | None = None
    words: tuple[str, str] | None = None
    levels: tuple[str, ...] | None = None
    form: str | None = None
    sentinel: float | None = None
    asked: str = ""
    pattern: str = ""

    @property
    def width(self) -> int:
        """How many entries of an example it is."""
        return 1 if self.levels is None else len(self.levels)

    def keeps(self, text: str) -> bool:
        """Whether a cell stays although the model knows nothing of it: a word that no training row had."""
        word = text.strip().strip('"').strip()
        if self.levels is None or word in MISSING or (word in ODD_MISSING and word not in self.levels):
            return False
        return not (self.sentinel is not None and is_number(word) and float(word) == self.sentinel)

    def written(self, value: float, decimal: str = ".", *, exact: bool = False) -> str:
        """A value in the form that the column's own cells have.

        Args:
            value: in the user's units; of a column of words the place of the word.
            decimal: the decimal mark.
            exact: write 15 significant digits where the places are open, not 8 (large numbers with a small spread).
        """
        if self.levels is not None:
            return self.levels[int(value)]
        if self.kind == "date" and self.form is not None:
            return date_text(value, self.form, self.places)
        if self.kind == "truth" and self.words is not None:
            return self.words[int(value >= 0.5)]
        if self.kind == "binary":
            value = float(value >= 0.5)
        elif self.kind == "whole":
            value = float(np.rint(value))
        return number_text(value, self.places, self.pattern, decimal, exact=exact)


@dataclass(frozen=True, eq=False)
class Content:
    """The cells of one column, read.

    Args:
        kind: as in `Column`.
        numbers: `(n,)` float64, NaN where a cell is missing or holds text.
        codes: `(n,)` places in `texts`; -1 where a cell is missing.
        texts: the distinct cells.
        places: as in `Column`.
        words: as in `Column`.
        fault: the first cell that keeps a column of numbers from being one; "" where nothing does.
        fault_row: where it stands.
        markers: text that was taken for a missing cell, such as "NA" and "?", in the order of the alphabet.
        form: as in `Column`.
        order: the levels of an ordered column from the lowest, in `texts`; () of others.
        pattern: as in `Column`.
    """

    kind: Kind
    numbers: np.ndarray
    codes: np.ndarray
    texts: tuple[str, ...]
    places: int | None = None
    words: tuple[str, str] | None = None
    fault: str = ""
    fault_row: int = -1
    markers: tuple[str, ...] = ()
    form: str | None = None
    order: tuple[str, ...] = ()
    pattern: str = ""

    @property
    def odd_cell(self) -> tuple[int, str]:
        """Row and text of the first cell that is no number in a column that should hold numbers."""
        row = self.fault_row if self.fault else int(np.argmax(self.codes >= 0))
        return row, self.texts[self.codes[row]]

    @property
    def counts_rows(self) -> bool:
        """Whether the cells are distinct whole numbers, as those of a saved index are."""
        whole = self.kind in {"whole", "binary"} and not np.isnan(self.numbers).any()
        return whole and len(np.unique(self.numbers)) == len(self.numbers)

    @property
    def levels(self) -> tuple[str, ...]:
        """The distinct cells that are there, sorted; all levels of an ordered column in their order."""
        return self.order or tuple(sorted({self.texts[code] for code in np.unique(self.codes[self.codes >= 0])}))


def content_of(codes: np.ndarray, distinct: list[str], decimal: str) -> Content:
    """Read the cells of a text column.

    Args:
        codes: `(n,)` places in `distinct`.
        distinct: the distinct cells, as they were found.
        decimal: the decimal mark.
    """
    texts = [text.strip() for text in distinct]
    missing = np.array([text in MISSING for text in texts], bool)
    counts = np.bincount(codes, minlength=len(texts))
    words = _truth_words({text for text, gone in zip(texts, missing, strict=True) if not gone})
    if words is not None:
        numbers = np.array(
            [np.nan if gone else text.lower() == "true" for text, gone in zip(texts, missing, strict=True)]
        )
        return _content("truth", numbers, codes, texts, missing, words=words)
    odd_ones = np.array([text in ODD_MISSING for text in texts], bool)
    numeric, separator = np.array([is_number(text, decimal) for text in texts], bool) & ~missing, ""
    if not (numeric | missing | odd_ones).all():
        separator = separator_of([t for t, gone in zip(texts, missing | odd_ones, strict=True) if not gone], decimal)
    if separator:
        numeric = np.array([is_number(text, decimal, separator) for text in texts], bool) & ~missing
    if any(_PADDED.fullmatch(text) for text in texts) and all(
        text.isdigit() for text, is_one in zip(texts, numeric, strict=True) if is_one
    ):
        numeric[:] = False
    present = int(counts[~missing].sum())
    mostly = 2 * int(counts[numeric].sum()) >= present > 0
    odd = ~missing & ~numeric
    others = [text for text, is_other in zip(texts, odd & ~odd_ones, strict=True) if is_other]
    # "?" among words is a gap, "+" and "-" alone are words
    if not others if mostly else others and all(any(map(str.isalnum, word)) for word in others):
        missing, odd = missing | odd_ones, odd & ~odd_ones
    values = [number_in(text, decimal, separator) if one else np.nan for text, one in zip(texts, numeric, strict=True)]
    numbers = np.array(values, np.float64)
    if not numeric.any():
        return _dated(_content("text" if odd.any() else "empty", numbers, codes, texts, missing))
    if odd.any() and not mostly:
        return _content("text", numbers, codes, texts, missing)
    fault, fault_row = "", int(np.argmax(odd[codes]))
    if odd.any():
        fault = texts[codes[fault_row]]
    written = [text for text, is_one in zip(texts, numeric, strict=True) if is_one]
    found = numbers[numeric]
    kind = "real"
    if np.isfinite(found).all() and (found == np.rint(found)).all():
        kind = "binary" if np.isin(found, (0.0, 1.0)).all() else "whole"
    read = _content(kind, numbers, codes, texts, missing)
    places = places_of(written, found, decimal)
    read = replace(read, fault=fault, fault_row=fault_row if fault else -1)
    return replace(read, places=places, pattern=pattern_of(written, found, decimal, separator))


def text_of(codes: np.ndarray, distinct: Sequence[str]) -> Content:
    """Read the cells of a column that is text by its type: words or dates, and marks for missing ones.

    Args:
        codes: `(n,)` places in `distinct`; -1 where a cell is missing.
        distinct: the distinct cells, as they were found.
    """
    texts = [*(text.strip() for text in distinct), ""]
    missing = np.array([text in MISSING for text in texts], bool)
    odd_ones = np.array([text in ODD_MISSING for text in texts], bool)
    if not all(any(map(str.isalnum, text)) for text in np.array(texts, object)[~missing & ~odd_ones]):
        odd_ones[:] = False
    missing |= odd_ones
    kind = "empty" if missing.all() else "text"
    return _dated(_content(kind, np.full(len(texts), np.nan), codes, texts, missing))


def _dated(content: Content) -> Content:
    """A column of text that holds dates, as days since 1970."""
    form = form_of_dates(content.levels) if content.kind == "text" else None
    return content if form is None else dates_in(content, form)


def dates_in(content: Content, form: str, place: Callable[[int], str] = "row {}".format) -> Content:
    """Cells of text as dates of a form: days since 1970.

    Args:
        content: of the column.
        form: as `strftime` has it.
        place: how to call a row, for the message.

    Raises:
        InputError: a cell that is no such date.
    """
    days = [days_of(text, form) for text in content.texts]
    there = content.codes >= 0
    odd = [i for i in np.unique(content.codes[there]).tolist() if days[i] is None]
    if odd:
        row = int(np.argmax(content.codes == odd[0]))
        raise InputError(f"{place(row)} holds {content.texts[odd[0]]!r}, which is no date like {date_text(0.0, form)}")
    values = np.array([np.nan if day is None else day for day in days], float)
    numbers = np.where(there, values[content.codes] if len(values) else np.nan, np.nan)
    decimals = max((len(text.rpartition(".")[2].rstrip("Z")) for text in content.levels), default=0)
    return replace(content, kind="date", numbers=numbers, form=form, places=decimals if "%f" in form else None)


def sentinel_in(content: Content) -> float | None:
    """The number in a column that means "missing": -99, -999, ... where all others are zero or more and smaller."""
    if content.kind not in {"real", "whole"} or content.fault:
        return None
    there = content.numbers[~np.isnan(content.numbers)]
    for value in SENTINELS:
        others = there[there != value]
        marked = len(others) < len(there) and len(np.unique(others)) >= _FEWEST_BESIDE
        if marked and others.min() >= 0 and others.max() < -value:
            return value
    return None


def without_sentinel(content: Content, value: float) -> Content:
    """The column with the cells missing that hold this number."""
    gone = content.numbers == value
    if not gone.any():
        return content
    numbers = np.where(gone, np.nan, content.numbers)
    found = numbers[~np.isnan(numbers)]
    kind = "binary" if content.kind == "whole" and np.isin(found, (0.0, 1.0)).all() else content.kind
    return replace(content, kind=kind, numbers=numbers, codes=np.where(gone, -1, content.codes),
                   markers=(*content.markers, f"{value:g}"))  # fmt: skip


def without_markers(content: Content, levels: Sequence[str]) -> Content:
    """A column of words with the cells missing that hold a mark such as "?", unless it is one of the levels."""
    gone = [code for code, text in enumerate(content.texts) if text in ODD_MISSING and text not in levels]
    if not gone:
        return content
    codes = np.where(np.isin(content.codes, gone), -1, content.codes)
    markers = {content.texts[code] for code in gone if code in content.codes} | {*content.markers}
    return replace(content, codes=codes, markers=tuple(sorted(markers)))


def _content(
    kind: Kind,
    numbers: np.ndarray,
    codes: np.ndarray,
    texts: list[str],
    missing: np.ndarray,
    *,
    words: tuple[str, str] | None = None,
) -> Content:
    """Spread what was found about the distinct cells over the rows; the parameters are those of `Content`."""
    values = numbers[codes] if len(numbers) else np.full(len(codes), np.nan)
    places_of_texts = np.where(missing, -1, np.arange(len(texts)))
    rows = places_of_texts[codes] if len(texts) else codes
    markers = sorted({text for text, gone in zip(texts, missing, strict=True) if gone and text})
    return Content(kind, values, rows, tuple(texts), words=words, markers=tuple(markers))


def _truth_words(texts: set[str]) -> tuple[str, str] | None:
    """The words for false and true, in the letters of the table; None where the cells are no truth values."""
    if not 0 < len(texts) <= 8 or not {t.lower() for t in texts} <= {"true", "false"}:
        return None
    for true, false in _TRUTH.items():
        if texts <= {true, false}:
            return false, true
    return "False", "True"
