"""`nelbo forecast` of films: how they go on, as an animation or as arrays."""

import argparse
import io
from pathlib import Path

import jax.random as jr
import numpy as np

from nelbo.cli.output import fetching, note
from nelbo.cli.series import counter
from nelbo.cli.writing import check_form, tell
from nelbo.core import InputError, atomic_write
from nelbo.report import image_grid, save_gif, save_png
from nelbo.runs import Run, checked_horizon
from nelbo.tasks import FramePrediction, predict_frames, rows_as_seen

_ACROSS = 480  # pixels of the pictures
_SHOWN = 8  # films of an animation, each with three draws beneath it
_DRAWN = 3


def forecast_films(options: argparse.Namespace, run: Run) -> None:
    """Go on with films from their last frames.

    Raises:
        InputError: no horizon, or an option or the name of a file that is about tables.
    """
    horizon = checked_horizon(options.horizon, "frames")
    for name in ("history", "chart"):
        if vars(options)[name] is not None:
            raise InputError(f"--{name} is about series in tables, and {run.folder} is a run on films: leave it out.")
    path = Path(options.output or run.folder / "forecast.gif")
    check_form(path, (".gif", ".npz"))
    _, source = run.rows(options.data, None, progress=fetching(options))
    count = len(source) if path.suffix == ".npz" else min(_SHOWN, len(source))
    past = rows_as_seen(source, np.arange(count))
    observed = np.ones(past.values.shape, bool) if past.observed is None else past.observed
    found = predict_frames(
        jr.key(options.seed), run.model, past.values, observed, horizon=horizon, draws=options.draws,
        level=options.interval, progress=counter(options, "films"),
    )  # fmt: skip
    if path.suffix == ".npz":
        _write_npz(path, run, found)
    else:
        films = _shown(past.values, found) / run.white
        save_png(image_grid(films, columns=1, width=_ACROSS, name="films"), path.with_suffix(".png"))
        save_gif(films, path, columns=1 + found.draws[:, :_DRAWN].shape[1], width=_ACROSS)
        note(options, f"  {path.with_suffix('.png')}")
        note(options, "Each row: the film with the mean of its future, then draws of what comes")
    tell(options, path, found.mean.shape)


def _shown(past: np.ndarray, found: FramePrediction) -> np.ndarray:
    """Each film with the mean of its future behind it, then with draws of it."""
    futures = np.concatenate([found.mean[:, None], found.draws[:, :_DRAWN]], axis=1)
    repeated = np.broadcast_to(past[:, None], (*futures.shape[:2], *past.shape[1:]))
    whole = np.concatenate([repeated, futures], axis=2)
    return whole.reshape(-1, *whole.shape[2:])


def _write_npz(path: Path, run: Run, found: FramePrediction) -> None:
    stream = io.BytesIO()
    names = ("mean", "low", "high", "draws")
    parts = {name: run.in_user_units(vars(found)[name]).astype(np.float32) for name in names}
    np.savez_compressed(stream, allow_pickle=False, **parts)
    with atomic_write(path) as file:
        file.write(stream.getvalue())
