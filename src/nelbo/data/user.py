"""The user's own files and folders as data sets."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nelbo.core import InputError
from nelbo.data.catalogue import IDX_FILES
from nelbo.data.dataset import SPLITS, Dataset, Split, Values
from nelbo.data.formats import read_idx, read_npy, read_npz
from nelbo.data.named import idx_path
from nelbo.data.pictures import read_pictures
from nelbo.data.prepare import Cuts, complete, is_grey_image, prepare
from nelbo.data.tables import read_table

SUFFIXES = (".npy", ".npz", ".csv", ".parquet")
_WANTED = "a .npy, .npz, .csv or .parquet file, or a folder of images"


def load_path(path: Path, *, cuts: Cuts, stream: bool = False) -> Dataset:
    """Load a file or folder; see `nelbo.data.load` for the arguments."""
    if not path.exists():
        raise InputError(f"There is no file or folder {path}: correct the path; {_WANTED} was expected.")
    if stream:
        return _streamed(path, cuts)
    found, label_names = _read(path)
    splits, values = prepare(str(path), found)
    splits = complete(str(path), splits, cuts)
    return _dataset(path, splits, values, label_names)


def _dataset(path: Path, splits: dict[str, Split], values: Values, label_names: tuple[str, ...] | None) -> Dataset:
    return Dataset(
        path.stem or path.resolve().name,
        train=splits["train"],
        valid=splits["valid"],
        test=splits["test"],
        values=values,
        label_names=label_names,
        source=str(path),
    )


def _read(path: Path) -> tuple[dict[str, Split], tuple[str, ...] | None]:
    if path.is_dir():
        if idx_path(path, IDX_FILES["x_train"]) is not None:
            return _idx_splits(path), None
        return read_pictures(path)
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return {"train": Split(read_npy(path))}, None
    if suffix == ".npz":
        return npz_splits(read_npz(path), str(path)), None
    if suffix in (".csv", ".parquet"):
        split, label_names = read_table(path)
        return {"train": split}, label_names
    raise InputError(f"nelbo does not read {path.suffix or 'files without a suffix'} ({path}): {_WANTED} was expected.")


def _idx_splits(folder: Path) -> dict[str, Split]:
    found = {}
    for key, name in IDX_FILES.items():
        path = idx_path(folder, name)
        if path is not None:
            found[key] = read_idx(path)
    return npz_splits(found, str(folder))


def npz_splits(arrays: Mapping[str, np.ndarray], where: str) -> dict[str, Split]:
    """The splits among the arrays of a `.npz` file.

    Args:
        arrays: `x_train` (then `x_valid`, `x_test`), or `x`, or one array of any name; `y_...` and boolean
            `observed_...` beside them.
        where: for messages.

    Raises:
        InputError: none of these names is there.
    """
    if "x_train" in arrays:
        return {
            name: Split(arrays[f"x_{name}"], arrays.get(f"y_{name}"), arrays.get(f"observed_{name}"))
            for name in SPLITS
            if f"x_{name}" in arrays
        }
    if "x" in arrays:
        return {"train": Split(arrays["x"], arrays.get("y"), arrays.get("observed"))}
    if len(arrays) == 1:
        return {"train": Split(next(iter(arrays.values())))}
    raise InputError(
        f"{where} holds the arrays {', '.join(sorted(arrays)) or '(none)'}; x_train (with x_valid, x_test), or x, was "
        "expected: save it under such a name."
    )


def _streamed(path: Path, cuts: Cuts) -> Dataset:
    """A `.npy` file that stays on disk. It is read once, in pieces, to see what its values are."""
    if path.suffix.lower() != ".npy":
        raise InputError(f"Only a .npy file can be streamed, {path} is another: load it without stream.")
    array = read_npy(path, mmap=True)
    step = max(1, 2**22 // max(1, int(np.prod(array.shape[1:]))))
    kinds = set()
    for start in range(0, max(1, len(array)) if array.ndim else 1, step):
        piece = np.asarray(array[start : start + step] if array.ndim else array)
        cleaned, kind = prepare(str(path), {"train": Split(piece)})
        if cleaned["train"].observed is not None:
            raise InputError(f"{path} has missing entries (NaN), which cannot be streamed: load it without stream.")
        kinds.add(kind)
    if is_grey_image(array):
        array = array[..., None]
    splits = complete(str(path), {"train": Split(array)}, cuts, shuffle=False)
    return _dataset(path, splits, _joined(kinds, array.dtype), None)


def _joined(kinds: set[Values], dtype: np.dtype) -> Values:
    if kinds == {"binary"}:
        return "binary"
    if dtype == np.uint8:
        return "uint8"
    return "unit" if kinds <= {"unit", "binary"} and dtype.kind == "f" else "real"
