"""What the columns, shapes, kinds and levels of a data set are; it travels with a run and turns answers back."""

import dataclasses
import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from nelbo.core import InputError, choice
from nelbo.data.columns import KINDS, ROLES, Column, Dialect
from nelbo.data.covariates_schema import Covariates
from nelbo.data.events_schema import Events
from nelbo.data.roles import listing, shown_names
from nelbo.data.series_schema import Series
from nelbo.data.tables import UserTable

Values = Literal["uint8", "binary", "unit", "real", "counts"]
VALUES = ("uint8", "binary", "unit", "real", "counts")
_WANTED = types.MappingProxyType(
    {
        "uint8": "whole numbers from 0 to 255 were",
        "binary": "zeros and ones were",
        "unit": "numbers from 0 to 1 were",
        "counts": "whole numbers from 0 on were",
        "real": "finite numbers were",
    }
)


@dataclass(frozen=True)
class Pairs:
    """What the cells of a matrix are, where every example is the value of one pair of row and column.

    Args:
        names: of the columns with row, column, value, and maybe a physical prediction.
        row_ids: the id of row 0, 1, ...: those that were trained on.
        column_ids: the same of columns.
        levels: the distinct values in their order, where they are few; () where they are many.
    """

    names: tuple[str, ...]
    row_ids: tuple[str, ...]
    column_ids: tuple[str, ...]
    levels: tuple[float, ...] = ()

    @property
    def has_physical(self) -> bool:
        """Whether each pair comes with a physical prediction of its value."""
        return len(self.names) == 4

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Pairs":
        """Read it from JSON."""
        names, rows, columns = (
            tuple(_checked(text, str) for text in record[part]) for part in ("names", "row_ids", "column_ids")
        )
        if len(names) not in {3, 4} or not rows or not columns:
            raise ValueError("three or four names, and at least one row and one column were expected")
        return cls(names, rows, columns, tuple(_checked(level, float) for level in record["levels"]))


