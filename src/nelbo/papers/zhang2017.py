"""Zhang, Kjellstrom and Mandt 2017, Determinantal Point Processes for Mini-Batch Diversification (DM-SGD)."""

from collections.abc import Mapping

from nelbo.papers.page import Claim, Page, Plan, Published
from nelbo.papers.parts import Record
from nelbo.papers.repulsion import Batches
from nelbo.papers.repulsion_claims import (
    DIVERSIFIED,
    UNIFORM,
    accuracy_words,
    can_tell,
    less_variance,
    more_accurate,
    shared_plan,
)

WEIGHTED = Batches("DPP, reweighted", "dpp", {"kernel": "cosine", "risk": "unbiased"})
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
    """A table of variances and times, and a table of accuracies."""
    return shared_plan(budget, seed, data_dir, (WAYS, WAYS), NOTES)


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
            less_variance(DIVERSIFIED, WEIGHTED),
        ),
        Claim(
            "Diversified batches of unbalanced data reach a higher accuracy on a balanced test set.",
            "memory",
            "accuracy after the last step, images alone or labels mixed in, by more than two standard errors",
            more_accurate(DIVERSIFIED, MIXED),
        ),
        Claim(
            "They converge faster.",
            "memory",
            "with labels mixed in, accuracy is higher after every number of steps",
            _faster,
        ),
    ),
)
