"""`nelbo compress`."""

from nelbo.cli.codec import CONTEXT, compress
from nelbo.cli.commands import Command
from nelbo.cli.parser import Parser, data_folder, run_folder, split


def _arguments(parser: Parser) -> None:
    run_folder(parser)
    parser.add_argument("data", nargs="?", metavar="DATA", help="a .npy file, coded as it is, or a named set, another file or a folder (the run's own)")  # fmt: skip  # noqa: E501
    data_folder(parser)
    split(parser)
    parser.add_argument("--block", type=int, default=16384, metavar="N", help="examples in a block (default 16384)")
    parser.add_argument("--self-contained", action="store_true", help="put the model into the file")
    parser.add_argument("--no-verify", action="store_true", help="do not decode every block before it is written")
    parser.add_argument("--context", metavar="FILE", help=CONTEXT)
    parser.add_argument("-o", "--output", metavar="FILE", help="a .nlb file (default RUN/data.nlb)")


COMMAND = Command("nelbo compress runs/mnist -o mnist.nlb", _arguments, compress)
