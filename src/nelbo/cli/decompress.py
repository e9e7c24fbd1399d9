"""`nelbo decompress`."""

from nelbo.cli.codec import CONTEXT, decompress
from nelbo.cli.commands import Command
from nelbo.cli.parser import Parser


def _arguments(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .nlb file")
    parser.add_argument("--model", dest="run", metavar="RUN", help="the run folder, or model.safetensors, it was compressed with (the model inside)")  # fmt: skip  # noqa: E501
    parser.add_argument("--context", metavar="FILE", help=CONTEXT)
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="a .npy file")


COMMAND = Command("nelbo decompress mnist.nlb --model runs/mnist -o back.npy", _arguments, decompress)
