"""Triples of row, column and value (ratings, interactions, measurements of pairs) as data of a matrix."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nelbo.core import InputError, choice
from nelbo.data.cuts import Cuts, complete
from nelbo.data.formats import read_npz
from nelbo.data.prepare import offset_of
from nelbo.data.reading import ReadTable, read_csv, read_parquet
from nelbo.data.roles import shown_names
from nelbo.data.schema import Pairs, Schema
from nelbo.data.splits import Data, Split
from nelbo.data.tables import UserTable

MOST_LEVELS = 64  # distinct values that can still be the levels of an ordinal likelihood
UNSEEN = -1
_MOST_IDS = 2**24  # whole numbers that float32 holds
_ROLES = ("row", "column", "value", "physical prediction")
_WHOLE = re.compile(r"(-?(?:0|[1-9]\d*))\.0*")


@dataclass(frozen=True)
class Triples:
    """Cells of a matrix as they were found.

    Args:
        names: of the columns that hold row, column, value and maybe a physical prediction.
        rows: `(n,)` ids, text.
        columns: `(n,)` ids, text.
        values: `(n,)` float64; None where only pairs were read.
        physical: `(n,)` float64; None where there is none.
        places: `(n,)` where each stands in the file.
        notes: what was left out.
        table: the user's table; None of arrays.
    """

    names: tuple[str, ...]
    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray | None
    physical: np.ndarray | None
    places: np.ndarray
    notes: tuple[str, ...] = ()
    table: UserTable | None = None


def load_pairs(
    path: Path,
    names: Sequence[str],
    *,
    cuts: Cuts,
    header: bool | None = None,
    like: Schema | None = None,
    known: Pairs | None = None,
) -> Data:
    """The cells of a matrix in splits, by entry: each cell is one example, whose context is its row and its column.

    Rows and columns are numbered in the order of their ids in the training split; an id that has no training entry
    gets the number -1. Of a pair that is there several times whole values count once, as the last one given (a mark
    that was revised); other values are averaged.

    Args:
        path: a table (.csv, .tsv, .parquet), or a `.npz` file of equally long arrays.
        names: of the columns with row, column, value, and maybe a physical prediction of the value; () takes those of a
            file that has just three.
        cuts: how to choose entries for validation and testing.
        header: whether the first line of a CSV file names its columns; None finds out.
        like: the schema of data that a model was fitted to: its names and ids are used.
        known: ids that are numbered first, whether or not they have a training entry (another model knows them).

    Raises:
        InputError: no such file or column, text where numbers were expected, or nothing left to learn from.
    """
    found = read_triples(path, names if like is None or like.pairs is None else like.pairs.names, header=header)
    if found.values is None:
        raise InputError(f"{path} holds pairs without values: name the column of values as the third in --columns.")
    found, said = _without_repeats(path, found)
    assert found.values is not None
    centred = None if found.physical is not None else offset_of([Split(found.values[:, None])])
    offset = like.offset if like is not None else None if centred is None else tuple(centred.ravel().tolist())
    values = found.values if offset is None else found.values - offset[0]
    whole = Split(values[:, None].astype(np.float32), index=found.places)
    # a split of places alone, so that ids are numbered when it is known which of them are trained on
    parts = complete(str(path), {"train": replace(whole, index=np.arange(len(whole)))}, cuts)
    places = {name: np.arange(len(whole)) if split.index is None else split.index for name, split in parts.items()}
    pairs = _numbered(found, places["train"], known) if like is None or like.pairs is None else like.pairs
    context = pair_context(pairs, found.rows, found.columns, found.physical)
    splits = {name: replace(whole, context=context).rows(rows) for name, rows in places.items()}
    schema = like or Schema((1,), "real", offset=offset, pairs=pairs)
    notes = (*found.notes, *said, *_unseen_notes(path, splits, pairs))
    return Data(path.stem, splits, schema, source=str(path), table=found.table, notes=notes)


def pair_context(pairs: Pairs, rows: np.ndarray, columns: np.ndarray, physical: np.ndarray | None) -> np.ndarray:
    """The context of pairs, `(n, 2)` or `(n, 3)` float32: number of the row, of the column, physical prediction."""
    parts = [_numbers(rows, pairs.row_ids), _numbers(columns, pairs.column_ids)]
    return np.stack([*parts, *([] if physical is None else [physical])], 1).astype(np.float32)


def read_triples(
    path: Path | str, names: Sequence[str] = (), *, header: bool | None = None, values: bool = True
) -> Triples:
    """Read the cells of a matrix, or pairs alone; those with a blank are left out, and it is said.

    Args:
        path: see `load_pairs`.
        names: see `load_pairs`.
        header: see `load_pairs`.
        values: whether the column of values must be there; else it is read where it is.

    Raises:
        InputError: see `load_pairs`.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if not path.exists():
        raise InputError(f"There is no file {path}: correct the path; a table of row, column and value was expected.")
    if suffix == ".npz":
        return _from_arrays(path, read_npz(path), names, values=values)
    if suffix not in {".csv", ".tsv", ".parquet"}:
        raise InputError(f"{path} is no table of triples: a .csv, .tsv, .parquet or .npz file was expected.")
    reading = read_parquet(path) if suffix == ".parquet" else read_csv(path, header=header, known=list(names))
    return _from_table(reading, names, values=values)


