"""Beartype for the functions of nelbo while the tests run, once for each function that is written in a file.

Jaxtyping's import hook decorates functions inside functions too, and so again at every call of the outer one, which
costs milliseconds each time: half the time of some tests. What it hands to the checker is an empty function that has
nothing but the signature, so that one check serves all that have the same.
"""

from collections.abc import Callable
from typing import Any

from beartype import beartype

CHECKED: dict[tuple, Callable[..., Any]] = {}


def checked(signature: Callable[..., Any]) -> Callable[..., Any]:
    """`beartype(signature)`, or an earlier answer for the same signature."""
    code = signature.__code__
    names = (signature.__module__, signature.__qualname__, code.co_varnames[: code.co_nlocals], code.co_flags)
    # annotations of inner functions may name what differs from call to call, as a size
    key = (*names, tuple(map(repr, signature.__annotations__.values())))
    if key not in CHECKED:
        CHECKED[key] = beartype(signature)
    return CHECKED[key]
