"""Write the frozen streams of the present format: `python tests/codecs/freeze.py`, once for each format.

Those of format 1 lie in `frozen` itself, those of later formats in folders called by the format's number.
"""

from pathlib import Path

import jax.numpy as jnp
import jax.random as jr
import numpy as np

from nelbo.codecs import FORMAT, Layout, compress
from nelbo.models import build

HERE = Path(__file__).parent / "frozen" / str(FORMAT)
SHAPE = (6,)
SMALL = {"latents": 3, "hidden": [5], "init": 0.7}
MOMENTS = {"centre": jnp.linspace(0.1, 0.9, 6), "spread": jnp.linspace(0.5, 1.5, 6)}
MODELS = {
    "vae-centre-spread": ("vae", {**SMALL, **MOMENTS}, 2),
    "vae-mask": ("vae", {**SMALL, **MOMENTS, "missing": "mask"}, 2),
    "vae-context": ("vae", {**SMALL, "context": 3}, 2),
    "vae-beta-binomial": ("vae", {**SMALL, "likelihood": "beta-binomial"}, 256),
    "vae-logistic-full": ("vae", {**SMALL, "likelihood": "discretized-logistic", "posterior": "full"}, 256),
    "hvae-chain": ("hvae", {"layers": [3, 2], "hidden": [4], "init": 0.7}, 2),
    "fdarn-chain": ("fdarn", {"layers": [4, 3], "init": 0.7, "recognition": "autoregressive"}, 2),
    "nade": ("nade", {"hidden": [5], "order": 2, "init": 0.7}, 2),
}


def main():
    HERE.mkdir(parents=True, exist_ok=True)
    for name, (family, options, levels) in MODELS.items():
        model = build(jr.key(1), family, {"shape": list(SHAPE), **options})
        rng = np.random.default_rng(0)
        x = rng.integers(0, levels, (60, *SHAPE)).astype(np.uint8)
        context = rng.normal(size=(60, 3)).astype(np.float32) if "context" in options else None
        layout = Layout(batch=8, lanes=4, block=40)
        packed = compress(model, x, context=context, layout=layout, self_contained=True)
        (HERE / f"{name}.nlb").write_bytes(packed)
        np.save(HERE / f"{name}.npy", x)
        if context is not None:
            np.save(HERE / f"{name}.context.npy", context)


if __name__ == "__main__":
    main()
