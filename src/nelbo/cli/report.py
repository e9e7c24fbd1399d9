"""`nelbo report`."""

import argparse
import contextlib

from nelbo.cli.commands import Command
from nelbo.cli.output import note, print_json
from nelbo.cli.parser import Parser
from nelbo.core import InputError
from nelbo.report import write_report
from nelbo.runs import keep_typical, open_run


def _arguments(parser: Parser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders")
    parser.add_argument("-o", "--output", metavar="FILE", help="the page (default RUN/report.html)")


def report(options: argparse.Namespace) -> None:
    """One HTML page."""
    if len(options.runs) == 1:
        with contextlib.suppress(InputError):  # an unfinished or damaged run has a report without them
            keep_typical(open_run(options.runs[0]))
    path = write_report(options.runs, options.output)
    if options.json:
        print_json({"file": str(path)})
    else:
        note(options, f"Wrote {path}")


COMMAND = Command(
    (
        "nelbo report runs/mnist",
        "nelbo report runs/digits runs/mnist -o comparison.html",
    ),
    _arguments,
    report,
)
