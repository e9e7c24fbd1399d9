"""A model's conditional distributions as compiled float64 functions of batches, and the order of coding."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from nelbo.codecs.kinds import BetaBinomials, Kind, Parameters, kind_of
from nelbo.codecs.passes import Passes, float64
from nelbo.codecs.tables import Bins, level_bins, quantile_bins, uniform_bins
from nelbo.core import InputError
from nelbo.distributions import (
    AutoregressiveBernoulli,
    Bernoulli,
    BetaBinomial,
    Categorical,
    CorrelatedNormal,
    DiscretizedLogistic,
    Normal,
    SequentialBernoulli,
)
from nelbo.models import Layer, Model, Reads

BINARY = (Bernoulli, AutoregressiveBernoulli)
GREY = 256


@dataclasses.dataclass(frozen=True)
class Node:
    """What the symbols of one node of a model stand for.

    Args:
        shape: of the node.
        levels: how many symbols each unit has.
        values: the number that the networks see for each symbol, float64.
        division: of a real node, or what else its tables need.
    """

    shape: tuple[int, ...]
    levels: int
    values: np.ndarray
    division: Any = None

    @property
    def units(self) -> int:
        """How many symbols an example has."""
        return math.prod(self.shape)


@eqx.filter_jit
def _parameters(layer: Any, kind: Kind, batch: int, nodes: tuple[Any, ...]) -> tuple[jax.Array, ...]:
    """Parameters of a batch; compiled once for all models of the same structure."""
    outs = tuple(None if shared else 0 for shared in kind.shared)
    return jax.vmap(lambda *some: kind.parameters(layer(some)), out_axes=outs, axis_size=batch)(*nodes)


class Stage:
    """One conditional distribution: from the nodes that it may depend on to its parameters, for a batch.

    Args:
        layer: from the tuple of these nodes of one example to a distribution.
        shapes: of the nodes.
        batch: how many examples at once; fewer are filled up with zeros, so that one compiled function serves all.
    """

    def __init__(self, layer: Callable[..., Any], shapes: Sequence[tuple[int, ...]], batch: int) -> None:
        self.fixed = _is_standard_normal(layer)  # known beforehand
        with float64():
            self._layer = jax.tree.map(lambda a: a.astype(float) if eqx.is_inexact_array(a) else a, layer)
            self.distribution: Any = eqx.filter_eval_shape(self._layer, _zeros(shapes))
            self.kind: Kind = kind_of(self.distribution)
        self.batch = batch
        self._without = layer.reads is Reads.NONE

    def __call__(self, nodes: Sequence[np.ndarray], count: int) -> Parameters:
        """Parameters of `count` examples, float64."""
        if self._without:
            nodes = ()
        padded = []
        for node in nodes:
            full = np.zeros((self.batch, *node.shape[1:]))
            full[:count] = node
            padded.append(full)
        with float64():
            found = _parameters(self._layer, self.kind, self.batch, tuple(padded))
        return tuple(
            np.asarray(value) if shared else np.asarray(value)[:count]
            for value, shared in zip(found, self.kind.shared, strict=True)
        )


def _is_standard_normal(layer: Layer) -> bool:
    """Whether a layer is N(0, I), with nothing trained and nothing read."""
    if layer.reads is not Reads.NONE or layer.conditioned or jax.tree.leaves(eqx.filter(layer, eqx.is_array)):
        return False
    found = layer(())
    return isinstance(found, Normal) and bool(np.all(found.mean == 0.0) and np.all(found.variance == 1.0))


def _zeros(shapes: Sequence[tuple[int, ...]]) -> tuple[jax.Array, ...]:
    return tuple(jnp.zeros(shape, float) for shape in shapes)


def schedule(below: Sequence[set[int]], above: Sequence[set[int]]) -> list[tuple[str, int]]:
    """The order in which a sender pops latents and pushes nodes, pushing each as early as a receiver can follow.

    For a Markov chain it is Bit-Swap's (Kingma et al. 2019): only one layer's bits are borrowed at a time.

    Args:
        below: the nodes that each layer of q reads; `below[0]` is of node 1.
        above: the nodes that each layer of p reads; `above[0]` is of node 0.

    Returns:
        ("pop", node) and ("push", node).
    """
    steps: list[tuple[str, int]] = []
    pushed: set[int] = set()
    for latent in range(1, len(above) + 1):
        last = latent == len(above)
        if not last:
            steps.append(("pop", latent))
        for node in range(latent + 1 if not last else latent):
            later = any(node in reads for reads in below[latent:])
            children = {child for child, reads in enumerate(above) if node in reads}
            if node not in pushed and max(above[node], default=0) <= latent and not later and children <= pushed:
                steps.append(("push", node))
                pushed.add(node)
    return steps


class Networks:
    """Everything of a model that coding asks for.

    Args:
        model: the fitted model.
        shape: of one example.
        batch: examples at once.
        grids: (first edge, width) of the bins of each latent layer whose prior is normal but not N(0, 1), by node;
            None chooses them from draws of the model.

    Raises:
        InputError: the model has a distribution that cannot be coded, or does not fit the shape.
    """

    def __init__(
        self, model: Model, shape: tuple[int, ...], batch: int, grids: dict[int, tuple[float, float]] | None = None
    ) -> None:
        layers, upward = model.generative.layers, model.recognition.layers
        shapes = [shape, *_latent_shapes(model, shape)]
        above = [{i + 1 + j for j in layer.reads.places(len(layers) - 1 - i)} for i, layer in enumerate(layers)]
        below = [{i - j for j in layer.reads.places(i + 1)} for i, layer in enumerate(upward)]
        self.reads = {"push": above, "pop": [set(), *below]}
        self.steps = schedule(below, above)
        try:
            down = [Stage(layer, shapes[i + 1 :], batch) for i, layer in enumerate(layers)]
            up = [Stage(layer, shapes[i::-1], batch) for i, layer in enumerate(upward)]
        except (TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"The model does not take examples of shape {list(shape)}: give its own data.") from error
        self.stages = {"push": down, "pop": [None, *up]}
        self.grids = _grids(model, down) if grids is None else grids
        self.nodes = [_node(i, stage, shapes[i], self.grids) for i, stage in enumerate(down)]
        for i, stage in enumerate(up, 1):
            if isinstance(stage.distribution, BINARY) != isinstance(down[i].distribution, BINARY):
                raise InputError(f"Layer {i} is of different kinds in p and q: its latents cannot be coded.")
        if math.prod(_event(down[0].distribution)) != math.prod(shape):
            raise InputError(f"The model's examples are not of shape {list(shape)}: give its own data.")


def _latent_shapes(model: Model, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The shape of each latent layer, from the recognition model."""
    shapes = [shape]
    with float64():
        for layer in model.recognition.layers:
            wide = jax.tree.map(lambda a: a.astype(float) if eqx.is_inexact_array(a) else a, layer)
            try:
                found = eqx.filter_eval_shape(wide, _zeros(shapes[::-1]))
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"The model does not take examples of shape {list(shape)}: give its own data."
                ) from error
            shapes.append(_event(found))
    return shapes[1:]