@dataclass(frozen=True)
class Schema:
    """What a data set is, without its rows.

    Args:
        shape: of one example; images are height x width x channels.
        values: what the user's numbers are, before any binarization: "uint8" (grey values 0..255), "binary" (0 and 1),
            "unit" (in [0, 1]), "real" or "counts" (of words).
        columns: of a table, all of the file's in their order; () for other data.
        dialect: how the text of the table was written; None for other data.
        label_names: the name of label 0, 1, ...
        offset: one float64 for each entry of `shape`, flat: what was subtracted from real numbers that dwarf their
            spread before they became float32. None: nothing. A shift changes no log density.
        pairs: of the cells of a matrix; None for other data.
        series: of windows of series; None for other data.
        events: of sequences of events; None for other data.
        covariates: what is known of each row and not modelled; None for other data.
    """

    shape: tuple[int, ...]
    values: Values
    columns: tuple[Column, ...] = ()
    dialect: Dialect | None = None
    label_names: tuple[str, ...] | None = None
    offset: tuple[float, ...] | None = None
    pairs: Pairs | None = None
    series: Series | None = None
    events: Events | None = None
    covariates: Covariates | None = None

    @property
    def has_rows(self) -> bool:
        """Whether examples are arrays or rows of a table: no values of pairs, windows of series or events."""
        return self.pairs is None and self.series is None and self.events is None

    @property
    def is_image(self) -> bool:
        """Whether examples are pictures."""
        return len(self.shape) == 3 and self.shape[-1] in {1, 3}

    @property
    def is_colour(self) -> bool:
        """Whether examples are pictures in colour."""
        return self.is_image and self.shape[-1] == 3

    @property
    def top(self) -> float | None:
        """The largest value there can be; None where there is none."""
        return {"uint8": 255.0, "binary": 1.0, "unit": 1.0}.get(self.values)

    @property
    def features(self) -> tuple[Column, ...]:
        """The modelled columns, in the order of the entries of an example; one of words is several entries."""
        return tuple(column for column in self.columns if column.role == "feature")

    @property
    def target(self) -> Column | None:
        """The column that is predicted; None where there is none."""
        return next((column for column in self.columns if column.role == "target"), None)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What to call each entry of an example that is a row of a table; () for other data."""
        names: list[str] = []
        for name, column in zip(shown_names([column.name for column in self.columns]), self.columns, strict=True):
            if column.role == "feature":
                names += [name] if column.levels is None else [f"{name} = {level}" for level in column.levels]
        return tuple(names)

    @property
    def modelled_names(self) -> tuple[str, ...]:
        """What to call each modelled column."""
        names = shown_names([column.name for column in self.columns])
        return tuple(name for name, column in zip(names, self.columns, strict=True) if column.role == "feature")

    @property
    def first_entries(self) -> list[int]:
        """Where in an example each modelled column begins."""
        widths = [column.width for column in self.features]
        return [sum(widths[:i]) for i in range(len(widths))]

    def by_column(self, x: np.ndarray) -> np.ndarray:
        """Examples `(n, entries)` as one number for each modelled column: of words the place of the largest entry."""
        parts = [
            x[:, [at]] if column.levels is None else x[:, at : at + column.width].argmax(1)[:, None]
            for at, column in zip(self.first_entries, self.features, strict=True)
        ]
        return np.concatenate(parts, axis=1) if parts else x

    def record(self) -> dict[str, Any]:
        """A JSON-able form; `from_record` reads it."""
        plain = dataclasses.asdict(self)
        return plain | {
            name: list(plain[name]) for name in ("shape", "label_names", "offset") if plain[name] is not None
        }

    @classmethod
    def from_record(cls, record: Any, where: str = "The schema") -> "Schema":
        """Read what `record` gave, whatever a file may hold in its place.

        Raises:
            InputError: it is no schema.
        """
        try:
            return _read_schema(record)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{where} is damaged or of another version ({error}): fit the model again.") from error

    def matched(self, table: UserTable) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Find the modelled columns in another table, by name and whatever their order.

        Where one of the two has no names, columns are taken in their order, if there are as many.

        Returns:
            The place of each modelled column in the table, and what is to be said.

        Raises:
            InputError: a modelled column is missing; the sentence names all that are missing or unknown.
        """
        own, other = shown_names([column.name for column in self.columns]), shown_names(table.names)
        places = [i for i, column in enumerate(self.columns) if column.role == "feature"]
        if not any(column.name for column in self.columns) or not any(table.names):
            return self._by_place(table, places)
        found = {name: i for i, name in enumerate(other)}
        missing = [own[i] for i in places if own[i] not in found]
        unknown = [name for name in other if name not in own and table.names[found[name]] != ""]
        if missing:
            beside = f"; {listing(unknown)} not known to it" if unknown else ""
            plural = "column" if len(missing) == 1 else "columns"
            raise InputError(
                f"{table.where} lacks the {plural} {', '.join(map(repr, missing))} that the model was fitted to"
                f"{beside}: give a table with these names, in any order."
            )
        notes = (f"{table.where}: {listing(unknown)} not in the data that the model was fitted to, and left alone.",)
        return tuple(found[own[i]] for i in places), notes if unknown else ()

    def _by_place(self, table: UserTable, places: list[int]) -> tuple[tuple[int, ...], tuple[str, ...]]:
        count, given = len(self.columns), len(table.names)
        note = (f"{table.where}: columns were matched by their places, for want of names.",)
        if given == count:
            return tuple(places), note
        if given == len(places):
            return tuple(range(given)), note
        raise InputError(
            f"{table.where} has {given} columns, but the model was fitted to a table of {count}, and there are no "
            "names to match them by: give the same columns in the same order."
        )

    def check(self, x: np.ndarray, observed: np.ndarray | None, where: str) -> None:
        """Refuse values that these data cannot have.

        Raises:
            InputError: see `check_values`.
        """
        check_values(self.values, x, where, observed)

    def centred(self, x: np.ndarray) -> np.ndarray:
        """Numbers in the user's units as the model has them: less `offset`, in float64 where there is one."""
        if self.offset is None:
            return x
        return np.asarray(x, np.float64) - np.reshape(self.offset, self.shape)

    def restored(self, x: np.ndarray) -> np.ndarray:
        """Numbers as the model has them, `(..., *shape)`, in the user's units: plus `offset`, then in float64."""
        if self.offset is None:
            return x
        return np.asarray(x, np.float64) + np.reshape(self.offset, self.shape)


