"""Kingma, Abbeel and Ho 2019, Bit-Swap: hierarchies of latents need the starting bits of one layer only."""

from collections.abc import Mapping
from typing import Any

from nelbo.papers.figures import Figure
from nelbo.papers.page import Claim, Page, Plan, Published
from nelbo.papers.parts import Measure, Part, Record
from nelbo.papers.townsend2019 import CODED, coding_run, tight

ALONE = "Test images, each as a message of its own"
NOTES = (
    (
        "The paper's layers are deep residual convolutions over feature maps. Ours are vectors with one hidden layer "
        "between two of them, so the numbers are not those of the paper's models: what is compared is the order."
    ),
    "Every q(z_l | z_{l-1}) reads the layer below only, as in the paper. Latents with parents have 2^11 bins.",
    (
        "Messages of one image show what starting costs: the paper's order against latents popped all together (the "
        "order of Townsend et al. 2019). Over a whole test set that cost is spread thin, in the table of files too."
    ),
    "MNIST in grey, under a discretized logistic likelihood as in the paper, coded as it is.",
)


def plan(budget: str, seed: int, data_dir: str | None) -> Plan:
    """Chains of one, two and three layers."""
    small = budget == "smoke"
    epochs = {"smoke": 4.0, "quick": 20.0, "paper": 200.0}[budget]
    chains = ((4,), (4, 3)) if small else ((50,), (50, 20), (50, 20, 10))
    hidden, rows, each = ([16], 60, 5) if small else ([200], None, 100)
    data: dict[str, Any] = {"name": "digits" if small else "mnist", "data_dir": data_dir, "binarize": "none"}
    measures = (
        Measure("coded", CODED, "coded", {"rows": rows}),
        Measure("alone", ALONE, "alone", {"rows": each}),
    )
    parts = []
    for layers in chains:
        model = {"layers": list(layers), "hidden": hidden, "likelihood": "discretized-logistic"}
        run = coding_run("hvae", model, data, epochs, seed)
        parts.append(Part(f"layers-{len(layers)}", f"latents {'-'.join(map(str, layers))}", run, measures=measures))
    figures = (Figure("samples", "Samples", "samples", tuple(part.name for part in parts)),)
    notes = ("This is the smoke budget: the digits set and tiny networks show only that it runs.",) if small else ()
    return Plan(tuple(parts), figures, (*notes, *NOTES))


def _starts(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    words, holds = [], True
    for part in parts.values():
        measure = part.get("measures", {}).get("alone")
        if measure and "-" in part["label"]:
            chained, together = (row["bits an example alone"] for row in measure["rows"])
            holds &= chained < together
            words.append(f"{part['label']}: {chained:.0f} against {together:.0f} bits")
    return (holds, "; ".join(words)) if words else (None, "not run")


PAGE = Page(
    key="kingma2019",
    title="Bit-Swap: Recursive Bits-Back Coding for Lossless Compression with Hierarchical Latent Variables",
    budgets={
        "smoke": "the digits set, one layer and two, 4 passes",
        "quick": "chains of one, two and three layers, 20 passes over MNIST",
        "paper": "the same with 200 passes",
    },
    plan=plan,
    published=(
        Published("MNIST, Bit-Swap and BB-ANS with the same model (bits per dimension)", "1.29, 1.48", "memory"),
        Published("CIFAR-10, the same", "3.82, 4.19", "memory"),
        Published("ImageNet 32 x 32, the same", "4.50, 4.66", "memory"),
    ),
    claims=(
        Claim(
            "The recursive order needs fewer starting bits than popping all latents first.",
            "seen",
            "messages of single images are shorter on average, for every chain of two layers or more",
            _starts,
        ),
        Claim(
            "The whole test set is coded at the negative ELBO.",
            "memory",
            "each file is at most 1 % and 1000 bytes longer than -ELBO (10 draws) of the same images",
            tight,
        ),
    ),
)
