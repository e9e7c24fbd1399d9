"""The combined table of models of binarized MNIST: every recognition model beside the models it was compared with."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from nelbo.evaluation import PUBLISHED
from nelbo.evaluation import SHORT as SHORT_LADDER
from nelbo.papers import mnih2014, rezende2014
from nelbo.papers.belief import BINARIZED, SHORT, belief_run, mnist
from nelbo.papers.figures import Axes, Figure
from nelbo.papers.measures import Rows
from nelbo.papers.page import Claim, Page, Plan, Published
from nelbo.papers.parts import Measure, Part, Record
from nelbo.runs import Experiment

# what a row's number is to -log p(x), by the kind that its record has; a lower bound on log p is an upper one on -log p
KINDS = {
    "exact": "exact",
    "lower": "bound, -log p is lower",
    "upper": "bound, -log p is higher",
    "estimate": "estimate, -log p may be higher (log Z by annealing)",
}
IMPORTANCE = "Importance-weighted bounds of the test set"
_SCORED = {"smoke": (20, 50), "quick": (200, 1000), "paper": (5000, None)}  # draws, test images


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the table that no other page has.

    Args:
        name: its folder.
        label: in tables.
        published: -log p of the test set [nats].
        family: of the model.
        model: its options.
        small: those of the smoke budget.
        objective: name and options, where they are not the family's own.
        passes: over the data of the quick and of the paper budget.
        training: further settings.
        quick: options of the model that the quick budget has instead.
    """

    name: str
    label: str
    published: float
    family: str
    model: dict[str, Any]
    small: dict[str, Any]
    objective: tuple[str, dict[str, Any]]
    passes: tuple[int, int]
    training: dict[str, Any] = dataclasses.field(default_factory=dict)
    quick: dict[str, Any] = dataclasses.field(default_factory=dict)

    def experiment(self, budget: str, data: Mapping[str, Any], seed: int) -> Experiment:
        """The run of a budget."""
        quick, paper = self.passes
        passes = {"smoke": 2, "quick": quick, "paper": paper}[budget]
        options = {"smoke": self.small, "quick": {**self.model, **self.quick}, "paper": self.model}[budget]
        name, arguments = self.objective
        return Experiment(
            model={"name": self.family, "arguments": dict(options)},
            data=dict(data),
            objective={"name": name, "arguments": dict(arguments)},
            training={"epochs": passes, "batch_size": 100, **self.training},
            seed=seed,
        )


_ADAM = {"learning_rate": 1e-3, "schedule": "cosine"}
_BOLTZMANN = {"optimizer": "momentum", "learning_rate": 0.15, "schedule": "linear", "keep": "last"}


# a run scores the whole test set, of which 128 orders take hours: its measure takes as many images as the budget allows
_UNSCORED = {"score": False, "watch": ["test"], "keep": "last"}


def _machine(name: str, label: str, published: float, last: int) -> Row:
    sweeps = {"sweeps": 1 if last == 25 else last, "last_sweeps": last, "centred": True}
    objective = ("contrastive-divergence", sweeps)
    return Row(name, label, published, "rbm", {"hidden": [500]}, {"hidden": [25]}, objective, (12, 100), _BOLTZMANN)


