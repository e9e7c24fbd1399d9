"""Commands of the codec: compress, decompress, info."""

import argparse
import contextlib
import mmap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.cli.events import check_rows
from nelbo.cli.other_formats import shorter_format
from nelbo.cli.output import Line, note, print_json
from nelbo.cli.picture_scores import is_of_pictures
from nelbo.codecs import (
    Layout,
    decoded,
    describe,
    describe_model,
    describe_picture,
    is_model,
    is_picture,
    model_inside,
    unpack,
)
from nelbo.codecs import compress as compressed
from nelbo.core import InputError, atomic_write, os_error
from nelbo.data import catalogue, read_npy
from nelbo.models import Model, load_model
from nelbo.report import text_table
from nelbo.runs import Run, open_run


def _suffixed(path: str, suffix: str) -> Path:
    """Where to write; checked before anything is computed."""
    found = Path(path)
    if found.suffix != suffix or found.is_dir():
        raise InputError(f"Cannot write {path}: give the name of a file that ends in {suffix}.")
    return found


@contextlib.contextmanager
def _read(path: str) -> Iterator[memoryview]:
    """The bytes of a file, without reading them before they are needed."""
    try:
        with Path(path).open("rb") as file:
            if not Path(path).stat().st_size:
                raise InputError(f"{path} is empty: give a file that `nelbo compress` wrote.")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
                yield view
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise os_error("read", path, error if isinstance(error, OSError) else OSError(str(error))) from error


def _context(path: str | None, model: Model) -> np.ndarray | None:
    """What the examples are conditioned on: a row of numbers for each, or the number of its label.

    Raises:
        InputError: the file cannot be read, or has labels that the model does not know.
    """
    if path is None:
        return None
    found, size = read_npy(Path(path)), model.generative.context_size
    if found.ndim != 1 or size < 2:
        return found
    if found.dtype.kind not in "ui" or (found.size and not 0 <= found.min() <= found.max() < size):
        raise InputError(f"{path} must hold a row of {size} numbers for each example, or labels 0 .. {size - 1}.")
    return np.eye(size, dtype=np.float32)[found]


def _array(options: argparse.Namespace, run: Run) -> tuple[np.ndarray, str, Any]:
    """What to compress, how it was binarized, its context: a `.npy` file as it is, other data as the run reads them.

    Raises:
        InputError: data that the run would change, so that they could not come back as they were.
    """
    if is_of_pictures(run):
        raise InputError(f"{run.folder} holds a codec of pictures: give `nelbo compress PICTURE --model {run.folder}`.")
    run.model.require_density("Compression")
    if options.context is not None and not run.model.generative.context_size:
        # the file could not be read without it
        raise InputError(f"The model in {run.folder} is conditioned on nothing: leave --context out.")
    if options.data is not None and Path(options.data).suffix == ".npy":
        if options.split is not None:
            raise InputError("A .npy file has no splits and is compressed whole: leave --split out.")
        return read_npy(Path(options.data), mmap=True), "none", _context(options.context, run.model)
    if run.model.is_supervised or run.model.is_of_pairs:
        what = "a target" if run.model.is_supervised else "values of pairs"
        raise InputError(
            f"The model in {run.folder} predicts {what} and is no model of the data: compress with another."
        )
    if run.model.is_of_series:
        raise InputError(
            f"The model in {run.folder} is of series, whose latents are draws of processes, for which there is no "
            "coder: use a model of rows."
        )
    check_rows(run, "compress")
    if options.context is not None:
        raise InputError("--context goes with a .npy file: other data have their labels with them.")
    data, source = run.rows(options.data, options.split, options.data_dir)
    split = data.only
    if split.observed is not None:
        raise InputError("Data with missing entries cannot be compressed: fill them in first (`nelbo impute`).")
    own = options.data is None or options.data in catalogue()
    if data.binarization != "none" and not own:
        raise InputError(
            f"This run binarizes its data ({data.binarization}), so {options.data} would not come back as it is: save "
            "zeros and ones as .npy and compress that."
        )
    return split.x, data.binarization, source.arrays.context


def compress(options: argparse.Namespace) -> None:
    """Code a split or a file into a `.nlb` file."""
    path = _suffixed(options.output or f"{Path(options.run) / 'data'}.nlb", ".nlb")
    run = open_run(options.run)
    x, binarization, context = _array(options, run)
    layout = Layout() if options.block is None else Layout(block=options.block)
    line, total = Line(), len(x)
    show = None if options.quiet else lambda done: line.show(f"{done} of {total} examples", done=done >= total)
    begun = time.perf_counter()
    found = compressed(run.model, x, context=context, layout=layout,
                       verify=not options.no_verify, self_contained=options.self_contained, progress=show)  # fmt: skip
    seconds = time.perf_counter() - begun
    with atomic_write(path) as file:
        file.write(found)
    bits = 8 * len(found) / max(x.size, 1)
    row = {"file": str(path), "examples": total, "bytes": len(found), "bits_per_dim": bits, "seconds": seconds,
           "binarization": binarization, "verified": not options.no_verify}  # fmt: skip
    other = shorter_format(x, len(found)) if binarization == "none" else None
    if other is not None:
        row["shorter_format"] = dict(zip(("name", "bytes"), other, strict=True))
        note(options, f"{other[0]} without loss takes about {other[1]} bytes for these pictures, fewer than "
             f"{len(found)}: it is the better choice here (docs/codecs.md).")  # fmt: skip
    if options.json:
        print_json(row)
    else:
        note(options, f"Wrote {path}: {total} examples in {len(found)} bytes, {bits:.4f} bits per dim "
             f"(binarization: {binarization}), {seconds:.1f} s")  # fmt: skip


def decompress(options: argparse.Namespace) -> None:
    """Write the array of a `.nlb` file, block by block."""
    with _read(options.file) as view:
        found = unpack(view)
        path = _suffixed(options.output, ".npy")
        found.check()
        given = None if options.run is None else Path(options.run)
        if given is None:
            model = model_inside(found)
        else:
            model = load_model(given) if given.is_file() else open_run(given).model
        header = found.header
        context = _context(options.context, model)
        with atomic_write(path) as file:
            form = {"descr": header.dtype, "fortran_order": False, "shape": header.shape}
            np.lib.format.write_array_header_1_0(file, form)
            for part in decoded(found, model, context=context):
                file.write(part.tobytes())
        if options.json:
            print_json({"file": str(path), "shape": list(header.shape), "dtype": header.dtype})
        else:
            note(options, f"Wrote {path}: {'x'.join(map(str, header.shape))} {np.dtype(header.dtype)}")


def info(options: argparse.Namespace) -> None:
    """What a `.nlb` file holds."""
    with _read(options.file) as view:
        ways = {is_picture: describe_picture, is_model: describe_model}
        found = next((way for mine, way in ways.items() if mine(view)), describe)(view)
    if options.json:
        print_json(found)
        return
    shown = dict(found)
    if "blocks" in found:
        shown |= {"shape": "x".join(map(str, found["shape"])), "blocks": len(found["blocks"])}
    print(text_table([{"field": name.replace("_", " "), "value": value} for name, value in shown.items()]), end="")
