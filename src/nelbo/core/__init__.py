"""The ground floor: errors, files and numerics that every other room may use.

The names below are imported when they are first used: a picture is coded without waiting for JAX.
"""

from typing import TYPE_CHECKING

from nelbo._lazy import lazy

if TYPE_CHECKING:
    from nelbo.core.arguments import checked_arguments as checked_arguments
    from nelbo.core.compilation import abstract as abstract
    from nelbo.core.compilation import compiled as compiled
    from nelbo.core.errors import InputError as InputError
    from nelbo.core.errors import NotFiniteError as NotFiniteError
    from nelbo.core.errors import choice as choice
    from nelbo.core.example import AnyExample as AnyExample
    from nelbo.core.example import Example as Example
    from nelbo.core.example import as_example as as_example
    from nelbo.core.files import atomic_write as atomic_write
    from nelbo.core.files import check_regular as check_regular
    from nelbo.core.files import os_error as os_error
    from nelbo.core.files import read_arrays as read_arrays
    from nelbo.core.files import read_json as read_json
    from nelbo.core.files import remove_leftovers as remove_leftovers
    from nelbo.core.files import write_arrays as write_arrays
    from nelbo.core.files import write_json as write_json
    from nelbo.core.memory import keep_memory as keep_memory
    from nelbo.core.numerics import NATS_PER_BIT as NATS_PER_BIT
    from nelbo.core.numerics import log_mean_exp as log_mean_exp
    from nelbo.core.numerics import product as product
    from nelbo.core.numerics import softplus as softplus
    from nelbo.core.options import Option as Option
    from nelbo.core.options import defaults as defaults
    from nelbo.core.options import options_of as options_of
    from nelbo.core.options import summary as summary
    from nelbo.core.random import random_normals as random_normals
    from nelbo.core.random import random_words as random_words
    from nelbo.core.random import with_fresh_keys as with_fresh_keys
    from nelbo.core.registry import GROUP as GROUP
    from nelbo.core.registry import Registry as Registry
    from nelbo.core.registry import added as added
    from nelbo.core.registry import joined as joined
    from nelbo.core.registry import using as using

_HOMES = {
    "AnyExample": "example",
    "Example": "example",
    "GROUP": "registry",
    "InputError": "errors",
    "NATS_PER_BIT": "numerics",
    "NotFiniteError": "errors",
    "Option": "options",
    "Registry": "registry",
    "abstract": "compilation",
    "added": "registry",
    "as_example": "example",
    "atomic_write": "files",
    "check_regular": "files",
    "checked_arguments": "arguments",
    "choice": "errors",
    "compiled": "compilation",
    "defaults": "options",
    "joined": "registry",
    "keep_memory": "memory",
    "log_mean_exp": "numerics",
    "options_of": "options",
    "os_error": "files",
    "product": "numerics",
    "random_normals": "random",
    "random_words": "random",
    "read_arrays": "files",
    "read_json": "files",
    "remove_leftovers": "files",
    "softplus": "numerics",
    "summary": "options",
    "using": "registry",
    "with_fresh_keys": "random",
    "write_arrays": "files",
    "write_json": "files",
}

__all__ = [*_HOMES]  # noqa: PLE0604 (all are strings)

__getattr__, __dir__ = lazy(__name__, _HOMES)
