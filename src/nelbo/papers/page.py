"""What a paper's page is made of: runs, figures that show them, published numbers, claims that are checked."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import jax.random as jr

from nelbo.core import InputError, NotFiniteError, choice, read_json, write_json
from nelbo.papers.bibliography import BIBLIOGRAPHY
from nelbo.papers.figures import Figure
from nelbo.papers.measures import MEASURES, Rows, Study, measured_once
from nelbo.runs import RECORD, Experiment, add_result, carry_out, environment, evaluation, open_run, result_row
from nelbo.training import Callback

RESULT, STUDIES = "result.json", "studies"
Provenance = Literal["seen", "memory", "figure"]
PROVENANCE = {
    "seen": "seen in the source or in slides about it",
    "memory": "from memory, not checked against the source",
    "figure": "from memory of a figure in the source, to be taken as rough",
}
Record = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Published:
    """A number or statement of the paper.

    Args:
        what: it is about, with its unit.
        value: as published.
        provenance: how we know it, see `PROVENANCE`.
    """

    what: str
    value: str
    provenance: Provenance


@dataclasses.dataclass(frozen=True)
class Trial:
    """A choice among learning rates by short runs, as papers make it: the best training bound wins.

    Args:
        name: folder of the short runs.
        experiment: the short run.
        rates: to choose from.
    """

    name: str
    experiment: Experiment
    rates: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Measure:
    """Numbers of a finished run beside the scores in its record.

    Args:
        name: of its files, in the run's folder `measures`.
        title: what its table is called.
        kind: see `nelbo.papers.measures.MEASURES`.
        arguments: of that kind, as JSON.
    """

    name: str
    title: str
    kind: str
    arguments: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Part:
    """One run of the page.

    Args:
        name: its folder, inside the page's folder.
        label: what figures call it.
        experiment: its settings.
        trial: how its learning rate is chosen; None leaves that of the experiment.
        published: the paper's number for this run, shown beside ours.
        importance_samples: draws for an importance-weighted test bound beside the ELBO; None leaves it out.
        measures: what is measured once it is finished.
        taken_from: of a run that another page has too, its folder beside this page's folder.
    """

    name: str
    label: str
    experiment: Experiment
    trial: Trial | None = None
    published: str | None = None
    importance_samples: int | None = None
    measures: tuple[Measure, ...] = ()
    taken_from: str | None = None

    def place(self, folder: Path) -> Path:
        """Its folder: the other page's where that is finished with the same settings, else its own."""
        own = folder / self.name
        there = None if self.taken_from is None else folder.parent / self.taken_from
        if there is None or (own / RECORD).exists() or not (there / RECORD).exists():
            return own
        try:
            carry_out(self.experiment, there)
        except InputError:  # of other settings
            return own
        return there


