"""The table of commands."""

from nelbo.cli.codec import compress, decompress, info
from nelbo.cli.fit import fit
from nelbo.cli.impute import impute
from nelbo.cli.lists import cite, data, models, reproduce
from nelbo.cli.use import embed, evaluate, reconstruct, report, sample, topics, variance

COMMANDS = {
    "cite": cite,
    "compress": compress,
    "data": data,
    "decompress": decompress,
    "embed": embed,
    "evaluate": evaluate,
    "fit": fit,
    "impute": impute,
    "info": info,
    "models": models,
    "report": report,
    "reconstruct": reconstruct,
    "reproduce": reproduce,
    "sample": sample,
    "topics": topics,
    "variance": variance,
}
