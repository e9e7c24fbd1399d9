"""Telling rows apart by what they hold: which rows of a changed file a model was trained on."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nelbo.data.crops import Crops
from nelbo.data.splits import SPLITS, Data, Split


def row_digests(split: Split) -> np.ndarray:
    """A hash of each row's values, mask and context, `(n,)` uint64: the same on every machine and in every file.

    Take them before binarization, which draws by place. Two different rows of a million share one with probability
    3e-8 (64 bits of BLAKE2b).
    """
    if isinstance(split.x, Crops):
        return np.array([int(split.x.digest[:16], 16)], "<u8")  # of all photographs together
    x = np.ascontiguousarray(split.x, split.x.dtype.newbyteorder("<")).reshape(len(split), -1)
    context = None if split.context is None else np.ascontiguousarray(split.context, "<f4")
    observed = None if split.observed is None or split.observed.all() else split.observed.reshape(len(split), -1)
    found = np.empty(len(split), "<u8")
    for i, row in enumerate(x):
        digest = hashlib.blake2b(row.tobytes(), digest_size=8)
        if observed is not None and not observed[i].all():
            digest.update(np.packbits(observed[i]).tobytes())
        if context is not None:
            digest.update(context[i].tobytes())
        found[i] = int.from_bytes(digest.digest(), "little")
    return found


def split_by_digests(data: Data, known: Mapping[str, np.ndarray]) -> Data:
    """Split changed data as they were split before, row by row.

    A row that was trained on goes to "train" again, wherever it now stands; one that was validated or tested on to
    "valid" or "test". A row that is new goes to "test" where the data are one file of rows (see `load_rows`), and stays
    in its own split where the data bring splits. A row of which copies stood in several splits counts as trained on.

    Args:
        data: read with the schema of the old data, before binarization.
        known: `row_digests` of each old split.

    Returns:
        The data in "train", "valid" and "test", as far as these have rows; a note counts what went where.
    """
    parts: dict[str, list[Split]] = {name: [] for name in SPLITS}
    counts = dict.fromkeys((*SPLITS, "new"), 0)
    digests = {name: row_digests(split) for name, split in data.splits.items()}
    for own, split in data.splits.items():
        found = digests[own]
        home = np.full(len(split), SPLITS.index(own if own in SPLITS else "test"))
        taken = np.zeros(len(split), bool)
        for number, name in enumerate(SPLITS):
            here = ~taken & np.isin(found, known.get(name, np.empty(0, "<u8")))
            home[here] = number
            taken |= here
            counts[name] += int(here.sum())
        counts["new"] += int((~taken).sum())
        for number, name in enumerate(SPLITS):
            places = np.flatnonzero(home == number)
            if len(places):
                parts[name].append(split.rows(places))
    splits = {name: _joined(found) for name, found in parts.items() if found}
    there = np.concatenate(list(digests.values()))
    gone = sum(int((~np.isin(np.unique(old), there)).sum()) for old in known.values())
    note = (
        f"{data.name} has changed since it was split: {counts['train']} of its rows are known from training, "
        f"{counts['valid']} from validation, {counts['test']} from testing, and stay there; {counts['new']} are new"
        + (" and were put into test" if "rows" in data.splits and counts["new"] else "")
        + (f"; {gone} are gone." if gone else ".")
    )
    return replace(data, splits=splits, notes=(*data.notes, note))


def _joined(parts: list[Split]) -> Split:
    if len(parts) == 1:
        return parts[0]
    whole = {}
    for name in ("x", "y", "observed", "context", "ids"):
        found = [vars(part)[name] for part in parts]
        present = [array for array in found if array is not None]
        whole[name] = np.concatenate(present) if len(present) == len(found) else None
    return Split(**whole)
