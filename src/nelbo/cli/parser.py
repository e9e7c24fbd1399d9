"""The command line's parser: errors are one sentence, and a command's arguments are read from its own file."""

import argparse
import difflib
import json
import math
import re
import shlex
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from nelbo._version import __version__
from nelbo.cli.commands import COMMANDS, Command, command

DESCRIPTION = "Deep latent variable models with learned recognition models: train, score, sample, embed, compress."
EPILOG = """examples:
  nelbo fit vae --data digits --out runs/digits
  nelbo evaluate runs/digits --bound iwae --samples 1000
  nelbo report runs/digits

Likelihoods are in nats per example unless another unit is named.
Exit codes: 0 done, 1 training diverged, 2 bad input, 130 interrupted with the state saved."""


class Parser(argparse.ArgumentParser):
    """Errors are one sentence, with the nearest valid word."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # an abbreviation that works today would mean another option tomorrow
        super().__init__(*arguments, **{"allow_abbrev": False, **options})
        self.register("type", int, whole)
        self.register("type", float, real)

    def error(self, message: str) -> NoReturn:
        """Print one sentence and exit with code 2."""
        if "invalid choice: " in message and "(choose from" in message:
            typed = message.split("invalid choice: ")[1].split(" (choose", maxsplit=1)[0].strip("'")
            listed = message.split("(choose from ")[1].rstrip(")")
            names = [name.strip().strip("'") for name in listed.split(",")]
            near = difflib.get_close_matches(typed, names, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            message = f"unknown word {typed!r}: {hint}choose one of {', '.join(names)}"
        elif message.startswith("unrecognized arguments: "):
            typed = message.removeprefix("unrecognized arguments: ").split()[0]
            near = difflib.get_close_matches(typed.split("=")[0], self.flags(), n=1, cutoff=0.5)
            hint = f", did you mean {near[0]}?" if near and typed.startswith("-") else ""
            message = f"unknown option {typed}{hint}" if typed.startswith("-") else f"one word too many, {typed!r}"
        print(f"{self.prog}: {message}; see `{self.prog} --help`.".replace("?;", "?"), file=sys.stderr)
        sys.exit(2)

    def flags(self) -> list[str]:
        """Every option that this parser knows."""
        named = (line.strip().split("  ")[0] for line in self.format_help().splitlines() if line.startswith("  -"))
        return [flag for line in named for flag in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", line)]


def whole(text: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from error


def real(text: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}") from error
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a finite number, got {text!r}")
    return value


def qualities(text: str) -> list[float]:
    """Numbers from 0 to 100, separated by commas."""
    found = [real(part) for part in text.split(",") if part]
    if not found or not all(0 <= value <= 100 for value in found):
        raise argparse.ArgumentTypeError(f"expected numbers from 0 to 100, got {text!r}")
    return found


def setting(text: str) -> tuple[str, Any]:
    """NAME=VALUE, the value as JSON where it is JSON and as text where it is not."""
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def _common() -> Parser:
    """What every command takes."""
    common = Parser(add_help=False)
    group = common.add_argument_group("everywhere")
    group.add_argument("--seed", type=int, default=0, help="random seed (default 0)")
    group.add_argument("--json", action="store_true", help="print the result as JSON on standard output")
    group.add_argument("--quiet", action="store_true", help="print no progress and no comments")
    return common


def run_folder(parser: Parser) -> None:
    """The argument RUN."""
    parser.add_argument("run", metavar="RUN", help="run folder")


def data_folder(parser: Parser) -> None:
    """The option --data-dir."""
    parser.add_argument("--data-dir", metavar="DIR", help="a folder with the files of named sets (or set NELBO_DATA)")


def other_data(parser: Parser) -> None:
    """The options --data and --data-dir of a command that reads the run's own data unless it is told otherwise."""
    parser.add_argument(
        "--data", metavar="NAME|PATH", help="a named set, a file or a folder (default: the run's own data)"
    )
    data_folder(parser)


def split(parser: Parser) -> None:
    """The option --split."""
    usual = "which split to read (default test; all rows of a file that has no splits)"
    parser.add_argument("--split", choices=["train", "valid", "test"], help=usual)


def refine(parser: Parser) -> None:
    """The option --refine."""
    parser.add_argument("--refine", type=int, metavar="N", help="refine q for each example by N gradient steps (docs/inference.md)")  # fmt: skip  # noqa: E501


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of one command, with the whole line as `line` and what carries them out as `carry_out`."""
    main, commands = parsers(arguments[0] if arguments else None)
    options, extra = main.parse_known_args(arguments)
    if extra:
        commands[options.command].error(f"unrecognized arguments: {' '.join(extra)}")
    options.line = shlex.join(["nelbo", *arguments])
    return options


def parsers(wanted: str | None) -> tuple[Parser, dict[str, Parser]]:
    """The whole command line, and the parser of each command.

    Only the command that is wanted is imported and has its arguments, so that `nelbo --help` need not import JAX.
    """
    main = Parser(prog="nelbo", description=DESCRIPTION, epilog=EPILOG,
                  formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    main.add_argument("--version", action="version", version=f"nelbo {__version__}")
    table = main.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    made = {}
    for name, summary in COMMANDS.items():
        if name != wanted:
            made[name] = table.add_parser(name, help=summary)
            continue
        found = command(name)
        made[name] = table.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog="\n  ".join([f"example{'s' * (len(found.examples) > 1)}:", *found.examples]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[_common()],
        )
        made[name].set_defaults(carry_out=found.run)
        _put(found, made[name])
    return main, made


def _put(found: Command, parser: Parser) -> None:
    """Put a command's arguments on its parser; what is wrong with an installed plugin is told in its one sentence."""
    from nelbo.core import InputError  # which every command has imported by now

    try:
        found.arguments(parser)
    except InputError as error:
        print(f"nelbo: {error}", file=sys.stderr)
        sys.exit(2)
