"""`nelbo decompress`."""

import argparse
from pathlib import Path

from nelbo.cli.commands import Command
from nelbo.cli.compress import CONTEXT
from nelbo.cli.parser import Parser
from nelbo.codecs import is_picture
from nelbo.core import os_error


def _arguments(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .nlb file")
    parser.add_argument("--model", dest="run", metavar="RUN", help="the run folder, or model.safetensors, it was compressed with (the model inside, or for pictures the codec that comes with nelbo)")  # fmt: skip  # noqa: E501
    parser.add_argument("--context", metavar="FILE", help=CONTEXT)
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="a .npy file, or for pictures a .png or the like")  # fmt: skip  # noqa: E501


def begins_as_picture(path: str) -> bool:
    """Whether a file is a lossy picture.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return is_picture(file.read(64))
    except OSError as error:
        raise os_error("read", path, error) from error


def _run(options: argparse.Namespace) -> None:
    if begins_as_picture(options.file):
        from nelbo.cli.pictures import decompress_file

        decompress_file(options)
        return
    from nelbo.cli.codec import decompress  # loads JAX, for which pictures do not wait

    decompress(options)


COMMAND = Command("nelbo decompress photo.nlb -o photo.png", _arguments, _run)
