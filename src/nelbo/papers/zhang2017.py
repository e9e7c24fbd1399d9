"""Zhang, Kjellstrom and Mandt 2017, Determinantal Point Processes for Mini-Batch Diversification (DM-SGD)."""

from collections.abc import Mapping, Sequence
from typing import Any

from nelbo.papers.measures import Study
from nelbo.papers.page import Claim, Page, Plan, Published
from nelbo.papers.parts import Record
from nelbo.papers.repulsion import FIGURES, Batches, digits_for, learned, noise

UNIFORM = Batches("reshuffled", "reshuffled")
WEIGHTED = Batches("DPP, reweighted", "dpp", {"kernel": "cosine", "risk": "unbiased"})
DIVERSIFIED = Batches("DPP (DM-SGD)", "dpp", {"kernel": "cosine", "risk": "diversified"})
MIXED = Batches("DPP (DM-SGD), labels mixed in", "dpp", {"kernel": "cosine", "label_share": 0.5, "risk": "diversified"})
WAYS = (UNIFORM, WEIGHTED, DIVERSIFIED, MIXED)
NOTES = (
    (
        "The paper classifies features of flowers (Oxford 102) and unbalanced MNIST, and finds topics of unbalanced "
        "news. Here it is softmax regression of MNIST whose classes shrink in a geometric series, by plain gradient "
        "descent; the test set has as many rows of each class."
    ),
    (
        "Kernels are inner products of images of length one, of which labels may be a part: squared distances are "
        "then half those of the images and half those of the labels."
    ),
    (
        "Without weights the mean over a batch is a diversified risk, which differs from that of the data: its squared "
        "distance is the column of squared bias. With weights 1 / (N b) it is unbiased."
    ),
)


def plan(budget: str, seed: int, data_dir: str | None) -> Plan:
    """A table of variances and a table of accuracies."""
    small = budget == "smoke"
    sizes = (5, 10) if small else (10, 20, 50, 100)
    repeats = 50 if small else 300
    steps = (5, 10) if small else (50, 100, 200, 400)
    seeds = range(seed, seed + (1 if small else 5))

    def variances() -> list[dict[str, Any]]:
        data = digits_for(budget, seed, data_dir)
        return noise(data, WAYS, sizes=sizes, repeats=repeats, seed=seed, steps=10 if small else 100)

    def accuracies() -> list[dict[str, Any]]:
        data = digits_for(budget, seed, data_dir)
        return learned(data, WAYS, steps=steps, batch_size=10 if small else 50, rate=0.1, seeds=seeds)

    studies = (
        Study("noise", "Variance and squared bias of the gradient, summed over parameters", variances),
        Study("accuracy", "Accuracy on a test set with as many rows of each class", accuracies),
    )
    notes = ("This is the smoke budget: small digits, few steps and batches; they cannot tell.",) if small else ()
    return Plan((), FIGURES, (*notes, *NOTES), studies)


def ratios(rows: list[Mapping[str, Any]], label: str, base: str, column: str) -> dict[int, float]:
    """A column of one way of choosing batches over that of another, by batch size."""
    values = {(row["batches"], row["batch size"]): row[column] for row in rows}
    return {size: values[label, size] / values[base, size] for way, size in values if way == label}


def lowered(rows: list[Mapping[str, Any]], labels: Sequence[str]) -> tuple[dict[str, list[float]], str]:
    """Variances over those of independent draws with the same probabilities, by batch size; the same in words."""
    found, words = {}, []
    for label in labels:
        own = {row["batch size"]: row for row in rows if row["batches"] == label}
        found[label] = [row["variance"] / row["variance of independent draws"] for row in own.values()]
        plain = ratios(rows, label, UNIFORM.label, "variance")
        sizes = ", ".join(map(str, own))
        words.append(
            f"{label} at {sizes}: {', '.join(f'{r:.2f}' for r in found[label])} of independent draws, "
            f"{', '.join(f'{r:.2f}' for r in plain.values())} of reshuffled batches"
        )
    return found, "; ".join(words)


def can_tell(rows: list[Mapping[str, Any]]) -> bool:
    """Whether these rows are of more than the smoke budget."""
    return "mnist" in rows[0]["data"]


def _variance(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    if "noise" not in parts:
        return None, "not run"
    rows = parts["noise"]["rows"]
    found, words = lowered(rows, (DIVERSIFIED.label, WEIGHTED.label))
    return (max(found[DIVERSIFIED.label]) < 1 if can_tell(rows) else None), words


def accuracy_words(rows: list[Mapping[str, Any]]) -> tuple[dict[str, list[float]], str]:
    """The accuracies of each way of choosing batches, and these in words."""
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row["batches"], []).append(row["accuracy"])
    words = "; ".join(f"{label}: " + ", ".join(f"{one:.3f}" for one in values) for label, values in found.items())
    return found, words


def _accurate(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    if "accuracy" not in parts:
        return None, "not run"
    rows = parts["accuracy"]["rows"]
    found, words = accuracy_words(rows)
    best = max(found[DIVERSIFIED.label][-1], found[MIXED.label][-1])
    error = max(row["standard error"] for row in rows if row["steps"] == rows[-1]["steps"])
    ahead = best - found[UNIFORM.label][-1] > 2 * error
    return (ahead if can_tell(rows) else None), f"{words} (standard error {error:.3f})"


def _faster(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    if "accuracy" not in parts:
        return None, "not run"
    rows = parts["accuracy"]["rows"]
    found, words = accuracy_words(rows)
    ahead = all(mixed > plain for mixed, plain in zip(found[MIXED.label], found[UNIFORM.label], strict=True))
    return (ahead if can_tell(rows) else None), words


PAGE = Page(
    key="zhang2017",
    title="Determinantal Point Processes for Mini-Batch Diversification",
    budgets={
        "smoke": "small digits, 10 steps, batches of 5 and 10",
        "quick": "MNIST with 500 to 10 training rows a class, 400 steps of 50, five runs, batches of 10 to 100",
        "paper": "the same with 2000 to 40 rows a class",
    },
    plan=plan,
    published=(
        Published("batch sizes", "about 100", "memory"),
        Published("unbalanced data, balanced test set", "faster convergence, higher accuracy", "memory"),
    ),
    claims=(
        Claim(
            "Repulsion lowers the variance of the gradient.",
            "memory",
            "variance of DM-SGD below that of independent draws with its probabilities, at every batch size",
            _variance,
        ),
        Claim(
            "Diversified batches of unbalanced data reach a higher accuracy on a balanced test set.",
            "memory",
            "accuracy after the last step, images alone or labels mixed in, by more than two standard errors",
            _accurate,
        ),
        Claim(
            "They converge faster.",
            "memory",
            "with labels mixed in, accuracy is higher after every number of steps",
            _faster,
        ),
    ),
)
