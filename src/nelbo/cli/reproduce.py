"""`nelbo reproduce`."""

import argparse
from pathlib import Path

from nelbo.cli.commands import Command
from nelbo.cli.output import note, print_json
from nelbo.cli.page_jobs import run_in_processes
from nelbo.cli.paper import show_page
from nelbo.cli.parser import Parser, data_folder
from nelbo.core import InputError, choice
from nelbo.papers import PAPERS
from nelbo.report import text_table
from nelbo.training import Callback, Interrupted, Progress


def _arguments(parser: Parser) -> None:
    parser.add_argument("paper", metavar="PAPER", help=", ".join(PAPERS))
    parser.add_argument(
        "--budget", choices=["smoke", "quick", "paper"], default="quick", help="how much is computed (default quick)"
    )
    parser.add_argument("--out", metavar="DIR", help="folder of the runs (default runs/PAPER-BUDGET)")
    data_folder(parser)
    parser.add_argument(
        "--only",
        metavar="PART",
        nargs="+",
        default=[],
        help="run only these parts, given by name or by how their names begin",
    )
    parser.add_argument(
        "--jobs",
        metavar="N",
        type=int,
        default=1,
        help="parts that run at the same time, each in its own process (default 1)",
    )
    records = (
        "folder with small records of finished parts: they are written there, and shown for parts that are not run here"
    )
    parser.add_argument("--records", metavar="DIR", help=records)
    parser.add_argument(
        "--redraw", action="store_true", help="run nothing; draw the page from what is finished or recorded"
    )


def reproduce(options: argparse.Namespace) -> None:
    """Run a paper's page."""
    page = PAPERS[choice("paper", options.paper, PAPERS)]
    folder = Path(options.out or f"runs/{options.paper}-{options.budget}")

    if options.jobs < 1:
        raise InputError(f"--jobs must be at least 1, got {options.jobs}.")
    if options.redraw and (options.only or options.jobs > 1):
        raise InputError("--redraw runs nothing: leave --only and --jobs out.")
    if options.jobs > 1:
        run_in_processes(page, folder, options)

    def callbacks(steps: int, batch_size: int) -> list[Callback]:
        return [] if options.quiet else [Progress(steps, batch_size)]

    try:
        result = page.reproduce(
            folder,
            budget=options.budget,
            seed=options.seed,
            data_dir=options.data_dir,
            only=options.only,
            records=None if options.records is None else Path(options.records),
            redraw=options.redraw,
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


COMMAND = Command(
    (
        "nelbo reproduce kingma2014 --budget smoke",
        "nelbo reproduce mnih2014 --budget paper --only table-1/sbn-200/ --jobs 2 --data-dir data/",
        "nelbo reproduce recognition-models --budget quick --records records/ --redraw --out runs/table",
    ),
    _arguments,
    reproduce,
)
