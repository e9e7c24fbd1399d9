"""What users add to nelbo: a value that holds their models, likelihoods, objectives and data sets by name."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from importlib import metadata
from typing import Any

from nelbo.core.errors import InputError

GROUP = "nelbo.plugins"


@dataclasses.dataclass(frozen=True)
class Registry:
    """Parts by name, of a user or of an installed package.

    Args:
        models: families, see `nelbo.models.Family`.
        likelihoods: see `nelbo.models.Likelihood`.
        objectives: see `nelbo.objectives.Maker`.
        datasets: see `nelbo.data.NamedData`.
        posteriors: over what all examples share, see `nelbo.bayes.SharedPosterior`.
        priors: of the same, see `nelbo.bayes.SharedPrior`.
        orders: of the examples in training, see `nelbo.training.Order`.
    """

    models: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    likelihoods: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    objectives: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    datasets: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    posteriors: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    priors: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    orders: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __or__(self, other: "Registry") -> "Registry":
        """Both together.

        Raises:
            InputError: a name that both have.
        """
        return Registry(**{
            field.name: joined(field.name, getattr(self, field.name), getattr(other, field.name))
            for field in dataclasses.fields(self)
        })  # fmt: skip


def joined(kind: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Two tables of one kind of part as one.

    Raises:
        InputError: a name that stands for one part here and for another there.
    """
    if twice := sorted(name for name in set(first) & set(second) if first[name] is not second[name]):
        raise InputError(f"There are two {kind} called {twice[0]!r}: rename the one that was added.")
    return {**first, **second}


@functools.cache
def installed() -> Registry:
    """The parts of all installed packages that have an entry point in the group `nelbo.plugins`.

    Raises:
        InputError: an entry point that cannot be imported, or that is no `Registry`.
    """
    found = Registry()
    for entry in metadata.entry_points(group=GROUP):
        try:
            part = entry.load()
        except Exception as error:
            raise InputError(f"The plugin {entry.name} ({entry.value}) cannot be loaded: {error}.") from error
        if not isinstance(part, Registry):
            raise InputError(f"The plugin {entry.name} ({entry.value}) must be a nelbo.Registry, not {part!r}.")
        found = found | part
    return found


_ADDED: ContextVar[Registry | None] = ContextVar("nelbo_added", default=None)


def added() -> Registry:
    """The parts that are there beside nelbo's own: those of installed packages and those in use here."""
    own = _ADDED.get()
    return installed() if own is None else installed() | own


@contextlib.contextmanager
def using(registry: Registry) -> Iterator[None]:
    """Have the parts of a registry found by name inside a `with` block; blocks may be nested."""
    outer = _ADDED.get()
    token = _ADDED.set(registry if outer is None else outer | registry)
    try:
        yield
    finally:
        _ADDED.reset(token)
