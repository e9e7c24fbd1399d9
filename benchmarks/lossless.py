"""Lossless compression: nelbo's models beside general and image compressors, with -ELBO and the true file size.

    python benchmarks/lossless.py RUN... --out benchmarks/results/lossless.json
    python benchmarks/lossless.py --photos kodak/ --out benchmarks/results/lossless_kodak.json

Each RUN is the folder of a fitted model; its test split is compressed. The general compressors get the same array: bits
packed eight to a byte where it is binary, one byte a value elsewhere. PNG and WebP get all images as one tall picture
and, in the rows "each", one file an image. zstd and JPEG XL are measured if Python can import them (`zstandard`,
`imagecodecs`); PNG and WebP need `pillow`. A row's bits per dim are those of the whole file.

With `--photos` the photographs of a folder are coded one by one, by `nelbo compress --lossless` and by PNG (optimized),
WebP (method 6) and JPEG XL (effort 7; Pillow's plugin for it, if it is installed).
"""

import argparse
import contextlib
import importlib
import io
import json
import time
from pathlib import Path

import jax.random as jr
import numpy as np

from nelbo.codecs import compress, compress_picture, decompress, decompress_picture
from nelbo.data import picture_files, read_photo
from nelbo.evaluation import elbo
from nelbo.papers.measures import GENERAL, dense
from nelbo.runs import open_run


def pictures(x, form, **options):
    """Bytes of all images as one tall picture, and as one file each; None without pillow."""
    try:
        from PIL import Image
    except ImportError:
        return {}
    grey = (255 * x if x.max() <= 1 else x).astype(np.uint8).reshape(len(x), *x.shape[1:3])

    def size(picture):
        stream = io.BytesIO()
        made = Image.fromarray(picture)
        made = made.convert("1") if x.max() <= 1 and form == "PNG" else made
        made.save(stream, form, **options)
        return stream.tell()

    # WebP has at most 16383 rows
    rows = max(1, 16383 // x.shape[1])
    tall = sum(size(grey[low : low + rows].reshape(-1, x.shape[2])) for low in range(0, len(x), rows))
    return {form: tall, f"{form}, each": sum(map(size, grey))}


def rivals(x):
    """Bytes under every other compressor at hand; grey values as 8-bit numbers."""
    x = np.round(255 * x).astype(np.uint8) if x.dtype.kind == "f" else x
    data = dense(x)
    found = {name: len(squeeze(data)) for name, squeeze in GENERAL.items()}
    try:
        import zstandard

        found["zstd -22"] = len(zstandard.ZstdCompressor(level=22).compress(data))
    except ImportError:
        pass
    found |= pictures(x, "PNG", optimize=True) | pictures(x, "WEBP", lossless=True, quality=100, method=6)
    try:
        import imagecodecs

        grey = (255 * x if x.max() <= 1 else x).astype(np.uint8).reshape(-1, x.shape[2])
        found["JPEG XL"] = len(imagecodecs.jpegxl_encode(grey, lossless=True, effort=9))
    except (ImportError, AttributeError):
        pass
    return found


def measured(folder, rounds):
    """One model: file size, -ELBO, throughput of the best of some rounds."""
    run = open_run(folder)
    data, sources = run.data()
    x = data.test.x
    if x.dtype.kind == "f":  # grey values that are no 8-bit ones, as those of the faces, are rounded to them
        x = (np.round(255 * x) / 255).astype(x.dtype)
    score = elbo(jr.key(0), run.model, sources["test"], num_samples=10)
    best = {"compress": 0.0, "compress and verify": 0.0, "decompress": 0.0}
    file = compress(run.model, x)
    for _ in range(rounds):
        begun = time.perf_counter()
        compress(run.model, x, verify=False)
        middle = time.perf_counter()
        back = decompress(file, run.model)
        ended = time.perf_counter()
        assert np.array_equal(back, x)
        best["compress"] = max(best["compress"], len(x) / (middle - begun))
        best["decompress"] = max(best["decompress"], len(x) / (ended - middle))
    best["compress and verify"] = 1 / (1 / best["compress"] + 1 / best["decompress"])
    grid = 0.0 if score.bits_per_dim is None else score.bits_per_dim
    return x, {
        "run": Path(folder).name,
        "model": None if run.model.spec is None else run.model.spec.name,
        "data": data.name,
        "binarization": data.binarization,
        "examples": len(x),
        "bytes": len(file),
        "bits_per_dim": 8 * len(file) / x.size,
        "negative_elbo_bits_per_dim": grid,
        "images_per_second": {name: round(value) for name, value in best.items()},
    }


def photographs(folder):
    """Bytes of every photograph of a folder in each format, and processor seconds of nelbo's."""
    from PIL import Image

    ways = {"PNG": {"optimize": True}, "WEBP": {"lossless": True, "quality": 100, "method": 6}}
    with contextlib.suppress(ImportError):
        importlib.import_module("pillow_jxl")
        ways["JXL"] = {"lossless": True, "effort": 7}
    rows = []
    for path in picture_files(folder):
        x, row = read_photo(path), {"picture": path.stem}
        row["pixels"] = x.shape[0] * x.shape[1]
        for kind, options in ways.items():
            stream = io.BytesIO()
            Image.fromarray(x).save(stream, kind, **options)
            assert np.array_equal(np.asarray(Image.open(stream).convert("RGB")), x)
            row[kind] = stream.tell()
        begun = time.process_time()
        data = compress_picture(x, lossless=True)
        middle = time.process_time()
        assert np.array_equal(decompress_picture(data), x)
        row |= {"nelbo": len(data), "compress": middle - begun, "decompress": time.process_time() - middle}
        rows.append(row)
        print(json.dumps(row), flush=True)
    pixels = sum(row["pixels"] for row in rows)
    whole = {name: sum(row[name] for row in rows) for name in (*ways, "nelbo")}
    means = {name: {"bytes": size, "bits_per_pixel": 8 * size / pixels} for name, size in whole.items()}
    seconds = {name: float(np.mean([row[name] for row in rows])) for name in ("compress", "decompress")}
    print(json.dumps(means, indent=2), seconds)
    return {"means": means, "seconds": seconds, "pictures": rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*")
    parser.add_argument("--photos", type=Path, help="a folder of photographs, in place of runs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-rivals", action="store_true")
    parser.add_argument("--out")
    options = parser.parse_args()
    if options.photos:
        found = photographs(options.photos)
        if options.out:
            Path(options.out).write_text(json.dumps(found, indent=1) + "\n")
        return
    rows, others = [], {}
    for folder in options.runs:
        x, row = measured(folder, options.rounds)
        rows.append(row)
        print(json.dumps(row), flush=True)
        name = f"{row['data']}, {row['binarization']}"
        if name not in others and not options.no_rivals:
            others[name] = {
                which: {"bytes": size, "bits_per_dim": 8 * size / x.size} for which, size in rivals(x).items()
            }
            print(name, json.dumps(others[name]), flush=True)
    if options.out:
        Path(options.out).write_text(json.dumps({"models": rows, "others": others}, indent=2) + "\n")


if __name__ == "__main__":
    main()
