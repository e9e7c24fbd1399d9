"""What the commands that list and show have in common."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nelbo.cli.flags import described
from nelbo.cli.output import print_json
from nelbo.cli.parser import Parser
from nelbo.core import InputError, Option
from nelbo.report import text_table


def listing_arguments(parser: Parser) -> None:
    """The arguments `list` and `show NAME`."""
    parser.add_argument("action", choices=["list", "show"], help="list all of them, or show one")
    parser.add_argument("name", nargs="?", metavar="NAME", help="which one to show")


def listed(options: argparse.Namespace, rows: Callable[[], Sequence[Mapping[str, Any]]]) -> bool:
    """Print all, if that was asked for.

    Raises:
        InputError: `list` with a name, or `show` without.
    """
    if options.action == "list" and options.name is not None:
        raise InputError(f"`list` takes no name: `nelbo {options.command} show {options.name}` shows one.")
    if options.action == "show" and options.name is None:
        raise InputError(f"Say which one to show: `nelbo {options.command} show NAME`; `list` gives the names.")
    if options.action == "list":
        found = rows()
        print_json(found) if options.json else print(text_table(found), end="")
    return options.action == "list"


def option_rows(options: Sequence[Option], everyone: Mapping[str, Sequence[Option]]) -> list[dict[str, Any]]:
    """A row for each option: its name, default and meaning, told by others that have it where its owner does not."""
    rows = []
    for option in options:
        same = [other for theirs in everyone.values() for other in theirs if other.name == option.name]
        rows.append({"option": option.name, "default": option.default, "what": described(option.name, [option, *same])})
    return rows
