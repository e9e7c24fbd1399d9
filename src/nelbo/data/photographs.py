"""A folder of photographs as data: endless crops to train on, and a few fixed ones of other photographs to score."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nelbo.core import InputError
from nelbo.data.crops import Crops, LogSteps
from nelbo.data.photo_files import photo_size
from nelbo.data.pictures import picture_files
from nelbo.data.schema import Schema
from nelbo.data.splits import Data, Split
from nelbo.data.streams import Stream

_SCORED = 64  # crops of each split that is scored


def crops_of(folder: Path, side: int, seed: int = 0) -> tuple[Crops, tuple[str, ...]]:
    """The crops of a folder's photographs, and a sentence about each file that was passed over.

    Args:
        folder: with photographs, in folders inside it too.
        side: of a crop, in pixels.
        seed: of their places.

    Raises:
        InputError: not one photograph is large enough.
    """
    files, notes = _large_enough(folder, side)
    return Crops(files, side, seed), notes


def _large_enough(folder: Path, side: int) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    good, notes = [], []
    for path in picture_files(folder):
        try:
            width, height = photo_size(path)
        except InputError as error:
            notes.append(str(error))
            continue
        if min(width, height) < side:
            notes.append(f"{path} is {width} x {height} pixels, less than a crop of {side}: it was passed over.")
            continue
        good.append(path)
    if not good:
        raise InputError(
            f"{folder} holds no photographs of at least {side} x {side} pixels: give a folder of photographs."
        )
    return tuple(good), tuple(notes)


def load_photographs(
    folder: Path, *, side: int, steps: tuple[float, float], seed: int = 0, fractions: Mapping[str, float | None]
) -> Data:
    """A folder of photographs, cut into splits by photograph.

    Args:
        folder: of photographs.
        side: of a crop, in pixels.
        steps: the least and greatest step of the codec, in grey levels.
        seed: of the split and of the places of crops.
        fractions: of the photographs for "valid" and "test"; None means 0.1, zero leaves the split out.

    Raises:
        InputError: no photographs, or too few of them to cut splits from.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: this model is trained on a folder of photographs.")
    files, notes = _large_enough(folder, side)
    order = Stream("photographs", seed).permutation(len(files))
    splits: dict[str, Split] = {}
    for name, fraction in fractions.items():
        share = 0.1 if fraction is None else fraction
        if not 0.0 <= share < 1.0:
            raise InputError(f"{name}_fraction is at least zero and less than one, got {share:g}.")
        count = max(1, round(share * len(files))) if share else 0
        chosen, order = order[:count], order[count:]
        if not order.size:
            raise InputError(f"{folder} has too few photographs ({len(files)}) to hold some out: add more, or set the fractions to 0.")  # fmt: skip  # noqa: E501
        if count:
            crops = Crops(tuple(files[i] for i in chosen), side, seed + 1)
            splits[name] = Split(crops[:_SCORED], context=LogSteps(_SCORED, *steps, seed + 1)[:])
    train = Crops(tuple(files[i] for i in np.sort(order)), side, seed)
    splits = {"train": Split(train, context=LogSteps(len(train), *steps, seed)), **splits}  # pyright: ignore
    return Data(folder.name, splits, Schema((side, side, 3), "uint8"), source=str(folder), notes=notes)
