"""A folder of pictures of one size as examples."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nelbo.core import InputError, os_error
from nelbo.data.pillow_files import drops_bits, opened, picture_suffixes
from nelbo.data.reading import require
from nelbo.data.splits import Split

_GREY, _COLOUR = ("1", "L", "LA"), ("RGB", "RGBA", "P", "CMYK", "YCbCr", "PA", "La", "RGBa")
_SPLIT_NAMES = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}
_OF_SYSTEMS = ("__macosx", "@eadir", "$recycle.bin", "system volume information")
_SYSTEM_FILES = ("thumbs.db", "desktop.ini")

Labelled = list[tuple[Path, str | None]]


@dataclass(frozen=True)
class Pictures:
    """What a folder of pictures holds.

    Args:
        splits: "train" alone where there is one set.
        label_names: of the classes; None where there are none.
        notes: what was passed over.
    """

    splits: dict[str, Split]
    label_names: tuple[str, ...] | None
    notes: tuple[str, ...]


def read_pictures(folder: Path) -> Pictures:
    """Read all pictures that Pillow reads, by name, upright, as uint8 `(n, height, width, channels)`.

    Subfolders are classes, numbered in the order of their names; if there is a `train` beside `valid` (or `val`) or
    `test` they are splits (and may hold class folders, or not: a test split may lack labels). Folders without pictures,
    and beside splits all others, are passed over. All grey gives one channel, else all become RGB; transparency is
    dropped.

    Raises:
        InputError: no pictures, a file that is none, or one of another size than the first.
    """
    pillow = require("PIL.Image", "Reading pictures")
    suffixes = picture_suffixes(pillow)
    parts, stray = _parts(folder, suffixes)
    notes = []
    own = {label for _, label in parts["train"] if label is not None}
    classes = set(own)
    for name, part in parts.items():
        theirs = {label for _, label in part if label is not None}
        if theirs and own and not theirs & own:  # test/images/0.png
            found = ", ".join(sorted(theirs))
            notes.append(f"{folder}: the subfolders of {name} ({found}) are no classes of train: {name} has no labels.")
            parts[name] = [(path, None) for path, _ in part]
        elif own and not theirs:
            notes.append(f"{folder}: the pictures of {name} have no labels.")
        else:
            classes |= theirs
    numbers = {label: number for number, label in enumerate(sorted(classes))}
    files = [path for part in parts.values() for path, _ in part]
    if not files:
        raise InputError(f"{folder} holds no pictures; files such as .png, .jpg, .tif, .webp or .bmp were expected.")
    pixels = _stack(files)
    splits, start = {}, 0
    for name, part in parts.items():
        labels = [numbers[label] for _, label in part if label is not None]
        x = pixels[start : start + len(part)]
        names = np.array([str(path.relative_to(folder)) for path, _ in part])
        splits[name] = Split(x, np.asarray(labels, np.int64) if labels else None, ids=names)
        start += len(part)
    return Pictures(splits, tuple(numbers) or None, (*_passed_over(folder, stray), *notes))


# what a name ends with for `nelbo compress` to take it for a picture: the usual kinds, without asking Pillow
_USUAL = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".jp2", ".avif")


def picture_names() -> tuple[str, ...]:
    """The ends of the names of pictures, with their dots."""
    return _USUAL


def picture_files(folder: Path) -> list[Path]:
    """All pictures in a folder and the folders inside it, by path.

    Raises:
        InputError: the folder cannot be read, or has none.
    """
    suffixes = picture_suffixes(require("PIL.Image", "Reading pictures"))
    place = folder.resolve()
    found = _all_pictures(folder, suffixes, frozenset((place, *place.parents)))
    if not found:
        raise InputError(f"{folder} holds no pictures; files such as .png, .jpg, .tif, .webp or .bmp were expected.")
    return found


def _all_pictures(folder: Path, suffixes: frozenset[str], above: frozenset[Path]) -> list[Path]:
    """The pictures of a folder, less those of links back to the folders that it lies in, `above`."""
    found: list[Path] = []
    for path in _entries(folder):
        if path.is_dir() and path.name.lower() not in _OF_SYSTEMS:
            place = path.resolve()
            if place not in above:
                found += _all_pictures(path, suffixes, above | {place})
        elif _is_picture(path, suffixes):
            found.append(path)
    return found


def _parts(folder: Path, suffixes: frozenset[str]) -> tuple[dict[str, Labelled], list[Path]]:
    """The pictures of each split, and what was passed over."""
    inner = [path for path in _entries(folder) if path.is_dir()]
    named: dict[str, Path] = {}
    for path in inner:
        split = _SPLIT_NAMES.get(path.name.lower())
        if split is not None and _holds_pictures(path, suffixes):
            if split in named:
                raise InputError(
                    f"{folder} holds {named[split].name} and {path.name}, which mean the same: remove one."
                )
            named[split] = path
    stray: list[Path] = []
    if "train" not in named or len(named) < 2:
        return {"train": _labelled(folder, suffixes, stray)}, stray
    stray += [path for path in _entries(folder) if path not in named.values()]
    return {name: _labelled(path, suffixes, stray) for name, path in named.items()}, stray


def _holds_pictures(folder: Path, suffixes: frozenset[str]) -> bool:
    return any(
        _is_picture(path, suffixes) or (path.is_dir() and any(_is_picture(p, suffixes) for p in _entries(path)))
        for path in _entries(folder)
    )


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, by name, less what systems leave there."""
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise os_error("read", folder, error) from error
    return [path for path in found if path.name.lower() not in _SYSTEM_FILES]


def _is_picture(path: Path, suffixes: frozenset[str]) -> bool:
    return path.is_file() and path.suffix.lower() in suffixes


def _labelled(folder: Path, suffixes: frozenset[str], stray: list[Path]) -> Labelled:
    """The pictures of a folder, each with its class where subfolders give one; adds to `stray` what is neither."""
    here: Labelled = []
    below: Labelled = []
    for path in _entries(folder):
        if _is_picture(path, suffixes):
            here.append((path, None))
            continue
        entries = _entries(path) if path.is_dir() and path.name.lower() not in _OF_SYSTEMS else []
        found: Labelled = [(inner, path.name) for inner in entries if _is_picture(inner, suffixes)]
        below += found
        stray += [inner for inner in entries if not _is_picture(inner, suffixes)] if found else [path]
    if here and below:
        raise InputError(
            f"{folder} holds pictures ({here[0][0].name}) beside subfolders of pictures ({below[0][1]}): keep either "
            "pictures or one subfolder a class."
        )
    return here or below


def _passed_over(folder: Path, stray: list[Path]) -> tuple[str, ...]:
    if not stray:
        return ()
    shown = ", ".join(str(path.relative_to(folder)) for path in stray[:5]) + (", ..." if len(stray) > 5 else "")
    return (f"{folder}: passed over {shown}, which {'is' if len(stray) == 1 else 'are'} no part of the data.",)


def _stack(files: list[Path]) -> np.ndarray:
    read = [_read(path) for path in files]
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


def _read(path: Path) -> np.ndarray:
    """Pixels of one picture, upright, `(h, w)` grey or `(h, w, 3)`."""
    from PIL import ImageOps

    with opened(path) as picture:
        mode = picture.mode
        if mode not in (*_GREY, *_COLOUR):
            raise InputError(f"{path} has pixels of kind {mode}; 8 bits a channel were expected: convert it.")
        if drops_bits(picture):
            raise InputError(f"{path} has 16 bits a channel; 8 were expected: convert it.")
        return np.asarray(ImageOps.exif_transpose(picture).convert("L" if mode in _GREY else "RGB"))
