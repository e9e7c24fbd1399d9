"""Runs that were never trained: what is tested is how they read data and give answers."""

from pathlib import Path
from typing import Any

import jax.random as jr
import numpy as np

from nelbo.data import load, row_digests
from nelbo.models import build
from nelbo.runs import Experiment, Run
from nelbo.runs.folder import FittedData
from nelbo.runs.inputs import binarized, model_arguments, settled


def table(seed: int = 0, rows: int = 60) -> str:
    """A CSV file with ids, five numbers in each row, and labels."""
    x = np.random.default_rng(seed).normal(size=(rows, 5)).round(3)
    lines = [f"p{seed}-{i:03d},{','.join(map(str, row))},{'ab'[i % 2]}" for i, row in enumerate(x)]
    return "\n".join(["id,one,two,three,four,five,label", *lines]) + "\n"


def untrained(folder: Path, path: Path, **data: Any) -> Run:
    """A run on a file as it would be opened, with the weights that it began with."""
    asked = Experiment(
        {"name": "vae", "arguments": {"hidden": [3], "latents": 2}}, {"name": str(path), **data}, {"name": "sgvb"}, {}
    )
    raw = load(path, **{name: value for name, value in data.items() if name != "binarize"})
    train, _ = binarized(raw, asked.data, None)
    experiment = settled(asked, train)
    model = build(jr.key(0), "vae", model_arguments(experiment, train))
    known = FittedData(raw.schema, {name: row_digests(rows) for name, rows in raw.splits.items()})
    return Run(folder, experiment, model, known)
