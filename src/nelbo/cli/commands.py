"""The table of commands."""

import importlib
from collections.abc import Callable
from typing import Any

COMMANDS = {  # name -> module of this room, imported only when the command is called
    "cite": "lists",
    "compress": "codec",
    "data": "lists",
    "decompress": "codec",
    "embed": "use",
    "evaluate": "use",
    "fit": "fit",
    "impute": "impute",
    "info": "codec",
    "models": "lists",
    "report": "use",
    "reconstruct": "use",
    "reproduce": "lists",
    "sample": "use",
    "topics": "use",
    "variance": "use",
}


def command(name: str) -> Callable[[Any], None]:
    """The function that carries out a command."""
    return getattr(importlib.import_module(f"nelbo.cli.{COMMANDS[name]}"), name)
