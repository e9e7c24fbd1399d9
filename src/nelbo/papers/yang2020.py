"""Yang, Bamler and Mandt 2020, Improving Inference for Neural Image Compression."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from nelbo.codecs import METHODS, AnnealingSchedule, annealed, picture_codec, step_of
from nelbo.distributions import UnitMass
from nelbo.papers.codec_pictures import CHOSEN, REFINED, Rows, by_inference, over_rounded, pictures
from nelbo.papers.measures import Study
from nelbo.papers.page import Claim, Page, Plan, Published
from nelbo.papers.parts import Record

QUALITY, QUALITIES, SIDE = 28, (12.0, 22.0, 32.0, 42.0), 256
_REACH = 6  # whole numbers on each side, among which the best are looked for
NOTES = (
    (
        "The toy code has two latents, a logistic prior on whole numbers, and a linear decoder of three entries whose "
        "columns are not orthogonal, so that rounding each latent by itself is not best. Losses are rate + distortion "
        "in bits, means over pictures of it; the best whole numbers are enumerated."
    ),
    (
        "The codec is the one that comes with nelbo. Its sender already chooses whole numbers by rate and distortion, "
        "and annealing begins there; rounding is what the paper's codecs do in one pass. It has no hyper-latents, so "
        "that nothing is lost to marginalization, and nothing is to be gained by bits back."
    ),
    "Gaps are in bits a pixel of rate + distortion; the best real latents are those of as many steps, not rounded.",
)
WEIGHTS = np.array([[2.0, 1.2], [0.3, 1.5], [1.0, -0.4]])
SCALE, EXCHANGE = 1.5, 0.8
TOY = AnnealingSchedule(rate=0.01)


def toy_loss(x: Any, z: tuple[Any, ...]) -> Any:
    """Rate and distortion of the toy code, in bits.

    Args:
        x: `(3,)`.
        z: one array of two latents.
    """
    (y,) = z
    rate = -UnitMass(jnp.zeros_like(y), jnp.full_like(y, SCALE), "logistic").log_prob(y).sum()
    error = ((x - jnp.asarray(WEIGHTS, y.dtype) @ y) ** 2).sum()
    return (rate + EXCHANGE * error) / jnp.log(2.0)


_table = jax.jit(jax.vmap(lambda x, y: toy_loss(x, (y,)), in_axes=(None, 0)))


def toy(cases: int, steps: int, seed: int) -> Rows:
    """Mean excess of each method over the best whole numbers, and how often it finds them."""
    rng = np.random.default_rng(seed)
    side = np.arange(-_REACH, _REACH + 1)
    grid = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2)
    excess: dict[str, list[float]] = {name: [] for name in METHODS}
    for case in range(cases):
        truth = rng.logistic(0.0, SCALE, 2).clip(-4, 4)
        x = WEIGHTS @ truth + rng.normal(0, 0.3, 3)
        losses = np.asarray(_table(jnp.asarray(x, jnp.float32), jnp.asarray(grid, jnp.float32)))
        start = (jnp.asarray(np.linalg.lstsq(WEIGHTS, x, rcond=None)[0], jnp.float32),)
        for name in METHODS:
            key = jr.fold_in(jr.key(seed), case)
            (y,) = annealed(
                key,
                toy_loss,
                jnp.asarray(x, jnp.float32),
                start,
                steps=steps,
                method=name,
                schedule=AnnealingSchedule(rate=0.01),
            )
            at = np.flatnonzero((np.asarray(y) == grid).all(1))
            excess[name].append(float(losses[at[0]] - losses.min()) if at.size else float("inf"))
    return [
        {
            "method": name,
            "bits over the best": float(np.mean(values)),
            "standard error": float(np.std(values) / max(len(values) - 1, 1) ** 0.5),
            "found the best": float(np.mean(np.array(values) < 1e-4)),
            "cases": cases,
        }
        for name, values in excess.items()
    ]


def refined(budget: str, data_dir: str | None, count: int, steps: int) -> Rows:
    """BD-rates of crops over plain rounding, at a fixed decoder, and their gaps at one quality."""
    rows, codec = [], picture_codec()
    for number, x in enumerate(pictures(budget, data_dir, side=SIDE)[:count]):
        saved = over_rounded([by_inference(codec, x, step_of(quality), steps) for quality in QUALITIES])
        gaps = codec.gaps(x, QUALITY, steps)
        rows.append(
            {
                "picture": number + 1,
                "steps": steps,
                "BD-rate, the sender's choice": saved[CHOSEN],
                "BD-rate, refined": saved[REFINED],
                **{name: value / x[..., 0].size for name, value in dataclasses.asdict(gaps).items()},
            }
        )
    return rows


def plan(budget: str, seed: int, data_dir: str | None) -> Plan:
    """The toy code by every method; crops of pictures without and with refinement."""
    small = budget == "smoke"
    cases, toy_steps = {"smoke": (2, 100), "quick": (200, 2000), "paper": (2000, 2000)}[budget]
    count, steps = {"smoke": (0, 0), "quick": (6, 300), "paper": (24, 2000)}[budget]
    studies = [Study("toy", "A toy code: bits over the best whole numbers", lambda: toy(cases, toy_steps, seed))]
    if small:
        return Plan((), (), ("This is the smoke budget: two cases show only that it runs.", *NOTES), tuple(studies))
    pictured = Study("pictures", f"Crops of {SIDE} x {SIDE}: bytes over rounding [%], gaps at quality {QUALITY}",
                     lambda: refined(budget, data_dir, count, steps))  # fmt: skip
    return Plan((), (), NOTES, (*studies, pictured))


def _best(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    rows = {row["method"]: row for row in parts.get("toy", {}).get("rows", [])}
    if not rows:
        return None, "not run"
    words = ", ".join(f"{name} {row['bits over the best']:.4f}" for name, row in rows.items())
    if rows["sga"]["cases"] < 20:
        return None, f"too few cases; {words} bits"
    others = [row["bits over the best"] for name, row in rows.items() if name not in ("sga", "annealing")]
    return rows["sga"]["bits over the best"] <= min(others), f"{words} bits"


def _shorter(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    rows = parts.get("pictures", {}).get("rows", [])
    if len(rows) < 3:
        return None, "not run with this budget"
    chosen, both = ([row[f"BD-rate, {name}"] for row in rows] for name in ("the sender's choice", "refined"))
    return max(both) < 0, f"BD-rate {np.mean(both):.1f} % over rounding; {np.mean(chosen):.1f} % by the choice alone"


PAGE = Page(
    key="yang2020",
    title="Improving Inference for Neural Image Compression",
    budgets={
        "smoke": "two cases of a toy code, 100 steps",
        "quick": "200 cases of a toy code; crops of six Kodak pictures, 300 steps",
        "paper": "2000 cases; crops of all Kodak pictures, 2000 steps",
    },
    plan=plan,
    published=(
        Published("Kodak, BD-rate of annealing over the base hyperprior", "-15.2 %", "memory"),
        Published("Kodak, the same with bits back", "-16.8 %", "memory"),
        Published("Tecnick, the two", "-18.7 %, -20.3 %", "memory"),
        Published("Kodak, base (bits a pixel: PSNR)",
                  ".083: 26.47, .163: 28.63, .261: 30.45, .405: 32.33, .603: 34.23, .849: 36.33, 1.161: 38.33", "seen"),
        Published("Kodak, annealed",
                  ".095: 27.46, .185: 29.84, .290: 31.64, .432: 33.42, .622: 35.21, .882: 37.36, 1.174: 39.20", "seen"),
        Published("steps, rate of Adam, temperature", "2000, 0.005, min(0.5, 0.5 exp(-0.001 (t - 700)))", "seen"),
    ),
    claims=(
        Claim("Annealing finds better whole numbers than rounding, straight-through gradients or uniform noise.",
              "seen", "mean bits over the enumerated best of the toy code, no more than the least of the three", _best),
        Claim("Latents fitted to each picture make shorter files with the same decoder.", "seen",
              "BD-rate over rounding, in real bytes, below zero for every crop", _shorter),
    ),
)  # fmt: skip
