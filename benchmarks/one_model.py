"""One model for every rate, in three ways, on the same transforms: gains that are learned, widths, or steps alone.

    python benchmarks/one_model.py photos/ held-out/ --out one_model/

Two models of pictures have the layers of `convolutional-codec` (four convolutions, a factorized density) and take
equally many steps of Adam on the same crops:

- **gains**: the codec as it is. Every crop has a step of its own, and each latent is divided by a power of it that is
  learned (`--prior factorized`). Latents are rounded; bits are those of real streams.
- **widths**: q(z | x) is normal, with deviations of its own, and one variance of pixels (0.001 of their range squared,
  as in Yang, Bamler and Mandt 2020). The rate is chosen after training, by variational Bayesian quantization: each
  mean is sent as a binary fraction of the prior's distribution function, by its distance in widths and its bits.

Beside them, of the second model: the same choice with one width for all latents; means rounded to multiples of one
step; and multiples of one step chosen among the nearest, the next towards zero and zero, by distance and bits, with
each latent's width or one width. Bits of these are by tables of frequencies for each channel, of crops that the model
was trained on. Written are curves, and BD-rates in place of the gains'.
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

from nelbo.codecs import picture_codec
from nelbo.codecs.variational_quantization import choose, frequencies, measured_lengths, plain_lengths
from nelbo.core import Example
from nelbo.data import LogSteps, Source, crops_of, picture_files, read_photo
from nelbo.distributions import Normal
from nelbo.evaluation import bd_rate, psnr
from nelbo.models import Model, build, save_model
from nelbo.models.convolutional_codec import Encoder, FactorizedLatents, Picture
from nelbo.models.layers import Context, Latents, Layer, Reads
from nelbo.models.stack import Stack
from nelbo.nets import PICTURE_LEVELS, PictureAnalysis, PictureSynthesis, log_spreads
from nelbo.objectives import Sgvb
from nelbo.priors import FactorizedDensity
from nelbo.training import Checkpoints, fit, resume_from

FILTERS, LATENTS, SIDE, START = 48, 128, 128, "wavelet"
GAIN_STEPS = (5.0, 90.0)  # grey levels
ONE_STEP = 255.0 * math.sqrt(12.0 * 0.001)  # whose normal has the paper's variance
CODED = (7.0, 11.0, 16.0, 23.0, 32.0, 45.0, 64.0)  # steps of the gains' curve
TRADES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
ROUNDED = (0.5, 1.0, 1.5, 2.0, 3.0, 4.5, 6.0)
ROUNDS = 6
LEAST = 1e-3  # of widths


class Widths(Layer):
    """q(z | x): normals whose means and log2 deviations are the analysis's two halves."""

    reads: ClassVar[Reads] = Reads.FURTHEST
    conditioned: ClassVar[bool] = False
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    def __call__(self, parents: Latents, context: Context = None) -> Normal:
        """The distribution."""
        del context
        mean, log_scale = jnp.split(parents[-1], 2, axis=-1)
        return Normal(mean, jnp.exp2(jnp.clip(log_scale, -8.0, 8.0)))


def with_widths(key: Any) -> Model:
    """The model whose q has widths; they begin at the unit of the latents, the same for every picture."""
    keys = jr.split(key, 3)
    slope = jnp.ones(LATENTS, jnp.float32)
    net = PictureAnalysis(keys[0], FILTERS, 2 * LATENTS, START)
    last = lambda one: one.downs[-1].weight  # noqa: E731
    net = eqx.tree_at(last, net, last(net).at[..., LATENTS:].set(0.0))
    density = FactorizedDensity(keys[1], LATENTS, spread=4.0 * np.exp2(log_spreads(FILTERS, LATENTS, START)))
    extent = (SIDE >> PICTURE_LEVELS, SIDE >> PICTURE_LEVELS)
    picture = Picture(PictureSynthesis(keys[2], FILTERS, LATENTS, START), 0.0 * slope)
    encoder = Encoder(net, jnp.zeros(2 * LATENTS, jnp.float32), (Widths(),))
    return Model(Stack((picture, FactorizedLatents(density, extent)), 1), encoder, None)


