"""What a paper's page is made of: runs, figures that show them, published numbers, claims that are checked."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from nelbo.core import InputError, choice, read_json, write_json
from nelbo.papers.bibliography import BIBLIOGRAPHY
from nelbo.papers.figures import WITHOUT_ARRAYS, Figure
from nelbo.papers.measures import Rows, Study
from nelbo.papers.parts import Part, Record, finished_part
from nelbo.papers.summaries import is_recorded, read_record, write_record
from nelbo.runs import RECORD, environment
from nelbo.training import Callback

RESULT, STUDIES = "result.json", "studies"
Provenance = Literal["seen", "memory", "figure"]
PROVENANCE = {
    "seen": "seen in the source or in slides about it",
    "memory": "from memory, not checked against the source",
    "figure": "from memory of a figure in the source, to be taken as rough",
}


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
        records: Path | None = None,
        redraw: bool = False,
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
            records: a folder of small records: of parts that are finished they are written there, others are shown
                from them where their settings are the same.
            redraw: run nothing, and show what is finished or recorded.
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
        parts = chosen_parts(plan, folder, only, redraw=redraw)
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
            summary = finished_part(part, folder, rates, seed=seed, data_dir=data_dir, say=say, callbacks=callbacks)
            result["parts"][part.name] = summary
            if records is not None:
                write_record(records, budget, part.name, summary)
            write_json(folder / RESULT, result)
        if records is not None:
            result["parts"] = _with_records(result["parts"], plan, records, budget)
        for study in plan.studies:
            say(study.title)
            result["studies"][study.name] = {"title": study.title, "rows": studied(study, folder)}
        result["studies"] |= self._brought_together(result["parts"], budget)
        shown = result["parts"] | result["studies"]
        result["figures"] = _drawable(result["figures"], shown)
        result["claims"] = [_checked(claim, shown) for claim in self.claims]
        result["finished"] = len(result["parts"]) == len(plan.parts)
        write_json(folder / RESULT, result)
        return result

    def _brought_together(self, parts: Mapping[str, Record], budget: str) -> dict[str, Any]:
        """The page's table of all parts as a study, where it has one."""
        if self.table is None:
            return {}
        title, rows = self.table
        return {"table": {"title": title, "rows": rows(parts, budget)}}


def studied(study: Study, folder: Path) -> Rows:
    """The rows of a study: read where they are there, found where they are not."""
    path = folder / STUDIES / f"{study.name}.json"
    if not path.is_file():
        write_json(path, study.make())
    return read_json(path)


def _same_page(path: Path, head: Mapping[str, Any]) -> None:
    if not path.exists():
        return
    earlier = read_json(path)
    found = {name: earlier.get(name) if isinstance(earlier, dict) else None for name in head}
    if found != dict(head):
        words = ", ".join(f"{name} {value}" for name, value in found.items())
        raise InputError(f"{path.parent} holds another result ({words}): give another folder with --out.")


def _with_records(parts: Mapping[str, Record], plan: Plan, records: Path, budget: str) -> dict[str, Record]:
    """The parts in the page's order, those that were not run here from their small records."""
    found = {}
    for part in plan.parts:
        any_rate = part.trial is not None
        one = parts.get(part.name) or read_record(records, budget, part.name, part.experiment, any_rate=any_rate)
        if one is not None:
            found[part.name] = one
    return found


def chosen_parts(plan: Plan, folder: Path, only: Sequence[str], *, redraw: bool) -> tuple[Part, ...]:
    """The parts that are named, and those that are finished already; all of them where none is named.

    Raises:
        InputError: a name that is no part's.
    """
    for name in only:
        if not any(part.name.startswith(name) for part in plan.parts):
            names = ", ".join(part.name for part in plan.parts)
            raise InputError(f"No part of this budget is called {name}: choose from {names}.")
    if redraw:
        return tuple(part for part in plan.parts if (part.place(folder) / RECORD).exists())
    if not only:
        return plan.parts
    whole = {part.name for part in plan.parts} & set(only)
    beginnings = tuple(set(only) - whole)  # vimco-5 is a part, and not a beginning of vimco-50
    named = lambda name: name in whole or name.startswith(beginnings)  # noqa: E731
    return tuple(part for part in plan.parts if named(part.name) or (folder / part.name / RECORD).exists())


def _drawable(figures: Sequence[dict[str, Any]], parts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The figures of parts that were run, without those that were not."""

    def drawable(figure: Mapping[str, Any], name: str) -> bool:
        return name in parts and (figure["kind"] in WITHOUT_ARRAYS or not is_recorded(parts[name]))

    kept = [figure | {"parts": [name for name in figure["parts"] if drawable(figure, name)]} for figure in figures]
    return [figure for figure in kept if figure["parts"]]


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


def select(parts: Mapping[str, Record], prefix: str, latents: Sequence[int]) -> list[Record] | None:
    """The parts `prefix`-1, `prefix`-2, ... for these numbers of latents; None where one was not run."""
    names = [f"{prefix}{count}" for count in latents]
    return [parts[name] for name in names] if all(name in parts for name in names) else None
