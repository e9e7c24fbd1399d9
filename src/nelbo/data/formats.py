"""Array files read with suspicion: IDX, .npy, .npz, MATLAB, and one old pickle of arrays. None of them may run code."""

import gzip
import math
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.core import InputError, os_error

MAX_BYTES = 2**34
_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_DAMAGE = (ValueError, EOFError, KeyError, MemoryError, OverflowError, zipfile.BadZipFile, zlib.error, struct.error)


def damaged(path: Path | str, expected: str, error: BaseException | str) -> InputError:
    """The sentence for a file that is not what its name says."""
    detail = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(f"{path} is damaged or is no {expected} ({detail}): get another copy.")


def unreadable(path: Path | str, expected: str, error: Exception) -> InputError:
    """The sentence for a failed read: the system's reason where it gave one (an `errno`), else "damaged"."""
    if isinstance(error, OSError) and error.errno is not None:
        return os_error("read", path, error)
    return damaged(path, expected, error)


def read_idx(path: Path | str) -> np.ndarray:
    """Read an IDX file (LeCun's format for MNIST), plain or gzipped.

    Raises:
        InputError: unreadable, wrong magic or type, or fewer or more bytes than the header promises.
    """
    path = Path(path)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            return parse_idx(stream.read(MAX_BYTES), path)
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(path, "gzip file", error) from error


def parse_idx(raw: bytes, path: Path | str) -> np.ndarray:
    """The array in the bytes of an IDX file; `path` is for messages."""
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in _IDX_TYPES:
        raise damaged(path, "IDX file", "its first bytes are not 0 0 TYPE DIMENSIONS")
    ndim, start = raw[3], 4 + 4 * raw[3]
    if len(raw) < start:
        raise damaged(path, "IDX file", f"it ends inside its header of {start} bytes")
    shape = struct.unpack(f">{ndim}I", raw[4:start])
    dtype = np.dtype(_IDX_TYPES[raw[2]])
    expected = math.prod(shape) * dtype.itemsize
    if len(raw) - start != expected:
        raise damaged(
            path, "IDX file", f"its header promises {expected} bytes for shape {shape}, it holds {len(raw) - start}"
        )
    return np.frombuffer(raw, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def read_npy(path: Path | str, *, mmap: bool = False) -> np.ndarray:
    """Read one array from a `.npy` file; with `mmap` it stays on disk.

    Raises:
        InputError: missing, damaged, or an array of Python objects.
    """
    path, expected = Path(path), "NumPy .npy file"
    try:
        if mmap:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            with path.open("rb") as stream:
                array = np.load(stream, allow_pickle=False)
    except (*_DAMAGE, OSError) as error:
        raise _refused(path, expected, error) from error
    if not isinstance(array, np.ndarray):
        raise damaged(path, expected, "it is an archive of arrays; call it .npz")
    return array


def read_npz(path: Path | str) -> dict[str, np.ndarray]:
    """Read all arrays of a `.npz` file.

    Raises:
        InputError: missing, damaged, or with an array of Python objects.
    """
    path, expected = Path(path), "NumPy .npz file"
    try:
        with path.open("rb") as stream:  # np.load leaves a damaged archive open
            archive = np.load(stream, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise damaged(path, expected, "it is a single array; call it .npy")
            with archive:
                return {name: archive[name] for name in archive.files}
    except InputError:
        raise
    except (*_DAMAGE, OSError) as error:
        raise _refused(path, expected, error) from error


def _refused(path: Path, expected: str, error: Exception) -> InputError:
    text = str(error)
    if "Object arrays" in text:
        return InputError(
            f"{path} holds an array of Python objects, which nelbo does not load (they can run code): save numbers "
            "of one type and rows of one length."
        )
    if "pickle" in text:  # NumPy takes what has no header for a pickle
        return damaged(path, expected, "not the header of an array")
    return unreadable(path, expected, error)


def read_mat(path: Path | str) -> dict[str, np.ndarray]:
    """Read the arrays of a MATLAB file (version 4 to 7.2).

    Raises:
        InputError: missing, damaged, or version 7.3.
    """
    import scipy.io

    try:
        contents = scipy.io.loadmat(str(path))
    except (*_DAMAGE, OSError, TypeError, NotImplementedError, IndexError, scipy.io.matlab.MatReadError) as error:
        raise unreadable(path, "MATLAB file", error) from error
    return {name: value for name, value in contents.items() if isinstance(value, np.ndarray)}


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that knows three names, all of them NumPy's, and imports nothing."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        reconstruct = np.empty(0).__reduce__()[0]
        known = {
            "numpy.core.multiarray._reconstruct": reconstruct,
            "numpy._core.multiarray._reconstruct": reconstruct,
            "numpy.ndarray": np.ndarray,
            "numpy.dtype": np.dtype,
        }
        name = f"{module_name}.{global_name}"
        if name not in known:
            raise pickle.UnpicklingError(f"it asks for {name}, which is no part of an array")
        return known[name]


def read_array_pickle(stream: Any, path: Path | str) -> Any:
    """Read a pickle that consists of NumPy arrays of numbers in tuples and lists, and nothing else.

    For one old file (the MNIST pickle of the Theano tutorials); whoever calls this has checked its digest.

    Args:
        stream: an open binary file.
        path: for messages.

    Raises:
        InputError: the pickle names anything but array parts, or is damaged.
    """
    try:
        value = _ArraysOnly(stream, encoding="latin1").load()
        _only_numbers(value)
    except (pickle.UnpicklingError, *_DAMAGE, TypeError, AttributeError, IndexError, OSError) as error:
        raise InputError(f"{path} is no pickle of plain arrays ({error}); nothing in it was run.") from error
    return value


def _only_numbers(value: Any) -> None:
    if isinstance(value, (tuple, list)):
        for part in value:
            _only_numbers(part)
    elif not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
        raise pickle.UnpicklingError(f"it holds a {type(value).__name__} that is no array of numbers")
