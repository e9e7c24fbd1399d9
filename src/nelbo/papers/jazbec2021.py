"""Jazbec et al. 2021, Scalable Gaussian Process Variational Autoencoders: rotated MNIST."""

from collections.abc import Mapping

from nelbo.papers.page import Claim, Page, Plan, Published
from nelbo.papers.parts import Measure, Part, Record
from nelbo.runs import Experiment

CONTEXTS = "Images from their angle and object alone"
LARGEST_ERROR, CONDITIONAL = 0.03, 0.08
NOTES = (
    (
        "Rotated MNIST is made here of MNIST, as Casale et al. (2018) describe it: 360 threes at 16 angles, a quarter "
        "of the images taken away, one angle for testing. The threes are the first of MNIST's, not the authors'."
    ),
    (
        "16 latents, object vectors of 8 numbers that begin at principal components, batches of 256, and a periodic "
        "times a linear kernel are the authors'. Networks are perceptrons with one hidden layer of 500 units, where "
        "theirs are convolutional; a learned noise level stands in the place of their constrained optimization (GECO)."
    ),
    "A test image is what the decoder shows at the posterior mean of its latents, given its angle and object alone.",
)


def plan(budget: str, seed: int, data_dir: str | None) -> Plan:
    """One run."""
    epochs = {"smoke": 0.5, "quick": 130.0, "paper": 1000.0}[budget]
    small = {"hidden": [16], "inducing": 8} if budget == "smoke" else {"hidden": [500], "inducing": 64}
    model = {"latents": 16, "object_size": 8, "kernels": ["periodic"], "period": 360.0, "likelihood": "gaussian-shared"}
    experiment = Experiment(
        model={"name": "svgp-vae", "arguments": {**model, **small}},
        data={"name": "rotated-mnist", "data_dir": data_dir},
        objective={"name": "sparse-process", "arguments": {}},
        training={"epochs": epochs, "learning_rate": 3e-3, "evaluate_every": 400},
        seed=seed,
    )
    part = Part("svgp-vae", "SVGP-VAE", experiment, measures=(Measure("contexts", CONTEXTS, "contexts", {}),))
    notes = ("This is the smoke budget: it shows only that it runs.",) if budget == "smoke" else ()
    return Plan((part,), (), (*notes, *NOTES))


def _errors(parts: Mapping[str, Record]) -> dict[str, float]:
    rows = parts.get("svgp-vae", {}).get("measures", {}).get("contexts", {}).get("rows", ())
    return {row["by"]: row["MSE"] for row in rows if row["images"] == "test"}


def _unseen(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    errors = _errors(parts)
    if not errors:
        return None, "not run"
    return errors["nelbo"] <= LARGEST_ERROR, f"{errors['nelbo']:.4f}"


def _ahead(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    errors = _errors(parts)
    if not errors:
        return None, "not run"
    others = min(value for by, value in errors.items() if by != "nelbo")
    return errors["nelbo"] < min(others, CONDITIONAL), ", ".join(f"{by} {value:.4f}" for by, value in errors.items())


PAGE = Page(
    key="jazbec2021",
    title="Scalable Gaussian Process Variational Autoencoders",
    budgets={
        "smoke": "half a pass over rotated MNIST, tiny networks",
        "quick": "130 passes over rotated MNIST",
        "paper": "1000 passes over rotated MNIST",
    },
    plan=plan,
    published=(
        Published("rotated MNIST, mean squared error of test images: SVGP-VAE", ".0251", "memory"),
        Published("the same: deep SVIGP", ".0233", "memory"),
        Published("the same: GPPVAE, trained jointly; in two steps", ".0307; .0370", "memory"),
        Published("the same: CVAE", ".08", "memory"),
    ),
    claims=(
        Claim(
            "Images at an angle that was never seen follow from the angle and the object.",
            "memory",
            f"mean squared error of the test images is at most {LARGEST_ERROR}",
            _unseen,
        ),
        Claim(
            "A Gaussian process over angle and object is ahead of what knows neither as a process.",
            "memory",
            f"the error is below those of simple answers and the published one of a conditional VAE ({CONDITIONAL})",
            _ahead,
        ),
    ),
)
