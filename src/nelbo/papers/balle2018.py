"""Balle, Minnen, Singh, Hwang and Johnston 2018, Variational Image Compression with a Scale Hyperprior."""

from collections.abc import Mapping

import numpy as np

from nelbo.papers.codec_pictures import JPEG, NELBO, Rows, curves, pictures, saved
from nelbo.papers.figures import Axes, Figure
from nelbo.papers.measures import Study
from nelbo.papers.page import Claim, Page, Plan, Published
from nelbo.papers.parts import Record

# bits a pixel, PSNR; results/image/8bit-decoded/kodak of CompressAI at 128f0039
HYPERPRIOR = ".131: 27.58, .209: 29.19, .320: 30.96, .478: 32.83, .669: 34.51, .939: 36.72, 1.259: 38.54"
MEAN_SCALE = ".124: 27.70, .198: 29.35, .307: 31.12, .461: 32.94, .662: 34.95, .914: 36.88, 1.234: 38.79"
NOTES = (
    (
        "Ours is the codec that comes with nelbo: 2.7 MB, a fixed lapped cosine transform, scales from small networks "
        "on the coarser bands, one and a half core-hours of training, one model for every rate. The published rows are "
        "models of millions of weights, one for each rate, trained for millions of steps."
    ),
    "Bits are lengths of whole files. JPEG is Pillow's, optimized, with its usual 4:2:0 colours.",
)


def plan(budget: str, seed: int, data_dir: str | None) -> Plan:
    """A table of rate and distortion."""
    del seed
    small = budget == "smoke"

    def rows() -> Rows:
        return curves(pictures(budget, data_dir), few=small)

    study = Study("curves", "Rate and distortion, means over pictures", rows)
    axes = Axes("bits a pixel", "PSNR", ("codec",), "bits a pixel", "PSNR (dB)")
    figures = (Figure("curves", "Rate and distortion", "study", ("curves",), axes=axes),)
    notes = ("This is the smoke budget: one picture that was made up, three settings.",) if small else ()
    return Plan((), figures, (*notes, *NOTES), (study,))


def _ahead(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    rows = parts.get("curves", {}).get("rows", [])
    found = saved(rows) if rows else None
    if found is None:
        return None, "not run with this budget"
    return found < 0, f"BD-rate of {NELBO} over {JPEG}: {found:.1f} %"


def decibels(text: str, bpp: float) -> float | None:
    """PSNR of a published curve at so many bits a pixel; None outside of it."""
    pairs = np.array([[float(value) for value in pair.split(": ")] for pair in text.split(", ")])
    return float(np.interp(bpp, pairs[:, 0], pairs[:, 1])) if pairs[0, 0] <= bpp <= pairs[-1, 0] else None


def _behind(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    rows = [row for row in parts.get("curves", {}).get("rows", []) if row["codec"] == NELBO]
    if len(rows) < 4:
        return None, "not run with this budget"
    known = [(decibels(HYPERPRIOR, row["bits a pixel"]), row["PSNR"]) for row in rows]
    lacks = [theirs - ours for theirs, ours in known if theirs is not None]
    if not lacks:
        return None, "no setting at the bits of the published curve"
    return min(lacks) > 0, f"{min(lacks):.1f} to {max(lacks):.1f} dB below the published hyperprior at equal rate"


PAGE = Page(
    key="balle2018",
    title="Variational Image Compression with a Scale Hyperprior",
    budgets={
        "smoke": "one picture made up, three settings of each codec",
        "quick": "the Kodak pictures, five settings, seven of JPEG",
        "paper": "the same: no larger model is trained here",
    },
    plan=plan,
    published=(
        Published("Kodak, scale hyperprior at MSE (bits a pixel: PSNR), CompressAI", HYPERPRIOR, "seen"),
        Published("Kodak, mean-scale hyperprior (Minnen et al. 2018), CompressAI", MEAN_SCALE, "seen"),
        Published("filters, transforms, training", "192 (320), four convolutions 5 x 5, millions of steps", "memory"),
    ),
    claims=(
        Claim("A learned code whose loss is the bound needs fewer bytes than JPEG.", "memory",
              "BD-rate over JPEG below zero, by mean curves", _ahead),
        Claim("Learned transforms of millions of weights are ahead of our small one.", "memory",
              "lower PSNR than the published hyperprior, wherever its curve reaches our bits", _behind),
    ),
)  # fmt: skip
