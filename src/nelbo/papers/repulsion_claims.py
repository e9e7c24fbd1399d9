"""What the pages zhang2017 and zhang2019 share: their studies, and claims about batches that repel."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nelbo.papers.figures import Axes, Figure
from nelbo.papers.measures import Study
from nelbo.papers.page import Plan
from nelbo.papers.parts import Record
from nelbo.papers.repulsion import Batches, digits_for, learned, noise

UNIFORM = Batches("reshuffled", "reshuffled")
DIVERSIFIED = Batches("DPP (DM-SGD)", "dpp", {"kernel": "cosine", "risk": "diversified"})
NOISE = Axes("batch size", "variance", ("batches",), "examples in a batch", "log10 of the variance", log_y=True)
LEARNING = Axes("steps", "accuracy", ("batches",), "steps", "accuracy on balanced test data")
FIGURES = (
    Figure("noise", "Variance of gradients", "study", ("noise",), axes=NOISE),
    Figure("accuracy", "Accuracy", "study", ("accuracy",), axes=LEARNING),
)
Check = Callable[[Mapping[str, Record]], tuple[bool | None, str]]


def shared_plan(
    budget: str,
    seed: int,
    data_dir: str | None,
    ways: tuple[Sequence[Batches], Sequence[Batches]],
    notes: Sequence[str],
) -> Plan:
    """A table of variances and times, and a table of accuracies.

    Args:
        budget: "smoke", "quick" or "paper".
        seed: of the first run.
        data_dir: where MNIST is.
        ways: of choosing batches, in the first table and in the second.
        notes: of the page.
    """
    small = budget == "smoke"
    sizes = (5, 10) if small else (10, 20, 50, 100)
    repeats = 50 if small else 300
    steps = (5, 10) if small else (50, 100, 200, 400)
    seeds = range(seed, seed + (1 if small else 5))

    def variances() -> list[dict[str, Any]]:
        data = digits_for(budget, seed, data_dir)
        return noise(data, ways[0], sizes=sizes, repeats=repeats, seed=seed, steps=10 if small else 100)

    def accuracies() -> list[dict[str, Any]]:
        data = digits_for(budget, seed, data_dir)
        return learned(data, ways[1], steps=steps, batch_size=10 if small else 50, rate=0.1, seeds=seeds)

    studies = (
        Study("noise", "Variance and squared bias of the gradient, and the time to choose a batch", variances),
        Study("accuracy", "Accuracy on a test set with as many rows of each class", accuracies),
    )
    own = ("This is the smoke budget: small digits, few steps and batches; they cannot tell.",) if small else ()
    return Plan((), FIGURES, (*own, *notes), studies)


def can_tell(rows: list[Mapping[str, Any]]) -> bool:
    """Whether these rows are of more than the smoke budget."""
    return "mnist" in rows[0]["data"]


def ratios(rows: list[Mapping[str, Any]], label: str, base: str, column: str) -> dict[int, float]:
    """A column of one way of choosing batches over that of another, by batch size."""
    values = {(row["batches"], row["batch size"]): row[column] for row in rows}
    return {size: values[label, size] / values[base, size] for way, size in values if way == label}


def less_variance(way: Batches, *others: Batches) -> Check:
    """Whether batches vary less than independent draws with the same probabilities, at every size; others are told."""

    def check(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
        if "noise" not in parts:
            return None, "not run"
        rows = parts["noise"]["rows"]
        found, words = {}, []
        for label in (way.label, *(other.label for other in others)):
            own = {row["batch size"]: row for row in rows if row["batches"] == label}
            found[label] = [row["variance"] / row["variance of independent draws"] for row in own.values()]
            plain = ratios(rows, label, UNIFORM.label, "variance")
            words.append(
                f"{label} at {', '.join(map(str, own))}: {', '.join(f'{r:.2f}' for r in found[label])} of independent "
                f"draws, {', '.join(f'{r:.2f}' for r in plain.values())} of reshuffled batches"
            )
        return (max(found[way.label]) < 1 if can_tell(rows) else None), "; ".join(words)

    return check


def accuracy_words(rows: list[Mapping[str, Any]]) -> tuple[dict[str, list[float]], str]:
    """The accuracies of each way of choosing batches, and these in words."""
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row["batches"], []).append(row["accuracy"])
    words = "; ".join(f"{label}: " + ", ".join(f"{one:.3f}" for one in values) for label, values in found.items())
    return found, words


def more_accurate(*ways: Batches) -> Check:
    """Whether the best of these ends more than two standard errors above reshuffled batches."""

    def check(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
        if "accuracy" not in parts:
            return None, "not run"
        rows = parts["accuracy"]["rows"]
        found, words = accuracy_words(rows)
        error = max(row["standard error"] for row in rows if row["steps"] == rows[-1]["steps"])
        best = max(found[way.label][-1] for way in ways)
        ahead = best - found[UNIFORM.label][-1] > 2 * error
        return (ahead if can_tell(rows) else None), f"{words} (standard error {error:.3f})"

    return check