def trained(model: Model, crops: Any, steps: tuple[float, float], options: argparse.Namespace, name: str) -> Model:
    """The model after its steps."""
    source = Source(Example(crops, context=LogSteps(len(crops), *steps)), "uint8", dynamic=False)
    rate = optax.warmup_cosine_decay_schedule(
        0.0, options.rate, min(200, options.steps // 10), options.steps, 0.02 * options.rate
    )
    kept = options.out / name

    def say(event: str, state: Any) -> None:
        if event == "evaluate":
            row, scale = state.history[-1], 3 * SIDE**2
            print(f"{name} {row['step']} {row['seconds']:.0f} s, {row['train_bound'] / scale:.4f} nats a number",
                  flush=True)  # fmt: skip

    optimizer = optax.chain(optax.clip_by_global_norm(1e4), optax.adam(rate))
    found = fit(jr.key(1), model, Sgvb("A"), source, optimizer, steps=options.steps, batch_size=8, evaluate_every=100,
                keep="last", callbacks=[Checkpoints(kept, seconds=60.0), say],
                resume=resume_from(kept, print) if kept.exists() else None)  # fmt: skip
    return found.model


def curve(rows: list[list[tuple[float, float]]]) -> list[dict[str, float]]:
    """Means over crops of bits per pixel and PSNR, one row for each setting."""
    return [{"bpp": float(np.mean([r[0] for r in row])), "psnr": float(np.mean([r[1] for r in row]))} for row in rows]


def of_gains(path: Path, test: np.ndarray) -> list[dict[str, float]]:
    """Real streams of the codec with learned gains."""
    coder, rows = picture_codec(path).coder, []
    for grey in CODED:
        step, row = round(8 * np.log2(grey)), []
        for x in test:
            data, z = coder.encode(x.astype(float), step)
            row.append((8 * len(data) / x[..., 0].size, psnr(x, coder.picture(z, step))))
        rows.append(row)
    return curve(rows)


class Quantizer:
    """The model with widths, on crops.

    Args:
        model: with widths.
        train: crops whose frequencies are the tables.
        test: crops.
    """

    def __init__(self, model: Model, train: np.ndarray, test: np.ndarray) -> None:
        context = jnp.full(1, math.log2(ONE_STEP), jnp.float32)

        @jax.jit
        def posterior(x: Any) -> Any:
            found = model.posterior(Example(x, context=context)).part(0, ())
            return found.mean, found.variance**0.5

        def every(crops: np.ndarray) -> list[np.ndarray]:
            parts = [posterior(jnp.asarray(x, jnp.float32)) for x in crops]
            return [np.stack([np.asarray(p[i], float).reshape(-1, LATENTS) for p in parts]) for i in range(2)]

        self.test, self.known, self.own = test, every(train), every(test)
        self.usual = float(np.sqrt((self.known[1] ** 2).mean()))
        self.back = jax.jit(lambda z: model.generative.layers[0]((z,), context).mean)
        prior: Any = model.generative.layers[1]
        inner = prior.density.quantile(jnp.broadcast_to(jnp.arange(1, 4096)[:, None] / 4096.0, (4095, LATENTS)))
        ends = np.full((1, LATENTS), np.inf)
        self.grids = np.concatenate([-ends, np.asarray(inner, float), ends])

    def scores(self, z: np.ndarray, bits: np.ndarray) -> list[tuple[float, float]]:
        """Bits per pixel and PSNR of each crop."""
        found, side = [], int(np.sqrt(z.shape[1]))
        for x, one, cost in zip(self.test, z, bits, strict=True):
            back = self.back(jnp.asarray(one.reshape(side, side, LATENTS), jnp.float32))
            found.append((float(cost) / x[..., 0].size, psnr(x, np.rint(np.clip(back, 0, 255)).astype(np.uint8))))
        return found

    def chosen(self, trade: float, one_width: float | None) -> list[tuple[float, float]]:
        """Variational Bayesian quantization, with tables of the known crops."""
        z, bits = np.zeros_like(self.own[0]), np.zeros(len(self.test))
        for channel in range(LATENTS):
            grid, lengths = self.grids[:, channel], plain_lengths()

            def found(side: list[np.ndarray], lengths: np.ndarray, channel: int = channel, grid: Any = grid) -> Any:
                mean = side[0][..., channel].ravel()
                width = np.maximum(side[1][..., channel].ravel(), LEAST)
                width = width if one_width is None else np.full_like(width, one_width)
                return choose(mean, width, trade, lengths, grid)

            for _ in range(ROUNDS):
                lengths = measured_lengths(frequencies(found(self.known, lengths).index))
            own = found(self.own, lengths)
            z[..., channel] = grid[own.index].reshape(z.shape[:2])
            bits += own.bits.reshape(z.shape[:2]).sum(1)
        return self.scores(z, bits)

    def multiples(self, step: float, widths: str) -> list[tuple[float, float]]:
        """Means as multiples of a step, with tables of the known crops: the nearest, or chosen by their cost.

        Args:
            step: of all latents.
            widths: "none" rounds; "own" or "one" weigh squared errors.
        """
        known, own = (np.rint(side[0] / step).astype(np.int64) for side in (self.known, self.own))
        bits = np.zeros(len(self.test))
        for channel in range(LATENTS):
            first = (known[..., channel].ravel(), own[..., channel].ravel())
            ends = min(map(np.min, first)) - 1, max(map(np.max, first)) + 2
            least, span = int(min(ends[0], 0)), int(max(ends[1], 1) - min(ends[0], 0))
            chosen = first
            for _ in range(ROUNDS if widths != "none" else 1):
                counts = np.bincount(chosen[0] - least, minlength=span)
                lengths = np.log2(counts.sum() / np.maximum(counts, 1))
                if widths != "none":
                    chosen = tuple(self._cheapest(side, channel, k, lengths, least, step, widths)
                                   for side, k in zip((self.known, self.own), first, strict=True))  # fmt: skip
            own[..., channel] = chosen[1].reshape(own.shape[:2])
            bits += lengths[own[..., channel] - least].sum(1)
        return self.scores(own * step, bits)

    def _cheapest(
        self,
        side: list[np.ndarray],
        channel: int,
        nearest: np.ndarray,
        lengths: np.ndarray,
        least: int,
        step: float,
        widths: str,
    ) -> np.ndarray:
        """Of each mean the multiple that costs least, at the trade that balances rounding and rate at high rates."""
        mean = side[0][..., channel].ravel()
        width = np.maximum(side[1][..., channel].ravel(), LEAST) if widths == "own" else self.usual
        trade = step**2 / (12.0 * self.usual**2) * math.log(2.0)
        best, cost = nearest, np.full(mean.shape, np.inf)
        for candidate in (nearest, nearest - np.sign(nearest), np.zeros_like(nearest)):
            price = (candidate * step - mean) ** 2 / (2.0 * width**2) + trade * lengths[candidate - least]
            best, cost = np.where(price < cost, candidate, best), np.minimum(price, cost)
        return best

    def curves(self) -> dict[str, list[dict[str, float]]]:
        """By way of quantization."""
        return {
            "widths": curve([self.chosen(trade, None) for trade in TRADES]),
            "one width": curve([self.chosen(trade, self.usual) for trade in TRADES]),
            "steps": curve([self.multiples(step, "none") for step in ROUNDED]),
            "steps by widths": curve([self.multiples(step, "own") for step in ROUNDED]),
            "steps by one width": curve([self.multiples(step, "one") for step in ROUNDED]),
            "not quantized": curve([self.scores(self.own[0], np.zeros(len(self.test)))]),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("held_out", type=Path)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--side", type=int, default=256, help="of crops that are measured")
    parser.add_argument("--known", type=int, default=60, help="crops for tables of frequencies")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    crops, _ = crops_of(options.photos, SIDE)
    photos = [read_photo(path) for path in picture_files(options.held_out)]
    middle = [((x.shape[0] - options.side) // 2, (x.shape[1] - options.side) // 2) for x in photos]
    test = np.stack([x[i : i + options.side, j : j + options.side] for x, (i, j) in zip(photos, middle, strict=True)])
    large, _ = crops_of(options.photos, options.side, seed=7)
    shape = (SIDE, SIDE, 3)
    gains = build(jr.key(0), "convolutional-codec", {"shape": shape, "prior": "factorized"})
    gains = trained(gains, crops, GAIN_STEPS, options, "gains")
    save_model(options.out / "gains.safetensors", gains)
    found = {"gains": of_gains(options.out / "gains.safetensors", test)}
    widths = trained(with_widths(jr.key(0)), crops, (ONE_STEP, ONE_STEP), options, "widths")
    found |= Quantizer(widths, large[np.arange(options.known) * 997], test).curves()
    rates = {name: bd_rate(found["gains"], rows) for name, rows in found.items() if len(rows) > 1}
    for name, rows in found.items():
        print(
            f"{name}: {rates.get(name, math.nan):+.1f} %,",
            ", ".join(f"{row['bpp']:.3f}: {row['psnr']:.2f}" for row in rows),
        )
    record = {"steps": options.steps, "crops": len(test), "bd_rate_over_gains": rates, "curves": found}
    (options.out / "one_model.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
