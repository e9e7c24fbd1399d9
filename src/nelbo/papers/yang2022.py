"""Yang and Mandt 2022, Towards Empirical Sandwich Bounds on the Rate-Distortion Function."""

from collections.abc import Mapping
from typing import Any

import jax.random as jr
import numpy as np

from nelbo.evaluation import SandwichSettings, gaussian_rate, sandwich
from nelbo.papers.figures import Axes, Figure
from nelbo.papers.measures import Rows, Study
from nelbo.papers.page import Claim, Page, Plan, Published
from nelbo.papers.parts import Record

GAUSSIAN, BANANA = "Gaussian", "banana"
NOTES = (
    (
        "Rates are nats an example; distortion is squared error summed over entries (the authors' code takes the mean "
        "over entries, which multiplies slopes by their number)."
    ),
    (
        "The upper bound is an auto-encoder with a standard normal prior. log u begins as that of a Gaussian source in "
        "closed form, with a floor, and a network of the authors' kind adds to it. The supremum is climbed by weighted "
        "means from 64 starts, where the authors take Adam from all samples or the ten best."
    ),
    "Variances of the Gaussian sources fall from 2 to 1/2 along their entries. Networks, steps and k are smaller here.",
)


def samples(kind: str, entries: int, count: int, seed: int) -> np.ndarray:
    """Rows of a source."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(count, entries))
    if kind == BANANA:
        return np.stack([z[:, 0], 0.5 * z[:, 1] + 0.5 * (z[:, 0] ** 2 - 1.0)], axis=1)
    return z * np.sqrt(variances(entries))


def variances(entries: int) -> np.ndarray:
    """Of the Gaussian source."""
    return np.geomspace(2.0, 0.5, entries) if entries > 1 else np.ones(1)


def bounds(budget: str, seed: int) -> Rows:
    """A row for each source and slope."""
    small = budget == "smoke"
    sources = [(GAUSSIAN, n) for n in ((1,) if small else (1, 2, 4, 8, 16))] + ([] if small else [(BANANA, 2)])
    count = {"smoke": 1000, "quick": 20_000, "paper": 100_000}[budget]
    steps = {"smoke": 50, "quick": 1500, "paper": 5000}[budget]
    settings = SandwichSettings(hidden=(16,) if small else (100, 100), steps=steps)
    slopes = (1.0,) if small else (0.5, 1.0, 2.0, 4.0)
    rows = []
    for kind, entries in sources:
        x = samples(kind, entries, count, seed)
        found = sandwich(jr.key(seed), x[: count // 2], x[count // 2 :], slopes, settings)
        for point in found.points:
            exact = None if kind != GAUSSIAN else gaussian_rate(variances(entries), point.upper.distortion)
            error = float(np.hypot(point.upper.rate_error, point.slope * point.upper.distortion_error))
            rows.append(
                {
                    "source": kind,
                    "entries": entries,
                    "slope": point.slope,
                    "distortion": point.upper.distortion,
                    "upper bound": point.upper.rate,
                    "its error": error,
                    "exact": exact,
                    "lower bound": point.lower_rate,
                    "error": point.lower.error,
                    "samples a group": point.lower.group_size,
                    "starts that arrived": point.lower.arrived,
                }
            )
    return rows


def plan(budget: str, seed: int, data_dir: str | None) -> Plan:
    """A table of bounds of sources whose R(D) is known, and of one whose is not."""
    del data_dir
    study = Study("bounds", "Bounds on R(D), and R(D) where it is known", lambda: bounds(budget, seed))
    axes = Axes("distortion", "upper bound", ("source", "entries"), "squared error", "rate (nats)")
    figures = (Figure("bounds", "Upper bounds", "study", ("bounds",), axes=axes),)
    notes = ("This is the smoke budget: one source, fifty steps.",) if budget == "smoke" else ()
    return Plan((), figures, (*notes, *NOTES), (study,))


def _rows(parts: Mapping[str, Record], entries: tuple[int, ...]) -> list[dict[str, Any]]:
    rows = parts.get("bounds", {}).get("rows", [])
    return [row for row in rows if row["source"] == GAUSSIAN and row["entries"] in entries]


def _sound(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    rows = _rows(parts, (1, 2, 4, 8, 16))
    if not rows:
        return None, "not run"
    above = max((row["lower bound"] - row["exact"]) / max(row["error"] or 0.0, 1e-3) for row in rows)
    below = max((row["exact"] - row["upper bound"]) / max(row["its error"], 1e-3) for row in rows)
    words = f"{len(rows)} slopes; the farthest on the wrong side: {max(above, below, 0.0):.1f} standard errors"
    return above < 4 and below < 4, words


def _tight(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    rows = [row for row in _rows(parts, (1, 2)) if row["slope"] <= 1.0]
    if len(rows) < 2:
        return None, "not run with this budget"
    gaps = [row["upper bound"] - row["lower bound"] for row in rows]
    return max(gaps) < 0.05, f"greatest gap {max(gaps):.3f} nats"


def _widens(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    rows = [row for row in _rows(parts, (1, 2, 4, 8, 16)) if row["slope"] == 1.0]
    if len(rows) < 3:
        return None, "not run with this budget"
    gaps = {row["entries"]: row["upper bound"] - row["lower bound"] for row in rows}
    words = ", ".join(f"{gap:.3f} nats at {entries}" for entries, gap in gaps.items())
    return gaps[max(gaps)] > gaps[min(gaps)], words


PAGE = Page(
    key="yang2022",
    title="Towards Empirical Sandwich Bounds on the Rate-Distortion Function",
    budgets={
        "smoke": "a Gaussian source of one entry, one slope",
        "quick": "Gaussian sources of 1 to 16 entries and a banana, 20,000 samples, four slopes",
        "paper": "the same with 100,000 samples and 5000 steps",
    },
    plan=plan,
    published=(
        Published("Kodak, upper bound of a ResNet-VAE (bits a pixel: PSNR)",
                  ".226: 31.84, .342: 33.61, .498: 35.46, .704: 37.36, .965: 39.26, 1.295: 41.17", "seen"),
        Published("headroom over the best codecs on natural images (dB)", "at least 1", "seen"),
        Published("Gaussian sources, entries of the lower bound", "2 to 16, k = 1024", "seen"),
        Published("log u of the lower bound", "three layers of 100 n units, 3000 steps", "seen"),
        Published("samples C_k of training and evaluation", "2, 30", "seen"),
    ),
    claims=(
        Claim(
            "Both are bounds: R(D) of a Gaussian source lies between them.",
            "seen",
            "no bound on the wrong side by four standard errors (false alarm 3e-5 a bound), or a milli-nat of error",
            _sound,
        ),
        Claim(
            "The sandwich is tight in few dimensions.",
            "memory",
            "Gaussian sources of one and two entries, slopes up to 1: gap below 0.05 nats",
            _tight,
        ),
        Claim(
            "The lower bound loosens as dimensions are added.",
            "memory",
            "the gap at slope 1 is wider at 16 entries than at one",
            _widens,
        ),
    ),
)  # fmt: skip
