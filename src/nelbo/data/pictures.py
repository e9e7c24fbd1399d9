"""A folder of pictures of one size as examples."""

from pathlib import Path
from typing import Any

import numpy as np

from nelbo.core import InputError, os_error
from nelbo.data.dataset import Split
from nelbo.data.formats import unreadable
from nelbo.data.tables import require

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
_GREY, _COLOUR = ("1", "L", "LA"), ("RGB", "RGBA", "P", "CMYK", "YCbCr", "PA", "La", "RGBa")
_SPLIT_NAMES = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}


def read_pictures(folder: Path) -> tuple[dict[str, Split], tuple[str, ...] | None]:
    """Read png, jpg and bmp files, in the order of their names, as uint8 `(n, height, width, channels)`.

    Subfolders are classes, numbered in the order of their names; if they are called train, valid and test they are
    splits (and may hold class folders). All grey gives one channel, else all become RGB; transparency is dropped.

    Returns:
        The splits found ("train" alone where there is one set), and the names of the classes.

    Raises:
        InputError: no pictures, a file that is none, or one of another size than the first.
    """
    inner = [path for path in _entries(folder) if path.is_dir()]
    names = {_SPLIT_NAMES.get(path.name.lower()): path for path in inner}
    if "train" in names and None not in names:
        parts = {name: _labelled(path) for name, path in names.items() if name is not None}
    else:
        parts = {"train": _labelled(folder)}
    classes = sorted({label for part in parts.values() for _, label in part if label is not None})
    files = [path for part in parts.values() for path, _ in part]
    if not files:
        raise InputError(f"{folder} holds no pictures; files ending in {', '.join(SUFFIXES)} were expected.")
    pixels = _stack(files)
    splits, start = {}, 0
    for name, part in parts.items():
        labels = [classes.index(label) for _, label in part if label is not None]
        x = pixels[start : start + len(part)]
        splits[name] = Split(x, np.asarray(labels, np.int64) if classes else None)
        start += len(part)
    return splits, tuple(classes) or None


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise os_error("read", folder, error) from error


def _pictures_in(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_file() and path.suffix.lower() in SUFFIXES]


def _labelled(folder: Path) -> list[tuple[Path, str | None]]:
    """The pictures of a folder, each with its class where subfolders give one."""
    here: list[tuple[Path, str | None]] = [(path, None) for path in _pictures_in(folder)]
    below: list[tuple[Path, str | None]] = [
        (path, part.name) for part in _entries(folder) if part.is_dir() for path in _pictures_in(part)
    ]
    if here and below:
        raise InputError(
            f"{folder} holds pictures ({here[0][0].name}) beside subfolders of pictures ({below[0][1]}): keep either "
            "pictures or one subfolder a class."
        )
    return here or below


def _stack(files: list[Path]) -> np.ndarray:
    pillow = require("PIL.Image", "Reading pictures")
    read = [_read(pillow, path) for path in files]
    for path, pixels in zip(files, read, strict=True):
        if pixels.shape[:2] != read[0].shape[:2]:
            (height, width), (first_height, first_width) = pixels.shape[:2], read[0].shape[:2]
            raise InputError(
                f"{path} is {width} x {height} pixels, but {files[0].name} is {first_width} x {first_height}: make all "
                "pictures one size."
            )
    if all(pixels.ndim == 2 for pixels in read):
        return np.stack(read)[..., None]
    return np.stack([np.repeat(p[..., None], 3, axis=2) if p.ndim == 2 else p for p in read])


def _read(pillow: Any, path: Path) -> np.ndarray:
    """Pixels of one picture, `(h, w)` grey or `(h, w, 3)`."""
    try:
        with pillow.open(path) as picture:
            mode = picture.mode
            if mode not in (*_GREY, *_COLOUR):
                raise InputError(f"{path} has pixels of kind {mode}; 8 bits a channel were expected: convert it.")
            return np.asarray(picture.convert("L" if mode in _GREY else "RGB"))
    except InputError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, pillow.DecompressionBombError) as error:
        raise unreadable(path, "picture", error) from error
