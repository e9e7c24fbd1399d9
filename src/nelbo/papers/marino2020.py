"""Marino, Chen, He and Mandt 2020, Improving Sequential Latent Variable Models with Autoregressive Flows."""

from collections.abc import Mapping
from typing import Any

from nelbo.papers.figures import Figure
from nelbo.papers.page import Claim, Page, Plan, Published, test_bound
from nelbo.papers.parts import Part, Record
from nelbo.runs import Experiment

LABELS = {
    "model": "sequential latent variable model",
    "flow-model": "the same behind a flow",
    "frames": "independent frames",
    "flow": "independent frames behind a flow",
}
NOTES = (
    (
        "The paper's data are moving MNIST, BAIR robots and KTH actions at 64 x 64; here they are `moving-digits`, "
        "16 x 16, drawn by nelbo from the digits of scikit-learn."
    ),
    (
        "The latent variable model is `dsae` with its defaults, the flow looks at the last two frames through two "
        "layers of convolutions, and leaves the model y = (x - mu) / s to explain; all four have a normal likelihood "
        "with a trained standard deviation for each pixel (at least a hundredth of the pixels' own): a density, whose "
        "level depends on that floor, so that only differences mean anything."
    ),
    "Grey values are divided by 255 and not dequantized. Bounds are nats a film; dim is pixels times frames.",
)


def _run(name: str, budget: str, seed: int, data_dir: str | None) -> Experiment:
    small = budget == "smoke"
    sizes: dict[str, Any] = {"hidden": [8], "latents": 2} if small else {}
    flowed = {"flow_hidden": [4] if small else [32]}
    model: dict[str, Any] = {
        "model": {"name": "dsae", "arguments": {**sizes, "likelihood": "gaussian-pixel"}},
        "flow-model": {"name": "sequence-flow", "arguments": {"base": "dsae", **sizes, **flowed}},
        "frames": {"name": "sequence-flow", "arguments": {"base": "normal", "order": 0}},
        "flow": {"name": "sequence-flow", "arguments": {"base": "normal", **flowed}},
    }[name]
    exact = name in {"frames", "flow"}
    rows = {"train_rows": 64} if small else {}
    return Experiment(
        model=model,
        data={"name": "moving-digits", "data_dir": data_dir, **rows},
        objective={"name": "maximum-likelihood" if exact else "sgvb", "arguments": {}},
        training={"epochs": {"smoke": 1.0, "quick": 10.0, "paper": 200.0}[budget], "watch": ["test"]},
        seed=seed,
    )


def plan(budget: str, seed: int, data_dir: str | None) -> Plan:
    """A latent variable model and independent frames, each with and without a flow."""
    names = ("frames", "flow") if budget == "smoke" else tuple(LABELS)
    parts = tuple(Part(name, LABELS[name], _run(name, budget, seed, data_dir)) for name in names)
    figures = (Figure("bounds", "With and without a flow", "curves", names),)
    notes = ("This is the smoke budget: 64 films, one pass, no latent variable model.",) if budget == "smoke" else ()
    return Plan(parts, figures, (*notes, *NOTES))


def _gain(parts: Mapping[str, Record], without: str, behind: str) -> tuple[bool | None, str]:
    if not {without, behind} <= set(parts):
        return None, "not run with this budget"
    plain, flowed = (test_bound(parts[name]) for name in (without, behind))
    enough = parts[behind]["data"]["sizes"]["train"] > 64
    return (flowed > plain) if enough else None, f"{flowed:.1f} against {plain:.1f} nats a film"


PAGE = Page(
    key="marino2020",
    title="Improving Sequential Latent Variable Models with Autoregressive Flows",
    budgets={
        "smoke": "64 films of moving digits, independent frames with and without a flow",
        "quick": "5188 films of moving digits, 10 passes, four models",
        "paper": "the same, 200 passes",
    },
    plan=plan,
    published=(
        Published("moving MNIST, BAIR, KTH: bound with a flow", "better than without (nats a dimension)", "memory"),
        Published("flow y_t = (x_t - mu(x_<t)) / s(x_<t)", "log p(x) = log p(y) - sum log s", "seen"),
    ),
    claims=(
        Claim(
            "A flow over frames improves a sequential latent variable model.",
            "memory",
            "test ELBO of the model behind a flow above that of the model alone",
            lambda parts: _gain(parts, "model", "flow-model"),
        ),
        Claim(
            "A flow by itself is a model of the dynamics.",
            "memory",
            "test log-likelihood of independent frames behind a flow above that without",
            lambda parts: _gain(parts, "frames", "flow"),
        ),
    ),
)
