"""The recipe of the image codec that comes with nelbo: trains it, and goes on from where it was stopped.

    python benchmarks/image_codec.py PHOTOS OUT --steps 4000

PHOTOS is a folder of photographs (see docs/lossy.md for those of the shipped model). OUT gets checkpoints and, at the
end, `model.safetensors`. Interrupt it at any time: the same command goes on with the same bits.
"""

import argparse
import json
from pathlib import Path

import jax
import jax.random as jr
import optax

from nelbo.core import Example
from nelbo.data import LogSteps, Source, crops_of
from nelbo.models import build, load_model, save_model
from nelbo.objectives import Sgvb
from nelbo.training import Checkpoints, HistoryFile, fit, resume_from

STEPS = (5.0, 90.0)  # grey levels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument(
        "--start", type=Path, help="a model whose arrays are taken over where they have the same shapes"
    )
    parser.add_argument("--set", type=json.loads, default={}, help="options of the model, as JSON")
    options = parser.parse_args()
    crops, notes = crops_of(options.photos, options.side)
    print(*notes, f"{len(crops)} crops", sep="\n", flush=True)
    source = Source(Example(crops, context=LogSteps(len(crops), *STEPS)), "uint8", dynamic=False)
    shape = (options.side, options.side, 3)
    model = build(jr.key(0), "image-codec", {"shape": shape, **options.set})
    if options.start is not None:
        model = taken_over(model, load_model(options.start))
    warm = min(200, options.steps // 10)
    rate = optax.warmup_cosine_decay_schedule(0.0, options.rate, warm, options.steps, 0.02 * options.rate)
    optimizer = optax.chain(optax.clip_by_global_norm(1e4), optax.adam(rate))

    def say(event: str, state: object) -> None:
        if event == "evaluate":
            row = state.history[-1]
            scale = shape[0] * shape[1] * 0.6931
            print(f"{row['step']} {row['seconds']:.0f} s, {row['kl'] / scale:.4f} bits a pixel, "
                  f"reconstruction {row['reconstruction'] / scale:.4f}", flush=True)  # fmt: skip

    checkpoints = options.out / "checkpoints"
    fitted = fit(
        jr.key(1),
        model,
        Sgvb("A"),
        source,
        optimizer,
        steps=options.steps,
        batch_size=options.batch,
        evaluate_every=50,
        keep="last",
        callbacks=[Checkpoints(checkpoints, seconds=120.0), HistoryFile(options.out / "history.jsonl"), say],
        resume=resume_from(checkpoints, print) if checkpoints.exists() else None,
    )
    save_model(options.out / "model.safetensors", fitted.model)


def taken_over(model: object, earlier: object) -> object:
    """The model with the arrays of an earlier one at the same paths."""
    from nelbo.models.files import named_arrays

    old = named_arrays(earlier)
    place = lambda path, leaf: (  # noqa: E731
        jax.numpy.asarray(old[name])
        if (name := jax.tree_util.keystr(path)) in old and old[name].shape == leaf.shape
        else leaf
    )
    return jax.tree_util.tree_map_with_path(place, model)


if __name__ == "__main__":
    main()
