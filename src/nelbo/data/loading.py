"""The functions that give data: by name, or from a file or folder of the user's."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.core import InputError, choice, os_error
from nelbo.data.answer_columns import Targets
from nelbo.data.asked import kinds_asked
from nelbo.data.binarization import BINARIZATIONS
from nelbo.data.binarization import binarize as binarize_data
from nelbo.data.catalogue import catalogue
from nelbo.data.cuts import Cuts
from nelbo.data.documents import CORPORA, load_documents
from nelbo.data.fetch import FetchProgress
from nelbo.data.made import MADE, load_made
from nelbo.data.named import load_named
from nelbo.data.registered import added_sets, names
from nelbo.data.roles import TableOptions
from nelbo.data.schema import Schema
from nelbo.data.splits import Data
from nelbo.data.user import SUFFIXES, array_rows, frame_rows, load_path, load_whole


def load(
    name_or_path: str | Path,
    *,
    data_dir: str | Path | None = None,
    binarize: str | None = None,
    binarize_seed: int = 0,
    split_seed: int = 0,
    valid_fraction: float | None = None,
    test_fraction: float | None = None,
    train_rows: int | None = None,
    stream: bool = False,
    header: bool | None = None,
    columns: Sequence[str] = (),
    ignore: Sequence[str] = (),
    target: str | None = None,
    targets: Targets | None = None,
    words: bool = False,
    column: Sequence[str] = (),
    schema: Schema | None = None,
    progress: FetchProgress | None = None,
) -> Data:
    """Load a named data set, or a file or folder: `.npy`, `.npz`, `.csv`, `.tsv`, `.parquet`, `.feather`,
    `.xlsx`, IDX files or images.

    A named set is looked for in `data_dir` (or the folder that NELBO_DATA names), in system packages, in the cache, and
    on the network unless NELBO_OFFLINE is set; downloads are checked against a SHA-256 and cached. `Data.notes` says
    what was assumed or left out in reading. (There are many arguments because each is an option of a user's.)

    Args:
        name_or_path: one of `names()`, or a path. A path without a suffix or a slash needs "./" if a set has its name.
        data_dir: a folder that holds named sets.
        binarize: "none", "static", "threshold" or "dynamic"; None means "none".
        binarize_seed: random seed of static binarization.
        split_seed: random seed by which rows are chosen for splits that the data do not come with.
        valid_fraction: share of the rows that are held out for validation; zero leaves the split out. If neither
            fraction is given, a named set keeps the sizes that `nelbo data show NAME` prints; else None means 0.1.
        test_fraction: share of the rows that are held out for testing; zero leaves the split out.
        train_rows: train on this many rows of the training split, drawn by `split_seed`; None takes all of them.
        stream: leave a `.npy` file on disk and read rows as they are needed. The first rows train, the last ones
            test, in the order of the file.
        header: whether the first line of a CSV file names its columns; None finds out.
        columns: names of the columns of a table that are modelled; () models all columns of numbers.
        ignore: names of columns of a table that are not modelled.
        target: name of the column to predict, for models that predict one (by default `label` or `y`).
        targets: "number" or "class" where something is predicted: then `Split.y` holds that, and rows without it are
            left out.
        words: model columns of words too, each word being an entry of 0 or 1.
        column: how columns of a table are modelled, each as NAME=KIND, where KIND is real, positive, count, student
            (heavy tails), words, ordinal (numbers in their order; words in the order of ordinal:LOW<MIDDLE<HIGH) or
            ignore; the kind of the other columns is inferred from the data.
        schema: of data that these must match: columns are matched by name, and kind and shape are checked.
        progress: called as `progress(what, bytes_done, bytes_in_all_or_None)` while fetching.

    Raises:
        InputError: an unknown name, or data that are missing, damaged or of a kind nelbo cannot use.
    """
    how = choice("binarization", binarize or "none", BINARIZATIONS)
    if stream and how in ("static", "threshold"):
        raise InputError("A streamed file cannot be binarized on the host: use dynamic, or load it without stream.")
    cuts = Cuts(split_seed, valid_fraction, test_fraction)
    name, entries = str(name_or_path), catalogue()
    options = TableOptions(header, tuple(columns), tuple(ignore), target, targets, words, kinds_asked(column))
    try:
        whole: dict[str, Callable[[], Data]] = {
            **{one: lambda: load_documents(name, data_dir=data_dir, seed=split_seed) for one in CORPORA},
            **{one: lambda: load_made(name, data_dir=data_dir, progress=progress) for one in MADE},
            **{one: found.load for one, found in added_sets().items()},
        }
        if name in whole:
            if stream or cuts.asked:
                raise InputError(f"{name} has its own splits and cannot be streamed: leave these options out.")
            data = whole[name]()
        elif name in entries:
            if stream:
                raise InputError(f"Only a .npy file can be streamed: load {name} without stream.")
            data = load_named(entries[name], data_dir=data_dir, cuts=cuts, progress=progress)
        else:
            data = load_path(_path(name_or_path), cuts=cuts, options=options, like=schema, stream=stream)
    except OSError as error:  # a folder that may not be entered, a name that is too long
        raise os_error("read", name, error) from error
    return binarize_data(_fewer(data, train_rows, split_seed), how, binarize_seed)


def _fewer(data: Data, count: int | None, seed: int) -> Data:
    """The data with so many training rows, in their order."""
    if count is None:
        return data
    train = data.split("train")
    if isinstance(train.x, np.memmap):
        raise InputError("Rows of a streamed file are not counted off: leave stream or train_rows out.")
    if not 1 <= count <= len(train):
        raise InputError(f"train_rows must be between 1 and the {len(train)} training rows there are, got {count}.")
    places = np.sort(np.random.default_rng(seed).permutation(len(train))[:count])
    return dataclasses.replace(data, splits={**data.splits, "train": train.rows(places)})


def load_rows(
    path: str | Path,
    schema: Schema | None = None,
    *,
    binarize: str | None = None,
    binarize_seed: int = 0,
    header: bool | None = None,
    columns: Sequence[str] = (),
    ignore: Sequence[str] = (),
    target: str | None = None,
    targets: Targets | None = None,
    words: bool = False,
    column: Sequence[str] = (),
) -> Data:
    """Load all rows of a file or folder, in their order, as one split "rows".

    A file that brings splits of its own keeps them, and nothing is cut off: name one with `Data.split`.

    Args:
        path: of the user's file or folder.
        schema: of the data that a model was fitted to: columns are matched by name, shape and kind are checked.
        binarize: as for `load`; rows of zeros and ones stay as they are.
        binarize_seed: as for `load`.
        header: as for `load`.
        columns: as for `load`, without a schema.
        ignore: as for `load`, without a schema.
        target: as for `load`, without a schema.
        targets: as for `load`; rows without a target are kept.
        words: as for `load`, without a schema.
        column: as for `load`, without a schema.

    Raises:
        InputError: no such file, or one that is damaged or not like `schema`.
    """
    how = choice("binarization", binarize or "none", BINARIZATIONS)
    options = TableOptions(header, tuple(columns), tuple(ignore), target, targets, words, kinds_asked(column))
    try:
        data = load_whole(_path(path), options=options, like=schema)
    except OSError as error:
        raise os_error("read", path, error) from error
    return binarize_data(data, how, binarize_seed)


def load_frame(
    frame: Any,
    schema: Schema | None = None,
    *,
    where: str = "this table",
    columns: Sequence[str] = (),
    ignore: Sequence[str] = (),
    words: bool = True,
    column: Sequence[str] = (),
    cuts: Cuts | None = None,
) -> Data:
    """A pandas data frame as data, by the rules for a file.

    Args:
        frame: any columns.
        schema: of data that these must be like: columns are matched by name.
        where: what to call it in messages.
        columns: the names of the columns to model; () models all that can be.
        ignore: the names of columns to set aside.
        words: model columns of words too.
        column: as for `load`.
        cuts: of the rows into splits; None keeps all in one split "rows".

    Raises:
        InputError: no column to model, values that no model could use, or data that are not like `schema`.
    """
    options = TableOptions(None, tuple(columns), tuple(ignore), words=words, kinds=kinds_asked(column))
    return frame_rows(frame, where=where, options=options, like=schema, cuts=cuts)


def load_array(
    x: np.ndarray,
    schema: Schema | None = None,
    *,
    where: str = "this array",
    real: bool = False,
    cuts: Cuts | None = None,
) -> Data:
    """An array in memory as data, by the rules for a file: NaN is missing.

    Args:
        x: `(n, *shape)` numbers.
        schema: of data that these must be like.
        where: what to call it in messages.
        real: take all numbers for real ones, whatever they are.
        cuts: of the rows into splits; None keeps all in one split "rows".

    Raises:
        InputError: values that no model could use, or data that are not like `schema`.
    """
    return array_rows(x, where=where, like=schema, cuts=cuts, real=real)


def _path(name_or_path: str | Path) -> Path:
    name = str(name_or_path)
    if not ("/" in name or "\\" in name or Path(name).suffix in SUFFIXES or (name != "" and Path(name).exists())):
        choice("data set", name, names())
    return Path(name_or_path).expanduser()
