"""The user's own files and folders as data sets."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.core import InputError
from nelbo.data.answer_columns import UNKNOWN_CLASS, numbered_classes, read_labels, read_targets
from nelbo.data.archives import archive_splits
from nelbo.data.asked import not_numeric, ordered
from nelbo.data.catalogue import IDX_FILES
from nelbo.data.columns import Column, Content, dates_in, sentinel_in, without_markers, without_sentinel
from nelbo.data.cuts import Cuts, complete
from nelbo.data.entries import read_entries
from nelbo.data.formats import read_idx, read_npy, read_npz
from nelbo.data.named import idx_path
from nelbo.data.pictures import read_pictures
from nelbo.data.prepare import Prepared, is_grey_image, offset_of, prepare, with_targets
from nelbo.data.reading import ReadTable, read_csv, read_excel, read_feather, read_frame, read_parquet
from nelbo.data.roles import (
    TableOptions,
    assign_roles,
    marker_notes,
    set_aside_notes,
    shown_names,
)
from nelbo.data.schema import Schema, Values
from nelbo.data.splits import Data, Split
from nelbo.data.tables import UserTable

TABLES = (".csv", ".tsv", ".parquet", ".feather", ".xlsx")
SUFFIXES = (".npy", ".npz", *TABLES)
_WANTED = "a .npy, .npz, .csv, .tsv, .parquet, .feather or .xlsx file, or a folder of images"

_TYPED = {".parquet": read_parquet, ".feather": read_feather, ".xlsx": read_excel}


@dataclass(frozen=True)
class Found:
    """What a file or folder holds, as it was found.

    Args:
        splits: its own, or "train" alone.
        label_names: as in `Schema`.
        columns: of a table.
        table: the table itself.
        notes: what was assumed.
    """

    splits: dict[str, Split]
    label_names: tuple[str, ...] | None = None
    columns: tuple[Column, ...] = ()
    table: UserTable | None = None
    notes: tuple[str, ...] = ()


def load_path(
    path: Path, *, cuts: Cuts, options: TableOptions, like: Schema | None = None, stream: bool = False
) -> Data:
    """Load a file or folder in splits; see `nelbo.data.load` for the arguments."""
    if not path.exists():
        raise InputError(f"There is no file or folder {path}: correct the path; {_WANTED} was expected.")
    if stream:
        return _streamed(path, cuts)
    found = _with_classes(read_path(path, options, like), options, like)
    prepared = prepare(str(path), found.splits, like, targets=options.targets, real=options.words)
    if options.targets is not None:
        prepared = with_targets(str(path), prepared)
    splits = complete(str(path), prepared.splits, cuts)
    return _data(path, found, replace(prepared, splits=splits), like)


def load_whole(path: Path, *, options: TableOptions, like: Schema | None = None) -> Data:
    """Load all rows of a file in their order; see `nelbo.data.load_rows`."""
    if not path.exists():
        raise InputError(f"There is no file or folder {path}: correct the path; {_WANTED} was expected.")
    found = _with_classes(read_path(path, options, like), options, like)
    prepared = prepare(str(path), found.splits, like, targets=options.targets, real=options.words)
    if tuple(prepared.splits) == ("train",):
        prepared = replace(prepared, splits={"rows": prepared.splits["train"]})
    return _data(path, found, prepared, like)


def frame_rows(
    frame: Any, *, where: str, options: TableOptions, like: Schema | None = None, cuts: Cuts | None = None
) -> Data:
    """A data frame in memory; see `nelbo.data.load_frame`."""
    found = _from_table(read_frame(frame, where), options, like)
    prepared = prepare(where, found.splits, like, real=options.words)
    splits = {"rows": prepared.splits["train"]} if cuts is None else complete(where, prepared.splits, cuts)
    return _data(Path(where), found, replace(prepared, splits=splits), like)


def array_rows(
    x: np.ndarray, *, where: str, like: Schema | None = None, cuts: Cuts | None = None, real: bool = False
) -> Data:
    """An array in memory; see `nelbo.data.load_array`."""
    prepared = prepare(where, {"train": Split(np.array(x))}, like, real=real)
    splits = {"rows": prepared.splits["train"]} if cuts is None else complete(where, prepared.splits, cuts)
    return _data(Path(where), Found({}), replace(prepared, splits=splits), like)


def _data(path: Path, found: Found, prepared: Prepared, like: Schema | None) -> Data:
    dialect = None if found.table is None else found.table.dialect
    schema = like or prepared.schema(columns=found.columns, dialect=dialect, label_names=found.label_names)
    return Data(
        path.stem or path.resolve().name,
        prepared.splits,
        schema,
        source=str(path),
        table=found.table,
        notes=(*found.notes, *prepared.notes),
    )


def read_path(path: Path, options: TableOptions, like: Schema | None) -> Found:
    """Read a file or folder."""
    suffix = path.suffix.lower()
    if replace(options, targets=None, words=False, beside=()) != TableOptions() and (
        path.is_dir() or suffix not in TABLES
    ):
        raise InputError(
            f"header, columns, column, ignore and target are about tables, but {path} is none: leave them out."
        )
    if path.is_dir():
        if idx_path(path, IDX_FILES["x_train"]) is not None:
            return _idx_splits(path)
        pictures = read_pictures(path)
        return Found(pictures.splits, pictures.label_names, notes=pictures.notes)
    if suffix == ".npy":
        return Found({"train": Split(read_npy(path))})
    if suffix == ".npz":
        splits, notes = archive_splits(read_npz(path), str(path), options.beside)
        return Found(splits, notes=notes)
    if suffix in _TYPED:
        return _from_table(_TYPED[suffix](path), options, like)
    if suffix in TABLES:
        known = () if like is None else [column.name for column in like.features if column.name]
        return _from_table(read_csv(path, header=options.header, known=known), options, like)
    raise InputError(f"nelbo does not read {path.suffix or 'files without a suffix'} ({path}): {_WANTED} was expected.")


def _from_table(reading: ReadTable, options: TableOptions, like: Schema | None) -> Found:
    if like is not None and like.columns:
        return _like_table(reading, like, options)
    # roles first: they keep each column's own mark for "missing"
    marked = replace(reading, contents=tuple(map(_without_mark, reading.contents)))
    roles = assign_roles(reading, options, marked.contents)
    reading = replace(marked, contents=tuple(map(_as_levels, roles.columns, marked.contents)))
    places = [i for i, column in enumerate(roles.columns) if column.role == "feature"]
    y, label_names, notes = None, None, roles.notes
    for column, content in zip(roles.columns, reading.contents, strict=True):
        if column.role == "target" and options.targets is not None:
            y, label_names, said = read_targets(reading.table.where, column, content, options.targets, None)
            notes = (*notes, *said)
        if column.role == "label":
            y, label_names = read_labels(reading.table.where, column, content, None)
    features = [roles.columns[i] for i in places]
    for i in places:
        _refuse_infinite(reading.table, shown_names(reading.table.names)[i], roles.columns[i], reading.contents[i])
    x, said = read_entries(reading.table.where, features, [reading.contents[i] for i in places], modelled=options.words)
    return Found({"train": Split(x, y)}, label_names, roles.columns, reading.table, (*notes, *said))


def _like_table(reading: ReadTable, like: Schema, options: TableOptions) -> Found:
    """The columns that were modelled in the table of a run, in its order; labels and targets where they are there."""
    table, contents = reading.table, reading.contents
    if len(table) == 0:
        raise InputError(f"{table.where} has no rows; a table with at least one row was expected.")
    places, notes = like.matched(table)
    names = shown_names(table.names)
    contents = list(contents)
    for i, column in zip(places, like.features, strict=True):
        contents[i] = _like_column(table, names[i], column, contents[i])
        if column.levels is None and (contents[i].kind == "text" or contents[i].fault):
            raise not_numeric(table, names[i], contents[i], fitted=True)
        _refuse_infinite(table, names[i], column, contents[i])
    x, said = read_entries(table.where, like.features, [contents[i] for i in places], modelled=like.target is None)
    notes = (*notes, *set_aside_notes(table.where, like.columns, dict(zip(table.names, contents, strict=True))), *said)
    notes = (*notes, *marker_notes(table.where, [names[i] for i in places], [contents[i] for i in places]))
    label = next((column for column in like.columns if column.role in {"label", "target"}), None)
    y = None
    at = None if label is None else _place_of(label, like, table)
    if label is not None and at is not None:
        content = contents[at]
        if label.role == "target":
            kind = options.targets or ("number" if like.label_names is None else "class")
            y, _, said = read_targets(table.where, label, content, kind, like.label_names)
            notes = (*notes, *said)
        elif (content.codes < 0).any():
            notes = (*notes, f"{table.where}: some labels are blank, so none are used.")
        else:
            y, _ = read_labels(table.where, label, content, like.label_names)
    return Found({"train": Split(x, y)}, like.label_names, like.columns, table, (*reading.notes, *notes))


def _refuse_infinite(table: UserTable, name: str, column: Column, content: Content) -> None:
    """Refuse numbers that are none to a model.

    Raises:
        InputError: an infinity, or a number beyond those of float32.
    """
    large = np.abs(content.numbers) > np.finfo(np.float32).max
    if column.levels is not None or not large.any():
        return
    row = int(np.argmax(large))
    infinite = np.isinf(content.numbers[row])
    what = "infinite values" if infinite else f"values up to {content.numbers[row]:.1e}, too large for float32"
    raise InputError(
        f"{table.where}: column {name!r} holds {what} (first in {table.place(row)}): correct them, or leave the cells "
        "blank."
    )


def _as_levels(column: Column, content: Content) -> Content:
    return ordered(content, column.levels or ()) if column.asked == "ordinal" else content


def _without_mark(content: Content) -> Content:
    value = sentinel_in(content)
    return content if value is None else without_sentinel(content, value)


def _like_column(table: UserTable, name: str, column: Column, content: Content) -> Content:
    """A column as that of the run was read: with its mark for "missing", its form of dates.

    Raises:
        InputError: a cell that is no date among dates.
    """
    # the fitted table may have had another mark, or none
    content = _without_mark(content) if column.sentinel is None else without_sentinel(content, column.sentinel)
    if column.levels is not None:
        content = without_markers(content, column.levels)
    if column.asked == "ordinal":
        return ordered(content, column.levels or ())
    if column.kind != "date" or column.form is None or content.kind == "empty":
        return content
    try:
        return dates_in(content, column.form, table.place)
    except InputError as error:
        raise InputError(
            f"{table.where}: column {name!r} holds dates, but {error}: correct it, or leave it blank."
        ) from error


def _with_classes(found: Found, options: TableOptions, like: Schema | None) -> Found:
    """Labels of arrays as classes with names, whatever whole numbers they are; those of a table have theirs already."""
    labels = [np.asarray(split.y) for split in found.splits.values() if split.y is not None]
    if options.targets != "class" or found.table is not None or any(y.dtype.kind not in "bui" for y in labels):
        return found
    own = found.label_names or {value: str(value) for value in sorted({int(v) for y in labels for v in np.unique(y)})}
    names = tuple(own.values() if isinstance(own, dict) else own) if like is None else like.label_names
    if not labels or names is None:
        return found
    numbered = {
        name: split if split.y is None else replace(split, y=numbered_classes(np.asarray(split.y), own, names))
        for name, split in found.splits.items()
    }
    unknown = sum(int((split.y == UNKNOWN_CLASS).sum()) for split in numbered.values() if split.y is not None)
    note = f"{unknown} rows have a class that the model was not fitted to: it gives them no probability."
    return replace(found, splits=numbered, label_names=names, notes=(*found.notes, *([note] if unknown else [])))


def _place_of(column: Column, like: Schema, table: UserTable) -> int | None:
    """Where a label or target stands in another table; None where it is not there."""
    named = any(own.name for own in like.columns) and any(table.names)
    if named:
        return table.names.index(column.name) if column.name in table.names else None
    return like.columns.index(column) if column.role == "target" and len(table.names) == len(like.columns) else None


def _idx_splits(folder: Path) -> Found:
    found = {}
    for key, name in IDX_FILES.items():
        path = idx_path(folder, name)
        if path is not None:
            found[key] = read_idx(path)
    splits, notes = archive_splits(found, str(folder))
    return Found(splits, notes=notes)


def _streamed(path: Path, cuts: Cuts) -> Data:
    """A `.npy` file that stays on disk. It is read once, in pieces, to see what its values are."""
    if path.suffix.lower() != ".npy":
        raise InputError(f"Only a .npy file can be streamed, {path} is another: load it without stream.")
    array = read_npy(path, mmap=True)
    step = max(1, 2**22 // max(1, int(np.prod(array.shape[1:]))))
    kinds = set()
    for start in range(0, max(1, len(array)) if array.ndim else 1, step):
        piece = np.asarray(array[start : start + step] if array.ndim else array)
        prepared = prepare(str(path), {"train": Split(piece)})
        if prepared.splits["train"].observed is not None:
            raise InputError(f"{path} has missing entries (NaN), which cannot be streamed: load it without stream.")
        if (
            prepared.offset is not None
            and offset_of([Split(np.asarray(array[:: max(1, len(array) // 4096)]))]) is not None
        ):
            raise InputError(
                f"{path} holds numbers that are large beside their spread, which float32 would round away: subtract "
                "their mean and save them anew, or load it without stream."
            )
        kinds.add(prepared.values)
    if is_grey_image(array):
        array = array[..., None]
    splits = complete(str(path), {"train": Split(array)}, cuts, shuffle=False)
    schema = Schema(tuple(array.shape[1:]), _joined(kinds, array.dtype))
    return Data(path.stem or path.resolve().name, splits, schema, source=str(path))


def _joined(kinds: set[Values], dtype: np.dtype) -> Values:
    if kinds == {"binary"}:
        return "binary"
    if dtype == np.uint8:
        return "uint8"
    return "unit" if kinds <= {"unit", "binary"} and dtype.kind == "f" else "real"
