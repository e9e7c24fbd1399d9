"""A data set that is made, not found."""

import numpy as np

from nelbo.data import Data, data_from_arrays


def waves() -> Data:
    """Counts around sines of a common phase, the same ones every time."""
    rng = np.random.default_rng(0)
    phase = rng.uniform(0.0, 2.0 * np.pi, (500, 1))
    height = 20.0 * (1.2 + np.sin(phase + 0.5 * np.arange(8)))
    counts = np.minimum(rng.poisson(height), 255).astype(np.uint8)
    return data_from_arrays("waves", {"train": counts[:400], "valid": counts[400:450], "test": counts[450:]})
