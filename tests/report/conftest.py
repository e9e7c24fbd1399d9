"""Made-up runs on disk."""

import numpy as np
import pytest
from made_up_runs import history_rows, images, write_history

from nelbo.core import write_arrays, write_json


@pytest.fixture(autouse=True)
def _few_pixels(monkeypatch):
    """Figures of a quarter of the width: no test looks at their pixels, and most of the time goes into these."""
    monkeypatch.setattr("nelbo.report.style._DPI", 50)


@pytest.fixture
def make_run(tmp_path):
    """A function that writes a run folder with everything in it and returns its path."""

    def make(folder="run", *, name="a run", final=-100.0, seed=3, latents=2):
        path = tmp_path / folder
        path.mkdir(parents=True)
        write_json(
            path / "config.json",
            {
                "model": {"name": "vae", "arguments": {"hidden": [500, 400], "latents": latents}},
                "data": {"name": "mnist", "shape": [28, 28, 1], "binarization": "static(seed=0)"},
                "training": {"optimizer": {"name": "adam", "rate": 0.001}},
                "seed": seed,
            },
        )
        write_history(path / "history.jsonl", history_rows(final))
        write_json(
            path / "record.json",
            {
                "name": name,
                "results": [
                    {"split": "valid", "bound": "iwae", "samples": 9000, "nats": -1.0},
                    {"split": "test", "bound": "elbo", "samples": 1, "nats": final, "standard_error": 0.31},
                    {
                        "split": "test",
                        "bound": "iwae",
                        "samples": 5000,
                        "nats": final + 2.5,
                        "standard_error": 0.0794,
                        "spread": 0.7384,
                        "bits_per_dim": 0.17724,
                        "binarization": "static(seed=0)",
                    },
                ],
                "commit": "0123abc",
                "seed": seed,
                "hardware": "2 CPU cores",
                "wall_time_seconds": 3725.0,
                "versions": {"jax": "0.7.2"},
                "command": ["nelbo", "fit", "vae", "--out", "my run"],
            },
        )
        rng = np.random.default_rng(1)
        write_arrays(
            path / "arrays.safetensors",
            {
                "samples": images(7),
                "originals": images(4, seed=1),
                "reconstructions": images(4, seed=2),
                "manifold": images(6).reshape(2, 3, 5, 5, 1),
                "embedding": rng.normal(size=(40, 2)).astype(np.float32),
                "labels": np.arange(40) % 3,
                "receptive_fields": rng.normal(size=(4, 5, 5, 1)).astype(np.float32),
            },
            {},
        )
        return path

    return make
