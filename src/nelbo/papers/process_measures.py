"""What pages about processes measure: images at contexts that were not trained on, missing pixels of series."""

from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.core import Example, compiled
from nelbo.data import healing_truth
from nelbo.models import Model
from nelbo.runs import Run

Rows = list[dict[str, Any]]
_BATCH = 50


def _mean_at(model: Model, contexts: Float[Array, "n numbers"]) -> Array:
    """What is shown at each context, at the mean of its latents."""

    def one(context: Array) -> Array:
        prior: Any = model.generative.root(1, context)
        return jnp.asarray(model.generative.likelihood((prior.mean,), context).mean)

    return jax.vmap(one)(contexts)


_run_mean_at = compiled(_mean_at)


def contexts(key: Key[Array, ""], run: Run, data_dir: str | None) -> tuple[Rows, dict[str, np.ndarray]]:
    """Mean squared error of the test images from their contexts alone (angle and object), which have no image.

    Beside the model: the same object's image at the nearest angle that was trained on, and the mean image.
    """
    del key
    data, _ = run.data(data_dir=data_dir)
    rows = []
    for name in ("train", "valid", "test"):
        split = data.split(name)
        found = np.asarray(_run_mean_at(run.model, jnp.asarray(np.asarray(split.context))), np.float64)
        rows.append({"images": name, "by": "nelbo", "MSE": float(((found - split.x) ** 2).mean()), "count": len(split)})
    train, test = data.train, data.test
    nearest = _nearest(np.asarray(train.context), np.asarray(test.context))
    guess = np.where((nearest >= 0)[:, None, None, None], train.x[nearest], train.x.mean(0))
    for by, value in (("the object's image at the nearest angle", guess), ("the mean image", train.x.mean(0))):
        error = float(((np.asarray(value, np.float64) - test.x) ** 2).mean())
        rows.append({"images": "test", "by": by, "MSE": error, "count": len(test)})
    return rows, {}


def _nearest(known: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """For each asked (angle, object) the row of the same object at the nearest angle [degrees]; -1: there is none."""
    apart = np.abs((known[None, :, 0] - asked[:, None, 0] + 180.0) % 360.0 - 180.0)
    apart = np.where(known[None, :, 1] == asked[:, None, 1], apart, np.inf)
    return np.where(np.isfinite(apart.min(1)), apart.argmin(1), -1)


def _filled(key: Key[Array, ""], model: Model, batch: Example, draws: int) -> Array:
    """The mean of each pixel over draws of the latents."""

    def one(key: Key[Array, ""], x: Example) -> Array:
        def draw(key: Key[Array, ""]) -> Array:
            z, _ = model.posterior(x).sample(key)
            return jnp.asarray(model.generative.likelihood(z, x.context).mean)

        return jax.vmap(draw)(jr.split(key, draws)).mean(0)

    return jax.vmap(one)(jr.split(key, len(batch.values)), batch)


_run_filled = compiled(_filled)


def healing(
    key: Key[Array, ""], run: Run, data_dir: str | None, *, rows: int = 1000, draws: int = 10
) -> tuple[Rows, dict[str, np.ndarray]]:
    """Missing pixels of the test sequences: mean squared error, and NLL of a Bernoulli of the mean [nats a pixel].

    Beside the model: the mean of each pixel over what is observed in training, and the last frame in which a pixel is
    observed (the mean where there is none).
    """
    truth, observed = (part[:rows] for part in healing_truth(data_dir=data_dir))
    values = np.where(observed, truth, 0).astype(np.float32)
    parts = []
    for start in range(0, len(values), _BATCH):
        part = slice(start, start + _BATCH)
        batch = Example(jnp.asarray(values[part]), jnp.asarray(observed[part]))
        parts.append(np.asarray(_run_filled(jr.fold_in(key, start), run.model, batch, draws)))
    train = run.data(data_dir=data_dir)[0].train
    assert train.observed is not None
    count = np.maximum(train.observed.sum((0, 1)), 1)
    mean = np.broadcast_to(train.x.sum((0, 1), dtype=float) / count, truth.shape)
    table = []
    for by, found in (
        ("nelbo", np.concatenate(parts)),
        ("mean", mean),
        ("last frame", _forward(values, observed, mean)),
    ):
        missing = ~observed
        wrong, chance = found.astype(np.float64)[missing], truth[missing]
        row = {"by": by, "MSE": float(((wrong - chance) ** 2).mean()), "NLL": None, "pixels": int(missing.sum())}
        if by != "last frame":
            right = np.clip(np.where(chance == 1, wrong, 1.0 - wrong), 1e-6, 1.0)
            row["NLL"] = float(-np.log(right).mean())
        table.append(row)
    return table, {}


def _forward(values: np.ndarray, observed: np.ndarray, mean: np.ndarray) -> np.ndarray:
    found = np.array(mean, np.float32)
    for t in range(values.shape[1]):
        earlier = found[:, t - 1] if t else found[:, 0]
        found[:, t] = np.where(observed[:, t], values[:, t], earlier)
    return found
