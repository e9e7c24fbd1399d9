"""Rate and distortion of pictures in real files, beside the codecs that Pillow has.

    python benchmarks/lossy.py kodak/ --out benchmarks/results/lossy_kodak.json --draw docs/figures/lossy_kodak.png
    python benchmarks/lossy.py kodak/ --times      # whole commands, start-up included

For each codec and setting: bits per pixel from the length of the file and PSNR, both means over the pictures, and
MS-SSIM (Wang, Simoncelli and Bovik 2003) of lightness. BD-rates (Bjontegaard 2001) are by a cubic fit of log rate over
PSNR, over the range that two curves share; those by picture are means over the pictures. The published rows are
CompressAI's (bmshj2018-hyperprior and mbt2018-mean at MSE, Kodak), for reference: they are of models of millions of
weights, trained for millions of steps. `--draw` draws all these curves.
"""

import argparse
import contextlib
import importlib
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nelbo.codecs import compress_picture, decompress_picture, picture_codec
from nelbo.data import picture_files, read_photo
from nelbo.evaluation import bd_rate, ms_ssim, psnr

# bits per pixel, PSNR; results/image/8bit-decoded/kodak of CompressAI at 128f0039
PUBLISHED = {
    "bmshj2018-hyperprior": [(0.1313, 27.58), (0.2089, 29.19), (0.3199, 30.96), (0.4784, 32.83), (0.6687, 34.51),
                             (0.9388, 36.72), (1.2592, 38.54)],
    "mbt2018-mean": [(0.1239, 27.70), (0.1980, 29.35), (0.3072, 31.12), (0.4606, 32.94), (0.6617, 34.95),
                     (0.9144, 36.88), (1.2342, 38.79)],
}  # fmt: skip


def bd_rate_by_picture(anchor: list[dict[str, Any]], other: list[dict[str, Any]]) -> float:
    """The mean of the pictures' own BD-rates, which does not depend on how a codec shares bits out among pictures."""
    curves = [
        [[{"bpp": row["pictures"][i][0], "psnr": row["pictures"][i][1]} for row in rows]
         for i in range(len(rows[0]["pictures"]))]
        for rows in (anchor, other)
    ]  # fmt: skip
    return float(np.mean([bd_rate(a, b) for a, b in zip(*curves, strict=True)]))


def by_pillow(kind: str, **options: Any) -> Callable[[np.ndarray], tuple[int, np.ndarray]]:
    """A codec of Pillow at one setting."""

    def code(x: np.ndarray) -> tuple[int, np.ndarray]:
        file = io.BytesIO()
        Image.fromarray(x).save(file, kind, **options)
        return len(file.getvalue()), np.asarray(Image.open(file).convert("RGB"))

    return code


def by_nelbo(quality: float, model: Path | None) -> Callable[[np.ndarray], tuple[int, np.ndarray]]:
    """The codec that comes with nelbo, or another."""

    def code(x: np.ndarray) -> tuple[int, np.ndarray]:
        data = compress_picture(x, quality=quality, codec=picture_codec(model))
        return len(data), decompress_picture(data, picture_codec(model))

    return code


def codecs(model: Path | None) -> Mapping[str, Mapping[int, Callable[[np.ndarray], tuple[int, np.ndarray]]]]:
    """Every codec at its settings; JPEG XL where Pillow's plugin for it is installed."""
    found: dict[str, dict[int, Callable[[np.ndarray], tuple[int, np.ndarray]]]] = {
        "JPEG": {q: by_pillow("JPEG", quality=q, optimize=True) for q in (8, 15, 25, 40, 60, 75, 85)},
        # with its change of colours, which Pillow leaves out
        "JPEG 2000": {r: by_pillow("JPEG2000", quality_mode="rates", quality_layers=[r], irreversible=True, mct=1)
                      for r in (160, 96, 56, 36, 24, 15)},
        "WebP": {q: by_pillow("WEBP", quality=q, method=6) for q in (3, 15, 35, 60, 80, 90)},
        "AVIF": {q: by_pillow("AVIF", quality=q, speed=4) for q in (15, 30, 45, 60, 72)},
        "nelbo": {q: by_nelbo(q, model) for q in (9, 18, 27, 36, 45)},
    }  # fmt: skip
    with contextlib.suppress(ImportError):
        importlib.import_module("pillow_jxl")
        found["JPEG XL"] = {q: by_pillow("JXL", quality=q, effort=7) for q in (10, 25, 40, 60, 75, 85)}
    return found


