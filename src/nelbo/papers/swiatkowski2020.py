"""Swiatkowski et al. 2020, The k-tied Normal Distribution: few scale parameters for a mean-field posterior."""

from collections.abc import Mapping

import numpy as np

from nelbo.papers.figures import Figure
from nelbo.papers.measures import measured_seeds
from nelbo.papers.page import Claim, Page, Plan, Published
from nelbo.papers.parts import Measure, Part, Record
from nelbo.runs import Experiment

LABELS = {"mean-field": "mean field", "1-tied": "k = 1", "2-tied": "k = 2", "3-tied": "k = 3", "5-tied": "k = 5"}
EARLY = 0.2  # of the passes, after which it is asked who is ahead
NOTES = (
    (
        "Classification of MNIST by a perceptron with rectified units; every weight and bias has a normal posterior "
        "and the prior N(0, 0.3^2). One draw of the weights serves a whole batch; the pixels are not binarized."
    ),
    (
        "The ELBO is that of the training set, divided by its number of examples, with ten draws of the weights. The "
        "test column is the log score of the average over 100 draws."
    ),
    "The paper's perceptron has three layers of 400 units (from memory); the quick budget has two of 100.",
    "Scale parameters are counted with those of the biases, which are not tied.",
    "The paper's other networks (CNN, LSTM, ResNet-18) and its signal-to-noise ratios are not here.",
)


def _run(posterior: str, budget: str, seed: int, data_dir: str | None) -> Experiment:
    hidden = {"smoke": [16], "quick": [100, 100], "paper": [400, 400, 400]}[budget]
    epochs = {"smoke": 3.0, "quick": 10.0, "paper": 150.0}[budget]
    tied = {"posterior": "k-tied", "k": int(posterior[0])} if posterior != "mean-field" else {"posterior": posterior}
    return Experiment(
        model={"name": "classification", "arguments": {"hidden": hidden}},
        data={"name": "digits" if budget == "smoke" else "mnist", "data_dir": data_dir},
        objective={"name": "maximum-likelihood", "arguments": {**tied, "prior": "normal", "prior_scale": 0.3}},
        training={"epochs": epochs, "learning_rate": 1e-3, "keep": "last", "watch": ["test"]},
        seed=seed,
    )


def plan(budget: str, seed: int, data_dir: str | None) -> Plan:
    """Mean field and the recommended k = 2 with several seeds, other k with one."""
    small = budget == "smoke"
    once = {"smoke": (), "quick": ("1-tied", "3-tied"), "paper": ("1-tied", "3-tied", "5-tied")}[budget]
    seeds = range(seed, seed + (1 if small else 3))
    every = [(kind, one) for kind in ("mean-field", "2-tied") for one in seeds] + [(kind, seed) for kind in once]
    measures = (Measure("weights", "Posterior over the weights", "weights", {}),)
    parts = tuple(
        Part(
            f"{kind}-{one}",
            LABELS[kind] if one == seed else f"{LABELS[kind]}, seed {one}",
            _run(kind, budget, one, data_dir),
            measures=measures,
        )
        for kind, one in every
    )
    shown = tuple(part.name for part in parts if part.experiment.seed == seed)
    figures = (Figure("bounds", "ELBO while training", "curves", shown, curves=("train",)),)
    notes = ("This is the smoke budget: the digits set and a tiny network show only that it runs.",) if small else ()
    return Plan(parts, figures, (*notes, *NOTES))


def _of(parts: Mapping[str, Record], kind: str, column: str) -> np.ndarray:
    """A column of the table of weights, for each seed."""
    return np.array([row[column] for row in measured_seeds(parts, kind, "weights")])


def _enough(parts: Mapping[str, Record]) -> bool:
    """Whether there are seeds to tell noise from an effect."""
    return all(len(_of(parts, kind, "ELBO")) > 1 for kind in ("mean-field", "2-tied"))


