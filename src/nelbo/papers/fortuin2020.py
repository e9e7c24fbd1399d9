"""Fortuin et al. 2020, GP-VAE: Deep Probabilistic Time Series Imputation: Healing MNIST."""

from collections.abc import Mapping
from typing import Any

from nelbo.papers.page import Claim, Page, Plan, Published
from nelbo.papers.parts import Measure, Part, Record
from nelbo.runs import Experiment

HEALING = "Missing pixels of the test sequences"
NOTES = (
    (
        "Healing MNIST is made here of MNIST: binary digits that turn at a speed of their own for ten frames, with "
        "60 % of the pixels missing at random. The authors' file has other digits, speeds and masks, so numbers can be "
        "compared in kind only."
    ),
    (
        "Networks (perceptrons of 256 units behind one convolution along time of 256; three layers of 256 in the "
        "decoder, where we have two and a linear map), the Cauchy kernel of length 2, beta 0.8 and batches of 64 are "
        "those of the authors' code; latents are fewer than its 256, and passes over the data fewer than its 20, for "
        "the budget's sake."
    ),
    "The VAE has an identity kernel, no convolution and an independent posterior: each frame stands alone.",
    "NLL is that of a Bernoulli whose probability is the mean over ten draws of the latents.",
)


def plan(budget: str, seed: int, data_dir: str | None) -> Plan:
    """The GP-VAE and the VAE."""
    epochs = {"smoke": 0.02, "quick": 6.0, "paper": 20.0}[budget]
    latents = {"smoke": 4, "quick": 32, "paper": 256}[budget]
    hidden = [16] if budget == "smoke" else [256, 256]
    shared = {"latents": latents, "hidden": hidden, "likelihood": "bernoulli", "missing": "zero"}
    own: dict[str, dict[str, Any]] = {
        "gp-vae": {"convolutions": hidden[:1], "posterior": "banded", "kernels": ["cauchy"], "lengths": [2.0],
                   "learn_kernel": False},
        "vae": {"convolutions": [], "posterior": "independent", "kernels": ["white"]},
    }  # fmt: skip
    rows = 50 if budget == "smoke" else 1000
    measure = Measure("healing", HEALING, "healing", {"rows": rows})
    parts = tuple(
        Part(
            name,
            {"gp-vae": "GP-VAE", "vae": "VAE"}[name],
            Experiment(
                model={"name": "gp-vae", "arguments": {**shared, **arguments}},
                data={"name": "healing-mnist", "data_dir": data_dir},
                objective={"name": "sgvb", "arguments": {"beta": 0.8, "input_noise": None, "weight_prior": None}},
                training={"epochs": epochs, "learning_rate": 1e-3, "batch_size": 64, "schedule": "constant"},
                seed=seed,
            ),
            measures=(measure,),
        )
        for name, arguments in own.items()
    )
    notes = ("This is the smoke budget: it shows only that it runs.",) if budget == "smoke" else ()
    return Plan(parts, (), (*notes, *NOTES))


def errors(parts: Mapping[str, Record]) -> dict[str, dict[str, float]]:
    """MSE and NLL of each finished part, and of the simple fillings beside them."""
    found = {}
    for name, part in parts.items():
        for row in part.get("measures", {}).get("healing", {}).get("rows", ()):
            found[name if row["by"] == "nelbo" else row["by"]] = row
    return found


def _ahead(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    found = errors(parts)
    if not {"gp-vae", "vae"} <= set(found):
        return None, "not run"
    holds = all(found["gp-vae"]["MSE"] < row["MSE"] for by, row in found.items() if by != "gp-vae")
    holds &= found["gp-vae"]["NLL"] < min(found["vae"]["NLL"], found["mean"]["NLL"])
    words = [f"{by} {row['MSE']:.4f}" + (f" ({row['NLL']:.4f})" if row["NLL"] else "") for by, row in found.items()]
    return holds, ", ".join(words)


PAGE = Page(
    key="fortuin2020",
    title="GP-VAE: Deep Probabilistic Time Series Imputation",
    budgets={
        "smoke": "a few steps with tiny networks",
        "quick": "32 latents, 6 passes over 10,000 sequences",
        "paper": "256 latents, 20 passes over 10,000 sequences",
    },
    plan=plan,
    published=(
        Published("Healing MNIST, missing pixels, MSE: GP-VAE", ".114", "memory"),
        Published("the same: HI-VAE; VAE", ".134; .232", "memory"),
        Published("Healing MNIST, missing pixels, NLL: GP-VAE", ".350", "memory"),
        Published("the same: HI-VAE; VAE", ".480; .480", "memory"),
    ),
    claims=(
        Claim(
            "A Gaussian process over time fills missing pixels better than a VAE of single frames and simple fillings.",
            "seen",
            "MSE (and NLL in brackets) of the missing pixels of the test sequences is the lowest",
            _ahead,
        ),
    ),
)
