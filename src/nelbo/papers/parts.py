"""The runs of a page: what each is, and how it is carried out, scored and measured."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax.random as jr

from nelbo.core import InputError, NotFiniteError, choice, read_json
from nelbo.papers.measures import MEASURES, Rows, measured_once
from nelbo.papers.summaries import history, summary_of
from nelbo.runs import RECORD, Experiment, add_result, carry_out, evaluation, open_run, result_row
from nelbo.training import Callback

Record = Mapping[str, Any]


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


def finished_part(
    part: Part,
    folder: Path,
    rates: dict[str, float],
    *,
    seed: int,
    data_dir: str | None,
    say: Callable[[str], None],
    callbacks: Callable[[int, int], list[Callback]] | None = None,
) -> dict[str, Any]:
    """A part's summary, once its run, its scores and its measures are there: what is missing is made.

    Args:
        part: of a page.
        folder: of the page.
        rates: learning rates that trials have chosen so far, by the trial's name; this one's is added.
        seed: of the measures.
        data_dir: a folder that holds named data sets.
        say: told what is done.
        callbacks: see `nelbo.runs.execute`.
    """
    experiment = part.experiment
    if part.trial is not None:
        if part.trial.name not in rates:
            rates[part.trial.name] = _chosen(part.trial, folder, say)
        experiment = with_rate(experiment, rates[part.trial.name])
    place = part.place(folder)
    record = _scored(part, place, carry_out(experiment, place, callbacks=callbacks))
    summary = summary_of(place, experiment, record, label=part.label, published=part.published)
    for measure in part.measures:
        say(f"    {measure.title}")
        rows = measured(measure, place, seed=seed, data_dir=data_dir)
        summary["measures"][measure.name] = {"title": measure.title, "rows": rows}
    return summary


def measured(measure: Measure, folder: Path, *, seed: int, data_dir: str | None) -> Rows:
    """The rows of a measure of the run in a folder: read where they are there, found where they are not."""
    make = MEASURES[choice("kind of measure", measure.kind, MEASURES)]
    return measured_once(
        make, folder, measure.name, {"kind": measure.kind, "seed": seed, **measure.arguments}, data_dir
    )


def with_rate(experiment: Experiment, rate: float) -> Experiment:
    """The experiment with another learning rate."""
    return dataclasses.replace(experiment, training={**experiment.training, "learning_rate": rate})


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
