"""Pictures that pages about codecs are measured on, and rate and distortion of whole files."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.codecs import compress_picture, decompress_picture
from nelbo.core import InputError
from nelbo.data import picture_files, read_photo
from nelbo.evaluation import bd_rate, ms_ssim, psnr

NELBO, JPEG = "nelbo", "JPEG"
ROUNDED, CHOSEN, REFINED = "rounded", "chosen", "refined"
KODAK = "kodak"
_JPEG = (8, 15, 25, 40, 60, 75, 85)
_OWN = (9, 18, 27, 36, 45)
Rows = list[dict[str, Any]]


def pictures(budget: str, data_dir: str | None, *, side: int | None = None) -> list[np.ndarray]:
    """The Kodak pictures, or with the smoke budget one that is made here.

    Args:
        budget: of the page.
        data_dir: a folder that holds `kodak/`.
        side: only crops of so many pixels from the middle.

    Raises:
        InputError: there are none.
    """
    if budget == "smoke":
        rows, columns = np.mgrid[:64, :64]
        waves = 128 + 50 * np.sin(rows / 7.0 + columns / 19.0) + 30 * np.sign(np.sin(columns / 5.0))
        noise = np.random.default_rng(0).normal(0, 4, (64, 64, 3))
        return [np.clip(waves[..., None] + noise, 0, 255).astype(np.uint8)]
    folder = None if data_dir is None else Path(data_dir) / KODAK
    if folder is None or not folder.is_dir():
        raise InputError(f"The Kodak pictures come from a folder {KODAK} in --data-dir, and there is none: give it.")
    found = [read_photo(path) for path in picture_files(folder)]
    return found if side is None else [_middle(x, side) for x in found]


def _middle(x: np.ndarray, side: int) -> np.ndarray:
    top, left = ((length - side) // 2 for length in x.shape[:2])
    return x[top : top + side, left : left + side]


def curves(found: list[np.ndarray], *, few: bool = False) -> Rows:
    """Means over pictures of bits per pixel, PSNR and MS-SSIM, of JPEG and of the codec that comes with nelbo."""
    ways = [(JPEG, q, _jpeg) for q in _JPEG] + [(NELBO, q, _own) for q in _OWN]
    rows = []
    for name, quality, way in ways if not few else [*ways[1:6:2], *ways[-3:]]:
        every = []
        for x in found:
            size, back = way(x, quality)
            every.append((8 * size / (x.shape[0] * x.shape[1]), psnr(x, back), ms_ssim(x, back)))
        bpp, decibels, similar = zip(*every, strict=True)
        known = None if any(one is None for one in similar) else float(np.mean(np.array(similar, float)))
        rows.append({"codec": name, "quality": quality, "bits a pixel": float(np.mean(bpp)),
                     "PSNR": float(np.mean(decibels)), "MS-SSIM": known, "pictures": len(found)})  # fmt: skip
    return rows


def saved(rows: Rows, other: str = NELBO, anchor: str = JPEG) -> float | None:
    """BD-rate of a codec over another [%]; None of fewer than four points."""
    lines = [[{"bpp": r["bits a pixel"], "psnr": r["PSNR"]} for r in rows if r["codec"] == name] for name in (anchor, other)]  # fmt: skip  # noqa: E501
    return bd_rate(*lines) if min(map(len, lines)) >= 4 else None


def by_inference(codec: Any, x: np.ndarray, step: int, steps: int) -> dict[str, tuple[float, float]]:
    """Bits per pixel and PSNR of a picture whose whole numbers are found in several ways, for the same decoder.

    ROUNDED: the nearest of the encoder's numbers, as published codecs take them; CHOSEN: the sender's own choice by
    squared error and bits, if it makes one; REFINED: by annealing.

    Args:
        codec: a `PictureCodec`.
        x: `(height, width, 3)` uint8, sides multiples of its coder's unit.
        step: log2 of the step, in eighths.
        steps: of annealing.
    """
    coder, pixels = codec.coder, x.astype(float)
    found = {ROUNDED: coder.encode(pixels, step)}
    choice = coder.choice(found[ROUNDED][1])
    if choice is not None:
        found = {ROUNDED: coder.encode(pixels, step, thrift=0.0), CHOSEN: found[ROUNDED]}
    numbers = codec.refined(pixels, step, steps, choice)
    one_pass = found[ROUNDED if choice is None else CHOSEN]
    found[REFINED] = one_pass if numbers is None else coder.encode(pixels, step, numbers=numbers)
    return {
        name: (8 * len(data) / x[..., 0].size, psnr(x, coder.picture(y, step))) for name, (data, y) in found.items()
    }


def over_rounded(points: Sequence[dict[str, tuple[float, float]]]) -> dict[str, float]:
    """BD-rates [%] over rounding, of what `by_inference` gave at several steps."""
    lines = {name: [{"bpp": one[name][0], "psnr": one[name][1]} for one in points] for name in points[0]}
    return {name: bd_rate(lines[ROUNDED], line) for name, line in lines.items() if name != ROUNDED}


def _jpeg(x: np.ndarray, quality: int) -> tuple[int, np.ndarray]:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(x).save(file, "JPEG", quality=quality, optimize=True)
    return len(file.getvalue()), np.asarray(Image.open(file).convert("RGB"))


def _own(x: np.ndarray, quality: int) -> tuple[int, np.ndarray]:
    data = compress_picture(x, quality=quality)
    return len(data), decompress_picture(data)
