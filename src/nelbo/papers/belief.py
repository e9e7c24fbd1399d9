"""What the pages of belief networks share: one training recipe for every network and objective."""

from collections.abc import Mapping, Sequence
from typing import Any

from nelbo.runs import Experiment

LONG, SHORT = 0.003, 0.01  # learning rates for hundreds of epochs and for few
SMOKE = "units on the digits set stand in for 200 on MNIST: no number can be compared with the paper's."
BINARIZED = (
    "MNIST is binarized once (static) with a seed of nelbo; the published numbers are on the fixed binarization of"
    " Salakhutdinov and Murray, whose draws are others. 50000 images train, 10000 validate, as in the paper."
)
SCORED = "The parameters with the best validation bound are scored. Bounds are means of 10 draws for each test image."


def mnist(data_dir: str | None) -> dict[str, Any]:
    """Settings of statically binarized MNIST."""
    return {"name": "mnist", "data_dir": data_dir, "binarize": "static"}


def belief_run(
    family: str,
    layers: Sequence[int],
    data: Mapping[str, Any],
    *,
    epochs: float | int,
    every: int,
    seed: int,
    rate: float | int,
    objective: str = "nvil",
    options: Mapping[str, Any] | None = None,
    recognition: str = "factorial",
) -> Experiment:
    """A belief network trained by Adam with batches of 100 and a cosine schedule.

    Rates from 0.0003 to 0.02 were tried by runs of 4 to 12 thousand steps, where 0.01 was best; longer runs bear less.

    Args:
        family: "sbn", "fdarn" or "darn".
        layers: units, the layer next to the data first.
        data: settings of the data.
        epochs: how long.
        every: steps between evaluations.
        seed: of everything random.
        rate: at the start; it ends at a hundredth.
        objective: its name.
        options: of the objective.
        recognition: "factorial" or "autoregressive".
    """
    training = {"optimizer": "adam", "learning_rate": rate, "schedule": "cosine", "epochs": epochs}
    return Experiment(
        model={"name": family, "arguments": {"layers": list(layers), "recognition": recognition}},
        data=dict(data),
        objective={"name": objective, "arguments": dict(options or {})},
        training={**training, "batch_size": 100, "evaluate_every": every},
        seed=seed,
    )
