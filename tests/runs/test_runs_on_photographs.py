"""Runs on folders of photographs: the crops reach the model in grey levels, which its likelihood is in."""

import jax.random as jr
import numpy as np
import pytest
from PIL import Image

from nelbo.models import MODELS
from nelbo.runs import Experiment
from nelbo.runs.ready import ready_for

PICTURES = sorted(name for name, family in MODELS.items() if family.examples == "pictures")
OPTIONS = {"image-codec": {"block": 8, "units": 4}, "convolutional-codec": {"size": "tiny"}}


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for letter in "abc":
        Image.fromarray(rng.integers(100, 200, (70, 70, 3), np.uint8)).save(tmp_path / f"{letter}.png")
    return tmp_path


@pytest.mark.share(2)
@pytest.mark.parametrize("name", PICTURES)
def test_training_and_scores_see_grey_levels(folder, name):
    experiment = Experiment(
        {"name": name, "arguments": OPTIONS[name]},
        {"name": str(folder), "crop": 64},
        {"name": "sgvb", "arguments": {}},
        {"epochs": 0.001},
    )
    ready = ready_for(experiment, None, 2.0**33, None)
    for source in ready.sources.values():
        rows = source.take(np.arange(2))
        values = np.asarray(source.example(jr.key(0), type(rows)(rows.values[0], context=rows.context[0])).values)
        assert values.min() >= 100.0
        assert values.max() <= 200.0