@dataclasses.dataclass(frozen=True)
class Claim:
    """A statement of the paper that the numbers can support or not.

    Args:
        text: the statement.
        provenance: how we know that it is the paper's, see `PROVENANCE`.
        test: what exactly is compared.
        check: from the finished parts, by name, to (holds, the numbers in words); holds is None where these parts
            cannot tell.
    """

    text: str
    provenance: Provenance
    test: str
    check: Callable[[Mapping[str, Record]], tuple[bool | None, str]]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What one budget runs and shows.

    Args:
        parts: the runs, in order.
        figures: the views.
        notes: what a reader must know about these settings, among it where they differ from the paper's.
        studies: what is measured without a run.
    """

    parts: tuple[Part, ...]
    figures: tuple[Figure, ...]
    notes: tuple[str, ...]
    studies: tuple[Study, ...] = ()


@dataclasses.dataclass(frozen=True)
class Page:
    """A paper's page.

    Args:
        key: in the bibliography.
        title: of the page.
        budgets: each with its size in words.
        plan: from (budget, seed, data folder) to what is run.
        published: the paper's numbers.
        claims: the paper's statements that are checked.
        sources: of a page about several papers, their keys in the bibliography.
        table: title, and from the parts and the budget to the rows, of one table that all parts are brought into.
    """

    key: str
    title: str
    budgets: Mapping[str, str]
    plan: Callable[[str, int, str | None], Plan]
    published: tuple[Published, ...]
    claims: tuple[Claim, ...]
    sources: tuple[str, ...] = ()
    table: tuple[str, Callable[[Mapping[str, Record], str], Rows]] | None = None

    def reproduce(
        self,
        folder: Path | str,
        *,
        budget: str = "quick",
        seed: int = 0,
        data_dir: str | None = None,
        only: Sequence[str] = (),
        say: Callable[[str], None] = print,
        callbacks: Callable[[int, int], list[Callback]] | None = None,
    ) -> dict[str, Any]:
        """Run what is missing, and give the result that was written to `result.json`.

        Every part is a run folder inside `folder`: finished ones are read, one that was broken off is resumed. So the
        same call goes on after an interruption.

        Args:
            folder: for the runs and the result.
            budget: one of `budgets`.
            seed: of everything random.
            data_dir: a folder that holds named data sets.
            only: names of parts, or beginnings of several; the other parts are not run, and shown where they are
                finished.
            say: told about each part.
            callbacks: see `nelbo.runs.execute`.

        Raises:
            InputError: an unknown budget or part, or a folder with another page, budget or seed in it.
            Interrupted: Ctrl-C or SIGTERM; the parts so far are kept.
        """
        folder = Path(folder)
        choice("budget", budget, self.budgets)
        head = {"paper": self.key, "budget": budget, "seed": seed}
        _same_page(folder / RESULT, head)
        plan = self.plan(budget, seed, data_dir)
        parts = _chosen_parts(plan, folder, only)
        result = {
            **head,
            "title": self.title,
            "size": self.budgets[budget],
            "bibtex": "\n\n".join(BIBLIOGRAPHY[key] for key in self.sources or (self.key,)),
            "notes": list(plan.notes),
            "published": [dataclasses.asdict(row) for row in self.published],
            "figures": [dataclasses.asdict(figure) for figure in plan.figures],
            "parts": {},
            "studies": {},
            "claims": [],
            "finished": False,
            "environment": environment(),
        }
        write_json(folder / RESULT, result)
        rates: dict[str, float] = {}
        for number, part in enumerate(parts, start=1):
            say(f"{number}/{len(parts)} {part.name}")
            experiment = part.experiment
            if part.trial is not None:
                if part.trial.name not in rates:
                    rates[part.trial.name] = _chosen(part.trial, folder, say)
                experiment = with_rate(experiment, rates[part.trial.name])
            place = part.place(folder)
            record = _scored(part, place, carry_out(experiment, place, callbacks=callbacks))
            summary = _summary(part, place, experiment, record)
            for measure in part.measures:
                say(f"    {measure.title}")
                rows = measured(measure, place, seed=seed, data_dir=data_dir)
                summary["measures"][measure.name] = {"title": measure.title, "rows": rows}
            result["parts"][part.name] = summary
            write_json(folder / RESULT, result)
        for study in plan.studies:
            say(study.title)
            result["studies"][study.name] = {"title": study.title, "rows": studied(study, folder)}
        result["studies"] |= self._brought_together(result["parts"], budget)
        shown = result["parts"] | result["studies"]
        result["figures"] = _drawable(result["figures"], shown)
        result["claims"] = [_checked(claim, shown) for claim in self.claims]
        result["finished"] = len(parts) == len(plan.parts)
        write_json(folder / RESULT, result)
        return result

    def _brought_together(self, parts: Mapping[str, Record], budget: str) -> dict[str, Any]:
        """The page's table of all parts as a study, where it has one."""
        if self.table is None:
            return {}
        title, rows = self.table
        return {"table": {"title": title, "rows": rows(parts, budget)}}


def measured(measure: Measure, folder: Path, *, seed: int, data_dir: str | None) -> Rows:
    """The rows of a measure of the run in a folder: read where they are there, found where they are not."""
    make = MEASURES[choice("kind of measure", measure.kind, MEASURES)]
    return measured_once(
        make, folder, measure.name, {"kind": measure.kind, "seed": seed, **measure.arguments}, data_dir
    )


def studied(study: Study, folder: Path) -> Rows:
    """The rows of a study: read where they are there, found where they are not."""
    path = folder / STUDIES / f"{study.name}.json"
    if not path.is_file():
        write_json(path, study.make())
    return read_json(path)


def with_rate(experiment: Experiment, rate: float) -> Experiment:
    """The experiment with another learning rate."""
    return dataclasses.replace(experiment, training={**experiment.training, "learning_rate": rate})


def _same_page(path: Path, head: Mapping[str, Any]) -> None:
    if not path.exists():
        return
    earlier = read_json(path)
    found = {name: earlier.get(name) if isinstance(earlier, dict) else None for name in head}
    if found != dict(head):
        words = ", ".join(f"{name} {value}" for name, value in found.items())
        raise InputError(f"{path.parent} holds another result ({words}): give another folder with --out.")


