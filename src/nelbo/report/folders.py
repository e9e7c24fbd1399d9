"""From run folders to pages and pictures: `nelbo.runs` reads, this room draws."""

import os
from collections.abc import Sequence
from pathlib import Path

from nelbo.core import InputError, atomic_write
from nelbo.report.comparison import comparison_page, told_apart
from nelbo.report.run_pictures import pictures_of
from nelbo.report.single_run import run_page
from nelbo.report.style import LIGHT, save_png
from nelbo.runs import read_run_record


def write_report(runs: Sequence[Path | str], out: Path | str | None = None) -> Path:
    """Write one HTML page, complete in itself, about one run or comparing several.

    Args:
        runs: run folders.
        out: the file, or a folder for `report.html`. If not given: the run folder, or for several runs the deepest
            folder that holds them all.

    Returns:
        The file written.

    Raises:
        InputError: no run is given, one is no run or damaged, or the page cannot be written.
    """
    if not runs:
        raise InputError("A report needs at least one run folder.")
    records = told_apart([read_run_record(folder) for folder in runs])
    folders = [record.folder.resolve() for record in records]
    if out is None:
        out = folders[0] if len(folders) == 1 else Path(os.path.commonpath([path.parent for path in folders]))
    path = Path(out)
    if path.is_dir():
        path = path / "report.html"
    text = run_page(records[0]) if len(records) == 1 else comparison_page(records)
    # a name on disk may hold bytes that are no text
    with atomic_write(path) as stream:
        stream.write(text.encode("utf-8", "replace"))
    return path


def draw_figures(run: Path | str) -> list[Path]:
    """Write the figures that a run's records allow into its folder `figures/`.

    These are `learning_curves.png`, `samples.png`, `reconstructions.png`, `manifold.png`, `embedding.png`,
    `receptive_fields.png` and `variance.png`; bounds are in nats per example.

    Args:
        run: the run folder.

    Returns:
        The files written.

    Raises:
        InputError: the folder is no run, one of its files is damaged, or a figure cannot be written.
    """
    record = read_run_record(run)
    return [save_png(item.draw(LIGHT), record.folder / "figures" / f"{item.stem}.png") for item in pictures_of(record)]
