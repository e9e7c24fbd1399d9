"""`nelbo rd-bound`."""

import argparse
import math
from pathlib import Path
from typing import Any

import jax.random as jr
import numpy as np

from nelbo.cli.commands import Command
from nelbo.cli.output import Line, note, print_json
from nelbo.cli.parser import Parser, data_folder, real, whole
from nelbo.core import InputError
from nelbo.data import Data, load
from nelbo.evaluation import Sandwiched, SandwichSettings, sandwich
from nelbo.report import rate_distortion_figure, save_png, text_table
from nelbo.runs import is_named

_HELD_OUT = 0.5
_USUAL = SandwichSettings()


def _list(read: Any) -> Any:
    return lambda text: [read(part) for part in text.split(",") if part]


def _arguments(parser: Parser) -> None:
    parser.add_argument("--data", required=True, metavar="NAME|PATH", help="samples: a file or folder of rows or pictures, or a named set")  # fmt: skip  # noqa: E501
    data_folder(parser)
    parser.add_argument("--slopes", type=_list(real), metavar="X,X", help="Lagrange multipliers, in nats for a unit of squared error (default: four, at which 50 to 5 %% of the variance are left)")  # fmt: skip  # noqa: E501
    parser.add_argument("--steps", type=int, default=_USUAL.steps, metavar="N", help=f"training steps for each bound and slope (default {_USUAL.steps})")  # fmt: skip  # noqa: E501
    parser.add_argument("--latents", type=int, metavar="N", help="of the auto-encoder that gives the upper bound (default: as many as a sample has entries, at most 50)")  # fmt: skip  # noqa: E501
    parser.add_argument("--hidden", type=_list(whole), default=list(_USUAL.hidden), metavar="N,N", help="widths of the networks (default 128,128)")  # fmt: skip  # noqa: E501
    parser.add_argument("--group", type=int, metavar="K", help="samples that share a supremum in the lower bound (default: half of those held out, at most 4096)")  # fmt: skip  # noqa: E501
    parser.add_argument("-o", "--output", default="rd-bound.png", metavar="FILE", help="the picture, a .png file (default rd-bound.png)")  # fmt: skip  # noqa: E501


def _samples(data: Data) -> tuple[np.ndarray, np.ndarray]:
    """What networks are fitted to and what is held out, a row for each example.

    Raises:
        InputError: gaps, or no rows held out.
    """
    splits = {name: part for name, part in data.splits.items() if len(part)}
    if any(part.observed is not None for part in splits.values()):
        raise InputError(f"{data.name} has missing entries, and squared error needs whole rows: fill them in first "
                         "(`nelbo impute`).")  # fmt: skip
    flat = {name: np.asarray(part.x, float).reshape(len(part), -1) for name, part in splits.items()}
    others = [rows for name, rows in flat.items() if name != "train"]
    if "train" not in flat or not others:
        raise InputError(
            f"{data.name} has no rows to hold out: give a file without splits, or one with train and test."
        )
    return flat["train"], np.concatenate(others)


def rd_bound(options: argparse.Namespace) -> None:
    """Print both bounds at each slope, and draw them."""
    path = Path(options.output)
    if path.suffix != ".png" or path.is_dir():
        raise InputError(f"Cannot write {path}: give the name of a file that ends in .png.")
    fractions: dict[str, Any] = {} if is_named(options.data) else {"valid_fraction": 0.0, "test_fraction": _HELD_OUT}
    data = load(options.data, data_dir=options.data_dir, **fractions)
    for text in data.notes:
        note(options, text)
    fitted, held_out = _samples(data)
    settings = SandwichSettings(options.latents, tuple(options.hidden), options.steps, options.group)
    line = Line()
    show = None if options.quiet else lambda text: line.show(text, done=False, at_once=True)
    found = sandwich(jr.key(options.seed), fitted, held_out, options.slopes, settings, show)
    rows = [_row(point, found.entries) for point in found.points]
    if options.json:
        print_json({"data": data.name, "fitted": found.fitted, "held_out": found.held_out, "entries": found.entries,
                    "picture": str(path), "points": rows})  # fmt: skip
        save_png(rate_distortion_figure(rows), path)
        return
    print(text_table([_shown(row) for row in rows]), end="")
    for row in rows:
        print(f"slope {row['slope']:g}: {_word(row)}")
    save_png(rate_distortion_figure(rows), path)  # what was found is said even where it cannot be drawn
    note(options, f"{found.fitted} samples of {found.entries} entries fitted, {found.held_out} held out. Distortion is "
         f"the squared error of an example, in the units of the data squared; rates are nats an example. Wrote {path}")  # fmt: skip  # noqa: E501


def _row(point: Sandwiched, entries: int) -> dict[str, Any]:
    """Everything about a slope, as JSON."""
    upper, lower = point.upper, point.lower
    return {
        "slope": point.slope,
        "distortion": upper.distortion,
        "distortion_error": upper.distortion_error,
        "root_mean_squared_error": math.sqrt(max(upper.distortion, 0.0) / entries),
        "upper": upper.rate,
        "upper_error": upper.rate_error,
        "lower": point.lower_rate,
        "lower_error": lower.error,
        "gap": point.gap,
        "gaussian": point.gaussian,
        "intercept": lower.intercept,
        "groups": lower.groups,
        "group_size": lower.group_size,
        "log_c": lower.log_c,
        "starts": lower.starts,
        "arrived": lower.arrived,
        "agreed": lower.agreed,
        "gained": lower.gained,
    }


def _shown(row: dict[str, Any]) -> dict[str, str]:
    names = {"slope": "slope", "distortion": "distortion", "upper": "rate at most", "upper_error": "error",
             "lower": "rate at least", "lower_error": "its error", "gap": "gap",
             "gaussian": "Gaussian, at most"}  # fmt: skip
    return {title: "" if row[name] is None else f"{row[name]:.4g}" for name, title in names.items()}


def _word(row: dict[str, Any]) -> str:
    """What the search for the supremum saw, on which the lower bound rests."""
    text = (
        f"supremum of groups of {row['group_size']} samples ({row['groups']} groups) climbed from {row['starts']} "
        f"starts: {row['arrived']:.0%} arrived, {row['agreed']:.0%} within 0.001 nats of the best, which is "
        f"{row['gained']:.2g} nats above the best sample."
    )
    if row["arrived"] < _TRUSTED:
        text += " Many had not arrived, so the lower bound may be too high."
    return text


_TRUSTED = 0.5

COMMAND = Command(
    (
        "nelbo rd-bound --data samples.npy --slopes 0.5,2,8 -o rd-bound.png",
        "nelbo rd-bound --data samples.npy --steps 1000 --latents 2 --hidden 64,64 --group 2000",
        "nelbo rd-bound --data mnist --data-dir data/",
    ),
    _arguments,
    rd_bound,
)
