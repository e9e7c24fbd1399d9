"""Marino, Yue and Mandt 2018, Iterative Amortized Inference: the same decoder with one pass and with steps."""

from collections.abc import Mapping
from typing import Any

from nelbo.papers.figures import Figure
from nelbo.papers.page import Claim, Page, Plan, Published, test_bound
from nelbo.papers.parts import Measure, Part, Record
from nelbo.runs import Experiment

GAIN = 0.3  # nats that steps must gain over one pass at the same decoder
NOTES = (
    "Both runs have the same decoder, encoder, optimizer, batches and passes; the second has a network for steps more.",
    (
        "The paper's networks have two hidden layers of 512 units, 64 latents and 10 draws for each gradient. Ours are "
        "smaller, so that the quick budget takes minutes, and each gradient takes one pair of mirrored draws."
    ),
    (
        "Steps start from the encoder's answer, as offsets from it. The network sees the parameters, the offsets, and "
        "log and sign of the gradients; no gradient passes through these inputs."
    ),
    "MNIST is binarized once (static, seed 0). Bounds are ELBOs of the test set; steps are counted in the same table.",
)


def _run(recognition: str, budget: str, seed: int, data_dir: str | None) -> Experiment:
    small = budget == "smoke"
    epochs = {"smoke": 4.0, "quick": 5.0, "paper": 100.0}[budget]
    model: dict[str, Any] = {"latents": 4, "hidden": [16]} if small else {"latents": 20, "hidden": [200]}
    steps: dict[str, Any] = {"recognition_steps": 2 if small else 3, "update_hidden": [16 if small else 128]}
    if budget == "paper":
        model = {"latents": 64, "hidden": [512, 512]}
        steps = {"recognition_steps": 5, "update_hidden": [512, 512]}
    model["recognition"] = recognition
    return Experiment(
        model={"name": "vae", "arguments": {"activation": "elu", "centre": True, **model, **steps}},
        data={"name": "digits" if small else "mnist", "data_dir": data_dir, "binarize": "static"},
        objective={"name": "sgvb", "arguments": {}},
        training={"epochs": epochs, "learning_rate": 1e-3, "schedule": "cosine", "watch": ["test"]},
        seed=seed,
    )


def plan(budget: str, seed: int, data_dir: str | None) -> Plan:
    """One pass, and steps."""
    measures = (Measure("steps", "Bound after each step", "steps", {"rows": 60 if budget == "smoke" else 1000}),)
    labels = {"amortized": "one pass", "iterative": "steps"}
    parts = tuple(
        Part(name, label, _run(name, budget, seed, data_dir), measures=measures) for name, label in labels.items()
    )
    figures = (Figure("bounds", "One pass and steps", "curves", tuple(labels)),)
    smoke = "This is the smoke budget: the digits set and tiny networks show only that it runs."
    return Plan(parts, figures, (smoke, *NOTES) if budget == "smoke" else NOTES)


def _gains(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    if not {"amortized", "iterative"} <= set(parts):
        return None, "not run"
    once, steps = (test_bound(parts[name]) for name in ("amortized", "iterative"))
    enough = parts["iterative"]["data"]["name"] == "mnist"
    return (steps - once >= GAIN) if enough else None, f"{steps:.2f} against {once:.2f} nats: {steps - once:+.2f}"


def _rises(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    measure = parts.get("iterative", {}).get("measures", {}).get("steps")
    if not measure:
        return None, "not run"
    bounds = [row["ELBO"] for row in measure["rows"]]
    return bounds[-1] > bounds[0], ", ".join(f"{value:.2f}" for value in bounds)


PAGE = Page(
    key="marino2018",
    title="Iterative Amortized Inference",
    budgets={
        "smoke": "the digits set, 2 steps, 4 passes",
        "quick": "MNIST, 20 latents, 200 hidden units, 3 steps, 5 passes",
        "paper": "MNIST, 64 latents, 512-512 hidden units, 5 steps, 100 passes",
    },
    plan=plan,
    published=(
        Published("MNIST, one layer, standard and iterative (-log p(x) bound, nats)", "84.14, 83.84", "memory"),
        Published("MNIST, hierarchical, standard and iterative (the same)", "82.63, 82.46", "memory"),
        Published("CIFAR-10, one layer, standard and iterative (bits per dimension)", "5.823, 5.64", "memory"),
        Published("RCV1, standard and iterative (perplexity)", "323, 285.0", "memory"),
    ),
    claims=(
        Claim(
            "Iterative inference reaches a better bound than one pass of an encoder, at the same decoder.",
            "memory",
            f"test ELBO at least {GAIN} nats higher",
            _gains,
        ),
        Claim(
            "The bound rises from step to step.",
            "memory",
            "test ELBO after the last step above that of the first answer, first test rows",
            _rises,
        ),
    ),
)