def measure(files: list[Path], model: Path | None, only: list[str]) -> dict[str, Any]:
    """The curves."""
    pictures, found = [read_photo(path) for path in files], {}
    for name, settings in codecs(model).items():
        if only and name not in only:
            continue
        rows = []
        for setting, code in settings.items():
            one, begun = [], time.perf_counter()
            for x in pictures:
                size, back = code(x)
                one.append((8 * size / (x.shape[0] * x.shape[1]), psnr(x, back), ms_ssim(x, back)))
            bpp, quality, similar = np.mean(one, axis=0).tolist()
            rows.append({"setting": setting, "bpp": bpp, "psnr": quality, "ms_ssim": similar,
                         "seconds": (time.perf_counter() - begun) / len(pictures),
                         "pictures": [list(row[:2]) for row in one]})  # fmt: skip
            print(f"{name:10} {setting:5} {bpp:.4f} bpp {quality:.2f} dB, MS-SSIM {similar:.4f}", flush=True)
        found[name] = sorted(rows, key=lambda row: row["bpp"])
    return found


def times(path: Path, model: Path | None) -> dict[str, float]:
    """Seconds of whole commands, the best of three."""
    given, found = [] if model is None else ["--model", str(model)], {}
    with tempfile.TemporaryDirectory() as folder:
        file, back = f"{folder}/picture.nlb", f"{folder}/picture.png"
        for name, arguments in (("compress", (str(path), "-o", file)), ("decompress", (file, "-o", back))):
            taken = []
            for _ in range(3):
                begun = time.perf_counter()
                subprocess.run([sys.executable, "-m", "nelbo", name, *arguments, "--quiet", *given], check=True)
                taken.append(time.perf_counter() - begun)
            found[name] = min(taken)
    return found


def draw(curves: dict[str, Any], path: Path, title: str) -> None:
    """Rate and distortion of every codec, the published ones dashed."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    colours = plt.get_cmap("tab10").colors  # pyright: ignore[reportAttributeAccessIssue]
    for name, colour in zip(sorted(curves), colours, strict=False):
        own, rows = name == "nelbo", curves[name]
        axes.plot([row["bpp"] for row in rows], [row["psnr"] for row in rows], marker="o", markersize=3, label=name,
                  linewidth=2.2 if own else 1.2, color="black" if own else colour)  # fmt: skip
    for (name, points), dashes in zip(PUBLISHED.items(), ("--", ":"), strict=True):
        axes.plot(
            *zip(*points, strict=True), linestyle=dashes, linewidth=1.2, color="grey", label=f"{name} (published)"
        )
    axes.set(xlabel="bits per pixel", ylabel="PSNR [dB]", title=title, xlim=(0.0, 1.6))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    with io.BytesIO() as file:
        figure.savefig(file, dpi=90)
        Image.open(file).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, help="another model.safetensors")
    parser.add_argument("--only", action="append", default=[], help="a codec; may be given again")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--draw", type=Path, help="a picture of the curves")
    parser.add_argument("--times", action="store_true", help="time whole commands on the first picture instead")
    options = parser.parse_args()
    files = picture_files(options.folder)
    if options.times:
        print(json.dumps(times(files[0], options.model), indent=2))
        return
    curves = measure(files, options.model, options.only)
    if options.out and options.out.exists():  # codecs that were not asked for stay as they were
        curves = json.loads(options.out.read_text())["curves"] | curves
    rates = {name: bd_rate(curves["JPEG"], rows) for name, rows in curves.items() if "JPEG" in curves}
    print(json.dumps(rates, indent=2))
    whole = {name: rows for name, rows in curves.items() if all("pictures" in row for row in rows)}
    own = {name: bd_rate_by_picture(rows, whole["nelbo"]) for name, rows in whole.items() if "nelbo" in whole}
    print("nelbo in place of each codec, mean over pictures:", json.dumps(own, indent=2))
    for name, points in PUBLISHED.items():
        print(f"{name}, published on Kodak:", ", ".join(f"{bpp:.3f} bpp {quality:.2f} dB" for bpp, quality in points))
    if options.draw:
        draw(curves, options.draw, f"{options.folder.name}, {len(files)} pictures")
    if options.out:
        published = {name: [{"bpp": b, "psnr": p} for b, p in rows] for name, rows in PUBLISHED.items()}
        record = {
            "pictures": len(files),
            "bd_rate_over_jpeg": rates,
            "nelbo_by_picture": own,
            "curves": curves,
            "published": published,
        }
        options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
