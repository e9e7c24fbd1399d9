"""The splits among the arrays of a `.npz` file."""

from collections.abc import Mapping, Sequence

import numpy as np

from nelbo.core import InputError
from nelbo.data.splits import SPLITS, Split

_SPLIT_ENDS = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}
_KINDS = {"x": "x", "values": "x", "y": "y", "observed": "observed", "mask": "observed"}


def archive_splits(
    arrays: Mapping[str, np.ndarray], where: str, beside: Sequence[str] = ()
) -> tuple[dict[str, Split], tuple[str, ...]]:
    """The splits among the arrays of a `.npz` file, and what is to be said about them.

    Args:
        arrays: `x_train` (then `x_valid`, `x_test`), or `x` or `values`, or one array of any name; `y_...` and
            `observed_...` beside them. `val` and `validation` are valid, `mask` is observed (True where there is a
            value), and small and capital letters are the same.
        where: for messages.
        beside: names of arrays that say what is known of each row, which others read.

    Raises:
        InputError: none of these names is there, or two arrays have one meaning.
    """
    ends = ("", *(f"_{end}" for end in _SPLIT_ENDS))
    arrays = {name: array for name, array in arrays.items() if name not in {b + end for b in beside for end in ends}}
    known: dict[tuple[str, str], str] = {}
    for name in arrays:
        meaning = _meaning(name)
        if meaning is None:
            continue
        if meaning in known:
            raise InputError(f"{where} holds {known[meaning]} and {name}, which mean the same: remove one of them.")
        known[meaning] = name
    ends = [end for end in SPLITS if ("x", end) in known] if ("x", "train") in known else []
    if not ends and ("x", "") in known:
        ends = [""]
    if not ends:
        if len(arrays) == 1:
            return {"train": Split(next(iter(arrays.values())))}, ()
        raise InputError(
            f"{where} holds the arrays {', '.join(sorted(arrays)) or '(none)'}; x_train (with x_valid, x_test), or x, "
            "was expected: save it under such a name."
        )
    splits, used, notes = {}, set(), []
    for end in ends:
        names = {kind: known[kind, end] for kind in ("x", "y", "observed") if (kind, end) in known}
        used |= set(names.values())
        found = {kind: arrays[name] for kind, name in names.items()}
        if names.get("observed", "").lower().startswith("mask"):
            found["observed"], said = _observed_of(names["observed"], found["observed"], found["x"], where)
            notes.append(said)
        splits[end or "train"] = Split(**found)
    unused = sorted(set(arrays) - used)
    if unused:
        notes.append(f"{where}: the arrays {', '.join(unused)} were not used.")
    return splits, tuple(notes)


def _meaning(name: str) -> tuple[str, str] | None:
    kind, _, end = name.lower().partition("_")
    if kind not in _KINDS or (end and end not in _SPLIT_ENDS):
        return None
    return _KINDS[kind], _SPLIT_ENDS.get(end, "")


def _observed_of(name: str, mask: np.ndarray, x: np.ndarray, where: str) -> tuple[np.ndarray, str]:
    """A mask as `observed`. It is True where there is a value, unless the values say otherwise.

    NumPy's masked arrays mean the contrary. So where all entries under True are NaN, or one number (-999), while those
    under False differ, True is taken for missing.
    """
    if mask.dtype.kind in "ui" and np.isin(mask, (0, 1)).all():
        mask = mask.astype(bool)
    if mask.dtype == np.bool_ and mask.shape == x.shape and mask.any() and not mask.all():
        hidden, rest = x[mask], x[~mask]
        blank = x.dtype.kind == "f" and np.isnan(hidden).all()
        if blank or (_is_one_number(hidden) and not _is_one_number(rest)):
            return ~mask, f"{where}: True in {name} was read as missing, for the values there say so."
    return mask, f"{where}: {name} was read as observed: True where there is a value."


def _is_one_number(values: np.ndarray) -> bool:
    return len(values) > 1 and bool((values == values[0]).all())
