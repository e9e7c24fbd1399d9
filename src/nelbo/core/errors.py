"""Errors a person can act on: one sentence that says what was wrong, what was expected and what to do."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input at the public edge. The command line prints the message and exits with code 2."""


class NotFiniteError(ArithmeticError):
    """A NaN or infinity appeared while training; the message names the step and the term."""


def choice(kind: str, name: str, options: Iterable[str]) -> str:
    """Return `name` if it is one of `options`; else raise `InputError` that suggests the nearest one.

    Args:
        kind: what is being chosen, for the message ("model", "data set").
        name: what was asked for.
        options: the names that exist.
    """
    names = sorted(options)
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(f"Unknown {kind} {name!r}: {hint}choose one of {', '.join(names)}.")
