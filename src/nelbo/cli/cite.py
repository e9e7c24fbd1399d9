"""`nelbo cite`."""

import argparse

from nelbo.cli.commands import Command
from nelbo.cli.output import print_json
from nelbo.cli.parser import Parser
from nelbo.core import choice
from nelbo.papers import BIBLIOGRAPHY


def _arguments(parser: Parser) -> None:
    parser.add_argument("paper", nargs="?", metavar="PAPER", help="key of the paper; without one, all keys are listed")


def cite(options: argparse.Namespace) -> None:
    """BibTeX."""
    if options.paper is None:
        print_json(sorted(BIBLIOGRAPHY)) if options.json else print("\n".join(sorted(BIBLIOGRAPHY)))
        return
    entry = BIBLIOGRAPHY[choice("paper", options.paper, BIBLIOGRAPHY)]
    print_json({"key": options.paper, "bibtex": entry}) if options.json else print(entry)


COMMAND = Command(("nelbo cite kingma2014",), _arguments, cite)