_EXACT = ("maximum-likelihood", {})
ROWS = (
    _machine("rbm-cd1", "RBM 500, CD1", 125.53, 1),
    _machine("rbm-cd3", "RBM 500, CD3", 105.5, 3),
    _machine("rbm-cd25", "RBM 500, CD25", 86.34, 25),
    Row("dbn", "DBN 500-2000", 84.55, "dbn", {"layers": [500, 2000]}, {"layers": [25, 64]},
        ("greedy", {"sweeps": 1, "last_sweeps": 5, "centred": True}), (20, 200), {**_BOLTZMANN, "learning_rate": 0.1}),
    Row("nade", "NADE 500", 88.86, "nade", {"hidden": [500]}, {"hidden": [16]}, _EXACT, (10, 200), _ADAM),
    Row("eonade", "EoNADE 500-500, 128 orders", 85.10, "eonade", {"hidden": [500, 500], "orders": 128},
        {"hidden": [16, 16], "orders": 4}, ("order-agnostic", {}), (200, 500), {**_ADAM, **_UNSCORED}, {"orders": 64}),
    Row("mixture", "mixture of 500 Bernoullis", 137.64, "mixture", {"components": 500}, {"components": 10}, _EXACT,
        (10, 100), {**_ADAM, "learning_rate": 0.01}),
    Row("frey-hinton", "Frey and Hinton's network, 200-200", 95.8, "nonlinear-belief-network", {"layers": [200, 200]},
        {"layers": [8, 8]}, ("sgvb", {}), (8, 200), _ADAM),
)  # fmt: skip
DARN = Row(
    "darn-500", "DARN 500", 84.13, "darn", {"layers": [500]}, {"layers": [16]}, ("nvil", {}), (8, 600),
    {"learning_rate": SHORT, "schedule": "cosine"},
)  # fmt: skip
# rows of other pages: name here, page, name there, label, published -log p
TAKEN = (
    ("dlgm-diagonal", "rezende2014", "mnist/diagonal-{seed}", "DLGM, diagonal", 87.30),
    ("dlgm-rank-one", "rezende2014", "mnist/rank-one-{seed}", "DLGM, rank-one", 86.60),
    ("sbn-200", "mnih2014", "table-1/sbn-200/nvil", "SBN 200, factorial q (NVIL)", 113.1),
    ("sbn-500", "mnih2014", "table-1/sbn-500/nvil", "SBN 500, factorial q (NVIL)", 112.8),
    ("sbn-200-200-200", "mnih2014", "table-1/sbn-200-200-200/nvil", "SBN 200-200-200, factorial q (NVIL)", 96.7),
    ("sbn-200-200-500", "mnih2014", "table-1/sbn-200-200-500/nvil", "SBN 200-200-500, factorial q (NVIL)", 97.0),
    ("nvil-200", "mnih2014", "table-2/sbn-200", "SBN 200, autoregressive q (NVIL)", 103.8),
    ("nvil-500", "mnih2014", "table-2/sbn-500", "SBN 500, autoregressive q (NVIL)", 104.4),
    ("nvil-200-200-200", "mnih2014", "table-2/sbn-200-200-200", "SBN 200-200-200, autoregressive q (NVIL)", 94.5),
    ("nvil-200-200-500", "mnih2014", "table-2/sbn-200-200-500", "SBN 200-200-500, autoregressive q (NVIL)", 96.0),
    ("wake-sleep", "mnih2014", "table-1/sbn-200-200-200/wake-sleep", "SBN 200-200-200, wake-sleep", 91.3),
    ("fdarn-200", "mnih2014", "table-1/fdarn-200/nvil", "fDARN 200", 92.5),
    ("fdarn-500", "mnih2014", "table-1/fdarn-500/nvil", "fDARN 500", 90.7),
)
PUBLISHED_ROWS = {
    **{row.name: (row.label, row.published) for row in (*ROWS, DARN)},
    **{name: (label, number) for name, _, _, label, number in TAKEN},
}
NOTES = (
    BINARIZED,
    (
        "Rows that the pages mnih2014 and rezende2014 have too are the same runs: where their folders of the same "
        "budget stand beside this one and are finished, they are read there and not run again."
    ),
    (
        "Log Z of Boltzmann machines is estimated by annealing from 100 chains. Forward it is low in expectation, so "
        "that -log p looks lower than it is: the column of log Z shows it with annealing in reverse, which is high."
    ),
    (
        "Boltzmann machines follow the enhanced gradient (Cho, Raiko and Ilin 2013) at higher rates than the published "
        "ones, which followed the plain one."
    ),
    (
        "EoNADE is scored on as many test images as the budget's bounds are; with the quick budget as the mean density "
        "of 64 orders, the published one of 128."
    ),
    (
        "A number of the quick budget is that of a short run, marked as one whose budget is not spent: it says where "
        "the model is after so many passes, and is not to be compared with the published one."
    ),
    (
        "The published wake-sleep number is that of the slides' table, whose network is not known to us; ours has "
        "three layers of 200. The published network of Frey and Hinton is not known in its sizes either."
    ),
)


