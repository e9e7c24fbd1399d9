"""Mandt and Blei 2014, Smoothed Gradients for Stochastic Variational Inference: statistics averaged over batches."""

from collections.abc import Mapping
from typing import Any

from nelbo.papers.figures import Figure
from nelbo.papers.page import Claim, Page, Plan, Published
from nelbo.papers.parts import Measure, Part, Record
from nelbo.runs import Experiment

SMALLEST = "bars"
ERRORS = "Squared distance from the full gradient, by window"
NOTES = (
    (
        "The paper's corpora (abstracts from arXiv, articles of the New York Times and of Wikipedia) are replaced: by "
        "paragraphs of the State of the Union addresses (quick), or by bars made here (smoke)."
    ),
    "Rates are (1 + t)^-0.7 for every window; batches are small, for only then is there noise to average away.",
    (
        "Bias and variance are measured on a path of plain stochastic variational inference with a constant rate, from "
        "the first posterior on, as shares of the squared norm of the full statistics."
    ),
)


def lda_run(
    data: dict[str, Any], topics: int, seed: int, *, options: Mapping[str, Any] | None = None, **training: Any
) -> Experiment:
    """A run of latent Dirichlet allocation."""
    return Experiment(
        model={"name": "lda", "arguments": {"topics": topics}},
        data=data,
        objective={"name": "svi", "arguments": dict(options or {})},
        training={"keep": "last", "watch": ["test"], **training},
        seed=seed,
    )


def documents(budget: str, data_dir: str | None) -> tuple[dict[str, Any], int]:
    """The corpus of a budget, and the number of topics."""
    if budget == "smoke":
        return {"name": SMALLEST}, 10
    return {"name": "sotu", "data_dir": data_dir}, 30 if budget == "quick" else 100


def plan(budget: str, seed: int, data_dir: str | None) -> Plan:
    """The same run with windows of one batch and of many."""
    data, topics = documents(budget, data_dir)
    windows = {"smoke": (1, 10), "quick": (1, 10, 100), "paper": (1, 10, 100)}[budget]
    epochs = {"smoke": 1.0, "quick": 2.0, "paper": 20.0}[budget]
    errors = {"windows": [2**i for i in range(9)], "batch_size": 10, "steps": 400, "rate": 0.05}
    measure = Measure("smoothing", ERRORS, "smoothing", {**errors, "rows": 200 if budget == "smoke" else 1000})
    every = {"smoke": 20, "quick": 200, "paper": 500}[budget]
    parts = tuple(
        Part(
            f"window-{window}",
            f"window {window}",
            lda_run(data, topics, seed, window=window, epochs=epochs, batch_size=20, evaluate_every=every),
            measures=(measure,) if window == 1 else (),
        )
        for window in windows
    )
    figure = Figure("bounds", "Held-out bound by window", "curves", tuple(p.name for p in parts), curves=("test",))
    return Plan(parts, (figure,), NOTES)


def _inside(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    measure = parts.get("window-1", {}).get("measures", {}).get("smoothing")
    if not measure:
        return None, "not run"
    totals = {row["window"]: row["total"] for row in measure["rows"]}
    best = min(totals, key=lambda window: totals[window])
    words = ", ".join(f"{window}: {total:.3f}" for window, total in totals.items())
    inside = min(totals) < best < max(totals)
    return (inside if real(parts["window-1"]) else None), f"best window {best} ({words})"


def real(part: Record) -> bool:
    """Whether a run is of real documents: bars are too few and too easy to tell methods apart."""
    return part["data"]["name"] != SMALLEST


def last_bounds(parts: Mapping[str, Record]) -> dict[str, float]:
    """The last bound of each part's test set over its posterior [nats per example]."""
    runs = {name: part for name, part in parts.items() if "results" in part}  # studies have none
    rows = {name: [row for row in part["results"] if row["bound"] == "posterior"] for name, part in runs.items()}
    return {name: found[0]["nats"] for name, found in rows.items() if found}


def _better(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    bounds = last_bounds(parts)
    if "window-1" not in bounds or len(bounds) < 2:
        return None, "not run"
    words = ", ".join(f"{parts[name]['label']}: {bound:.2f}" for name, bound in bounds.items())
    better = max(bounds.values()) > bounds["window-1"]
    return (better if real(parts["window-1"]) else None), f"{words} nats per document"


PAGE = Page(
    key="mandt2014",
    title="Smoothed Gradients for Stochastic Variational Inference",
    budgets={
        "smoke": "bars, 10 topics, one pass with windows of 1 and 10",
        "quick": "State of the Union, 30 topics, two passes with windows of 1, 10 and 100",
        "paper": "State of the Union, 100 topics, twenty passes with windows of 1, 10 and 100",
    },
    plan=plan,
    published=(
        Published("topics of the paper's models", "100", "memory"),
        Published("windows that trade bias and variance well", "10 to 100", "memory"),
        Published("batch sizes", "10 to 300", "memory"),
    ),
    claims=(
        Claim(
            "A window trades the variance of the gradient against its bias, with an optimum between one and all.",
            "memory",
            "the window closest to the full gradient, in squared distance, is neither the shortest nor the longest",
            _inside,
        ),
        Claim(
            "Smoothed gradients reach a better held-out likelihood than stochastic variational inference.",
            "memory",
            "after equally many steps, the best window's held-out bound is above that of window 1",
            _better,
        ),
    ),
)
