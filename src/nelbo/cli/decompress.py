"""`nelbo decompress`."""

import argparse
from pathlib import Path

from nelbo.cli.commands import Command
from nelbo.cli.compress import CONTEXT
from nelbo.cli.parser import Parser
from nelbo.codecs import MAGIC, is_model, is_picture
from nelbo.core import InputError, os_error


def _arguments(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .nlb file")
    parser.add_argument("--model", dest="run", metavar="RUN", help="the run folder or model.safetensors that the file was compressed with (default: the model stored in the file; for pictures, the codec that comes with nelbo)")  # fmt: skip  # noqa: E501
    parser.add_argument("--context", metavar="FILE", help=CONTEXT)
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="a .npy file; for pictures a .png or the like, for models a .safetensors file")  # fmt: skip  # noqa: E501


def _beginning(path: str) -> bytes:
    """The first bytes of a file.

    Raises:
        InputError: it cannot be read, or is none that nelbo wrote.
    """
    try:
        with Path(path).open("rb") as file:
            first = file.read(64)
    except OSError as error:
        raise os_error("read", path, error) from error
    if not first.startswith(MAGIC):
        raise InputError(f"{path} is no .nlb file: give one that `nelbo compress` wrote.")
    return first


def _run(options: argparse.Namespace) -> None:
    first = _beginning(options.file)
    if is_model(first):
        from nelbo.cli.weights import decompress_model

        decompress_model(options)
        return
    if is_picture(first):
        from nelbo.cli.pictures import decompress_file

        decompress_file(options)
        return
    from nelbo.cli.codec import decompress  # loads JAX, for which pictures do not wait

    decompress(options)


COMMAND = Command(
    (
        "nelbo decompress photo.nlb -o photo.png",
        "nelbo decompress digits.nlb --model runs/digits -o digits.npy",
        "nelbo decompress images.nlb --model runs/conditional --context labels.npy -o images.npy",
    ),
    _arguments,
    _run,
)
