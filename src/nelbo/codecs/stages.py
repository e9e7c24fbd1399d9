"""One conditional distribution of a model as a compiled float64 function of batches."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from nelbo.codecs.codings import CODINGS, Coding, Range, by_log_probabilities, coding_of, ends_of_support
from nelbo.codecs.sequential import float64
from nelbo.codecs.tables import Bins
from nelbo.core import Example, InputError
from nelbo.distributions import Distribution, example_shape
from nelbo.models import Layer, Reads, Recognition, Stack

Codings = Mapping[type[Distribution], Coding]


class FromAbove(eqx.Module):
    """P of a node, from the tuple of nodes above it, nearest first."""

    layer: Layer

    def __call__(self, nodes: tuple[Array, ...], context: PyTree) -> Distribution:
        """The distribution, of one example."""
        return self.layer(nodes, context)

    @property
    def is_constant(self) -> bool:
        """Whether it is one distribution for every model of its structure."""
        free = self.layer.reads is Reads.NONE and not self.layer.conditioned
        return free and not jax.tree.leaves(eqx.filter(self.layer, eqx.is_array))


class FromBelow(eqx.Module):
    """Q of a layer of latents, from the tuple of nodes below it, nearest first; the last is the example."""

    recognition: Recognition
    generative: Stack
    place: int = eqx.field(static=True)
    is_constant: ClassVar[bool] = False

    def __call__(self, nodes: tuple[Array, ...], context: PyTree) -> Distribution:
        """The distribution, of one example."""
        *below, values = nodes
        posterior = self.recognition.path(Example(values, context=context), self.generative)[-1]
        return posterior.part(self.place, tuple(below))


Part = FromAbove | FromBelow


@eqx.filter_jit
def _parameters(part: Part, coding: Coding, batch: int, nodes: tuple[Any, ...], context: PyTree) -> tuple[Array, ...]:
    """Parameters of a batch; compiled once for all models of the same structure."""
    axes = tuple(None if shared else 0 for shared in coding.shared) or 0
    one = lambda nodes, context: coding.parameters(part(nodes, context))  # noqa: E731
    return jax.vmap(one, out_axes=axes, axis_size=batch)(nodes, context)


@eqx.filter_jit
def _ends(part: Part, nodes: tuple[Any, ...], context: PyTree) -> tuple[Array, Array]:
    return ends_of_support(part(nodes, context))


def widened(tree: PyTree) -> PyTree:
    """The same with 64-bit floats."""
    with float64():  # by way of NumPy, so that nothing is compiled for it
        return jax.tree.map(lambda a: jnp.asarray(np.asarray(a, float)) if eqx.is_inexact_array(a) else a, tree)


class Stage:
    """One conditional distribution: from the nodes that it may depend on to its parameters, for a batch.

    Args:
        part: of the model, in 64-bit floats.
        shapes: of the nodes.
        context: of one example, any float64 arrays of the right shapes.
        batch: how many examples at once; fewer are filled up with zeros, so that one compiled function serves all.
        codings: see `coding_of`.

    Raises:
        InputError: the distribution cannot be coded, or the part does not take nodes of these shapes.
    """

    def __init__(
        self, part: Part, shapes: Sequence[tuple[int, ...]], context: PyTree, batch: int, codings: Codings = CODINGS
    ) -> None:
        self._part, self._batch, self._context = part, batch, context
        self._blank = tuple(np.zeros((batch, *shape)) for shape in shapes)
        try:
            with float64():
                self.distribution: Any = eqx.filter_eval_shape(part, self._first(), context)
        except (TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"The model does not take examples of its own shape: {_line(error)}.") from error
        self.shape = example_shape(self.distribution)
        known = coding_of(self.distribution, codings)
        self.coding = by_log_probabilities(self.distribution, self._support) if known is None else known
        self.values = self.coding.values(self.distribution, self._support)
        self.rounded = self.coding.rounded(self.distribution)
        self.tables: Any = None

    def _first(self) -> tuple[np.ndarray, ...]:
        return tuple(rows[0] for rows in self._blank)

    def _support(self) -> Range:
        with float64():
            low, high = _ends(self._part, self._first(), self._context)
        return int(low), int(high)

    def is_standard(self) -> bool:
        """Whether it is N(0, I) in every model of its structure."""
        asked = self.coding.is_standard
        return asked is not None and self._part.is_constant and asked(*self._evaluated(self._blank, None))

    def set_division(self, division: Bins | Range) -> None:
        """Say what a unit's values are: of a real one, by a division of the line."""
        self.tables = self.coding.tables(self.distribution, division, self._batch)

    def __call__(self, nodes: Sequence[np.ndarray | None], context: PyTree, count: int) -> Sequence[np.ndarray]:
        """Parameters of some examples, float64.

        Args:
            nodes: examples first; None in the place of one that is not read.
            context: of these examples; None where there is none.
            count: of examples.
        """
        pairs = zip(nodes, self._blank, strict=True)
        filled = tuple(blank if node is None else self._filled(node) for node, blank in pairs)
        found = self._evaluated(filled, jax.tree.map(self._filled, context))
        shared = self.coding.shared or (False,) * len(found)
        return tuple(value if same else value[:count] for value, same in zip(found, shared, strict=True))

    def _evaluated(self, nodes: tuple[np.ndarray, ...], context: PyTree) -> tuple[np.ndarray, ...]:
        """Parameters of a whole batch."""
        with float64():
            return tuple(map(np.asarray, _parameters(self._part, self.coding, self._batch, nodes, context)))

    def _filled(self, rows: np.ndarray) -> np.ndarray:
        full = np.zeros((self._batch, *rows.shape[1:]))
        full[: len(rows)] = rows
        return full


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")