def _same_bound(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    bounds = {kind: _of(parts, kind, "ELBO") for kind in LABELS}
    if not len(bounds["mean-field"]) or not len(bounds["2-tied"]):
        return None, "not run"
    words = "; ".join(f"{LABELS[kind]}: {', '.join(f'{v:.4f}' for v in found)}" for kind, found in bounds.items()
                      if len(found))  # fmt: skip
    if not _enough(parts):
        return None, f"{words} nats per example"
    full, tied = bounds["mean-field"], bounds["2-tied"]
    error = float(np.sqrt(full.var(ddof=1) / len(full) + tied.var(ddof=1) / len(tied)))
    gap = float(tied.mean() - full.mean())
    return gap >= -2.0 * error, f"{words} nats per example; k = 2 is {gap:+.4f} ahead, standard error {error:.4f}"


def _few(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    full, tied = (_of(parts, kind, "scale parameters") for kind in ("mean-field", "2-tied"))
    if not len(full) or not len(tied):
        return None, "not run"
    share = float(tied[0] / full[0])
    return (share < 0.1 if _enough(parts) else None), f"{tied[0]:.0f} of {full[0]:.0f}: {share:.1%}"


def _low_rank(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    one, two = (_of(parts, "mean-field", f"rank {k}") for k in (1, 2))
    if not len(one):
        return None, "not run"
    words = f"at least {two.min():.1%} by two components, {one.min():.1%} by one"
    return (bool(two.min() > 0.5) if _enough(parts) else None), words


def _faster(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    early: dict[str, np.ndarray] = {}
    for kind in ("mean-field", "2-tied"):
        curves = [part["curve"]["train_bound"] for name, part in parts.items() if name.startswith(f"{kind}-")]
        early[kind] = np.array([curve[max(1, round(EARLY * len(curve))) - 1] for curve in curves])
    if not all(len(found) for found in early.values()):
        return None, "not run"
    words = "; ".join(f"{LABELS[kind]}: {', '.join(f'{v:.4f}' for v in found)}" for kind, found in early.items())
    ahead = bool((early["2-tied"] > early["mean-field"]).all())
    return (ahead if _enough(parts) else None), f"{words} nats per example"


PAGE = Page(
    key="swiatkowski2020",
    title="The k-tied Normal Distribution",
    budgets={
        "smoke": "the digits set, 16 hidden units, 3 passes, mean field and k = 2",
        "quick": "MNIST, 100-100 hidden units, 10 passes; mean field and k = 2 with three seeds, k = 1 and 3 with one",
        "paper": "MNIST, 400-400-400 hidden units, 150 passes; the same, and k = 5",
    },
    plan=plan,
    published=(
        Published("ELBO and accuracy of k >= 2", "those of mean field", "figure"),
        Published(
            "standard deviations of a trained mean-field posterior",
            "two components explain most of the variance",
            "figure",
        ),
        Published(
            "signal-to-noise ratio of gradients, and convergence", "higher, and faster, than with mean field", "seen"
        ),
        Published("k that is recommended", "2", "memory"),
        Published("first standard deviation, prior", "about 0.01, N(0, 0.3^2) to N(0, 1)", "memory"),
    ),
    claims=(
        Claim(
            "The 2-tied normal reaches the ELBO of mean field.",
            "figure",
            "training ELBO of k = 2, mean over seeds, no more than two standard errors under that of mean field",
            _same_bound,
        ),
        Claim(
            "It needs a fraction of the scale parameters.",
            "seen",
            "scale parameters of k = 2 under a tenth of those of mean field",
            _few,
        ),
        Claim(
            "The standard deviations of a trained mean-field posterior are approximately of low rank.",
            "seen",
            "two components have more than half of their variation around the mean, in every matrix of every seed",
            _low_rank,
        ),
        Claim(
            "It converges faster than mean field.",
            "seen",
            f"training ELBO after {EARLY:.0%} of the passes, seed by seed",
            _faster,
        ),
    ),
)
