"""The second step of the recipe of the image codec: trains the network that restores decoded pictures.

    python benchmarks/image_restoration.py PHOTOS OUT --hidden 32 --steps 2000

OUT holds `model.safetensors` of `benchmarks/image_codec.py`, which stays as it is otherwise; `restored.safetensors` is
written beside it. What is maximized is the first term of the same ELBO, log p(x | z), at the whole numbers z that the
codec itself chooses, so that the network sees what it will see; the other terms do not depend on it. Interrupt it at
any time: the same command goes on with the same bits.
"""

import argparse
from pathlib import Path
from typing import Any, ClassVar

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

from nelbo.codecs import codec_from
from nelbo.codecs.band_networks import PIXEL
from nelbo.core import Example, read_arrays, write_arrays
from nelbo.data import LogSteps, Source, crops_of
from nelbo.models import named_arrays
from nelbo.models.image_codec import Restoration
from nelbo.objectives import ExampleObjective, Loss
from nelbo.training import Checkpoints, fit, resume_from

STEPS = (5.0, 90.0)  # grey levels
NAME = ".generative.layers[0].restoration"


class Restored(ExampleObjective):
    """-log p(x | z) of decoded pictures: squared errors over twice the variance step^2 / 12, up to a constant."""

    kind: ClassVar[Any] = "proxy"

    def example(self, key: Any, model: Any, x: Example) -> Loss:
        """Of one crop, mean over its pixels."""
        del key
        decoded, log_step = x.context["decoded"] / (1 << PIXEL), x.context["step"][0]
        error = x.values - 128.0 - decoded - model(decoded, log_step)
        bound = -6.0 * (error**2).mean() * jnp.exp2(-2.0 * log_step)
        return Loss(-bound, bound, {})


def decoded_crops(coder: Any, folder: Path, count: int, side: int) -> Example:
    """Crops, and what the codec makes of them before restoration."""
    crops, _ = crops_of(folder, side, seed=3)
    values = crops[np.arange(count)]
    steps = np.round(8 * LogSteps(count, *STEPS, 3)[:]).astype(int)
    decoded = np.empty(values.shape, np.int16)
    for i, (x, step) in enumerate(zip(values, steps[:, 0], strict=True)):
        _, y = coder.encode(x.astype(float), int(step))
        decoded[i] = coder.unrestored(y, int(step))
        if i % 100 == 0:
            print(f"{i} of {count} crops are coded", flush=True)
    return Example(values, context={"decoded": decoded, "step": (steps / 8).astype(np.float32)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--crops", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=1e-3)
    options = parser.parse_args()
    arrays, header = read_arrays(options.out / "model.safetensors", "model")
    arrays = {name: value for name, value in arrays.items() if not name.startswith(NAME)}
    coder = codec_from(arrays, header["spec"], str(options.out)).coder
    source = Source(decoded_crops(coder, options.photos, options.crops, 128), "uint8", dynamic=False)
    rate = optax.cosine_decay_schedule(options.rate, options.steps, 0.02)
    checkpoints = options.out / "restoration"

    def say(event: str, state: Any) -> None:
        if event == "evaluate":
            row = state.history[-1]
            print(f"{row['step']} {row['seconds']:.0f} s, {row['train_bound']:.5f}", flush=True)

    fitted = fit(
        jr.key(2),
        Restoration(jr.key(3), options.hidden),
        Restored(),
        source,
        optax.adam(rate),
        steps=options.steps,
        batch_size=8,
        evaluate_every=50,
        keep="last",
        callbacks=[Checkpoints(checkpoints, seconds=120.0), say],
        resume=resume_from(checkpoints, print) if checkpoints.exists() else None,
    )
    whole = arrays | {NAME + name: value for name, value in named_arrays(fitted.model).items()}
    header["spec"]["arguments"]["restore"] = options.hidden
    write_arrays(options.out / "restored.safetensors", whole, header)


if __name__ == "__main__":
    main()
