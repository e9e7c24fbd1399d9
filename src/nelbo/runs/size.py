"""How large a model is, before any of it is there."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.random as jr
import optax

from nelbo.core import InputError
from nelbo.models import Model, build
from nelbo.nets import trainable

MOST_BYTES = 2e9


@dataclasses.dataclass(frozen=True)
class Size:
    """What training a model takes.

    Args:
        parameters: how many numbers are trained.
        bytes: of the parameters, their gradient and the optimizer's state.
    """

    parameters: int
    bytes: int

    def __str__(self) -> str:
        return f"{self.parameters:,} parameters, {self.bytes / 1e6:,.1f} MB with their gradient and the optimizer"


def model_size(name: str, arguments: Mapping[str, Any], optimizer: optax.GradientTransformation) -> Size:
    """The size of a named model, from shapes alone.

    Raises:
        InputError: see `nelbo.models.build`.
    """

    def parts() -> tuple[Model, Any]:
        model = build(jr.key(0), name, arguments)
        params = eqx.filter(model, trainable(model))
        return params, optimizer.init(params)

    params, state = (jax.tree.leaves(part) for part in eqx.filter_eval_shape(parts))
    held = sum(leaf.size * leaf.dtype.itemsize for leaf in (*params, *params, *state))
    return Size(sum(leaf.size for leaf in params), held)


def check_size(size: Size, most_bytes: float, shape: tuple[int, ...]) -> None:
    """Refuse a model that is too large to be meant.

    Raises:
        InputError: more bytes than that.
    """
    if size.bytes > most_bytes:
        raise InputError(
            f"This model has {size}, above the limit of {most_bytes / 1e9:g} GB: its layers next to the examples of "
            f"shape {list(shape)} are too wide; give smaller sizes (--hidden, --layers), convolutions or smaller "
            "examples, or raise --max-gigabytes."
        )