def _chosen(where: str, there: Sequence[str], names: Sequence[str], *, values: bool) -> list[str]:
    """The names of the columns to read, in the order of `_ROLES`."""
    if not names and len(there) == 3:  # a fourth is as often a time stamp as a prediction
        return list(there)
    if len(names) not in {3, 4}:
        raise InputError(
            f"Say which columns of {where} hold row, column and value: --columns ROW,COLUMN,VALUE, and maybe a fourth "
            f"with a physical prediction; it has {', '.join(there)}."
        )
    if len(set(names)) != len(names):
        raise InputError(f"--columns names one column twice ({','.join(names)}): row, column and value are different.")
    needed = list(names) if values else [names[0], names[1], *names[3:]]
    for name in needed:
        choice("column", name, there)
    return [name if name in there else "" for name in names]


def _from_table(reading: ReadTable, names: Sequence[str], *, values: bool) -> Triples:
    table = reading.table
    if len(table) == 0:
        raise InputError(f"{table.where} has no rows; a table with at least one row was expected.")
    shown = shown_names(table.names)
    chosen = _chosen(table.where, shown, names, values=values)
    contents = {name: reading.contents[shown.index(name)] for name in chosen if name}
    ids, keep = [], np.ones(len(table), bool)
    for name in chosen[:2]:
        content = contents[name]
        texts = np.array([_plain(text) for text in content.texts] or [""], dtype=object)
        ids.append(texts[np.maximum(content.codes, 0)])
        keep &= content.codes >= 0
    numbers = []
    for role, name in zip(_ROLES[2:], chosen[2:], strict=False):
        content = contents.get(name)
        if content is not None and (content.kind == "text" or content.fault):
            row, cell = content.odd_cell
            raise InputError(
                f"{table.where}: column {name!r}, which was named for the {role}, is not numeric "
                f"({table.place(row)} holds {cell!r}): correct it, or name another in --columns."
            )
        numbers.append(None if content is None else content.numbers)
    given = tuple(names) or tuple(chosen)
    return replace(_kept(table.where, given, ids, numbers, keep, reading.notes, values=values), table=table)


def _from_arrays(path: Path, arrays: dict[str, np.ndarray], names: Sequence[str], *, values: bool) -> Triples:
    chosen = _chosen(str(path), list(arrays), names, values=values)
    found = [arrays[name] if name else None for name in chosen]
    lengths = {array.shape for array in found if array is not None}
    if len(lengths) != 1 or len(next(iter(lengths))) != 1:
        raise InputError(f"{path}: the arrays {', '.join(filter(None, chosen))} must be vectors of one length.")
    for name, array in zip(chosen[2:], found[2:], strict=True):
        if array is not None and array.dtype.kind not in "buif":
            raise InputError(f"{path}: the array {name!r} holds no numbers; row, column, value was expected.")
    ids = [np.array([_plain(str(one)) for one in arrays[name].tolist()], dtype=object) for name in chosen[:2]]
    numbers = [None if array is None else array.astype(np.float64) for array in found[2:]]
    given = tuple(names) or tuple(chosen)
    return _kept(str(path), given, ids, numbers, np.ones(len(ids[0]), bool), (), values=values)


def _plain(text: str) -> str:
    """An id as text: whole numbers are the same however they are stored."""
    match = _WHOLE.fullmatch(text)
    return match[1] if match else text