def _measures(budget: str) -> tuple[Measure, ...]:
    samples, rows = _SCORED[budget]
    ladder = PUBLISHED if budget == "paper" else SHORT_LADDER
    arguments = {"samples": samples, "rows": rows, "temperatures": ladder}
    return (Measure("table", IMPORTANCE, "importance", arguments),)


def _network(name: str, budget: str, data: Mapping[str, Any], seed: int) -> Experiment:
    """A belief network that the budget of its own page leaves out: the recipe of that page."""
    layers = tuple(int(part) for part in name.split("-") if part.isdigit())
    family = "fdarn" if name.startswith("fdarn") else "sbn"
    recognition = "autoregressive" if name.startswith("nvil") else "factorial"
    epochs, every = (8, 500) if budget == "quick" else (2, 20)
    shared: dict[str, Any] = {"seed": seed, "rate": SHORT, "recognition": recognition}
    return belief_run(family, layers, data, epochs=epochs, every=every, **shared)


def plan(budget: str, seed: int, data_dir: str | None) -> Plan:
    """All rows; of the smoke budget one of each family, tiny."""
    if budget == "smoke":
        data = {"name": "digits", "binarize": "static"}
        chosen = tuple(row for row in (*ROWS, DARN) if row.name not in {"rbm-cd1", "rbm-cd3"})
        parts = [_part(row, budget, data, seed) for row in chosen]
        parts.append(_taken("nvil-200", "", _network("nvil-8", budget, data, seed), budget))
        note = "This is the smoke budget: the digits set and tiny networks show only that it runs."
        return Plan(tuple(parts), _figures(parts), (note, *NOTES))
    data = mnist(data_dir)
    parts = [_part(row, budget, data, seed) for row in (*ROWS, DARN)]
    pages = {"mnih2014": mnih2014.plan, "rezende2014": rezende2014.plan}
    others = {page: {part.name: part for part in make(budget, seed, data_dir).parts} for page, make in pages.items()}
    for name, page, there, _, _ in TAKEN:
        place = there.format(seed=seed)
        found = others[page].get(place)
        experiment = _network(name, budget, data, seed) if found is None else found.experiment
        parts.append(_taken(name, "" if found is None else f"{page}-{budget}/{place}", experiment, budget))
    return Plan(tuple(parts), _figures(parts), NOTES)


def _part(row: Row, budget: str, data: Mapping[str, Any], seed: int) -> Part:
    published = f"-{row.published:.2f}"
    return Part(
        row.name, row.label, row.experiment(budget, data, seed), published=published, measures=_measures(budget)
    )


def _taken(name: str, there: str, experiment: Experiment, budget: str) -> Part:
    label, number = PUBLISHED_ROWS[name]
    return Part(
        name, label, experiment, published=f"-{number:.2f}", measures=_measures(budget), taken_from=there or None
    )


def _figures(parts: Sequence[Part]) -> tuple[Figure, ...]:
    names = tuple(part.name for part in parts)
    machines = tuple(name for name in names if name.startswith(("rbm", "dbn")))
    bounds = tuple(name for name in names if name not in {*machines, "eonade"})
    drawing = tuple(name for name in names if name.startswith(("rbm-cd25", "dbn", "nade", "darn")))
    axes = Axes("published", "-log p, ours", ("model",), "-log p(x), nats per test image", "")
    return (
        Figure("table", "Ours and published", "published", ("table",), axes=axes),
        Figure("curves", "Learning curves", "curves", bounds, curves=("valid",)),
        Figure("curves-eonade", "EoNADE, mean of log p(x) over orders", "curves", ("eonade",), curves=("test",)),
        Figure(
            "curves-machines",
            "Pseudo-log-likelihood of machines, no bound on log p(x)",
            "curves",
            machines,
            curves=("valid",),
        ),
        Figure("samples", "Samples", "samples", drawing),
    )


