"""The one function that gives data: by name, or from a file or folder of the user's."""

from pathlib import Path

from nelbo.core import InputError, choice, os_error
from nelbo.data.binarization import BINARIZATIONS
from nelbo.data.binarization import binarize as binarize_dataset
from nelbo.data.catalogue import catalogue
from nelbo.data.dataset import Dataset
from nelbo.data.documents import CORPORA, load_documents
from nelbo.data.fetch import Progress
from nelbo.data.named import load_named
from nelbo.data.prepare import Cuts
from nelbo.data.user import SUFFIXES, load_path


def load(
    name_or_path: str | Path,
    *,
    data_dir: str | Path | None = None,
    binarize: str | None = None,
    binarize_seed: int = 0,
    split_seed: int = 0,
    valid_fraction: float | None = None,
    test_fraction: float | None = None,
    stream: bool = False,
    progress: Progress | None = None,
) -> Dataset:
    """Load a named data set, or a file or folder: `.npy`, `.npz`, `.csv`, `.parquet`, IDX files or images.

    A named set is looked for in `data_dir` (else the folder NELBO_DATA names), in system packages, in the cache, and
    on the network unless NELBO_OFFLINE is set; what is fetched is checked against a SHA-256 and cached.

    Args:
        name_or_path: one of `names()`, or a path. A path without a suffix or a slash needs "./" if a set has its name.
        data_dir: a folder that holds named sets.
        binarize: "none", "static", "threshold" or "dynamic"; None means "none".
        binarize_seed: of the static draw.
        split_seed: of the rows chosen for splits that the data do not bring themselves.
        valid_fraction: of the rows, for validation. If neither fraction is given, a named set keeps the sizes that
            `catalogue` lists; else None means 0.1.
        test_fraction: of the rows, for testing; the same.
        stream: leave a `.npy` file on disk and read rows as they are needed. The first rows train, the last ones
            test, in the order of the file.
        progress: called as `progress(what, bytes_done, bytes_in_all_or_None)` while fetching.

    Raises:
        InputError: an unknown name, or data that are missing, damaged or of a kind nelbo cannot use.
    """
    how = choice("binarization", binarize or "none", BINARIZATIONS)
    if stream and how in ("static", "threshold"):
        raise InputError("A streamed file cannot be binarized on the host: use dynamic, or load it without stream.")
    cuts = Cuts(split_seed, valid_fraction, test_fraction)
    name, entries = str(name_or_path), catalogue()
    try:
        if name in CORPORA:
            if stream or cuts.asked:
                raise InputError(f"{name} has its own splits and cannot be streamed: leave these options out.")
            dataset = load_documents(name, data_dir=data_dir, seed=split_seed)
        elif name in entries:
            if stream:
                raise InputError(f"Only a .npy file can be streamed: load {name} without stream.")
            dataset = load_named(entries[name], data_dir=data_dir, cuts=cuts, progress=progress)
        else:
            if not _looks_like_path(name):
                choice("data set", name, [*entries, *CORPORA])
            dataset = load_path(Path(name_or_path).expanduser(), cuts=cuts, stream=stream)
    except OSError as error:  # a folder that may not be entered, a name that is too long
        raise os_error("read", name, error) from error
    return binarize_dataset(dataset, how, binarize_seed)


def _looks_like_path(name: str) -> bool:
    return "/" in name or "\\" in name or Path(name).suffix in SUFFIXES or (name != "" and Path(name).exists())
