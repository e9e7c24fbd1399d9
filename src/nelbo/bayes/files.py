"""What all examples share on disk: one `.safetensors` file beside the model's own."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import equinox as eqx

from nelbo._version import __version__
from nelbo.bayes.collector import SAMPLES, described_samples
from nelbo.bayes.shared import PARAMETERS, described_parameters
from nelbo.core import InputError, choice, read_arrays, write_arrays
from nelbo.models import ModelSpec, fill, named_arrays, with_globals

FILE, FORMAT = "weight posterior", 3
# from what `Globals.described` gave, and the model, to the model with such globals before any training
GLOBALS: Mapping[str, Callable[[ModelSpec, Any], Any]] = {
    PARAMETERS: described_parameters,
    SAMPLES: described_samples,
}
_OLD = ".globals"  # in format 2 the file held the arrays of the model too


def save_globals(path: Path | str, model: Any) -> None:
    """Write the globals of a model, whole or not at all; the model at its point is in a file of its own.

    Raises:
        InputError: the model has none, they do not say how they are built, or the disk is full.
    """
    spec = None if model.globals is None else model.globals.described()
    if spec is None:
        raise InputError("This model has no globals, or none that say how they are built: save its arrays yourself.")
    header = {"kind": FILE, "format": FORMAT, "version": __version__, "globals": spec.record()}
    write_arrays(path, named_arrays(model.globals), header)


def load_globals(path: Path | str, model: Any, *, before: ModelSpec | None = None) -> Any:
    """The model with the globals of a file. No code of the file is run.

    Args:
        path: what `save_globals` wrote.
        model: at its point, from the same run.
        before: what the globals of a file of format 2, which does not say it, were built from.

    Raises:
        InputError: missing, damaged, of another kind or model, or written by a newer nelbo.
    """
    arrays, header = read_arrays(path, FILE)
    if not isinstance(header, dict) or header.get("kind") != FILE:
        raise InputError(f"{path} is no posterior: use the posterior.safetensors of a run folder.")
    version = header.get("format")
    if version == 2 and before is not None:
        spec = before
        arrays = {name.removeprefix(_OLD): array for name, array in arrays.items() if name.startswith(_OLD)}
    elif version == FORMAT:
        spec = ModelSpec.from_record(header.get("globals"), str(path))
    else:
        raise InputError(f"{path} has posterior format {version}, this nelbo reads 2 and {FORMAT}: update nelbo.")
    make = GLOBALS[choice("kind of globals", spec.name, GLOBALS)]
    try:
        empty = eqx.filter_eval_shape(lambda m: make(spec, m).globals, model)
    except (InputError, TypeError, KeyError, ValueError, ArithmeticError, MemoryError) as error:
        raise InputError(f"{path} is of another nelbo or damaged: nothing can be built from it ({error}).") from error
    return with_globals(model, fill(empty, arrays, path))