def _score(part: Record) -> Mapping[str, Any]:
    """The number of a row that says most of log p(x): the weighted bound, or the exact value itself."""
    rows = [*part["results"], *part["measures"].get("table", {}).get("rows", ())]
    exact = [row for row in rows if row["kind"] == "exact"]
    # without latents a run's own score says the same of more images, with log Z by more temperatures
    alike = [row for row in rows if (row["kind"], row["samples"]) == (rows[-1]["kind"], 1)] or rows[-1:]
    return exact[0] if exact else max(reversed(alike), key=lambda row: row["examples"])


def _fewer(part: Record) -> str:
    """Where the quick budget has another model than the label says."""
    orders = part["experiment"]["model"]["arguments"].get("orders")
    return "" if orders in {None, 128} else f", {orders} orders"


def table(parts: Mapping[str, Record], budget: str) -> Rows:
    """The combined table, a row for each model, those that were not run among them."""
    rows = []
    for name, (label, published) in PUBLISHED_ROWS.items():
        part = parts.get(name)
        row: dict[str, Any] = {
            "model": label,
            "-log p, ours": None,
            "what it is": "not run",
            "published": f"{published:.2f}",
        }
        row |= {"passes": None, "budget spent": "no", "standard error": None, "test images": None, "log Z": None}
        if part is not None:
            score = _score(part)
            found = score.get("normalizer") or {}
            row |= {
                "-log p, ours": f"{-score['nats']:.2f}",
                "what it is": KINDS[score["kind"]]
                + (f", {score['samples']} draws" if score["samples"] > 1 else "")
                + _fewer(part),
                "passes": part["experiment"]["training"]["epochs"],
                "budget spent": "yes" if budget == "paper" else "no",
                "standard error": None if score["standard_error"] is None else f"{score['standard_error']:.3f}",
                "test images": score["examples"],
                "log Z": f"{found['log_z']:.2f}, in reverse {found['reverse']:.2f}" if "reverse" in found else None,
            }
        rows.append(row)
    return rows


def _order(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    names = ("rbm-cd1", "rbm-cd3", "rbm-cd25")
    if not set(names) <= set(parts):
        return None, "not run"
    found = [_score(parts[name])["nats"] for name in names]
    return found == sorted(found), ", ".join(f"{n}: {v:.2f}" for n, v in zip(names, found, strict=True)) + " nats"


def _ahead(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    names = ("mixture", "nade")
    if not set(names) <= set(parts):
        return None, "not run"
    mixture, nade = (_score(parts[name])["nats"] for name in names)
    return nade > mixture, f"NADE {nade:.2f}, mixture {mixture:.2f} nats"


PAGE = Page(
    key="recognition-models",
    sources=("mnih2014", "rezende2014", "uria2014", "salakhutdinov2008dbn"),
    title="Models of binarized MNIST in one table",
    budgets={
        "smoke": "the digits set, a tiny model of each family, 2 passes",
        "quick": "every row, 8 to 30 passes over MNIST (EoNADE 200), bounds of 200 samples on 1000 test images",
        "paper": "every row at length, bounds of 5000 samples on the test set; hours on a processor",
    },
    plan=plan,
    table=("The combined table [nats per test image]", table),
    published=tuple(
        Published(f"{label}, -log p of the test set [nats]", f"{number:.2f}", "seen")
        for label, number in PUBLISHED_ROWS.values()
    ),
    claims=(
        Claim(
            "More sweeps of contrastive divergence give better machines.",
            "seen",
            "log p of CD1 is below that of CD3, and that below that of CD25 with rising sweeps",
            _order,
        ),
        Claim("NADE is better than a mixture of Bernoullis.", "seen", "log p of the test set, both exact", _ahead),
    ),
)