def check_values(values: str, x: np.ndarray, where: str, observed: np.ndarray | None = None) -> None:
    """Refuse numbers that are not of the kind that was expected.

    Args:
        values: as in `Schema.values`.
        x: any array of numbers.
        where: what they are, for the message.
        observed: bool, the shape of `x`; entries that are False are not looked at.

    Raises:
        InputError: a number of another kind; the sentence names the first and what was expected.
    """
    choice("kind of values", values, VALUES)
    bad = ~np.isfinite(x) if x.dtype.kind == "f" else np.zeros(x.shape, bool)
    if values in {"binary", "uint8", "unit"}:
        top = 255 if values == "uint8" else 1
        bad |= (x < 0) | (x > top)
    elif values == "counts":
        bad |= x < 0
    if x.dtype.kind == "f" and values in {"binary", "uint8", "counts"}:
        bad |= x != np.rint(x)
    if observed is not None:
        bad &= observed
    if bad.any():
        place = np.unravel_index(int(np.argmax(bad)), x.shape)
        raise InputError(
            f"{where} holds {x[place]:.6g} (in row {place[0]}), but {_WANTED[values]} expected: the model was fitted "
            "to such data; convert these in the same way."
        )


def as_images(x: np.ndarray, shape: Sequence[int], where: str) -> np.ndarray:
    """Examples in the shape that was expected: grey images without their channel axis are the same images.

    Args:
        x: `(n, *shape)`, or `(n, height, width)` where `shape` is `(height, width, 1)`; and the other way round.
        shape: of one example.
        where: what they are, for the message.

    Raises:
        InputError: another shape.
    """
    given, wanted = tuple(x.shape[1:]), tuple(shape)
    if given == wanted:
        return x
    if (*given, 1) == wanted and len(wanted) == 3:
        return x[..., None]
    if given == (*wanted, 1) and len(given) == 3:
        return x[..., 0]
    raise InputError(
        f"{where} has examples of shape {list(given)}, but the model was fitted to {list(wanted)}: give data of "
        "that shape."
    )


def _read_schema(record: Any) -> Schema:
    known = {field.name for field in dataclasses.fields(Schema)}
    if not isinstance(record, Mapping) or not {"shape", "values"} <= set(record) <= known:
        raise ValueError("other fields than a schema has")
    shape = tuple(_checked(n, int) for n in record["shape"])
    if any(n < 1 for n in shape) or record["values"] not in VALUES:
        raise ValueError(f"shape {record['shape']}, values {record['values']!r}")
    columns = tuple(_column(entry) for entry in record.get("columns", ()))
    if columns and sum(column.width for column in columns if column.role == "feature") != math.prod(shape):
        raise ValueError("as many entries as the modelled columns have were expected")
    dialect = record.get("dialect")
    names, offset = record.get("label_names"), record.get("offset")
    if offset is not None and (len(offset) != math.prod(shape) or not all(map(math.isfinite, offset))):
        raise ValueError("one finite offset for each entry was expected")
    return Schema(
        shape,
        cast("Values", record["values"]),
        columns,
        None if dialect is None else _dialect(dialect),
        None if names is None else tuple(_checked(name, str) for name in names),
        None if offset is None else tuple(float(number) for number in offset),
        None if record.get("pairs") is None else Pairs.from_record(record["pairs"]),
        None if record.get("series") is None else Series.from_record(record["series"], _column),
        None if record.get("events") is None else Events.from_record(record["events"]),
        None if record.get("covariates") is None else Covariates.from_record(record["covariates"]),
    )


def _checked(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{value!r} where {kind} was expected")
    return value


def _column(record: Mapping[str, Any]) -> Column:
    words, places, levels = record.get("words"), record.get("places"), record.get("levels")
    if record["role"] not in ROLES or record["kind"] not in KINDS:
        raise ValueError(f"a column of role {record['role']!r} and kind {record['kind']!r}")
    return Column(
        _checked(record["name"], str),
        record["role"],
        record["kind"],
        _checked(record.get("reason", ""), str),
        None if places is None else _checked(places, int),
        None if words is None else (_checked(words[0], str), _checked(words[1], str)),
        None if levels is None else tuple(_checked(level, str) for level in levels),
        None if (form := record.get("form")) is None else _checked(form, str),
        None if (sentinel := record.get("sentinel")) is None else float(_checked(sentinel, float | int)),
        _checked(record.get("asked", ""), str),
        _checked(record.get("pattern", ""), str),
    )


def _dialect(record: Mapping[str, Any]) -> Dialect:
    plain = Dialect(**record)
    for field in dataclasses.fields(Dialect):
        _checked(getattr(plain, field.name), type(field.default))
    return plain
