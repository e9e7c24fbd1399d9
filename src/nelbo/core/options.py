"""The options of a function, from its signature and its docstring: what flags, help texts and tables are made of."""

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any

_ENTRY = re.compile(r"(\w+): (.*)")


@dataclasses.dataclass(frozen=True)
class Option:
    """A keyword-only parameter.

    Args:
        name: of the parameter.
        type: its annotation.
        default: what it is when it is not given.
        help: what the docstring says about it; "" where it says nothing.
    """

    name: str
    type: Any
    default: Any
    help: str


def summary(function: Callable[..., Any]) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(function) or "").partition("\n")[0]


def options_of(function: Callable[..., Any]) -> tuple[Option, ...]:
    """The keyword-only parameters that have a default, in order.

    Args:
        function: a function or a dataclass with a docstring in Google's style, whose section `Args` describes them.
    """
    described = _described(inspect.getdoc(function) or "")
    return tuple(
        Option(
            name,
            item.annotation,
            list(item.default) if isinstance(item.default, tuple) else item.default,
            described.get(name, ""),
        )
        for name, item in inspect.signature(function).parameters.items()
        if item.kind is inspect.Parameter.KEYWORD_ONLY and item.default is not inspect.Parameter.empty
    )


def defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """The keyword-only parameters of a function with their default values."""
    return {option.name: option.default for option in options_of(function)}


def _described(text: str) -> dict[str, str]:
    """The entries of the section `Args` of a docstring, each as one line."""
    found: dict[str, list[str]] = {}
    inside, current = False, None
    for line in text.splitlines():
        if line and not line.startswith(" "):
            inside, current = line.strip() == "Args:", None
        elif inside and (entry := _ENTRY.fullmatch(line.strip())) and _indent(line) == 4:
            current = found.setdefault(entry[1], [entry[2]])
        elif inside and current is not None and line.strip():
            current.append(line.strip())
    return {name: " ".join(lines) for name, lines in found.items()}


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
