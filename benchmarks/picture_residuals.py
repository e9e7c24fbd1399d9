"""The recipe of the networks of lossless pictures: fits what a picture has more than its lossy code, pixel by pixel.

    python benchmarks/picture_residuals.py PHOTOS OUT

Crops of photographs are coded with the picture codec at the step of lossless coding, and each network (one for each
colour and grid) is fitted to pixels of them: it maximizes the log mass of a mixture of two discretized normal
densities. Weights are rounded as the codec needs them. OUT gets `residual.safetensors`, and the inputs, which are made
once. Interrupt it at any time: the same command goes on with the network it was at.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

from nelbo.codecs import picture_codec
from nelbo.codecs.band_networks import FINE, SHIFT
from nelbo.codecs.band_tables import STEP, WIDER
from nelbo.codecs.residual_coder import LOSSLESS_STEP, SHAPE
from nelbo.codecs.residual_networks import GRIDS, MARGIN, ORDER, RAW, inputs, names
from nelbo.core import read_arrays, write_arrays
from nelbo.data import crops_of
from nelbo.distributions import UnitMass

FEWEST = 0.75 * 7  # the least logit of the wider density, below zero
HELD_OUT = 0.1
UNIT = 4.0  # inputs of log2 are this many times smaller while a network is fitted, which makes steps even
Weights = dict[str, Any]


def rows_of(options: argparse.Namespace) -> dict[str, np.ndarray]:
    """Inputs and residuals of pixels of crops, for each network; kept in a file."""
    kept = options.out / "rows.npz"
    if not kept.exists():
        crops, _ = crops_of(options.photos, options.side, seed=0)
        coder, rng = picture_codec().coder, np.random.default_rng(1)
        parts: dict[str, list[np.ndarray]] = {}
        for i in range(options.crops):
            x = crops[np.array([i])][0]
            x = x[:, ::-1] if i & 1 else x
            x = x.swapaxes(0, 1) if i & 2 else x
            _, y = coder.encode(x.astype(float), LOSSLESS_STEP)
            base = coder.picture(y, LOSSLESS_STEP).astype(np.int64).transpose(2, 0, 1)
            whole = x.astype(np.int64).transpose(2, 0, 1) - base
            edges = ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN))
            below, known = np.pad(base, edges, mode="edge"), np.zeros_like(np.pad(base, edges))
            inner = known[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
            for colour, grid, name in names():
                plane, (row, column, stride) = ORDER[colour], GRIDS[grid]
                seen, raw = inputs(known, below, colour, grid)
                own = whole[plane, row::stride, column::stride].ravel()
                chosen = rng.choice(own.size, min(options.pixels, own.size), replace=False)
                parts.setdefault(f"{name}.x", []).append(seen[:, chosen].T.astype(np.int16))
                parts.setdefault(f"{name}.y", []).append(own[chosen].astype(np.int16))
                parts[f"{name}.raw"] = [np.array([raw])]
                inner[plane, row::stride, column::stride] = whole[plane, row::stride, column::stride]
            if i % 20 == 0:
                print(f"{i} of {options.crops} crops", flush=True)
        stacked: dict[str, Any] = {name: np.concatenate(part) for name, part in parts.items()}
        np.savez(kept, **stacked)
    with np.load(kept) as file:
        return {name: file[name] for name in file.files}


def started(key: Any, count: int, raw: int, hidden: int) -> Weights:
    """Random weights of a network."""
    draw = lambda i, a, b: jr.normal(jr.fold_in(key, i), (a, b)) * (2.0 / a) ** 0.5  # noqa: E731
    return {
        "first": draw(0, count, hidden),
        "first_bias": jnp.zeros(hidden),
        "second": draw(1, hidden, hidden),
        "second_bias": jnp.zeros(hidden),
        "last": 0.1 * draw(2, hidden, 3),
        "last_bias": jnp.array([0.0, 1.0, -3.0]),
        "past": jnp.zeros(raw),
    }


def bits(weights: Weights, x: Any, y: Any) -> Any:
    """Bits of each residual.

    Args:
        weights: of a network.
        x: `(pixels, inputs)`.
        y: `(pixels,)`.
    """
    hidden = jax.nn.relu(x @ weights["first"] + weights["first_bias"])
    hidden = jax.nn.relu(hidden @ weights["second"] + weights["second_bias"])
    out = hidden @ weights["last"] + weights["last_bias"]
    location = out[:, 0] + 2.0**RAW * (x[:, : weights["past"].size] @ weights["past"])
    scale = jnp.exp2(jnp.clip(out[:, 1], -3.1, 9.0))
    logit = jnp.clip(out[:, 2], -FEWEST, 0.0)
    narrow = UnitMass(location, scale, SHAPE).log_prob(y)
    wide = UnitMass(location, scale * 2.0 ** (WIDER / 2**STEP), SHAPE).log_prob(y)
    return -jnp.logaddexp(jax.nn.log_sigmoid(-logit) + narrow, jax.nn.log_sigmoid(logit) + wide) / jnp.log(2.0)


def fitted(key: Any, x: np.ndarray, y: np.ndarray, raw: int, steps: int, options: argparse.Namespace) -> Weights:
    """A network after its steps, its weights rounded, and bits of the pixels held out."""
    hidden = options.hidden[steps == options.steps]
    unit = np.where(np.arange(x.shape[1]) < raw, 1.0, 1.0 / UNIT).astype(np.float32)
    seen = x.astype(np.float32) * (2.0**-FINE * unit)
    y, count = y.astype(np.float32), int(len(y) * (1.0 - HELD_OUT))
    weights = started(key, x.shape[1], raw, hidden)
    optimizer = optax.adam(optax.cosine_decay_schedule(options.rate, steps))
    state = optimizer.init(weights)

    @jax.jit
    def step(weights: Weights, state: Any, x: Any, y: Any) -> Any:
        slope = jax.grad(lambda one: bits(one, x, y).mean())(weights)
        with jax.numpy_dtype_promotion("standard"):  # optax multiplies floats by its integer counts
            moves, state = optimizer.update(slope, state)
        return optax.apply_updates(weights, moves), state

    rng = np.random.default_rng(2)
    for _ in range(steps):
        which = rng.integers(0, count, options.batch)
        weights, state = step(weights, state, seen[which], y[which])
    found = {name: np.asarray(value, float) for name, value in weights.items()}
    found["first"] = found["first"] * unit[:, None]
    limit = 2**15 - 1
    whole = {name: np.clip(np.round(value * 2**SHIFT), -limit, limit).astype(np.int16) for name, value in found.items()}
    rounded = {name: jnp.asarray(value * 2.0**-SHIFT, jnp.float32) for name, value in whole.items()}
    held = jax.jit(bits)(rounded, x[count:].astype(np.float32) * np.float32(2.0**-FINE), y[count:]).mean()
    return whole | {"bits": np.array(float(held))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--crops", type=int, default=240)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--pixels", type=int, default=3000, help="of each crop, for each network")
    parser.add_argument("--steps", type=int, default=16000, help="of a network of a fine grid; a quarter for others")
    parser.add_argument("--batch", type=int, default=2048)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--hidden", type=int, nargs=2, default=(24, 64), help="units for coarse and for fine grids")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows, arrays, total = rows_of(options), {}, 0.0
    for number, (_, grid, name) in enumerate(names()):
        part = options.out / f"network{number}.safetensors"
        if not part.exists():
            begun, steps = time.process_time(), options.steps // (1 if GRIDS[grid][2] == 2 else 4)
            raw = int(rows[f"{name}.raw"][0])
            found = fitted(jr.key(number), rows[f"{name}.x"], rows[f"{name}.y"], raw, steps, options)
            write_arrays(part, found, {})
            print(f"{name}: {found['bits']:.4f} bits, {time.process_time() - begun:.0f} s", flush=True)
        found = read_arrays(part, "model")[0]
        total += float(found.pop("bits")) / GRIDS[grid][2] ** 2
        arrays |= {f"{name}.{which}": value for which, value in found.items()}
    write_arrays(options.out / "residual.safetensors", arrays, {})
    print(f"{total:.4f} bits a pixel for residuals held out, {sum(a.size for a in arrays.values())} weights")


if __name__ == "__main__":
    main()
