"""The ground floor: errors, files and numerics that every other room may use."""

from nelbo.core.arguments import checked_arguments
from nelbo.core.compilation import abstract, compiled
from nelbo.core.errors import InputError, NotFiniteError, choice
from nelbo.core.example import AnyExample, Example, as_example
from nelbo.core.files import atomic_write, os_error, read_arrays, read_json, remove_leftovers, write_arrays, write_json
from nelbo.core.numerics import NATS_PER_BIT, log_mean_exp, softplus
from nelbo.core.options import Option, defaults, options_of, summary
from nelbo.core.random import random_normals, random_words, with_fresh_keys
from nelbo.core.registry import GROUP, Registry, added, joined, using

__all__ = [
    "GROUP",
    "NATS_PER_BIT",
    "AnyExample",
    "Example",
    "InputError",
    "NotFiniteError",
    "Option",
    "Registry",
    "abstract",
    "added",
    "as_example",
    "atomic_write",
    "checked_arguments",
    "choice",
    "compiled",
    "defaults",
    "joined",
    "log_mean_exp",
    "options_of",
    "os_error",
    "random_normals",
    "random_words",
    "read_arrays",
    "read_json",
    "remove_leftovers",
    "softplus",
    "summary",
    "using",
    "with_fresh_keys",
    "write_arrays",
    "write_json",
]
