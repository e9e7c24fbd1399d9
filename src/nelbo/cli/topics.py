"""`nelbo topics`."""

import argparse

from nelbo.cli.commands import Command
from nelbo.cli.output import print_json
from nelbo.cli.parser import Parser, other_data, run_folder
from nelbo.cli.writing import opened
from nelbo.core import InputError
from nelbo.evaluation import topic_words


def _arguments(parser: Parser) -> None:
    run_folder(parser)
    parser.add_argument("-n", "--count", type=int, default=10, metavar="N", help="words of each topic (default 10)")
    other_data(parser)


def topics(options: argparse.Namespace) -> None:
    """The strongest words of each latent."""
    run, data, _ = opened(options, None)
    if data.values != "counts":
        raise InputError(f"{data.name} holds no words: topics are for runs on word counts (sotu, newsgroups, bars, or a file of counts).")  # fmt: skip  # noqa: E501
    words = data.vocabulary or data.schema.feature_names or tuple(map(str, range(data.shape[0])))
    found = topic_words(run.model, words, count=options.count)
    if options.json:
        print_json(found)
    else:
        print("\n".join(f"{i:3d}  {' '.join(words)}" for i, words in enumerate(found)))


COMMAND = Command(
    (
        "nelbo topics runs/sotu -n 10",
        "nelbo topics runs/sotu --data sotu --data-dir data/",
    ),
    _arguments,
    topics,
)
