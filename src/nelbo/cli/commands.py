"""The table of commands: a row here and a file of the same name beside it for each."""

import argparse
import dataclasses
import importlib
from collections.abc import Callable
from typing import Any

COMMANDS = {  # name -> what it does; `nelbo.cli.NAME`, - being _, has its `COMMAND`, imported when it is asked for
    "fit": "train a model and score it on the test set",
    "evaluate": "score a run's model",
    "sample": "draw examples from a run's model",
    "embed": "compute the latent coordinates of data",
    "reconstruct": "encode and decode data",
    "predict": "predict the target of new rows, or the values of pairs",
    "impute": "fill in missing entries",
    "forecast": "forecast the next values of series, or the next events",
    "swap": "combine the content of one sequence with the motion of another",
    "score": "score how novel rows are, and which columns make them so",
    "compress": "compress data losslessly, in about -ELBO bits, or pictures with loss",
    "decompress": "restore compressed data",
    "info": "describe a compressed file",
    "rd-bound": "bound the rate-distortion function of data from both sides",
    "variance": "compare gradient estimators on a batch of a run's training data",
    "topics": "print the strongest words of each latent of a run on documents",
    "report": "write one self-contained HTML page about runs",
    "reproduce": "repeat a paper's experiments",
    "data": "list or show data sets",
    "models": "list or show models",
    "objectives": "list or show training objectives",
    "cite": "print a paper's BibTeX entry",
}


@dataclasses.dataclass(frozen=True)
class Command:
    """One command.

    Args:
        examples: whole lines; together they show every option that is the command's own.
        arguments: puts the command's arguments on its parser.
        run: carries it out.
    """

    examples: tuple[str, ...]
    arguments: Callable[[Any], None]
    run: Callable[[argparse.Namespace], None]


def command(name: str) -> Command:
    """The command called `name`."""
    return importlib.import_module(f"nelbo.cli.{name.replace('-', '_')}").COMMAND
