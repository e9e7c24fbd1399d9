"""Li and Mandt 2018, Disentangled Sequential Autoencoder: what stays of a film, and what changes."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from nelbo.papers.figures import Figure
from nelbo.papers.page import Claim, Page, Plan, Published, test_bound
from nelbo.papers.parts import Measure, Part, Record
from nelbo.papers.swaps import ATTRIBUTES
from nelbo.runs import Experiment

KEPT = 0.9  # share of static attributes that a swap must leave as they are
BETA = 100.0  # weight of the KL part in training
FULL, FACTORIZED = "full", "factorized"
NOTES = (
    (
        "In place of the paper's sprites (64 x 64, 1296 characters, nine actions), which are not ours to give, stand "
        "`sprites`: 81 characters of 16 x 16 pixels in six motions, drawn by nelbo. No test character was trained on."
    ),
    (
        "A perceptron for each attribute is trained on the true training films and judges test films, the model's "
        "decoding of them, and films with the static code of one and the dynamic codes of another."
    ),
    "The networks are smaller than the paper's (LSTM of 512, four layers of 256 filters, 256 and 32 latents).",
    (
        "Pixels have a normal likelihood of a tenth of their own deviation, and the KL part counts a hundredfold in "
        "training, as it would with all of that deviation. With a weight of one it is so small beside the likelihood "
        "that what static and dynamic codes both carry costs next to nothing, and swaps lose attributes. "
        "Reported bounds have a weight of one."
    ),
)


def _run(posterior: str, budget: str, seed: int, data_dir: str | None) -> Experiment:
    small = budget == "smoke"
    model: dict[str, Any] = {"latents": 3, "static_latents": 8, "posterior": posterior, "likelihood": "gaussian-fixed"}
    if small:
        model |= {"state_size": 8, "hidden": [16], "channels": [4, 4]}
    if budget == "paper":
        model = {"latents": 32, "static_latents": 256, "state_size": 512, "hidden": [512], "channels": [64, 128],
                 "posterior": posterior, "likelihood": "gaussian-fixed"}  # fmt: skip
    rows = {"train_rows": 64} if small else {}
    return Experiment(
        model={"name": "dsae", "arguments": model},
        data={"name": "sprites", "data_dir": data_dir, **rows},
        objective={"name": "sgvb", "arguments": {"beta": BETA}},
        training={"epochs": {"smoke": 2.0, "quick": 40.0, "paper": 1000.0}[budget], "watch": ["test"]},
        seed=seed,
    )


def plan(budget: str, seed: int, data_dir: str | None) -> Plan:
    """The model with either q; the smoke budget has the full one alone."""
    small = budget == "smoke"
    arguments = {"films": 16 if small else 216, "epochs": 1 if small else 30}
    measures = (Measure("swaps", "What a classifier sees", "swaps", arguments),)
    names = (FULL,) if small else (FACTORIZED, FULL)
    parts = tuple(Part(name, f"{name} q", _run(name, budget, seed, data_dir), measures=measures) for name in names)
    figures = (Figure("bounds", "Bounds", "curves", names),)
    notes = ("This is the smoke budget: tiny networks and 64 films show only that it runs.",) if small else ()
    return Plan(parts, figures, (*notes, *NOTES))


def _rows(parts: Mapping[str, Record], name: str) -> dict[str, Mapping[str, Any]]:
    part = parts.get(name, {})
    enough = part.get("data", {}).get("sizes", {}).get("train", 0) > 64
    rows = part.get("measures", {}).get("swaps", {}).get("rows", []) if enough else []
    return {row["attribute"]: row for row in rows}


def _kept(parts: Mapping[str, Record], name: str) -> tuple[bool | None, str]:
    rows = _rows(parts, name)
    if not rows:
        return None, "not run with this budget"
    shares = {name: rows[name]["as the content, swapped"] for name in ATTRIBUTES[:-1]}
    mean = sum(shares.values()) / len(shares)
    words = ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares.items())
    return mean >= KEPT, f"{100 * mean:.1f} % of static attributes ({words})"


def _changed(parts: Mapping[str, Record], name: str) -> tuple[bool | None, str]:
    rows = _rows(parts, name)
    if not rows:
        return None, "not run with this budget"
    motion = rows["motion"]
    new, old = (motion[f"as the {whose}, where the two differ"] for whose in ("motion", "content"))
    return new > 0.5 and new > old, f"{100 * new:.1f} % move as the other film, {100 * old:.1f} % as before"


def _full_is_better(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    if not {FULL, FACTORIZED} <= set(parts):
        return None, "not run with this budget"
    full, factorized = (test_bound(parts[name]) for name in (FULL, FACTORIZED))
    return full > factorized, f"{full:.2f} against {factorized:.2f} nats"


PAGE = Page(
    key="li2018",
    title="Disentangled Sequential Autoencoder",
    budgets={
        "smoke": "64 sprites, tiny networks, two passes",
        "quick": "1512 sprites, 3 dynamic and 8 static latents, 40 passes, factorized and full q",
        "paper": "1512 sprites, 32 dynamic and 256 static latents, 1000 passes, full and factorized q",
    },
    plan=plan,
    published=(
        Published("sprites, attributes that disagree after a swap, full q", "a few per cent", "memory"),
        Published("TIMIT, equal error rate of speakers by f and by z", "4-5 %, 15-20 %", "memory"),
        Published("sprites, latents of f and of z_t", "256, 32", "seen"),
    ),
    claims=(
        *(
            Claim(
                f"A swap keeps what the static code stands for ({name} q).",
                "memory",
                f"mean over the four static attributes of the share that a classifier still sees, at least {KEPT:.0%}",
                partial(_kept, name=name),
            )
            for name in (FACTORIZED, FULL)
        ),
        *(
            Claim(
                f"A swap changes the motion to that of the other film ({name} q).",
                "memory",
                "of films that move differently, more than half are seen to move as the other, and more than as before",
                partial(_changed, name=name),
            )
            for name in (FACTORIZED, FULL)
        ),
        Claim("The full q has the better bound.", "memory", "test ELBO, full and factorized", _full_is_better),
    ),
)  # fmt: skip