def _chosen_parts(plan: Plan, folder: Path, only: Sequence[str]) -> tuple[Part, ...]:
    """The parts that are named, and those that are finished already; all of them where none is named.

    Raises:
        InputError: a name that is no part's.
    """
    for name in only:
        if not any(part.name.startswith(name) for part in plan.parts):
            names = ", ".join(part.name for part in plan.parts)
            raise InputError(f"No part of this budget is called {name}: choose from {names}.")
    if not only:
        return plan.parts
    whole = {part.name for part in plan.parts} & set(only)
    beginnings = tuple(set(only) - whole)  # vimco-5 is a part, and not a beginning of vimco-50
    named = lambda name: name in whole or name.startswith(beginnings)  # noqa: E731
    return tuple(part for part in plan.parts if named(part.name) or (folder / part.name / RECORD).exists())


def _drawable(figures: Sequence[dict[str, Any]], parts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The figures of parts that were run, without those that were not."""
    kept = [figure | {"parts": [name for name in figure["parts"] if name in parts]} for figure in figures]
    return [figure for figure in kept if figure["parts"]]


def _chosen(trial: Trial, folder: Path, say: Callable[[str], None]) -> float:
    """The rate with the best last training bound; a run that diverges has lost, a single rate needs no run."""
    if len(trial.rates) == 1:
        return trial.rates[0]
    bounds: dict[float, float] = {}
    for rate in trial.rates:
        place = folder / trial.name / f"rate-{rate:g}"
        try:
            carry_out(with_rate(trial.experiment, rate), place, figures=False)
        except NotFiniteError:
            continue
        bounds[rate] = history(place)[-1]["train_bound"]
    if not bounds:
        raise InputError(f"Training diverged with every learning rate of {trial.name}: {list(trial.rates)}.")
    best = max(bounds, key=lambda rate: bounds[rate])
    say(
        f"    learning rate {best:g}, chosen by {trial.name}: "
        + ", ".join(f"{r:g}: {b:.2f}" for r, b in bounds.items())
    )
    return best


def history(folder: Path) -> list[dict[str, Any]]:
    """The rows of a finished run's history."""
    return [json.loads(line) for line in (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()]


def _summary(part: Part, folder: Path, experiment: Experiment, record: Record) -> dict[str, Any]:
    """What the page needs of a run; bounds in nats per example."""
    rows = history(folder)
    columns = ("examples", "train_bound", "valid_bound", "test_bound", "seconds")
    return {
        "label": part.label,
        "published": part.published,
        "latents": _latents(experiment.model["arguments"]),
        "learning_rate": experiment.training.get("learning_rate"),
        "curve": {name: [row.get(name) for row in rows] for name in columns},
        "results": record["results"],
        "active_units": record["active_units"],
        "sampling": record.get("sampling"),
        "training_seconds": record["training_seconds"],
        "data": {name: record["data"][name] for name in ("name", "sizes", "binarization")},
        "experiment": experiment.record(),
        "measures": {},
    }


def _latents(arguments: Mapping[str, Any]) -> int | str | None:
    """How many latents, layer by layer where there are several."""
    layers = arguments.get("layers", ())
    if "latents" in arguments or not layers:
        return arguments.get("latents")
    return layers[0] if len(layers) == 1 else "-".join(map(str, layers))


def _checked(claim: Claim, parts: Mapping[str, Record]) -> dict[str, Any]:
    holds, numbers = claim.check(parts)
    row = {"text": claim.text, "provenance": claim.provenance, "test": claim.test}
    return {**row, "holds": holds, "numbers": numbers}


def test_bound(part: Record) -> float:
    """The evidence lower bound of a part's test set [nats per example]."""
    return part["results"][0]["nats"]


def importance_score(part: Record) -> float:
    """The importance-weighted bound of a part's test set [nats per example]."""
    return next(row["nats"] for row in part["results"] if row["bound"] == "iwae")


def _scored(part: Part, folder: Path, record: Record) -> Record:
    """The record with the importance-weighted bound that the part asks for, computed where it is missing."""
    count = part.importance_samples
    if count is None or any(row["bound"] == "iwae" and row["samples"] == count for row in record["results"]):
        return record
    run = open_run(folder)
    data, sources = run.data()
    key = jr.fold_in(jr.key(run.experiment.seed), count)
    score = evaluation("iwae").score(key, run.model, sources["test"], num_samples=count)
    add_result(folder, result_row(score, "iwae", "test", data))
    return read_json(folder / RECORD)


def select(parts: Mapping[str, Record], prefix: str, latents: Sequence[int]) -> list[Record] | None:
    """The parts `prefix`-1, `prefix`-2, ... for these numbers of latents; None where one was not run."""
    names = [f"{prefix}{count}" for count in latents]
    return [parts[name] for name in names] if all(name in parts for name in names) else None
