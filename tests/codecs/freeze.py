"""Write the frozen streams of the present format: `python tests/codecs/freeze.py`, once for each format version."""

from pathlib import Path

import jax.random as jr
import numpy as np

from nelbo.codecs import compress
from nelbo.models import build

HERE = Path(__file__).parent / "frozen"
MODELS = {
    "vae-bernoulli": ("vae", {"latents": 3, "hidden": [5], "init": 0.7}, 2),
    "vae-beta-binomial": ("vae", {"latents": 3, "hidden": [5], "init": 0.7, "likelihood": "beta-binomial"}, 256),
    "vae-logistic-full": (
        "vae",
        {"latents": 3, "hidden": [5], "init": 0.7, "likelihood": "discretized-logistic", "posterior": "full"},
        256,
    ),
    "fdarn-chain": ("fdarn", {"layers": [4, 3], "init": 0.7, "recognition": "autoregressive"}, 2),
    "darn": ("darn", {"layers": [4], "init": 0.7}, 2),
    "nade": ("nade", {"hidden": [5], "order": 2, "init": 0.7}, 2),
    "mixture": ("mixture", {"components": 4, "init": 0.7}, 2),
    "dlgm": ("dlgm", {"layers": [3, 2], "hidden": [4], "init": 0.7}, 2),
}


def main():
    HERE.mkdir(exist_ok=True)
    for name, (family, options, levels) in MODELS.items():
        model = build(jr.key(1), family, {"shape": [6], **options})
        x = np.random.default_rng(0).integers(0, levels, (60, 6)).astype(np.uint8)
        (HERE / f"{name}.nlb").write_bytes(compress(model, x, batch=8, lanes=4, block=40, self_contained=True))
        np.save(HERE / f"{name}.npy", x)


if __name__ == "__main__":
    main()
