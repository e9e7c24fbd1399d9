"""Files that are either whole or not there: temporary name, flush, rename; checked before they are used."""

import contextlib
import errno
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import safetensors
import safetensors.numpy

from nelbo.core.errors import InputError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
MAX_JSON_BYTES = 256 * 2**20
_LEFTOVER = re.compile(r"\..+\.[a-z0-9_]{8}\.tmp")  # what `atomic_write` calls its temporary files

_MOST = 40  # characters


def os_error(action: str, path: Path | str, error: OSError) -> InputError:
    """One sentence for a failed read or write."""
    # NumPy's short writes carry no number
    if error.errno in _FULL or re.search(r"\d+ requested and \d+ written", str(error)):
        return InputError(f"Cannot {action} {path}: the disk is full; free some space and run the command again.")
    return InputError(f"Cannot {action} {path}: {error.strerror or error}; check the path and its permissions.")


def check_regular(path: Path | str) -> None:
    """Refuse a pipe or a device, which cannot be read twice; what is not there is for the reader to say.

    Raises:
        InputError: so it is.
    """
    path = Path(path)
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(f"{path} is a pipe or a device: write its bytes into a file first, and give that.")


@contextlib.contextmanager
def atomic_write(path: Path | str, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path`; on success flush, fsync and rename it; on failure remove it.

    A link stays a link: the file that it points to is written.

    Raises:
        InputError: the folder cannot be written or the disk is full; an earlier file at `path` stays untouched.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        place = Path(os.path.realpath(path)) if path.is_symlink() else path
        # a part of the name, because all of it and more may be longer than a name can be
        handle, temporary = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name[:_MOST]}.", suffix=".tmp")
        encoding = None if "b" in mode else "utf-8"
        with os.fdopen(handle, mode, encoding=encoding) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, place)
        temporary = None
    except OSError as error:
        raise os_error("write", path, error) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def remove_leftovers(folder: Path | str) -> None:
    """Remove the temporary files that writers left in a folder when they were killed."""
    with contextlib.suppress(OSError):
        for path in Path(folder).iterdir():
            if _LEFTOVER.fullmatch(path.name):
                path.unlink(missing_ok=True)


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all. NaN and infinity are refused."""
    text = json.dumps(value, indent=2, allow_nan=False)  # before the file is touched
    with atomic_write(path, "w") as stream:
        stream.write(text + "\n")


def read_json(path: Path | str) -> Any:
    """Read a JSON file.

    Raises:
        InputError: the file is missing, unreadable, too large or not JSON.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise InputError(f"{path} is larger than {MAX_JSON_BYTES} bytes: this is no record that nelbo wrote.")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise os_error("read", path, error) from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON ({error}): restore it or make it again.") from error


def _digest(arrays: Mapping[str, np.ndarray], header: str) -> str:
    """SHA-256 of the header and of every array's name, type, shape and bytes."""
    digest = hashlib.sha256(header.encode())
    for name in sorted(arrays):
        value = arrays[name]
        digest.update(f"{name}|{value.dtype.str}|{value.shape}|".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def write_arrays(path: Path | str, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
    """Write named arrays and JSON metadata as one `.safetensors` file, whole or not at all."""
    # ascontiguousarray would give a scalar one dimension
    tensors = {name: np.array(value, order="C") for name, value in arrays.items()}
    header = json.dumps(metadata, allow_nan=False)
    data = safetensors.numpy.save(tensors, metadata={"nelbo": header, "sha256": _digest(tensors, header)})
    with atomic_write(path) as stream:
        stream.write(_ordered(data))


def _ordered(data: bytes) -> bytes:
    """A safetensors file with its metadata in order: the library's own order differs from process to process."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(size)
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def read_arrays(path: Path | str, kind: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `write_arrays` wrote. No code from the file is run.

    Args:
        path: the file.
        kind: what it should be, for messages ("model", "checkpoint").

    Raises:
        InputError: missing, unreadable, truncated, or not written by nelbo.
    """
    path = Path(path)
    try:
        with path.open("rb"):
            pass
        with safetensors.safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except OSError as error:
        raise os_error("read", path, error) from error
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged or is no {kind} of nelbo ({error}): use another copy.") from error
    if "nelbo" not in metadata:
        raise InputError(f"{path} is a safetensors file but no {kind} of nelbo: its header has no 'nelbo' entry.")
    if metadata.get("sha256") != _digest(arrays, metadata["nelbo"]):
        raise InputError(f"{path} is damaged: its contents do not match its checksum; use another copy.")
    try:
        return arrays, json.loads(metadata["nelbo"])
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is damaged: its header is not valid JSON; use another copy.") from error
