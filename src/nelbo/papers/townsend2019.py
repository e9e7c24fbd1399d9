"""Townsend, Bird and Barber 2019, Practical Lossless Compression with Latent Variables: MNIST, coded by bits back."""

from collections.abc import Mapping
from typing import Any

from nelbo.papers.figures import Figure
from nelbo.papers.page import Claim, Page, Plan, Published
from nelbo.papers.parts import Measure, Part, Record
from nelbo.runs import Experiment

CODED = "Test images as a file"
NOTES = (
    (
        "Networks, latents, optimizer, rate, batch and passes are those of the authors' code as we know it: one hidden "
        "layer of rectified units, Adam with 1e-3, batches of 100. Our q sees images less the training mean (grey "
        "ones in units of their spread)."
    ),
    "Sizes are of whole files, header, checksums and starting bits included; the model is not inside.",
    (
        "MNIST is binarized once (static, seed 0), for training and for the file. General compressors get the same "
        "array: eight pixels to a byte where it is binary, one byte a pixel where it is not."
    ),
    "Where the paper codes q with 14 bits over 2^8 bins and pixels with 12 or 16, we code all with 16, over 2^12 bins.",
)


def coding_run(
    name: str, model: dict[str, Any], data: dict[str, Any], epochs: float, seed: int, **training: Any
) -> Experiment:
    """A run for the codec: the plain bound, Adam."""
    return Experiment(
        model={"name": name, "arguments": {"activation": "relu", "centre": True, "spread": True, **model}},
        data=data,
        objective={"name": "sgvb", "arguments": {}},
        training={"epochs": epochs, "learning_rate": 1e-3, **training},
        seed=seed,
    )


def plan(budget: str, seed: int, data_dir: str | None) -> Plan:
    """One auto-encoder for binarized images and one for grey ones."""
    small = budget == "smoke"
    epochs = {"smoke": 4.0, "quick": 20.0, "paper": 200.0}[budget]
    name, rows = ("digits", 60) if small else ("mnist", None)
    binary = {"latents": 4, "hidden": [16]} if small else {"latents": 40, "hidden": [100]}
    grey = {"latents": 4, "hidden": [16]} if small else {"latents": 50, "hidden": [200]}
    measure = (Measure("coded", CODED, "coded", {"rows": rows}),)
    data = {"name": name, "data_dir": data_dir}
    parts = (
        Part(
            "binarized",
            f"{name}, binarized",
            coding_run("vae", {**binary, "likelihood": "bernoulli"}, {**data, "binarize": "static"}, epochs, seed),
            measures=measure,
        ),
        Part(
            "grey",
            f"{name}, grey",
            coding_run("vae", {**grey, "likelihood": "beta-binomial"}, {**data, "binarize": "none"}, epochs, seed),
            measures=measure,
        ),
    )
    figures = (Figure("samples", "Samples", "samples", tuple(part.name for part in parts)),)
    notes = ("This is the smoke budget: the digits set and tiny networks show only that it runs.",) if small else ()
    return Plan(parts, figures, (*notes, *NOTES))


def tables(parts: Mapping[str, Record]) -> dict[str, list[dict[str, Any]]]:
    """The table of files of every finished part that has one, by the part's label."""
    found = {part["label"]: part.get("measures", {}).get("coded") for part in parts.values()}
    return {label: measure["rows"] for label, measure in found.items() if measure}


def tight(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    """Whether every file is as long as -ELBO says, within 1 % and 1000 bytes."""
    words, holds = [], True
    for label, (own, *_) in tables(parts).items():
        ideal = own["-ELBO, bits per dim"] * own["bytes"] / own["bits per dim"]
        holds &= own["bytes"] <= 1.01 * ideal + 1000
        words.append(f"{label}: {own['bits per dim']:.4f} against {own['-ELBO, bits per dim']:.4f}")
    return (holds, "; ".join(words) + " bits per dim") if words else (None, "not run")


def _shorter(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    words, holds = [], True
    for label, rows in tables(parts).items():
        if label.startswith("mnist"):
            own, *others = (row["bytes"] for row in rows)
            holds &= own < min(others)
            words.append(f"{label}: " + ", ".join(f"{row['coder']} {row['bits per dim']:.3f}" for row in rows))
    return (holds, "; ".join(words)) if words else (None, "not run with this budget")


PAGE = Page(
    key="townsend2019",
    title="Practical Lossless Compression with Latent Variables using Bits Back Coding",
    budgets={
        "smoke": "the digits set, 4 passes",
        "quick": "the paper's networks, 20 passes over MNIST, binarized and grey",
        "paper": "the same with 200 passes",
    },
    plan=plan,
    published=(
        Published("binarized MNIST, coded (bits per dimension)", ".19", "memory"),
        Published("binarized MNIST, -ELBO", ".19", "memory"),
        Published("binarized MNIST, coded, a third party's run of the authors' code", ".17", "seen"),
        Published("raw MNIST, coded", "1.41", "memory"),
        Published("raw MNIST, -ELBO", "1.39", "memory"),
        Published("binarized MNIST: bz2, gzip, PNG", ".25, .33, .78", "memory"),
        Published("raw MNIST: bz2, gzip, PNG", "1.42, 1.64, 2.79", "memory"),
    ),
    claims=(
        Claim(
            "Bits back with an asymmetric numeral system codes a data set at the negative ELBO.",
            "seen",
            "each file is at most 1 % and 1000 bytes longer than -ELBO (10 draws) of the same images",
            tight,
        ),
        Claim(
            "It codes MNIST more shortly than general compressors.",
            "seen",
            "each file is shorter than those of gzip, bz2 and xz",
            _shorter,
        ),
    ),
)
