"""The ground floor: errors, files and numerics that every other room may use."""

from nelbo.core.arguments import checked_arguments, defaults
from nelbo.core.compilation import ONCE
from nelbo.core.errors import InputError, NotFiniteError, choice
from nelbo.core.example import Corrupted, Masked, input_of, observed_of, values_of
from nelbo.core.files import atomic_write, os_error, read_arrays, read_json, remove_leftovers, write_arrays, write_json
from nelbo.core.numerics import NATS_PER_BIT, log_mean_exp, softplus
from nelbo.core.random import normal, random_words, seeded, split, uniform

__all__ = [
    "NATS_PER_BIT",
    "ONCE",
    "Corrupted",
    "InputError",
    "Masked",
    "NotFiniteError",
    "atomic_write",
    "checked_arguments",
    "choice",
    "defaults",
    "input_of",
    "log_mean_exp",
    "normal",
    "observed_of",
    "os_error",
    "random_words",
    "read_arrays",
    "read_json",
    "remove_leftovers",
    "seeded",
    "softplus",
    "split",
    "uniform",
    "values_of",
    "write_arrays",
    "write_json",
]
