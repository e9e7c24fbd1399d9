"""`nelbo data`."""

import argparse
from typing import Any

from nelbo.cli.commands import Command
from nelbo.cli.listing import listed, listing_arguments
from nelbo.cli.output import fetching, print_json
from nelbo.cli.parser import Parser, data_folder
from nelbo.data import CORPORA, MADE, VOCABULARY, added_sets, catalogue, load
from nelbo.report import text_table


def _arguments(parser: Parser) -> None:
    listing_arguments(parser)
    data_folder(parser)


def _rows() -> list[dict[str, Any]]:
    rows = [
        {"name": entry.name, "what": entry.title, "shape": list(entry.shape), "licence": entry.licence}
        for entry in catalogue().values()
    ]
    rows += [
        {"name": entry.name, "what": entry.title, "shape": [VOCABULARY], "licence": entry.licence}
        for entry in CORPORA.values()
    ]
    rows += [
        {"name": name, "what": one.title, "shape": list(one.shape), "licence": one.licence}
        for name, one in MADE.items()
    ]
    return rows + [
        {"name": name, "what": one.title, "shape": list(one.load().shape), "licence": one.licence}
        for name, one in added_sets().items()
    ]


def data(options: argparse.Namespace) -> None:
    """The named data sets, or one with its numbers."""
    if listed(options, _rows):
        return
    shown = load(options.name, data_dir=options.data_dir, progress=fetching(options)).describe()
    if options.json:
        print_json(shown)
        return
    print(text_table([{"entry": key, "value": value} for key, value in _flat(shown)]), end="")


def _flat(record: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (f"{key} {inner}", str(item)) if inner else (key, str(item))
        for key, value in record.items()
        for inner, item in (value.items() if isinstance(value, dict) else [("", value)])
    ]


COMMAND = Command(
    (
        "nelbo data list",
        "nelbo data show mnist --data-dir data/",
    ),
    _arguments,
    data,
)
