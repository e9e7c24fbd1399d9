"""`nelbo report`."""

import argparse

from nelbo.cli.commands import Command
from nelbo.cli.output import note, print_json
from nelbo.cli.parser import Parser
from nelbo.report import write_report


def _arguments(parser: Parser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders")
    parser.add_argument("-o", "--output", metavar="FILE", help="default RUN/report.html")


def report(options: argparse.Namespace) -> None:
    """One HTML page."""
    path = write_report(options.runs, options.output)
    if options.json:
        print_json({"file": str(path)})
    else:
        note(options, f"Wrote {path}")


COMMAND = Command("nelbo report runs/mnist", _arguments, report)
