"""Models on disk: one `.safetensors` file whose header rebuilds the module."""

from pathlib import Path
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from nelbo._version import __version__
from nelbo.core import InputError, read_arrays, write_arrays
from nelbo.models import format1
from nelbo.models.families import skeleton
from nelbo.models.globals import stored
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model

FORMAT = 2
Tree = TypeVar("Tree")


def named_arrays(tree: Any) -> dict[str, np.ndarray]:
    """Arrays of a module by their paths, PRNG keys as their raw words."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(tree, eqx.is_array))
    return {_name(path): _turned(path, np.asarray(_raw(leaf))) for path, leaf in leaves}


def _is_kernel(path: Any) -> bool:
    return bool(path) and isinstance(path[-1], jax.tree_util.GetAttrKey) and path[-1].name == "kernel"


def _name(path: Any) -> str:
    """Files hold the matrix of a dense layer as W, whatever its layout in memory."""
    name = jax.tree_util.keystr(path)
    return f"{name.removesuffix('kernel')}weight" if _is_kernel(path) else name


def _turned(path: Any, value: np.ndarray) -> np.ndarray:
    """From the layout in memory to that in a file, and back."""
    turned = _is_kernel(path) and value.ndim >= 2  # a damaged file may hold anything
    return np.ascontiguousarray(np.swapaxes(value, -1, -2)) if turned else value


def _raw(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def fill(tree: Tree, arrays: dict[str, np.ndarray], path: Path | str) -> Tree:
    """Put arrays into a module of the same structure, checking names, shapes and types.

    Args:
        tree: arrays or shapes.
        arrays: by path, as from `named_arrays`.
        path: the file they came from, for messages.

    Raises:
        InputError: an array is missing, left over, or of another shape or type.
    """
    is_array = lambda leaf: eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)  # noqa: E731
    leaves, structure = jax.tree_util.tree_flatten_with_path(tree)
    wanted = {_name(place) for place, leaf in leaves if is_array(leaf)}
    if wanted != set(arrays):
        odd = sorted(wanted ^ set(arrays))[0]
        word = "lacks" if odd in wanted else "has an unknown"
        raise InputError(f"{path} {word} array {odd}: it was written for another model or version of nelbo.")
    return jax.tree.unflatten(
        structure, [_checked(leaf, arrays, place, path) if is_array(leaf) else leaf for place, leaf in leaves]
    )


def _checked(leaf: Any, arrays: dict[str, np.ndarray], place: Any, path: Path | str) -> Any:
    name = _name(place)
    value = _turned(place, arrays[name])
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    want = jax.eval_shape(jax.random.key_data, leaf) if is_key else leaf
    if value.shape != want.shape or value.dtype != want.dtype:
        raise InputError(
            f"{path}: array {name} is {value.dtype}{list(value.shape)}, expected {want.dtype}{list(want.shape)}: "
            "it was written for another model."
        )
    return jax.random.wrap_key_data(jnp.asarray(value)) if is_key else jnp.asarray(value)


def save_model(path: Path | str, model: Model) -> None:
    """Write a model, whole or not at all. What it is built from is spelled out, defaults and all.

    Globals are left out, unless the family builds them: the file holds the model at its point (see
    `nelbo.bayes.save_globals`).

    Raises:
        InputError: the model was not made by a named family (it has no specification), or the disk is full.
    """
    if model.spec is None:
        raise InputError("This model has no specification: give Model(..., spec=...) or save its arrays yourself.")
    header = {"kind": "model", "format": FORMAT, "version": __version__, "spec": model.spec.record()}
    write_arrays(path, named_arrays(stored(model)), header)


def load_model(path: Path | str) -> Model:
    """Read a model. The file names a family of nelbo, or one that was added; no code of the file is run.

    Raises:
        InputError: missing, damaged, of another kind, or written by a newer nelbo.
    """
    arrays, header = read_arrays(path, "model")
    if not isinstance(header, dict) or header.get("kind") != "model":
        raise InputError(f"{path} is no model: use the model.safetensors of a run folder.")
    version = header.get("format")
    if version not in {1, FORMAT}:
        raise InputError(f"{path} has model format {version}, this nelbo reads 1 and {FORMAT}: update nelbo.")
    spec = ModelSpec.from_record(header.get("config" if version == 1 else "spec"), str(path))
    try:
        empty = skeleton(spec.name, spec.arguments)
        arrays = format1.read(arrays, spec) if version == 1 else arrays
    except (InputError, TypeError, KeyError, ValueError, ArithmeticError, MemoryError) as error:
        raise InputError(f"{path} is of another nelbo or damaged: no model can be built from it ({error}).") from error
    return fill(empty, arrays, path)
