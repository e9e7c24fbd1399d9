"""From whatever arrays a file holds to checked splits: types, shapes, missing entries, labels."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from nelbo.core import InputError
from nelbo.data.dataset import SPLITS, Split, Values
from nelbo.data.streams import Stream

DEFAULT_FRACTION = 0.1


@dataclass(frozen=True)
class Cuts:
    """How to choose rows for the splits that data do not bring themselves.

    Args:
        seed: of the choice.
        valid: fraction for validation; None means 0.1.
        test: fraction for testing; the same.
    """

    seed: int = 0
    valid: float | None = None
    test: float | None = None

    @property
    def asked(self) -> bool:
        """Whether any fraction was given."""
        return self.valid is not None or self.test is not None


def prepare(where: str, splits: Mapping[str, Split]) -> tuple[dict[str, Split], Values]:
    """Check the raw splits of a file and bring them to the types and shapes of a `Dataset`.

    NaN becomes a missing entry (zero, with False in `observed`). Values that are 0 and 1 only become "binary";
    uint8 stays "uint8"; floats within [0, 1] become "unit", all else "real". uint8 and bool arrays `(n, h, w)` are
    grey images and become `(n, h, w, 1)`.

    Args:
        where: what the arrays were read from, for messages.
        splits: "train", "valid" and "test", with `x`, `y` and `observed` as they were found.

    Raises:
        InputError: a type, shape or value that no model could use.
    """
    for name, split in splits.items():
        _check(f"{where} ({name})", split)
    if len({split.x.shape[1:] for split in splits.values()}) > 1:
        shapes = ", ".join(f"{name} {split.x.shape[1:]}" for name, split in splits.items())
        raise InputError(f"{where}: the splits hold examples of different shapes ({shapes}); make them equal.")
    cleaned = {name: _hide_missing(f"{where} ({name})", split) for name, split in splits.items()}
    values = _kind(where, list(cleaned.values()))
    masked = any(split.observed is not None for split in cleaned.values())
    return {name: _cast(split, values, masked=masked) for name, split in cleaned.items()}, values


def _check(where: str, split: Split) -> None:
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
    if y is not None and (y.shape != (len(x),) or y.dtype.kind not in "bui"):
        raise InputError(
            f"{where}: the labels are {y.dtype} of shape {y.shape}; {len(x)} integers, one a row, were expected."
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
    return Split(x, split.y, observed)


def _kind(where: str, splits: list[Split]) -> Values:
    rows = [split for split in splits if split.x.size]
    if not rows:
        raise InputError(f"{where} has no rows; at least one example in each of {', '.join(SPLITS)} was expected.")
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


def _cast(split: Split, values: Values, *, masked: bool) -> Split:
    x, observed = split.x, split.observed
    image = is_grey_image(x)
    x = x.astype(np.uint8 if values in ("uint8", "binary") else np.float32, copy=False)
    if masked and observed is None:
        observed = np.ones(x.shape, bool)
    if image:
        x = x[..., None]
        observed = None if observed is None else observed[..., None]
    return Split(x, None if split.y is None else split.y.astype(np.int32), observed)


def rows(split: Split, index: np.ndarray | slice) -> Split:
    """The rows of a split at `index`."""
    parts = {"y": split.y, "observed": split.observed}
    return replace(split, x=split.x[index], **{k: None if part is None else part[index] for k, part in parts.items()})


def complete(where: str, found: Mapping[str, Split], cuts: Cuts, *, shuffle: bool = True) -> dict[str, Split]:
    """Cut the splits that a file lacks out of its training rows, at random by `seed`, 80/10/10 unless told otherwise.

    Args:
        where: for messages.
        found: at least "train".
        cuts: the seed, and fractions of the training rows found.
        shuffle: choose rows at random; else the first rows train and the last ones test.

    Raises:
        InputError: fractions that leave no training rows, or given for splits that the file has.
    """
    asked = {"valid": cuts.valid, "test": cuts.test}
    for name, fraction in asked.items():
        if fraction is not None and name in found:
            raise InputError(f"{where} has its own {name} split: leave {name}_fraction out, or load the rows alone.")
    shares = {
        name: DEFAULT_FRACTION if fraction is None else fraction
        for name, fraction in asked.items()
        if name not in found
    }
    if any(not 0.0 <= share < 1.0 for share in shares.values()) or sum(shares.values()) >= 1.0:
        raise InputError(
            f"Fractions {shares} leave nothing to train on: give numbers from 0 to 1 whose sum is below 1."
        )
    whole = found["train"]
    sizes = {name: max(1, round(share * len(whole))) if share > 0 else 0 for name, share in shares.items()}
    if len(whole) == 0 or len(whole) <= sum(sizes.values()):
        raise InputError(
            f"{where} has {len(whole)} rows: too few for {', '.join(['train', *sizes])}; at least one in "
            "each was expected."
        )
    order = Stream("split", cuts.seed).permutation(len(whole)) if shuffle and sizes else None
    return dict(found) | _cut(whole, sizes, order)


def cut(split: Split, sizes: Mapping[str, int], seed: int) -> dict[str, Split]:
    """Cut `sizes["valid"]` and `sizes["test"]` random rows off; the rest is "train"."""
    return _cut(split, sizes, Stream("split", seed).permutation(len(split)))


def _cut(whole: Split, sizes: Mapping[str, int], order: np.ndarray | None) -> dict[str, Split]:
    cuts, stop = {}, len(whole)
    for name in ("test", "valid"):
        if name in sizes:
            start = stop - sizes[name]
            cuts[name] = slice(start, stop)
            stop = start
    cuts["train"] = slice(0, stop)
    # sorted: a split keeps the order of the file
    return {name: rows(whole, part if order is None else np.sort(order[part])) for name, part in cuts.items()}
