"""Mnih and Rezende 2016, Variational Inference for Monte Carlo Objectives: VIMCO against NVIL."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from nelbo.papers.belief import BINARIZED, LONG, SCORED, SHORT, SMOKE, belief_run, mnist
from nelbo.papers.figures import Figure
from nelbo.papers.page import Claim, Page, Plan, Published, importance_score
from nelbo.papers.parts import Part, Record
from nelbo.runs import Experiment

LAYERS = (200, 200, 200)
# samples: NVIL (only for one sample), VIMCO, reweighted wake-sleep; estimates of -log p of the test set [nats]
TABLE: dict[int, tuple[float | None, float | None, float | None]] = {
    1: (95.2, None, None),
    2: (None, 93.5, 94.6),
    5: (None, 92.8, 93.4),
    10: (None, 92.6, 93.0),
    50: (None, 91.9, 92.5),
}
METHODS = (("nvil", "NVIL"), ("vimco", "VIMCO"), ("rws", "RWS"))
NOTES = (
    BINARIZED,
    "Adam takes batches of 100 with a cosine schedule, the same rate for every method and number of samples.",
    "Steps are the same for every row, so that a row with K samples costs about K times as much, as in the paper.",
    SCORED + " The importance-weighted bound is an estimate of log p from below; its samples stand in the table.",
)


def _parts(
    data: dict[str, Any],
    layers: tuple[int, ...],
    counts: tuple[int, ...],
    length: dict[str, Any],
    seed: int,
    draws: int,
) -> tuple[Part, ...]:
    parts = []
    for count in counts:
        for (method, name), number in zip(METHODS, TABLE[count], strict=True):
            if number is None:
                continue
            options = {} if method == "nvil" else {"samples": count}
            run: Experiment = belief_run("sbn", layers, data, seed=seed, objective=method, options=options, **length)
            label = name if count == 1 else f"{name}, K = {count}"
            parts.append(Part(f"{method}-{count}", label, run, published=f"-{number}", importance_samples=draws))
    return tuple(parts)


def plan(budget: str, seed: int, data_dir: str | None) -> Plan:
    """NVIL with one sample, VIMCO and reweighted wake-sleep with several."""
    if budget == "smoke":
        digits = {"name": "digits", "binarize": "static"}
        parts = _parts(digits, (16,), (1, 2), {"epochs": 60, "every": 195, "rate": SHORT}, seed, 20)
        parts = tuple(dataclasses.replace(part, published=None) for part in parts if not part.name.startswith("rws"))
        notes = (f"16 {SMOKE}", *NOTES)
    elif budget == "quick":
        parts = _parts(mnist(data_dir), LAYERS, (1, 5), {"epochs": 8, "every": 500, "rate": SHORT}, seed, 100)
        notes = NOTES
    else:
        parts = _parts(mnist(data_dir), LAYERS, tuple(TABLE), {"epochs": 300, "every": 2500, "rate": LONG}, seed, 1000)
        notes = NOTES
    names = tuple(part.name for part in parts)
    title = "training with one sample and with several"
    return Plan(parts, (Figure("figure-1", f"Figure 1, {title}", "curves", names, curves=("valid",)),), notes)


def _several_help(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    several = [name for name in parts if name.startswith("vimco")]
    if "nvil-1" not in parts or not several:
        return None, "not run"
    one, best = importance_score(parts["nvil-1"]), {name: importance_score(parts[name]) for name in several}
    words = ", ".join(f"{parts[name]['label']}: {bound:.2f}" for name, bound in best.items())
    return all(bound > one for bound in best.values()), f"NVIL: {one:.2f}, {words} nats"


def _ahead_of_rws(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    counts = [count for count in TABLE if {f"vimco-{count}", f"rws-{count}"} <= set(parts)]
    if not counts:
        return None, "not run"
    gaps = {k: importance_score(parts[f"vimco-{k}"]) - importance_score(parts[f"rws-{k}"]) for k in counts}
    return all(gap > 0 for gap in gaps.values()), ", ".join(f"K = {k}: {gap:+.2f}" for k, gap in gaps.items()) + " nats"


def _published() -> tuple[Published, ...]:
    rows = []
    for count, numbers in TABLE.items():
        for (_, name), number in zip(METHODS, numbers, strict=True):
            if number is not None:
                what = f"table 1, MNIST, SBN 200-200-200, {name}, K = {count}: -log p (nats, 1000 samples)"
                rows.append(Published(what, f"{number}", "memory"))
    return tuple(rows)


PAGE = Page(
    key="mnih2016",
    title="Variational Inference for Monte Carlo Objectives",
    budgets={
        "smoke": "16 units on the digits set, 60 epochs, two samples",
        "quick": "SBN 200-200-200, 8 epochs, one sample and five",
        "paper": "SBN 200-200-200, 300 epochs, 1, 2, 5, 10 and 50 samples",
    },
    plan=plan,
    published=_published(),
    claims=(
        Claim(
            "Training with several samples gives better models.",
            "seen",
            "the importance-weighted test bound of every VIMCO run is above that of NVIL",
            _several_help,
        ),
        Claim(
            "VIMCO is ahead of reweighted wake-sleep with the same number of samples.",
            "memory",
            "its importance-weighted test bound is higher for every number of samples that was run",
            _ahead_of_rws,
        ),
    ),
)