def _event(distribution: Any) -> tuple[int, ...]:
    """The shape of one draw."""
    if isinstance(distribution, Categorical):
        return tuple(distribution.batch_shape)
    if isinstance(distribution, SequentialBernoulli):
        return tuple(distribution.event_shape)
    for name in ("logits", "loc", "concentration1"):
        if hasattr(distribution, name):
            return tuple(getattr(distribution, name).shape)
    kind_of(distribution)
    raise AssertionError(type(distribution))


def _node(index: int, stage: Stage, shape: tuple[int, ...], grids: dict[int, tuple[float, float]]) -> Node:
    """What the symbols of a node stand for, by its distribution in p."""
    found = stage.distribution
    if isinstance(found, BINARY) or (isinstance(found, SequentialBernoulli) and not index):
        division = None if isinstance(found, BINARY) else Passes(type(found), stage.kind.shared, stage.batch)
        return Node(shape, 2, np.array([0.0, 1.0]), division)
    if index and isinstance(found, Normal):
        bins = quantile_bins() if stage.fixed else uniform_bins(*grids[index])
        return Node(shape, bins.count, bins.centres, bins)
    if isinstance(found, BetaBinomial) and not index:
        return Node(shape, GREY, np.arange(float(GREY)), BetaBinomials(GREY))
    if isinstance(found, Categorical) and not index:
        return Node(shape, found.levels, np.arange(float(found.levels)))
    if isinstance(found, DiscretizedLogistic) and not index:
        return Node(shape, found.levels, np.arange(float(found.levels)), level_bins(found.levels, 1.0))
    if isinstance(found, Normal):
        bins = level_bins(GREY, 1.0 / (GREY - 1))
        return Node(shape, GREY, bins.centres, bins)
    raise InputError(f"{type(found).__name__} cannot be coded as node {index}: use another distribution there.")


def _grids(model: Model, down: Sequence[Stage]) -> dict[int, tuple[float, float]]:
    """Where the bins of normal layers with parents lie: over the range of 1000 draws of the model, and a bit more."""
    wanted = [i for i, stage in enumerate(down) if i and isinstance(stage.distribution, Normal) and not stage.fixed]
    if not wanted:
        return {}
    _, z = jax.vmap(model.generative.sample)(jr.split(jr.key(0), 1000))
    found = {}
    for node in wanted:
        low, high = float(z[node - 1].min()), float(z[node - 1].max())
        width = 2.0 ** math.ceil(math.log2(1.3 * max(high - low, 1e-6) / 2**11))
        found[node] = (math.floor((low - 0.15 * (high - low)) / width) * width, width)
    return found


def is_grey(node: Node) -> bool:
    """Whether the networks see 0 .. 255 as numbers from 0 to 1."""
    return node.levels == GREY and float(node.values[-1]) == 1.0


__all__ = ["Bins", "CorrelatedNormal", "Networks", "Node", "Stage", "float64", "is_grey", "schedule"]
