"""`nelbo evaluate` of image codecs on a folder of pictures: real bytes, and how near the decoded pictures are."""

import argparse
import csv
import io
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.cli.output import Line, note, print_json
from nelbo.cli.pictures import told_wrong
from nelbo.codecs import MOST_STEP, QUALITY, STEP, PictureCodec, compress_picture, decompress_picture, picture_codec
from nelbo.core import InputError, atomic_write
from nelbo.data import picture_files, read_picture
from nelbo.evaluation import ms_ssim, psnr
from nelbo.models import family
from nelbo.report import text_table
from nelbo.runs import MODEL, Run

_USUAL = (20.0, 35.0, float(QUALITY))
_ODD = ("bound", "samples", "temperatures", "start", "precision", "split", "refine", "horizon")
_MEANS = ("bits_per_pixel", "psnr", "ms_ssim", "compress_seconds", "decompress_seconds")


def is_of_pictures(run: Run) -> bool:
    """Whether a run's model codes pictures."""
    return family(run.experiment.model["name"]).examples == "pictures"


def _qualities(options: argparse.Namespace, run: Run) -> list[float]:
    """Those that were asked for; else that of the run's one step, or three."""
    if options.quality is not None:
        return options.quality
    weight = run.experiment.data.get("rate_weight")
    if weight is None:
        return list(_USUAL)
    log_step = math.log2(255.0 * math.sqrt(6.0 * weight)) * (1 << STEP)
    return [float(np.clip(round(100 * (1 - log_step / MOST_STEP), 1), 0, 100))]


def evaluate_pictures(options: argparse.Namespace, run: Run) -> None:
    """Code every picture of a folder, and print means over pictures.

    Raises:
        InputError: options that are about bounds; a picture that cannot be coded, once all others have been.
    """
    for name in _ODD:
        if vars(options)[name] is not None:
            raise InputError(f"--{name} is about bounds, and pictures are scored in bytes and decibels: leave it out.")
    path = None if options.output is None else Path(options.output)
    if path is not None and path.suffix != ".csv":
        raise InputError(f"Cannot write {path}: a row for each picture goes to a file that ends in .csv.")
    place = Path(options.data)
    files = picture_files(place) if place.is_dir() else [place]
    files = files if options.limit is None else files[: options.limit]
    codec, line = picture_codec(run.folder / MODEL), Line()
    rows: list[dict[str, Any]] = []
    wrong: list[tuple[Path, str]] = []
    for done, file in enumerate(files, 1):
        try:
            pixels = read_picture(file)
        except InputError as error:
            wrong.append((file, str(error)))
            continue
        rows += [_scored(file, pixels, quality, codec) for quality in _qualities(options, run)]
        if not options.quiet:
            line.show(f"{done} of {len(files)} pictures", done=done == len(files))
    if rows:
        _tell(options, rows, path)
    if wrong:
        raise InputError(told_wrong(wrong, len(files), "scored"))


def _scored(file: Path, pixels: np.ndarray, quality: float, codec: PictureCodec) -> dict[str, Any]:
    begun = time.perf_counter()
    data = compress_picture(pixels, quality=quality, codec=codec)
    middle = time.perf_counter()
    back = decompress_picture(data, codec)
    ended = time.perf_counter()
    return {
        "picture": str(file),
        "quality": quality,
        "bytes": len(data),
        "bits_per_pixel": 8 * len(data) / (pixels.shape[0] * pixels.shape[1]),
        "psnr": psnr(pixels, back),
        "ms_ssim": ms_ssim(pixels, back),
        "compress_seconds": middle - begun,
        "decompress_seconds": ended - middle,
    }


def _tell(options: argparse.Namespace, rows: list[dict[str, Any]], path: Path | None) -> None:
    if path is not None:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        with atomic_write(path) as stream:
            stream.write(text.getvalue().encode())
        note(options, f"Wrote {path}: {len(rows)} rows")
    means = []
    for quality in dict.fromkeys(row["quality"] for row in rows):
        own = [row for row in rows if row["quality"] == quality]
        mean = {name: _mean([row[name] for row in own]) for name in _MEANS}
        means.append({"quality": quality, "pictures": len(own), **mean})
    if options.json:
        print_json({"means": means, "pictures": rows})
        return
    digits = {"bits_per_pixel": ".4f", "psnr": ".2f", "ms_ssim": ".4f"}
    shown = [
        {
            name.replace("_", " "): f"{value:{digits.get(name, '.3g')}}"
            for name, value in row.items()
            if value is not None
        }
        for row in means
    ]
    print(text_table(shown), end="")
    note(options, "Means over pictures. Bits are those of whole files, PSNR is over all channels [dB], seconds are without start-up.")  # fmt: skip  # noqa: E501


def _mean(values: list[float | None]) -> float | None:
    """The mean, or None where some picture has none (MS-SSIM of small ones)."""
    return None if any(value is None for value in values) else float(np.mean(np.array(values, float)))
