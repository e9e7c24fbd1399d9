"""`nelbo info`."""

from nelbo.cli.codec import info
from nelbo.cli.commands import Command
from nelbo.cli.parser import Parser


def _arguments(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .nlb file")


COMMAND = Command(("nelbo info mnist.nlb",), _arguments, info)
