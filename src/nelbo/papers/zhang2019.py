"""Zhang, Oztireli, Mandt and Salvi 2019, Active Mini-Batch Sampling Using Repulsive Point Processes."""

from collections.abc import Mapping
from typing import Any

from nelbo.papers.measures import Study
from nelbo.papers.page import Claim, Page, Plan, Published
from nelbo.papers.parts import Record
from nelbo.papers.repulsion import FIGURES, Batches, digits_for, learned, noise
from nelbo.papers.zhang2017 import DIVERSIFIED, UNIFORM, accuracy_words, can_tell, lowered, ratios

VANILLA = Batches("Poisson disk, vanilla", "poisson-disk", {"variant": "vanilla"})
LABELLED = tuple(
    Batches(f"Poisson disk, {variant}", "poisson-disk", {"variant": variant}) for variant in ("easy", "dense", "anneal")
)
NOTES = (
    (
        "The paper trains larger classifiers; here it is softmax regression of MNIST whose classes shrink in a "
        "geometric series, as on the page zhang2017."
    ),
    (
        "The radius is the largest at which a random packing still holds twice the batch, in units of the root mean "
        "squared distance of two images, which the paper sets by hand."
    ),
    (
        "How the variants use labels is taken from a later implementation of the paper, not from the paper: easy "
        "examples are those whose four nearest neighbours are of their class; only these keep the radius; dense "
        "batches draw the degree of mingling uniformly, annealed ones from easy to hard."
    ),
)


def plan(budget: str, seed: int, data_dir: str | None) -> Plan:
    """A table of variances and times, and a table of accuracies."""
    small = budget == "smoke"
    sizes = (5, 10) if small else (10, 20, 50, 100)
    repeats = 50 if small else 300
    steps = (5, 10) if small else (50, 100, 200, 400)
    seeds = range(seed, seed + (1 if small else 5))

    def variances() -> list[dict[str, Any]]:
        data = digits_for(budget, seed, data_dir)
        ways = (UNIFORM, DIVERSIFIED, VANILLA)
        return noise(data, ways, sizes=sizes, repeats=repeats, seed=seed, steps=10 if small else 100)

    def accuracies() -> list[dict[str, Any]]:
        data = digits_for(budget, seed, data_dir)
        ways = (UNIFORM, VANILLA, *LABELLED)
        return learned(data, ways, steps=steps, batch_size=10 if small else 50, rate=0.1, seeds=seeds)

    studies = (
        Study("noise", "Variance and squared bias of the gradient, and the time to choose a batch", variances),
        Study("accuracy", "Accuracy on a test set with as many rows of each class", accuracies),
    )
    notes = ("This is the smoke budget: small digits, few steps and batches; they cannot tell.",) if small else ()
    return Plan((), FIGURES, (*notes, *NOTES), studies)


def _variance(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    if "noise" not in parts:
        return None, "not run"
    rows = parts["noise"]["rows"]
    found, words = lowered(rows, (VANILLA.label,))
    return (max(found[VANILLA.label]) < 1 if can_tell(rows) else None), words


def _cheaper(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    if "noise" not in parts:
        return None, "not run"
    rows = parts["noise"]["rows"]
    found = ratios(rows, VANILLA.label, DIVERSIFIED.label, "milliseconds a batch")
    words = ", ".join(f"{ratio:.2f} at {size}" for size, ratio in found.items())
    return (all(r < 1 for r in found.values()) if can_tell(rows) else None), f"time over that of the DPP: {words}"


def _accurate(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    if "accuracy" not in parts:
        return None, "not run"
    rows = parts["accuracy"]["rows"]
    found, words = accuracy_words(rows)
    error = max(row["standard error"] for row in rows if row["steps"] == rows[-1]["steps"])
    best = max(values[-1] for label, values in found.items() if label != UNIFORM.label)
    ahead = best - found[UNIFORM.label][-1] > 2 * error
    return (ahead if can_tell(rows) else None), f"{words} (standard error {error:.3f})"


PAGE = Page(
    key="zhang2019",
    title="Active Mini-Batch Sampling Using Repulsive Point Processes",
    budgets={
        "smoke": "small digits, 10 steps, batches of 5 and 10",
        "quick": "MNIST with 500 to 10 training rows a class, 400 steps of 50, five runs, batches of 10 to 100",
        "paper": "the same with 2000 to 40 rows a class",
    },
    plan=plan,
    published=(
        Published("cost of a Poisson-disk batch of k examples", "O(k^2)", "memory"),
        Published("unbalanced data, balanced test set", "faster convergence, higher accuracy", "memory"),
    ),
    claims=(
        Claim(
            "Repulsion lowers the variance of the gradient.",
            "memory",
            "variance of vanilla batches below that of independent draws with their probabilities, at every batch size",
            _variance,
        ),
        Claim(
            "Poisson-disk batches cost less than those of a determinantal process.",
            "memory",
            "time to choose a batch, at every batch size",
            _cheaper,
        ),
        Claim(
            "Poisson-disk batches reach a higher accuracy on a balanced test set.",
            "memory",
            "accuracy of the best variant after the last step, by more than two standard errors",
            _accurate,
        ),
    ),
)
