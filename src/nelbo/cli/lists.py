"""Commands about what there is: data sets, models, papers."""

import argparse
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nelbo.cli.output import fetching, note, print_json
from nelbo.cli.paper import show_page
from nelbo.core import InputError, choice
from nelbo.data import CORPORA, VOCABULARY, catalogue, load
from nelbo.models import families, family, family_options
from nelbo.papers import BIBLIOGRAPHY, PAPERS
from nelbo.report import text_table
from nelbo.training import Callback, Interrupted, Progress


def _name(options: argparse.Namespace) -> str:
    if options.name is None:
        raise InputError(f"Say which one to show: `nelbo {options.command} show NAME`; `list` gives the names.")
    return options.name


def _listed(options: argparse.Namespace) -> bool:
    """Whether all are to be listed.

    Raises:
        InputError: `list` with a name.
    """
    if options.action == "list" and options.name is not None:
        raise InputError(f"`list` takes no name: `nelbo {options.command} show {options.name}` shows one.")
    return options.action == "list"


def data(options: argparse.Namespace) -> None:
    """The named data sets, or one with its numbers."""
    entries = catalogue()
    if _listed(options):
        rows = [
            {"name": entry.name, "what": entry.title, "shape": list(entry.shape), "licence": entry.licence}
            for entry in entries.values()
        ]
        rows += [
            {"name": entry.name, "what": entry.title, "shape": [VOCABULARY], "licence": entry.licence}
            for entry in CORPORA.values()
        ]
        print_json(rows) if options.json else print(text_table(rows))
        return
    shown = load(_name(options), data_dir=options.data_dir, progress=fetching(options)).describe()
    if options.json:
        print_json(shown)
        return
    print(text_table([{"entry": key, "value": value} for key, value in _flat(shown)]))


def _flat(record: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (f"{key} {inner}", str(item)) if inner else (key, str(item))
        for key, value in record.items()
        for inner, item in (value.items() if isinstance(value, dict) else [("", value)])
    ]


def summary(function: Callable[..., Any]) -> str:
    """The first line of a function's docstring."""
    return (inspect.getdoc(function) or "").splitlines()[0]


def models(options: argparse.Namespace) -> None:
    """The model families, or one with its options."""
    if _listed(options):
        rows = [{"name": name, "what": summary(one.make)} for name, one in families().items()]
        print_json(rows) if options.json else print(text_table(rows))
        return
    make, settings = family(_name(options)).make, family_options(options.name)
    if options.json:
        print_json({"name": options.name, "options": settings, "text": inspect.getdoc(make)})
        return
    print(inspect.getdoc(make))
    print("\nDefaults: " + ", ".join(f"{name}={value}" for name, value in settings.items()))


def reproduce(options: argparse.Namespace) -> None:
    """Run a paper's page."""
    page = PAPERS[choice("paper", options.paper, PAPERS)]
    folder = Path(options.out or f"runs/{options.paper}-{options.budget}")

    def callbacks(steps: int, batch_size: int) -> list[Callback]:
        return [] if options.quiet else [Progress(steps, batch_size)]

    try:
        result = page.reproduce(
            folder,
            budget=options.budget,
            seed=options.seed,
            data_dir=options.data_dir,
            only=options.only,
            say=lambda text: note(options, text),
            callbacks=callbacks,
        )
    except Interrupted as stop:
        raise Interrupted(f"{stop}; the same command goes on, and what is finished is kept in {folder}") from stop
    written = show_page(folder, result)
    if options.json:
        print_json(result)
        return
    print(text_table(result["claims"], ["text", "holds", "numbers"]))
    for path in written:
        note(options, f"Wrote {path}")


def cite(options: argparse.Namespace) -> None:
    """BibTeX."""
    if options.paper is None:
        print_json(sorted(BIBLIOGRAPHY)) if options.json else print("\n".join(sorted(BIBLIOGRAPHY)))
        return
    entry = BIBLIOGRAPHY[choice("paper", options.paper, BIBLIOGRAPHY)]
    print_json({"key": options.paper, "bibtex": entry}) if options.json else print(entry)
