"""Rows with covariates: a table or arrays, of which some columns say when, at which angle, or whose a row is."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.core import InputError, choice
from nelbo.data.covariates_schema import Covariates
from nelbo.data.cuts import Cuts
from nelbo.data.formats import read_npz
from nelbo.data.long import table_times
from nelbo.data.reading import read_csv, read_parquet
from nelbo.data.roles import TableOptions, shown_names
from nelbo.data.schema import Schema
from nelbo.data.splits import Data, Split
from nelbo.data.user import load_path, load_whole

_MOST_OBJECTS = 100_000
_DWARFED = 256.0  # numbers so many times as large as their spread are counted from the least


def named_covariates(text: str) -> tuple[tuple[str, ...], str]:
    """What `--context time,angle,id=object` says: the columns of numbers, and that of the objects ("" for none).

    Raises:
        InputError: nothing, a name twice, or two columns of objects.
    """
    names, ids = [], []
    for part in (one.strip() for one in text.split(",")):
        kind, equals, name = part.partition("=")
        if equals:
            choice("part of a context", kind, ("id",))
        (ids if equals else names).append(name if equals else part)
    every = [*names, *ids]
    if "" in every or len(set(every)) < len(every) or len(ids) > 1:
        raise InputError(f"--context names columns of numbers, each once, and maybe id=COLUMN, got {text!r}.")
    return tuple(names), ids[0] if ids else ""


def load_covariates(
    path: Path,
    text: str | None,
    *,
    cuts: Cuts | None = None,
    header: bool | None = None,
    columns: Sequence[str] = (),
    ignore: Sequence[str] = (),
    like: Schema | None = None,
) -> Data:
    """Rows with covariates, in splits; with `cuts` None all rows as one split "rows", in their order.

    Args:
        path: a table (.csv, .tsv, .parquet), or a `.npz` file with `x` (or `x_train`, ...) and an array for each
            covariate, `angle` (or `angle_train`, ...).
        text: see `named_covariates`; not needed with `like`.
        cuts: of the rows into splits that the file does not bring.
        header: whether the first line of a CSV file names its columns; None finds out.
        columns: the columns to model; () models all numbers that are no covariates.
        ignore: columns that are set aside.
        like: the schema of data that a model was fitted to.

    Raises:
        InputError: no such file or column, a covariate that is missing or no number, an object that is not known.
    """
    known = None if like is None else like.covariates
    if known is None and not text:
        raise InputError("svgp-vae is of rows and what is known of each: name the columns with --context, as in "
                         "--context time or --context angle,id=object.")  # fmt: skip
    names, own = named_covariates(text or "") if known is None else (known.names, known.id)
    every = (*names, *([own] if own else []))
    suffix = path.suffix.lower()
    if suffix not in {".npz", ".csv", ".tsv", ".parquet"}:
        raise InputError(f"{path} has no covariates: a .npz, .csv, .tsv or .parquet file was expected.")
    if suffix == ".npz":
        options = TableOptions(beside=every)
    else:
        options = TableOptions(header, tuple(columns), (*ignore, *every) if like is None else (), beside=every)
    if not path.exists():
        raise InputError(f"There is no file {path}: correct the path; rows with covariates were expected.")
    raw, dated, said = _of_arrays(path, every) if suffix == ".npz" else _of_table(path, every, own, header)
    for (name, _), values in raw.items():
        if name != own:
            _numbers(str(path), name, values)  # refuses rows without one, by their places in the file
    data = load_whole(path, options=options, like=like) if cuts is None else load_path(
        path, cuts=cuts, options=options, like=like
    )  # fmt: skip
    rows = {name: _rows(split, raw, name) for name, split in data.splits.items()}
    found = _described(str(path), names, own, dated, rows) if known is None else known
    if known is not None and known.dated != dated:
        raise InputError(f"{path}: times are given as {'dates' if any(dated) else 'numbers'}, but the model was fitted "
                         "to the other kind: give them in that form.")  # fmt: skip
    splits = {
        name: replace(split, context=_context(str(path), found, rows[name])) for name, split in data.splits.items()
    }
    return replace(data, splits=splits, schema=replace(data.schema, covariates=found), notes=(*data.notes, *said))


# the columns of a table or the arrays of a file, by split where it has any: numbers float64, objects text
Raw = Mapping[tuple[str, str], np.ndarray]


def _of_table(
    path: Path,
    every: Sequence[str],
    own: str,
    header: bool | None,  # noqa: FBT001 (an option handed on)
) -> tuple[Raw, tuple[bool, ...], list[str]]:
    reading = read_parquet(path) if path.suffix.lower() == ".parquet" else read_csv(path, header=header, known=every)
    shown = shown_names(reading.table.names)
    for name in every:
        choice("column", name, shown)
    contents: Any = dict(zip(shown, reading.contents, strict=True))
    found, dated, notes = {}, [], []
    for name in every:
        if name == own:
            texts = np.array([*contents[name].texts, ""], object)[contents[name].codes]
            found[name, ""] = texts
            continue
        times, is_dated, _ = table_times(str(path), {"time": name}, contents, len(reading.table), notes)
        found[name, ""] = times
        dated.append(is_dated)
    return found, tuple(dated), notes


def _of_arrays(path: Path, every: Sequence[str]) -> tuple[Raw, tuple[bool, ...], list[str]]:
    arrays = read_npz(path)
    ends = ("", "train", "valid", "test")
    found = {(name, end): arrays[key] for name in every for end in ends if (key := f"{name}_{end}" if end else name) in arrays}  # fmt: skip  # noqa: E501
    for name in every:
        if not any(key[0] == name for key in found):
            raise InputError(f"{path} has no array {name!r} (it has {', '.join(arrays)}): what is known of each row "
                             "was expected under that name.")  # fmt: skip
    kinds = {name: array.dtype.kind for (name, _), array in found.items()}
    whole = {}
    for key, array in found.items():
        if array.ndim != 1 or array.dtype.kind not in "buifMUS":
            raise InputError(f"{path}: {key[0]!r} is {array.dtype} of shape {list(array.shape)}; one number (or, of "
                             "objects, one name) for each row was expected.")  # fmt: skip
        stamps = array.dtype.kind == "M"
        whole[key] = array.astype("datetime64[us]").astype(np.int64) / 1e6 if stamps else array
    return whole, tuple(kinds[name] == "M" for name in every), []


def _rows(split: Split, raw: Raw, name: str) -> dict[str, np.ndarray]:
    """What is known of the rows of a split."""
    found = {}
    for column, end in raw:
        if end == name:
            found[column] = raw[column, end]
        elif end == "" and (column, name) not in raw:
            whole = raw[column, ""]
            found[column] = whole if split.index is None else whole[split.index]
    for column, values in found.items():
        if len(values) != len(split):
            raise InputError(f"{column!r} has {len(values)} numbers for {len(split)} rows ({name}): give one for each.")
    return found


def _described(
    where: str, names: Sequence[str], own: str, dated: Sequence[bool], rows: Mapping[str, Mapping[str, np.ndarray]]
) -> Covariates:
    """Where numbers are counted from and in which units, and which objects there are."""
    offsets, units = [], []
    for name, is_dated in zip(names, dated, strict=False):
        values = np.concatenate([_numbers(where, name, part[name]) for part in rows.values()])
        least, spread = float(values.min()), float(values.std())
        shifted = is_dated or abs(values.mean()) > _DWARFED * max(spread, 1e-30)
        gaps = np.diff(np.unique(values))
        offsets.append(least if shifted else 0.0)
        units.append(float(np.median(gaps)) if is_dated and len(gaps) else 1.0)
    objects: tuple[str, ...] = ()
    if own:
        every = np.unique(np.concatenate([_texts(part[own]) for part in rows.values()]))
        objects = tuple(every.tolist())
        if "" in objects:
            raise InputError(f"{where}: some rows do not say in {own!r} whose they are: fill these cells, or leave the "
                             "rows out.")  # fmt: skip
        if len(objects) > _MOST_OBJECTS:
            raise InputError(f"{where}: {own!r} names {len(objects)} objects, more than {_MOST_OBJECTS}: leave it out.")
    return Covariates(tuple(names), own, objects, tuple(dated[: len(names)]), tuple(offsets), tuple(units))


def _texts(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "f":
        if not (values == np.rint(values)).all():
            raise InputError("Objects are told by words or whole numbers: other numbers are no ids.")
        values = values.astype(np.int64)
    return np.array([str(one) for one in values.tolist()], dtype=str)


def _numbers(where: str, name: str, values: np.ndarray) -> np.ndarray:
    """The numbers of a covariate.

    Raises:
        InputError: text, or a row without one: there is no place on the process for it.
    """
    if values.dtype.kind in "US":
        raise InputError(f"{where}: {name!r} holds words; numbers or dates were expected (objects: id={name}).")
    numbers = np.asarray(values, np.float64)
    bad = ~np.isfinite(numbers)
    if bad.any():
        raise InputError(f"{where}: {int(bad.sum())} rows have no finite {name!r} (the first is row {int(np.argmax(bad))}): give "  # noqa: E501
                         "a number for each, or leave these rows out.")  # fmt: skip
    return numbers


def _context(where: str, known: Covariates, rows: Mapping[str, np.ndarray]) -> np.ndarray:
    """The context of each row."""
    parts = [
        (_numbers(where, name, rows[name]) - offset) / unit
        for name, offset, unit in zip(known.names, known.offsets, known.units, strict=True)
    ]
    if known.id:
        places = {name: i for i, name in enumerate(known.objects)}
        texts = _texts(rows[known.id])
        strange = [text for text in dict.fromkeys(texts.tolist()) if text not in places]
        if strange:
            raise InputError(f"{where}: {strange[0]!r} in {known.id!r} is no object that the model was fitted to; it "
                             f"knows {len(places)} ({', '.join(known.objects[:5])}, ...).")  # fmt: skip
        parts.append(np.array([places[text] for text in texts.tolist()], float))
    return np.stack(parts, 1).astype(np.float32)


def context_of(known: Covariates, given: Mapping[str, str]) -> np.ndarray:
    """The context that is written as NAME=VALUE, `(numbers,)` float32.

    Raises:
        InputError: one is missing, unknown or no number.
    """
    every = (*known.names, *([known.id] if known.id else []))
    for name in given:
        choice("part of the context", name, every)
    missing = [name for name in every if name not in given]
    if missing:
        raise InputError(f"The context lacks {', '.join(missing)}: give {','.join(f'{name}=...' for name in every)}.")
    rows: dict[str, np.ndarray] = {}
    for name, is_dated in zip(known.names, known.dated, strict=True):
        try:
            moment = (
                np.datetime64(given[name]).astype("datetime64[us]").astype(np.int64) / 1e6 if is_dated else given[name]
            )
            rows[name] = np.array([float(moment)])
        except ValueError as error:
            raise InputError(f"{given[name]!r} is no {'date' if is_dated else 'number'} for {name}.") from error
    if known.id:
        rows[known.id] = np.array([given[known.id]])
    return _context("The context", known, rows)[0]
