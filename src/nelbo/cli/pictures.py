"""Pictures on the command line: `compress` and `decompress` of photographs."""

import argparse
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.cli.other_formats import LARGE, few_colours, shorter_format
from nelbo.cli.output import note, print_json
from nelbo.codecs import QUALITY, PictureCodec, compress_picture, decompress_picture, picture_codec, step_of
from nelbo.core import InputError, atomic_write, os_error
from nelbo.data import LOSING, kind_of_name, read_picture, write_picture


def _codec(model: str | None) -> PictureCodec:
    """The codec that was asked for: of a run folder, of a model's file, or the one that comes with nelbo."""
    if model is None:
        return picture_codec()
    path = Path(model)
    return picture_codec(path / "model.safetensors" if path.is_dir() else path)


def compress_pictures(options: argparse.Namespace, files: Sequence[Path]) -> None:
    """Code one picture into the file that was named, or every one of a folder beside it or into a folder.

    Raises:
        InputError: a picture cannot be coded; of a folder's, all others have been.
    """
    if options.refine < 0:
        raise InputError(f"refine is a number of steps, zero or more, got {options.refine}.")
    if options.gaps and not options.refine:
        raise InputError("--gaps are found by refinement: give --refine N, say 300.")
    quality = QUALITY if options.quality is None else options.quality
    step_of(quality)  # refuses numbers out of range
    folder = Path(options.run)
    targets = _targets(options.output, files, folder) if folder.is_dir() else [_target(options.output, files[0])]
    codec, rows, wrong = _codec(options.codec), [], []
    for path, target in zip(files, targets, strict=True):
        try:
            rows.append(_compressed(path, target, quality, options, codec))
        except (InputError, MemoryError) as error:
            if len(files) == 1:
                raise
            told = str(error) if isinstance(error, InputError) else f"{path} needs more memory than there is."
            wrong.append((path, told))
            continue
        row = rows[-1]
        note(options, f"Wrote {row['file']}: {row['width']} x {row['height']} in {row['bytes']} bytes, "
             f"{row['bits_per_pixel']:.3f} bits per pixel, {row['seconds']:.1f} s")  # fmt: skip
        if "shorter_format" in row:
            other = row["shorter_format"]
            about = "about " if row["width"] * row["height"] > LARGE else ""
            note(options, f"{other['name']} takes {about}{other['bytes']} bytes for this picture without loss: it is "
                 "the better choice here (docs/codecs.md).")  # fmt: skip
        if "gaps" in row and not options.json:
            print("gaps in bits per pixel, at equal exchange of rate and distortion: "
                  + ", ".join(f"{name} {value:.4f}" for name, value in row["gaps"].items()))  # fmt: skip
    if options.json:
        print_json(rows[0] if len(files) == 1 else rows)
    if wrong:
        raise InputError(told_wrong(wrong, len(files), "compressed"))


def told_wrong(wrong: Sequence[tuple[Path, str]], total: int, done: str) -> str:
    """One sentence about pictures that could not be read: all their names, and what is wrong with the first.

    Args:
        wrong: path and sentence of each.
        total: of all pictures.
        done: what was done with the others.
    """
    (_, first), *others = wrong
    if total == 1:
        return first
    names = "".join(f", {path}" for path, _ in others)
    also = f" So it is with{names[1:]}, each for its own reason." if others else ""
    if len(wrong) == total:
        return f"None of {total} pictures could be {done}: {first}{also}"
    return f"{len(wrong)} of {total} pictures could not be {done}, all others were: {first}{also}"


def _target(output: str | None, path: Path) -> Path:
    """Where the file of one picture goes.

    Raises:
        InputError: a name of another end.
    """
    if output is None:
        return path.with_suffix(".nlb")
    found = Path(output)
    if found.is_dir():
        return found / f"{path.stem}.nlb"
    if found.suffix != ".nlb":
        raise InputError(f"Cannot write {output}: give the name of a file that ends in .nlb.")
    return found


def _targets(output: str | None, files: Sequence[Path], folder: Path) -> list[Path]:
    """Where the files of a folder's pictures go, each to its own place: as they lie in the folder.

    Raises:
        InputError: the name of a file.
    """
    place = folder if output is None else Path(output)
    if not place.is_dir() and (place.exists() or place.suffix == ".nlb"):
        raise InputError(f"Cannot write into {output}: {folder} is a folder of pictures, so give the name of a folder.")
    names = [path.relative_to(folder) for path in files]
    found = [place / name.with_suffix(".nlb") for name in names]
    # of a.jpg and a.png
    return found if len(set(found)) == len(found) else [place / f"{name}.nlb" for name in names]


def _compressed(
    path: Path, target: Path, quality: float | int, options: argparse.Namespace, codec: PictureCodec
) -> dict[str, Any]:
    begun = time.perf_counter()
    pixels = read_picture(path, exact=options.lossless)
    data = compress_picture(pixels, quality=quality, codec=codec, refine=options.refine, lossless=options.lossless)
    with atomic_write(target) as file:
        file.write(data)
    height, width, channels = pixels.shape
    row: dict[str, Any] = {"file": str(target), "width": width, "height": height, "channels": channels,
                           "quality": None if options.lossless else quality, "lossless": options.lossless,
                           "bytes": len(data), "bits_per_pixel": 8 * len(data) / (height * width),
                           "seconds": time.perf_counter() - begun}  # fmt: skip
    other = _shorter(path, pixels, len(data), lossless=options.lossless)
    if other is not None:
        row["shorter_format"] = dict(zip(("name", "bytes"), other, strict=True))
    if options.gaps:
        found = dataclasses.asdict(codec.gaps(pixels, quality, options.refine))
        row["gaps"] = {name: value / (height * width) for name, value in found.items()}
    return row


def _shorter(path: Path, pixels: np.ndarray, size: int, *, lossless: bool) -> tuple[str, int] | None:
    """Another format that keeps every pixel in fewer bytes than a file, and these bytes, or None.

    With loss this is asked of drawings alone, pictures of few colours; of photographs it is never so.
    """
    if not lossless:
        return shorter_format(pixels[None], size) if few_colours(pixels) else None
    own = path.stat().st_size
    if own < size:
        return path.name, own
    return shorter_format(pixels[None], size)


def decompress_file(options: argparse.Namespace) -> None:
    """Write the picture of a `.nlb` file.

    Raises:
        InputError: a damaged file, another model's, or a name of no picture.
    """
    if options.context is not None:
        raise InputError(f"{options.file} holds a picture, which has no context: leave --context out.")
    target = Path(options.output)
    kind = kind_of_name(target)
    try:
        data = Path(options.file).read_bytes()
    except OSError as error:
        raise os_error("read", options.file, error) from error
    pixels = decompress_picture(data, _codec(options.run))
    write_picture(target, pixels)
    height, width, channels = pixels.shape
    if options.json:
        print_json({"file": options.output, "width": width, "height": height, "channels": channels})
    else:
        note(options, f"Wrote {options.output}: {width} x {height}")
    if kind in LOSING:
        note(options, f"{kind} changes pixels once more: a name such as photo.png keeps them as they were decoded.")
