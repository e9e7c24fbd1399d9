"""From whatever arrays a file holds to checked splits: types, shapes, missing entries, labels."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nelbo.core import InputError
from nelbo.data.answer_columns import MISSING_CLASS
from nelbo.data.schema import Schema, Values, as_images
from nelbo.data.splits import SPLITS, Split

_DWARFED = 256.0
_EXACT = 2.0**24  # float32 has every whole number up to here


@dataclass(frozen=True)
class Prepared:
    """The splits of a file, checked.

    Args:
        splits: in the types and shapes of `Data`.
        values: as in `Schema`.
        offset: what was subtracted from real numbers, `(*shape)` float64; None: nothing.
        notes: what is to be said.
    """

    splits: dict[str, Split]
    values: Values
    offset: np.ndarray | None
    notes: tuple[str, ...] = ()

    def schema(self, **more: Any) -> Schema:
        """The schema of these splits, with what else is known of them."""
        shape = next(iter(self.splits.values())).x.shape[1:]
        offset = None if self.offset is None else tuple(self.offset.ravel().tolist())
        return Schema(tuple(shape), self.values, offset=offset, **more)


def prepare(
    where: str,
    splits: Mapping[str, Split],
    like: Schema | None = None,
    *,
    targets: str | None = None,
    real: bool = False,
) -> Prepared:
    """Check the raw splits of a file and bring them to the types and shapes of `Data`.

    NaN becomes a missing entry (zero, with False in `observed`). Values that are 0 and 1 only become "binary";
    uint8 stays "uint8"; floats within [0, 1] become "unit", all else "real". uint8 and bool arrays `(n, h, w)` are
    grey images and become `(n, h, w, 1)`. Real numbers that dwarf their spread are centred in float64 first.

    Args:
        where: what the arrays were read from, for messages.
        splits: "train", "valid" and "test", with `x`, `y` and `observed` as they were found.
        like: the data that these must be like: then shape, kind of values and offset are theirs.
        targets: "number" where `y` is predicted and may be any number, or missing.
        real: take all numbers for real ones, whatever they are.

    Raises:
        InputError: a type, shape or value that no model could use, or that is not like `like`.
    """
    splits = {name: _filled_in(split) for name, split in splits.items()}
    alone = like is not None and len(splits) == 1  # rows for an answer, which are no training rows
    called = {name: where if alone else f"{where} ({name})" for name in splits}
    for name, split in splits.items():
        _check(called[name], split, fractions=targets == "number")
    if like is not None:
        splits = {name: _shaped(split, like.shape, where) for name, split in splits.items()}
    if len({split.x.shape[1:] for split in splits.values()}) > 1:
        shapes = ", ".join(f"{name} {split.x.shape[1:]}" for name, split in splits.items())
        raise InputError(f"{where}: the splits hold examples of different shapes ({shapes}); make them equal.")
    cleaned = {name: _hide_missing(called[name], split) for name, split in splits.items()}
    rows = [split for split in cleaned.values() if split.x.size]
    if not rows:
        raise InputError(f"{where} has no rows; at least one example in each of {', '.join(SPLITS)} was expected.")
    notes = () if like is not None else _never_observed(where, rows)
    if like is None:
        values = "real" if real else _kind(where, rows)
        offset = offset_of(rows) if values == "real" else None
    else:
        values = like.values
        offset = None if like.offset is None else np.reshape(like.offset, like.shape)
        for name, split in cleaned.items():
            like.check(split.x, split.observed, called[name])
    masked = any(split.observed is not None for split in cleaned.values())
    grey = like is None
    cast = {name: _cast(split, values, offset, masked=masked, grey=grey) for name, split in cleaned.items()}
    return Prepared(cast, values, offset, notes)


def _filled_in(split: Split) -> Split:
    """The split with its mask as booleans of the shape of its values, where it can be read so."""
    x, observed = split.x, split.observed
    if observed is None:
        return split
    if observed.dtype.kind in "ui" and np.isin(observed, (0, 1)).all():
        observed = observed.astype(bool)
    if (*observed.shape, 1) == x.shape:
        observed = observed[..., None]
    elif observed.shape == (*x.shape, 1):
        observed = observed[..., 0]
    return replace(split, observed=observed)


def _shaped(split: Split, shape: tuple[int, ...], where: str) -> Split:
    observed = None if split.observed is None else as_images(split.observed, shape, where)
    return replace(split, x=as_images(split.x, shape, where), observed=observed)


def _never_observed(where: str, rows: list[Split]) -> tuple[str, ...]:
    """What to say about entries that no row has."""
    if any(split.observed is None for split in rows):
        return ()
    seen = np.any([split.observed.any(0) for split in rows if split.observed is not None], axis=0).ravel()
    if seen.all() or not seen.any():
        return ()
    gone = np.flatnonzero(~seen)
    shown = ", ".join(map(str, gone[:8])) + (", ..." if len(gone) > 8 else "")
    note = (
        f"{where}: no row has a value in {len(gone)} of {len(seen)} entries ({shown}, counted from 0): nothing can be "
        "learned about them, and what is filled in there means nothing."
    )
    return (note,)


def offset_of(rows: list[Split]) -> np.ndarray | None:
    """What to subtract from each entry before it becomes float32; None where no entry needs it.

    An entry needs it where its mean is more than 256 times its spread (float32 would round by more than 1.5e-5 of the
    spread), or where it is one number beyond the whole numbers that float32 has.

    Args:
        rows: splits of real numbers, missing entries zero.
    """
    total = np.sum([split.x.sum(0, dtype=np.float64) for split in rows], axis=0)
    count = np.sum([_counts(split) for split in rows], axis=0)
    mean = total / np.maximum(count, 1)
    squares = [np.square(split.x - mean, dtype=np.float64) for split in rows]
    kept = [s if r.observed is None else np.where(r.observed, s, 0.0) for s, r in zip(squares, rows, strict=True)]
    spread = np.sqrt(np.sum([part.sum(0) for part in kept], axis=0) / np.maximum(count, 1))
    constant = spread <= 1e-14 * np.abs(mean)
    needed = np.where(constant, np.abs(mean) > _EXACT, np.abs(mean) > _DWARFED * spread)
    return np.where(needed, mean, 0.0) if needed.any() else None


def _counts(split: Split) -> np.ndarray:
    return np.full(split.x.shape[1:], len(split)) if split.observed is None else split.observed.sum(0)


def _check(where: str, split: Split, *, fractions: bool = False) -> None:
    x = split.x
    if x.dtype.kind not in "buif":
        kinds = {"c": "complex numbers", "O": "Python objects (or rows of different lengths)", "U": "text", "S": "text"}
        raise InputError(
            f"{where} holds {kinds.get(x.dtype.kind, str(x.dtype))}; nelbo reads numbers: convert them to integers, "
            "booleans or floats first."
        )
    if x.ndim < 2:
        raise InputError(
            f"{where} has shape {x.shape}; one row an example was expected, at least 2 dimensions: use x[:, None] if "
            "each number is an example, x[None] if all are one."
        )
    if 0 in x.shape[1:]:
        raise InputError(f"{where} has shape {x.shape}: its examples are empty; at least one number each was expected.")
    if split.observed is not None and (split.observed.shape != x.shape or split.observed.dtype != np.bool_):
        raise InputError(
            f"{where}: the mask `observed` is {split.observed.dtype} of shape {split.observed.shape}; booleans of "
            f"shape {x.shape} were expected."
        )
    y = split.y
    if y is not None and (y.shape != (len(x),) or y.dtype.kind not in ("buif" if fractions else "bui")):
        wanted = "numbers" if fractions else "integers"
        raise InputError(
            f"{where}: the labels are {y.dtype} of shape {y.shape}; {len(x)} {wanted}, one a row, were expected."
        )
    if y is not None and fractions and not (np.abs(y[~np.isnan(y)], dtype=float) <= np.finfo(np.float32).max).all():
        raise InputError(
            f"{where}: the targets hold infinite values, or some too large for float32: remove these rows."
        )


def _hide_missing(where: str, split: Split) -> Split:
    """Put the entries that are NaN, or marked as not observed, to zero; check that the others are finite."""
    x, observed = split.x, split.observed
    if x.dtype.kind == "f":
        nan = np.isnan(x)
        if nan.any():
            observed = ~nan if observed is None else observed & ~nan
    if observed is not None:
        x = np.where(observed, x, np.zeros((), x.dtype))
    if x.dtype.kind == "f" and x.size:
        worst = np.abs(x).max()
        if not worst <= np.finfo(np.float32).max:
            row = int(np.argmax((np.abs(x) == worst).reshape(len(x), -1).any(1)))
            what = "infinite values" if np.isinf(worst) else f"values up to {worst:.1e}, too large for float32"
            raise InputError(
                f"{where} holds {what} (first in row {row}); remove them, or put NaN where a value is missing."
            )
    return replace(split, x=x, observed=observed)


def _kind(where: str, rows: list[Split]) -> Values:
    if not any(split.observed is None or split.observed.any() for split in rows):
        raise InputError(f"{where}: every entry is missing (NaN); there is nothing to learn from.")
    if all(_only_bits(split.x) for split in rows):
        return "binary"
    if all(split.x.dtype == np.uint8 for split in rows):
        return "uint8"
    if all(split.x.dtype.kind == "f" and split.x.min() >= 0 and split.x.max() <= 1 for split in rows):
        return "unit"
    return "real"


def _only_bits(x: np.ndarray) -> bool:
    if x.dtype.kind in "bui":
        return bool(x.min() >= 0 and x.max() <= 1)
    return bool(((x == 0) | (x == 1)).all())


def is_grey_image(x: np.ndarray) -> bool:
    """Whether `x` is `(n, h, w)` uint8 or bool: grey images, to which a channel axis is added."""
    return x.ndim == 3 and x.dtype in (np.uint8, np.bool_)


def _cast(split: Split, values: Values, offset: np.ndarray | None, *, masked: bool, grey: bool) -> Split:
    x, observed = split.x, split.observed
    image = grey and is_grey_image(x)
    if offset is not None:
        x = x.astype(np.float64) - offset
        x = x if observed is None else np.where(observed, x, 0.0)
    x = x.astype(np.uint8 if values in ("uint8", "binary") else np.float32, copy=False)
    if masked and observed is None:
        observed = np.ones(x.shape, bool)
    if image:
        x = x[..., None]
        observed = None if observed is None else observed[..., None]
    y = split.y
    if y is not None:
        y = y.astype(np.float64 if y.dtype.kind == "f" else np.int32)
    return replace(split, x=x, y=y, observed=observed)


def known_targets(split: Split) -> np.ndarray:
    """Bool, of each row: whether its target is there."""
    if split.y is None:
        return np.zeros(len(split), bool)
    return ~np.isnan(split.y) if split.y.dtype.kind == "f" else split.y != MISSING_CLASS


def with_targets(where: str, prepared: Prepared) -> Prepared:
    """The rows whose target is there, and a note about the others: nothing can be learned or scored on them.

    Raises:
        InputError: no row has one.
    """
    known = {name: known_targets(split) for name, split in prepared.splits.items()}
    if not any(rows.any() for rows in known.values()):
        raise InputError(
            f"{where} has no targets, so there is nothing to predict: give a column (or an array y) of them."
        )
    gone = sum(int((~rows).sum()) for rows in known.values())
    if not gone:
        return prepared
    splits = {name: split.rows(np.flatnonzero(known[name])) for name, split in prepared.splits.items()}
    note = f"{where}: {gone} rows have no target and were left out."
    return replace(prepared, splits=splits, notes=(*prepared.notes, note))
