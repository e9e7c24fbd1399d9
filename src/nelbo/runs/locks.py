"""Locks between processes: one writer at a time. The system drops a lock when its process ends, however it ends."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from nelbo.core import os_error

try:
    import fcntl
except ImportError:  # Windows has no such locks: there, two writers are not kept apart
    fcntl = None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of this name, and wait until it is free.

    Args:
        path: of the file that stands for the lock, made and removed here; its folder must be there.

    Raises:
        InputError: the file cannot be written.
    """
    handle = _taken(path, wait=True)
    try:
        yield
    finally:
        release(path, handle)


def try_lock(path: Path) -> int | None:
    """Take a lock, to be given to `release`; None where another process, or another part of this one, has it.

    Raises:
        InputError: the file cannot be written.
    """
    return _taken(path, wait=False)


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock now; leaves no file that was not there."""
    if not path.exists():
        return False
    handle = try_lock(path)
    if handle is None:
        return True
    release(path, handle)
    return False


def release(path: Path, handle: int | None) -> None:
    """Give a lock back."""
    if handle is not None:
        # removed while it is held: who waits for it sees that it is gone, and makes another
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        os.close(handle)


def _taken(path: Path, *, wait: bool) -> int | None:
    try:
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            if fcntl is None:
                return handle
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                os.close(handle)
                return None
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), path.stat()):
                    return handle
            os.close(handle)  # its last holder removed the file between the two calls
    except OSError as error:
        raise os_error("lock", path, error) from error
