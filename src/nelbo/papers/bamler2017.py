"""Bamler, Zhang, Opper and Mandt 2017, Perturbative Black Box Variational Inference: auto-encoders of few data."""

from collections.abc import Mapping
from typing import Any

from nelbo.papers.figures import Figure
from nelbo.papers.page import Claim, Page, Plan, Published, importance_score
from nelbo.papers.parts import Part, Record
from nelbo.runs import Experiment

ORDERS = (1, 3, 5)
NOTES = (
    "Few data: the digits set with a tenth of its 1797 images for training and eight tenths for the test.",
    (
        "Scores are importance-weighted bounds of the test set, which favour no order's own bound. K = 1 is the "
        "evidence lower bound, trained with as many draws as the others."
    ),
    "The paper's reference energy is one number for each data set of a batch; ours is a network of the example.",
    "The paper's auto-encoders are of MNIST and Fashion-MNIST, and it also has Gaussian processes, which are not here.",
)


def plan(budget: str, seed: int, data_dir: str | None) -> Plan:
    """The same auto-encoder by bounds of orders 1, 3 and 5."""
    small = budget == "smoke"
    epochs = {"smoke": 5.0, "quick": 400.0, "paper": 2000.0}[budget]
    model: dict[str, Any] = {"latents": 2, "hidden": [16] if small else [100], "likelihood": "bernoulli"}
    data = {"name": "digits", "data_dir": data_dir, "binarize": "static", "test_fraction": 0.8, "valid_fraction": 0.1}
    parts = tuple(
        Part(
            f"order-{order}",
            f"K = {order}",
            Experiment(
                model={"name": "vae", "arguments": model},
                data=data,
                objective={"name": "perturbative", "arguments": {"order": order, "samples": 8}},
                training={"epochs": epochs, "learning_rate": 1e-3, "keep": "last", "watch": ["test"]},
                seed=seed,
            ),
            importance_samples=50 if small else 1000,
        )
        for order in (ORDERS[:2] if small else ORDERS)
    )
    figures = (Figure("bounds", "Bounds of odd orders", "curves", tuple(part.name for part in parts)),)
    notes = ("This is the smoke budget: a tiny network and few steps show only that it runs.",) if small else ()
    return Plan(parts, figures, (*notes, *NOTES))


def _better(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    if not {"order-1", "order-3"} <= set(parts):
        return None, "not run"
    scores = {name.removeprefix("order-"): importance_score(part) for name, part in parts.items()}
    words = ", ".join(f"K = {order}: {score:.2f}" for order, score in scores.items())
    return (scores["3"] > scores["1"] if len(scores) == len(ORDERS) else None), f"{words} nats"


def _narrower(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    if not {"order-1", "order-3"} <= set(parts):
        return None, "not run"
    costs = {name.removeprefix("order-"): part["results"][0]["kl"] for name, part in parts.items()}
    words = ", ".join(f"K = {order}: {cost:.2f}" for order, cost in costs.items())
    return (costs["3"] < costs["1"] if len(costs) == len(ORDERS) else None), f"KL of q from the prior, {words} nats"


PAGE = Page(
    key="bamler2017",
    title="Perturbative Black Box Variational Inference",
    budgets={
        "smoke": "tiny networks, orders 1 and 3, 5 passes",
        "quick": "100 hidden units, 2 latents, orders 1, 3 and 5, 400 passes over 180 digits",
        "paper": "the same with 2000 passes",
    },
    plan=plan,
    published=(
        Published("Higher order than one, auto-encoders of few data", "better test likelihood", "memory"),
        Published("Variance of gradients", "below that of alpha divergences in high dimension", "seen"),
    ),
    claims=(
        Claim(
            "With few data, K = 3 gives a better test likelihood than the evidence lower bound.",
            "memory",
            "importance-weighted test bound of K = 3 above that of K = 1",
            _better,
        ),
        Claim(
            "Higher orders cover more of the posterior's mass: q is wider.",
            "seen",
            "KL(q || prior) on the test set is lower for K = 3 than for K = 1",
            _narrower,
        ),
    ),
)
