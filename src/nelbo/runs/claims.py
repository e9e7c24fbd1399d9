"""Claiming a run folder: one process writes at a time, and a run that is replaced stays until the new one is done."""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.core import InputError, os_error, remove_leftovers, write_arrays, write_json
from nelbo.runs.folder import (
    ARRAYS,
    CHECKPOINTS,
    CONFIG,
    FILLED,
    HISTORY,
    MODEL,
    POSTERIOR,
    RECORD,
    ROW_DIGESTS,
    ROWS,
    read_experiment,
)
from nelbo.runs.inputs import located
from nelbo.runs.locks import is_locked, release, try_lock
from nelbo.runs.settings import Experiment

LOCK, REPLACED = ".lock", ".replaced"
# everything of a run but its configuration, which is moved last
PARTS = (RECORD, MODEL, POSTERIOR, HISTORY, ARRAYS, ROWS, CHECKPOINTS, "figures", "report.html", "samples.png",
         "samples.npy", "reconstructions.png", "reconstructions.npy", "embedding.npy", "variance.json", "imputed.npz",
         "imputation.png", FILLED)  # fmt: skip


class FolderClaim:
    """A run folder that only this process writes to, from `hold` or `begin` to `release`.

    A run that is replaced is moved into a folder `.replaced` inside, and removed when the new run is finished. If the
    new run cannot begin, the old one is moved back; if the new run is interrupted, both are kept.

    Args:
        folder: of the run; it need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._handle = folder, None

    def hold(self) -> None:
        """Lock an existing folder, and repair what a process left that was killed.

        Raises:
            InputError: another process writes in it.
        """
        if self._handle is None:
            self._handle = try_lock(self.folder / LOCK)
            if self._handle is None:
                raise _busy(self.folder)
        self._mend()
        for place in (self.folder, self.folder / CHECKPOINTS, self.folder / "figures"):
            remove_leftovers(place)

    def recover(self) -> None:
        """Repair what a process left, if any, that was killed while it replaced a run."""
        if (self.folder / REPLACED).exists() and not is_locked(self.folder / LOCK):
            self.hold()
            self.release()

    def _mend(self) -> None:
        aside = self.folder / REPLACED
        if aside.exists() and not ((aside / CONFIG).exists() and (self.folder / CONFIG).exists()):
            self._move_back()

    def begin(self, config: dict[str, Any], digests: Mapping[str, np.ndarray], *, overwrite: bool) -> None:
        """Claim the folder for a new run: move an existing run aside and write the configuration.

        The old configuration is moved last, so that a process that is killed on the way leaves the old run's settings
        and never a mixture.

        Args:
            config: for `config.json`.
            digests: `row_digests` of each split of the user's own data; empty for named sets.
            overwrite: an existing run may be replaced.

        Raises:
            InputError: another process has taken the folder meanwhile, the disk is full, or it cannot be written.
        """
        new = not self.folder.exists()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.hold()
            # what was seen before the data were read may have changed since
            check_folder(self.folder, resume=False, overwrite=overwrite, held=True)
            self._move_aside()
            try:
                if digests:
                    write_arrays(self.folder / ROWS, digests, {"kind": ROW_DIGESTS})
                write_json(self.folder / CONFIG, config)
            except InputError:
                (self.folder / ROWS).unlink(missing_ok=True)
                self._move_back()
                raise
        except OSError as error:
            raise os_error("begin a run in", self.folder, error) from error
        except InputError:
            self.release()
            if new:
                with contextlib.suppress(OSError):
                    self.folder.rmdir()
            raise

    def settle(self) -> None:
        """Remove the run that was replaced, now that the new one is finished."""
        with contextlib.suppress(OSError):
            _discard(self.folder / REPLACED)

    def release(self) -> None:
        """Let other processes write."""
        release(self.folder / LOCK, self._handle)
        self._handle = None

    def _move_aside(self) -> None:
        aside = self.folder / REPLACED
        if aside.exists() and (self.folder / RECORD).exists() and (self.folder / MODEL).exists():
            self.settle()
        if aside.exists():  # a finished run is kept there already, and what is here was broken off
            for part in (*PARTS, CONFIG):
                _discard(self.folder / part)
            return
        try:
            for part in (*PARTS, CONFIG):
                if _is_there(self.folder / part):
                    aside.mkdir(exist_ok=True)
                    (self.folder / part).rename(aside / part)  # a link is moved as a link
        except OSError:
            self._move_back()
            raise

    def _move_back(self) -> None:
        aside = self.folder / REPLACED
        if aside.exists():
            for path in sorted(aside.iterdir()):
                path.rename(self.folder / path.name)
            aside.rmdir()


def _busy(folder: Path) -> InputError:
    return InputError(f"Another process is writing a run in {folder}: wait until it ends, or give another folder.")


def _is_there(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _discard(path: Path) -> None:
    """Remove a file, a folder, or a link but not its target."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def check_folder(folder: Path, *, resume: bool, overwrite: bool, held: bool = False) -> None:
    """Check that a run may begin or continue in a folder; nothing is changed.

    Args:
        folder: the run's.
        resume: continue the run that is in it.
        overwrite: replace the run that is in it.
        held: whether this process has the lock.

    Raises:
        InputError: the folder holds a run, files that are no run, or nothing to resume; another process writes in it.
    """
    if resume and overwrite:
        raise InputError("A run is either resumed or overwritten, not both: leave one of the two out.")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: give a folder for the run.")
    if not held and is_locked(folder / LOCK):
        raise _busy(folder)
    taken = (folder / CONFIG).exists()
    if resume and not taken:
        raise InputError(f"There is nothing to resume in {folder}: it has no {CONFIG}; start without resuming.")
    if not resume and not taken and (stray := next((part for part in PARTS if (folder / part).exists()), None)):
        raise InputError(f"{folder} holds {stray} but no {CONFIG}, so it is no run of nelbo: give another folder.")
    if taken and not resume and not overwrite:
        raise InputError(f"{folder} already holds a run: use --resume to go on, --overwrite to replace it, or --out.")
    if taken and overwrite:
        read_experiment(folder)  # a config.json of something else protects its folder


def resumed(folder: Path | str, given: Mapping[str, Any]) -> Experiment:
    """The settings of the run in a folder, to continue it.

    Args:
        folder: the run's.
        given: settings that the user gave again, in the form of `Experiment.record`; they must agree with the run's.

    Raises:
        InputError: no run, or one with other settings (the message names one).
    """
    folder = Path(folder)
    # the process that continues the run holds the folder already, so no other one can
    check_folder(folder, resume=True, overwrite=False, held=True)
    own = read_experiment(folder)
    asked = dict(given) | ({"data": located(given["data"])} if "data" in given else {})
    for (name, want), (_, have) in zip(_leaves(asked, asked), _leaves(asked, own.record()), strict=True):
        if want is not None and want != have:
            raise InputError(
                f"{name} is {want} here but {have} in the run of {folder}: a run is not resumed with other "
                "settings; leave the option out, or start another run."
            )
    return own


def _leaves(like: Mapping[str, Any], record: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of a record at the places where `like` has leaves; None where it has no such place."""
    for key, value in like.items():
        found = record.get(key) if isinstance(record, Mapping) else None
        if isinstance(value, Mapping):
            yield from _leaves(value, found, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", list(found) if isinstance(found, tuple) else found