def _kept(
    where: str,
    names: tuple[str, ...],
    ids: list[np.ndarray],
    numbers: list[np.ndarray | None],
    keep: np.ndarray,
    notes: tuple[str, ...],
    *,
    values: bool,
) -> Triples:
    """What has no blank and no infinite number."""
    for role, column in zip(_ROLES[2:], numbers, strict=False):
        if column is not None and np.isinf(column).any():
            row = int(np.argmax(np.isinf(column)))
            raise InputError(f"{where}: the {role} in row {row} is infinite; give a finite number, or a blank.")
        if column is not None and (values or role != "value"):
            keep = keep & ~np.isnan(column)
    if not keep.any():
        raise InputError(f"{where}: no row has all of {', '.join(names)}; at least one such row was expected.")
    if not keep.all():
        notes = (*notes, f"{where}: {int((~keep).sum())} rows with a blank among {', '.join(names)} were left out.")
    value, physical = (numbers + [None])[:2]
    return Triples(
        names,
        ids[0][keep],
        ids[1][keep],
        None if value is None else value[keep],
        None if physical is None else physical[keep],
        np.flatnonzero(keep),
        notes,
    )


def _without_repeats(path: Path, found: Triples) -> tuple[Triples, tuple[str, ...]]:
    """Every pair once."""
    assert found.values is not None
    row_codes, column_codes = (
        np.unique(ids.astype(str), return_inverse=True)[1] for ids in (found.rows, found.columns)
    )
    _, last, pair = np.unique(
        (row_codes.astype(np.int64) * (column_codes.max() + 1) + column_codes)[::-1],
        return_index=True,
        return_inverse=True,
    )
    if len(last) == len(pair):
        return found, ()
    last, pair = len(pair) - 1 - last, pair[::-1]
    order = np.argsort(last)
    values, physical = found.values[last], found.physical
    whole = bool((found.values == np.rint(found.values)).all())
    counts = np.bincount(pair)
    if not whole:
        values = np.bincount(pair, found.values) / counts
    if physical is not None:
        physical = (np.bincount(pair, physical) / counts)[order]
    again = int((counts > 1).sum())
    kept = "the last value counts" if whole else "their mean counts"
    said = f"{path}: {again} pairs stand there more than once ({len(pair) - len(last)} rows too many); {kept}."
    chosen = last[order]
    return replace(
        found,
        rows=found.rows[chosen],
        columns=found.columns[chosen],
        values=values[order],
        physical=physical,
        places=found.places[chosen],
    ), (said,)


def _numbered(found: Triples, train: np.ndarray, known: Pairs | None) -> Pairs:
    """The ids and levels of the entries that are trained on, behind those that are known."""
    assert found.values is not None
    first: tuple[tuple[str, ...], ...] = ((), ()) if known is None else (known.row_ids, known.column_ids)
    rows, columns = (
        (*before, *sorted(set(ids[train].tolist()) - set(before), key=_order))
        for before, ids in zip(first, (found.rows, found.columns), strict=True)
    )
    if max(len(rows), len(columns)) > _MOST_IDS:
        raise InputError(f"A matrix has at most {_MOST_IDS} rows and columns, got {len(rows)} x {len(columns)}: leave "
                         "the rarest ids out.")  # fmt: skip
    levels = np.unique(found.values)
    return Pairs(found.names, rows, columns, tuple(levels.tolist()) if len(levels) <= MOST_LEVELS else ())


def _order(text: str) -> tuple[int, str]:
    """Numbers by their size."""
    return (len(text), text) if text.isdigit() else (1 << 30, text)


def _numbers(ids: np.ndarray, known: Sequence[str]) -> np.ndarray:
    number = {name: i for i, name in enumerate(known)}
    return np.array([number.get(one, UNSEEN) for one in ids.tolist()], np.int64)


def _unseen_notes(path: Path, splits: dict[str, Split], pairs: Pairs) -> tuple[str, ...]:
    """How many entries of a split have a row or a column that is never trained on."""
    notes = []
    for name, split in splits.items():
        unseen = 0 if split.context is None else int((split.context[:, :2] < 0).any(1).sum())
        if unseen:
            notes.append(
                f"{path}: {unseen} of {len(split)} {name} entries have a {pairs.names[0]} or {pairs.names[1]} without "
                "any training entry: the prior stands for it."
            )
    return tuple(notes)
