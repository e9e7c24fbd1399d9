"""Yang, Bamler and Mandt 2020, Variational Bayesian Quantization: bits by posterior width, for a model's weights."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nelbo.papers.figures import Figure
from nelbo.papers.page import Claim, Page, Plan, Published
from nelbo.papers.parts import Measure, Part, Record
from nelbo.papers.quantization import MEANS, UNIFORM, VBQ
from nelbo.runs import Experiment

NOTES = (
    (
        "The paper quantizes Bayesian word embeddings and the latents of an image model; here it is the weights of an "
        "auto-encoder: with a mean-field posterior over them (full variational Bayes), and without one, where squared "
        "gradients stand in for it."
    ),
    (
        "Bits are entropies of what was used, by its frequencies over all weights; for variational Bayesian "
        "quantization by the frequencies that the file holds. Tables of frequencies and of means are not counted."
    ),
    "Uniform steps and means are in units of each array's standard deviation. The bound is measured at equal draws.",
)
KINDS = {"posterior": "mean-field posterior", "point": "a point, Laplace widths"}


def _run(kind: str, budget: str, seed: int, data_dir: str | None) -> Experiment:
    small = budget == "smoke"
    objective = {"name": "full-vb", "arguments": {}} if kind == "posterior" else {"name": "sgvb", "arguments": {}}
    model = {"latents": 4, "hidden": [16]} if small else {"latents": 10, "hidden": [200]}
    return Experiment(
        model={"name": "vae", "arguments": model},
        data={"name": "digits" if budget != "paper" else "mnist", "data_dir": data_dir},
        objective=objective,
        training={"epochs": {"smoke": 4.0, "quick": 200.0, "paper": 100.0}[budget]},
        seed=seed,
    )


def plan(budget: str, seed: int, data_dir: str | None) -> Plan:
    """One run with a posterior over its weights and one without, each quantized in three ways."""
    small = budget == "smoke"
    arguments = {
        "trades": [0.1] if small else [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0],
        "steps": [0.5] if small else [0.05, 0.1, 0.2, 0.4, 0.8, 1.2, 1.6],
        "counts": [8] if small else [2, 3, 4, 6, 8, 16, 32, 64],
        "rows": 50 if small else 1000,
    }
    measure = (Measure("quantized", "Bits of a weight, and what the bound loses", "quantization", arguments),)
    kinds = ("posterior",) if small else tuple(KINDS)
    parts = tuple(Part(kind, KINDS[kind], _run(kind, budget, seed, data_dir), measures=measure) for kind in kinds)
    figures = (Figure("curves", "Training", "curves", kinds),)
    notes = ("This is the smoke budget: a tiny network and one setting of each way cannot tell.",) if small else ()
    return Plan(parts, figures, (*notes, *NOTES))


def _table(parts: Mapping[str, Record], name: str) -> list[dict[str, Any]]:
    """The rows of a run's measure, none where it has not been run."""
    return parts.get(name, {}).get("measures", {}).get("quantized", {}).get("rows", [])


def bits_at(rows: list[dict[str, Any]], name: str, lost: float) -> float | None:
    """Bits a weight at which a quantization loses so many nats, between its settings; None outside of them."""
    own = sorted((row["nats lost"], row["bits a weight"]) for row in rows if row["quantization"] == name)
    if len(own) < 2 or not own[0][0] <= lost <= own[-1][0]:
        return None
    return float(np.interp(lost, [loss for loss, _ in own], [bits for _, bits in own]))


def _fewer(parts: Mapping[str, Record], lost: float = 0.5) -> tuple[bool | None, str]:
    words, holds = [], []
    for name, label in KINDS.items():
        rows = _table(parts, name)
        found = {way: bits_at(rows, way, lost) for way in (VBQ, UNIFORM, MEANS)}
        if (own := found[VBQ]) is None:
            continue
        others = [bits for way, bits in found.items() if way != VBQ and bits is not None]
        holds += [own < bits for bits in others]
        words.append(f"{label}: " + ", ".join(f"{way} {bits:.2f}" for way, bits in found.items() if bits is not None))
    said = "; ".join(words) + f" bits a weight at {lost:g} nats lost" if words else "too few settings"
    return (all(holds) if holds else None), said


def _one_model(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    rows = [row for name in KINDS for row in _table(parts, name) if row["quantization"] == VBQ]
    bits = [row["bits a weight"] for row in rows]
    if len(bits) <= len(KINDS):
        return None, "too few settings"
    return max(bits) > 2 * min(bits), f"{min(bits):.2f} to {max(bits):.2f} bits a weight from one training"


PAGE = Page(
    key="yang2020vbq",
    title="Variational Bayesian Quantization",
    budgets={
        "smoke": "a tiny auto-encoder on the digits set, one setting of each quantization",
        "quick": "an auto-encoder of 200 hidden units on the digits set, seven or eight settings",
        "paper": "the same on MNIST, 100 passes",
    },
    plan=plan,
    published=(
        Published("rates of one trained model", "all, chosen after training", "seen"),
        Published("image latents, word embeddings, at equal rate", "beats uniform and k-means quantization", "memory"),
        Published("images against JPEG", "better, with a single model for every rate", "seen"),
        Published("image model: filters, kernels, strides", "256 x 3, 9/5/5, 4/2/2; variance 0.001", "seen"),
        Published("word embeddings", "Google books 1980-2008, dimension 100", "seen"),
        Published("greatest number of bits", "10", "seen"),
    ),
    claims=(
        Claim(
            "At equal bits the widths of the posterior keep more than uniform or k-means quantization.",
            "memory",
            "fewest bits a weight at 0.5 nats of the test bound lost, in both runs",
            _fewer,
        ),
        Claim(
            "One trained model serves every rate.",
            "seen",
            "the settings span a factor of two in bits a weight",
            _one_model,
        ),
    ),
)
