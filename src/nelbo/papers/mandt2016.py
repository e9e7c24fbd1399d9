"""Mandt et al. 2016, Variational Tempering: temperatures above one against poor local optima."""

from collections.abc import Mapping

from nelbo.papers.figures import Figure
from nelbo.papers.mandt2014 import documents, last_bounds, lda_run, real
from nelbo.papers.page import Claim, Page, Part, Plan, Published, Record

METHODS = {"none": "SVI", "annealed": "annealing", "global": "VT", "local": "LVT"}
NOTES = (
    "The paper's corpora are replaced by paragraphs of the State of the Union addresses (quick), or by bars (smoke).",
    "Temperatures reach from 1 to 10, evenly spaced in 1 / T; log C(T) is a Monte Carlo estimate from the prior.",
    (
        "All bounds are untempered ones: held-out documents at temperature one under the posterior that the tempered "
        "training found."
    ),
)


def plan(budget: str, seed: int, data_dir: str | None) -> Plan:
    """The same run with each kind of temperature."""
    data, topics = documents(budget, data_dir)
    small = budget == "smoke"
    epochs = {"smoke": 3.0, "quick": 2.0, "paper": 30.0}[budget]
    grid = {"temperatures": 20 if budget != "paper" else 100, "draws": 8, "anneal": epochs / 2.0}
    every = {"smoke": 10, "quick": 40, "paper": 200}[budget]
    parts = tuple(
        Part(
            how,
            name,
            lda_run(
                data,
                topics,
                seed,
                options={"tempering": how, **grid},
                epochs=epochs,
                batch_size=50 if small else 200,
                evaluate_every=every,
            ),
        )
        for how, name in METHODS.items()
    )
    figure = Figure("bounds", "Held-out bound", "curves", tuple(METHODS), curves=("test",))
    return Plan(parts, (figure,), NOTES)


def _order(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    bounds = last_bounds(parts)
    if set(bounds) < set(METHODS):
        return None, "not run"
    values = [bounds[how] for how in ("local", "global", "annealed", "none")]
    words = ", ".join(f"{METHODS[how]}: {bounds[how]:.2f}" for how in METHODS)
    ordered = values == sorted(values, reverse=True)
    return (ordered if real(parts["local"]) else None), f"{words} nats per document"


def _beats_svi(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    bounds = last_bounds(parts)
    if not {"none", "local"} <= set(bounds):
        return None, "not run"
    better = bounds["local"] > bounds["none"] if real(parts["local"]) else None
    return better, f"LVT: {bounds['local']:.2f}, SVI: {bounds['none']:.2f} nats per document"


PAGE = Page(
    key="mandt2016",
    title="Variational Tempering",
    budgets={
        "smoke": "bars, 10 topics, three passes",
        "quick": "State of the Union, 30 topics, two passes, 20 temperatures",
        "paper": "State of the Union, 100 topics, thirty passes, 100 temperatures",
    },
    plan=plan,
    published=(
        Published("temperatures, linear in 1 / T", "100 between 1 and 10", "memory"),
        Published("held-out likelihood of LDA and of a factorial mixture", "LVT > VT > annealing > SVI", "memory"),
    ),
    claims=(
        Claim(
            "Held-out likelihood: local tempering, then tempering, then annealing, then SVI.",
            "memory",
            "held-out bounds after equally many steps stand in this order",
            _order,
        ),
        Claim(
            "Local tempering is better than stochastic variational inference.",
            "memory",
            "its held-out bound after equally many steps is higher",
            _beats_svi,
        ),
    ),
)
