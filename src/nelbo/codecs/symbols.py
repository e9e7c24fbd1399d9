"""How an array holds the symbols of a model's data, and back."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from nelbo.codecs.networks import GREY, Node
from nelbo.core import InputError

_TOP = GREY - 1


def form_of(node: Node, x: np.ndarray) -> str:
    """How the array holds the symbols: "whole" if by their values, "unit" if they are 0 .. 255 divided by 255.

    Args:
        node: the model's data.
        x: `(examples, ...)`.

    Raises:
        InputError: it does not hold symbols of the model.
    """
    low, high = _ends(node)
    wanted = "0 and 1" if (low, high) == (0, 1) else f"whole numbers {low} .. {high}"
    if x.dtype.kind not in "buif" or x.dtype.itemsize > 8:
        raise InputError(f"An array of type {x.dtype} cannot be compressed: give {wanted}.")
    forms = ("whole", "unit") if (low, high) == (0, _TOP) else ("whole",)
    if x.dtype.kind == "f" and _is_grey(node):
        forms = ("unit", "whole")  # zeros and ones alone are grey values to such a model
    for form in forms if x.dtype.kind == "f" else ("whole",):
        if all(_fits(node, form, part) for part in _pieces(x)):
            return form
    if x.dtype.kind == "f" and any(np.isnan(part).any() for part in _pieces(x)):
        raise InputError(
            "The array has missing entries (NaN), and a code for them would need values: fill them in first "
            "(`nelbo impute`)."
        )
    ways = f"{wanted}, or floats k / 255" if len(forms) > 1 and x.dtype.kind == "f" else wanted
    raise InputError(f"This model codes {ways}, but the array holds other values: give such data.")


def to_symbols(node: Node, form: str, part: np.ndarray) -> np.ndarray:
    """Symbols of examples, `(examples, units)`, int64, from 0 upwards."""
    flat = part.reshape(len(part), node.units)
    if form == "unit":
        return np.round(flat.astype(float) * float(_TOP)).astype(np.int64)
    return flat.astype(np.int64) - _ends(node)[0]


def to_values(node: Node, form: str, symbols: np.ndarray, like: Any) -> np.ndarray:
    """Symbols as an array of the shape and type of another."""
    flat = symbols / float(_TOP) if form == "unit" else symbols + _ends(node)[0]
    return flat.astype(like.dtype).reshape(like.shape)


def _ends(node: Node) -> tuple[int, int]:
    """The smallest and the greatest whole number that an array holds."""
    low = 0 if _is_grey(node) else int(node.values[0])
    return low, low + node.levels - 1


def _is_grey(node: Node) -> bool:
    """Whether the networks see 0 .. 255 as numbers from 0 to 1."""
    return node.levels == GREY and float(node.values[-1]) == 1.0


def _pieces(x: np.ndarray) -> Iterator[np.ndarray]:
    step = max(1, 2**22 // max(1, x[:1].size))
    return (x[low : low + step] for low in range(0, len(x), step))


def _fits(node: Node, form: str, part: np.ndarray) -> bool:
    if not part.size:
        return True
    if part.dtype.kind == "f" and not np.isfinite(part).all():
        return False
    low, high = (0, 1) if form == "unit" else _ends(node)
    if part.min() < low or part.max() > high:
        return False
    back = to_values(node, form, to_symbols(node, form, part), part)
    return back.tobytes() == np.ascontiguousarray(part).tobytes()
