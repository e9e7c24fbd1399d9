"""Runs on folders of photographs: what a codec's rate weight is, and how the folder is read."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nelbo.core import InputError
from nelbo.data import Data, load_photographs
from nelbo.models import families, family
from nelbo.runs.settings import Experiment

STEPS = (5.0, 90.0)  # grey levels, of a codec for every rate
CROP = 128
_ODD = ("data_dir", "header", "columns", "ignore", "target", "context", "binarize")


def photograph_settings(*, rate_weight: float | int | None = None, crop: int = CROP) -> dict[str, Any]:
    """Settings of a folder of photographs, for image-codec.

    Args:
        rate_weight: weight of a nat of rate beside the squared error of pixels from 0 to 1, summed over a picture; the
            step is then 255 sqrt(6 rate_weight) grey levels. null: all steps from 5 to 90, for one model of every rate.
        crop: height and width of a crop in pixels.

    Raises:
        InputError: a weight that is not positive.
    """
    if rate_weight is not None and not 0.0 < rate_weight < math.inf:
        raise InputError(f"rate_weight is above zero, got {rate_weight:g}.")
    return {"rate_weight": rate_weight, "crop": crop}


def reading_photographs(experiment: Experiment) -> Experiment:
    """The experiment with its data read as photographs, if that is what its model takes.

    Raises:
        InputError: settings of photographs for another model.
    """
    data, name = experiment.data, experiment.model["name"]
    if family(name).examples == "pictures":
        return dataclasses.replace(experiment, data=data | {"photographs": True})
    if odd := [key for key in ("rate_weight", "crop") if data.get(key) is not None]:
        able = [other for other in families() if family(other).examples == "pictures"]
        raise InputError(f"{odd[0]} goes with {' or '.join(able)}, which is trained on photographs: leave it out.")
    return experiment


def read_photographs(settings: Mapping[str, Any]) -> Data:
    """The data of a run on photographs.

    Raises:
        InputError: see `nelbo.data.load_photographs`; settings that are about other data.
    """
    if odd := [name for name in _ODD if settings.get(name) not in (None, [], (), "none")]:
        raise InputError(f"A folder of photographs is read as it is, so leave {', '.join(odd)} out.")
    given = {name: settings[name] for name in ("rate_weight", "crop") if settings.get(name) is not None}
    own = photograph_settings(**given)
    weight = own["rate_weight"]
    step = None if weight is None else 255.0 * math.sqrt(6.0 * weight)
    return load_photographs(
        Path(settings["name"]).expanduser(),
        side=own["crop"],
        steps=STEPS if step is None else (step, step),
        seed=settings.get("split_seed") or 0,
        fractions={name: settings.get(f"{name}_fraction") for name in ("valid", "test")},
    )
