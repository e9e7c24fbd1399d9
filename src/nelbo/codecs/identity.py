"""Which model a file was written with: digests, and whether a model can be coded with at all."""

import hashlib
import json
from typing import Any

import numpy as np

from nelbo.codecs.container import FORMAT
from nelbo.core import InputError
from nelbo.models import Model, ModelSpec, format1, named_arrays, without_globals

# Options that families were given after format 2, with the value at which a model is as it was before. Digests leave
# them out at that value, for a model of an earlier file is built with them too.
_LATER: dict[str, dict[str, Any]] = {}


def model_digest(model: Model, number: int = FORMAT) -> str:
    """SHA-256 of a model's specification and of every array's name, type, shape and bytes, hex.

    What is random in a model is no part of it: files are coded with the model at its point.

    Args:
        model: any.
        number: of the format of files whose header has it.
    """
    arrays, spec = named_arrays(without_globals(model)), model.spec
    if spec is None:
        told = ""
    elif number == 1:
        told, arrays = format1.digest_text(spec), format1.written(arrays, spec)
    else:
        told = _told(spec)
    found = hashlib.sha256(told.encode())
    for name in sorted(arrays):
        value = arrays[name]
        little = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"))
        found.update(f"{name}|{little.dtype.str}|{value.shape}|".encode())
        found.update(little.tobytes())
    return found.hexdigest()


def _told(spec: ModelSpec) -> str:
    """What a specification spells out, JSON."""
    later = _LATER.get(spec.name, {})
    arguments = {k: v for k, v in spec.arguments.items() if k not in later or later[k] != v}
    return json.dumps({"name": spec.name, "arguments": arguments}, sort_keys=True)


def check_finite(model: Model) -> None:
    """Refuse a model that cannot be coded with.

    Raises:
        InputError: one of its numbers is NaN or infinite.
    """
    for name, value in named_arrays(model).items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise InputError(
                f"The model's parameters are not finite ({name.lstrip('.')}), so it has diverged and cannot be coded "
                "with: fit it again, with a lower learning rate perhaps."
            )
