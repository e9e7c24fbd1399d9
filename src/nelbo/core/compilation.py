"""Functions that are compiled once a process for each structure and shape of what they are called with."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jax.core import Tracer


class _Static:
    """The parts of a tree that are no arrays, compared and hashed by value."""

    def __init__(self, tree: Any) -> None:
        leaves, self._structure = jax.tree.flatten(tree)
        self._leaves = tuple(leaves)

    @property
    def tree(self) -> Any:
        """The tree."""
        return jax.tree.unflatten(self._structure, self._leaves)

    def __hash__(self) -> int:
        return hash((self._structure, self._leaves))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Static) or self._structure != other._structure:
            return False
        return all(type(a) is type(b) and a == b for a, b in zip(self._leaves, other._leaves, strict=True))


class Compiled:
    """A function, compiled for each structure and shape of its arguments; see `compiled`."""

    def __init__(self, function: Callable[..., Any], *, donate: bool, level: int | None) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._results: dict[Any, Any] = {}  # what is no array in the result of each program
        options = None if level is None else {"xla_backend_optimization_level": level}
        donated = (0,) if donate else ()
        self._run = jax.jit(self._arrays, static_argnums=2, donate_argnums=donated, compiler_options=options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function's result."""
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((args, kwargs))):
            return self._function(*args, **kwargs)  # a part of another program
        parts = _parted(args, kwargs)
        return eqx.combine(self._run(*parts), self._results[_program(*parts)])

    def text(self, *args: Any, **kwargs: Any) -> str:
        """The program that the arguments would run, as JAX prints it; nothing is compiled."""
        return str(self._run.trace(*_parted(args, kwargs)).jaxpr)

    def _arrays(self, first: Any, rest: Any, static: _Static) -> Any:
        own, others = static.tree
        args, kwargs = eqx.combine(rest, others)
        arrays, self._results[_program(first, rest, static)] = eqx.partition(
            self._function(*eqx.combine(first, own), *args, **kwargs), eqx.is_array
        )
        return arrays


def compiled(
    function: Callable[..., Any], *, donate: bool = False, once: bool = False, seldom: bool = False
) -> Compiled:
    """The function, compiled; to be made once, at the top of a module.

    Arguments and results are trees. Arrays are traced; everything else must be hashable and is part of the program. A
    second call with equal structure, settings and shapes compiles nothing.

    Args:
        function: any.
        donate: the arrays of the first argument are used up.
        once: it runs once, as a rule: compile in half the time and leave out what the optimizer would save.
        seldom: it runs a few times: compile in two thirds of the time, and leave out what saves next to nothing. Its
            last bits differ from those without.
    """
    return Compiled(function, donate=donate, level=0 if once else 2 if seldom else None)


def abstract(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that gives the result with shapes in place of arrays; to be made once, at the top of a module.

    Arguments are trees of arrays or shapes and of what is hashable. They are traced once for each structure and shape,
    which takes tens of milliseconds.
    """
    found: dict[Any, Any] = {}

    @functools.wraps(function)
    def shapes(*args: Any) -> Any:
        arrays, rest = eqx.partition(args, _has_shape)
        forms = tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(arrays))
        program = (_Static(rest), forms, jax.config.jax_enable_x64)  # pyright: ignore
        if program not in found:
            found[program] = eqx.filter_eval_shape(function, *args)
        return found[program]

    return shapes


def _has_shape(leaf: Any) -> bool:
    return eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)


def _parted(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, _Static]:
    """Arrays of the first argument, arrays of the others, and all that is no array."""
    first, own = eqx.partition(args[:1], eqx.is_array)
    rest, others = eqx.partition((args[1:], kwargs), eqx.is_array)
    return first, rest, _Static((own, others))


def _program(first: Any, rest: Any, static: _Static) -> Any:
    """What one compiled program is told from another by."""
    leaves = jax.tree.leaves((first, rest))
    kinds = (jax.dtypes.canonicalize_dtype(leaf.dtype, allow_extended_dtype=True) for leaf in leaves)
    return static, tuple((leaf.shape, kind) for leaf, kind in zip(leaves, kinds, strict=True))
