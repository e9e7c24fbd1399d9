"""Settings that come as JSON values, checked against the signature of the function that takes them."""

import inspect
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from nelbo.core.errors import InputError, choice

_WORDS = {int: "a whole number", float: "a finite number", str: "text", bool: "true or false", types.NoneType: "null"}
_PLURALS = {int: "whole numbers", float: "finite numbers", str: "texts"}


def checked_arguments(
    kind: str, function: Callable[..., Any], arguments: Mapping[str, Any], *, hidden: Iterable[str] = ()
) -> dict[str, Any]:
    """Keyword arguments of a function whose names it has and whose types it asks for.

    Numbers, text, booleans, lists of them and unions are checked; anything else that an annotation says is not.

    Args:
        kind: what the arguments are, for messages ("option of model vae").
        function: takes them.
        arguments: by name.
        hidden: parameters that are not the user's.

    Raises:
        InputError: an unknown name (the nearest is suggested), or a value of another type, NaN and infinity included.
    """
    signature = inspect.signature(function).parameters.items()
    listed = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    known = {name: item.annotation for name, item in signature if item.kind in listed and name not in set(hidden)}
    for name, value in arguments.items():
        wanted = known[choice(kind, name, known)]
        if not _fits(value, wanted):
            raise InputError(f"The {kind} {name!r} must be {_words(wanted)}, got {value!r}.")
    return dict(arguments)


def _fits(value: Any, wanted: Any) -> bool:
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in {typing.Union, types.UnionType}:
        return any(_fits(value, option) for option in inner)
    if origin is Literal or wanted is None:
        return value in inner or (wanted is None and value is None)
    if wanted in {int, float}:
        number = isinstance(value, int | float) if wanted is float else isinstance(value, int)
        return number and not isinstance(value, bool) and (isinstance(value, int) or math.isfinite(value))
    if origin in {Sequence, tuple, list}:
        return isinstance(value, list | tuple) and all(_fits(item, inner[0]) for item in value)
    return not inspect.isclass(wanted) or isinstance(value, wanted)


def _words(wanted: Any) -> str:
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in {typing.Union, types.UnionType}:
        return " or ".join(dict.fromkeys(_words(option) for option in inner))
    if origin is Literal:
        return " or ".join(repr(option) for option in inner)
    if origin in {Sequence, tuple, list}:
        return f"a list of {_PLURALS.get(inner[0], 'values')}"
    return _WORDS.get(wanted, f"a value of type {wanted.__name__ if inspect.isclass(wanted) else wanted}")
