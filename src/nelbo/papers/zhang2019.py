"""Zhang, Oztireli, Mandt and Salvi 2019, Active Mini-Batch Sampling Using Repulsive Point Processes."""

from collections.abc import Mapping

from nelbo.papers.page import Claim, Page, Plan, Published
from nelbo.papers.parts import Record
from nelbo.papers.repulsion import Batches
from nelbo.papers.repulsion_claims import (
    DIVERSIFIED,
    UNIFORM,
    can_tell,
    less_variance,
    more_accurate,
    ratios,
    shared_plan,
)

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
    return shared_plan(budget, seed, data_dir, ((UNIFORM, DIVERSIFIED, VANILLA), (UNIFORM, VANILLA, *LABELLED)), NOTES)


def _cheaper(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    if "noise" not in parts:
        return None, "not run"
    rows = parts["noise"]["rows"]
    found = ratios(rows, VANILLA.label, DIVERSIFIED.label, "milliseconds a batch")
    words = ", ".join(f"{ratio:.2f} at {size}" for size, ratio in found.items())
    return (all(r < 1 for r in found.values()) if can_tell(rows) else None), f"time over that of the DPP: {words}"


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
            less_variance(VANILLA),
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
            more_accurate(VANILLA, *LABELLED),
        ),
    ),
)
