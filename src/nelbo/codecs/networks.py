"""A model as coding asks for it: its conditional distributions, what their symbols stand for, the order of coding."""

import dataclasses
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Key, PyTree

from nelbo.codecs.codings import CODINGS, Range
from nelbo.codecs.message import DamagedError
from nelbo.codecs.sequential import float64
from nelbo.codecs.stages import Codings, FromAbove, FromBelow, Stage, widened
from nelbo.codecs.tables import MAX_EDGE, UNIFORM_BITS, Bins, level_bins, quantile_bins, uniform_bins
from nelbo.core import InputError, compiled
from nelbo.models import Model, Stack

GREY = 256
DRAWS = 1000  # of the model, over whose range the bins of its real latents lie
Grids = dict[int, tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class Node:
    """What the symbols of one node of a model stand for.

    Args:
        shape: of the node.
        values: the number that the networks see for each symbol, float64.
        division: of the line, where units are real; else their smallest and greatest value.
        is_standard: whether the node is N(0, I), so that all symbols are equally frequent.
    """

    shape: tuple[int, ...]
    values: np.ndarray
    division: Bins | Range
    is_standard: bool = False

    @property
    def units(self) -> int:
        """How many symbols an example has."""
        return math.prod(self.shape)

    @property
    def levels(self) -> int:
        """How many symbols each unit has."""
        return self.values.size


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
        shape: of one example of the data; the model's own may have other axes (28 x 28 x 1 for 28 x 28).
        batch: examples at once.
        grids: (first edge, width) of the bins of each real layer of latents whose prior is not N(0, 1), by node; None
            chooses them from draws of the model.
        context: of all examples, examples first (see `checked_context`), or None.
        codings: see `coding_of`.

    Raises:
        InputError: the model has a distribution that cannot be coded, or does not fit the shape.
    """

    def __init__(
        self,
        model: Model,
        shape: tuple[int, ...],
        batch: int,
        grids: Grids | None = None,
        context: PyTree = None,
        codings: Codings = CODINGS,
    ) -> None:
        generative, recognition = widened(model.generative), widened(model.recognition)
        layers = generative.layers
        own = jax.tree.map(lambda rows: np.zeros(rows.shape[1:]), context)
        down: list[Stage] = []
        for layer in reversed(layers):
            down.insert(0, Stage(FromAbove(layer), [stage.shape for stage in down], own, batch, codings))
        if math.prod(down[0].shape) != math.prod(shape):
            raise InputError(
                f"The array has examples of shape {list(shape)}, but the model was fitted to {list(down[0].shape)}: "
                "give data of that shape."
            )
        reads = recognition.reads
        if len(reads) != len(layers) - 1:
            raise InputError(f"The model has {len(layers) - 1} layers of latents in p, but {len(reads)} in q.")
        up = [
            Stage(FromBelow(recognition, generative, i), [stage.shape for stage in down[i::-1]], own, batch, codings)
            for i in range(len(reads))
        ]
        above = [{i + 1 + j for j in layer.reads.places(len(layers) - 1 - i)} for i, layer in enumerate(layers)]
        below = [{i - j for j in one.places(i + 1)} for i, one in enumerate(reads)]
        self.reads = {"push": above, "pop": [set(), *below]}
        self.steps = schedule(below, above)
        self.stages = {"push": down, "pop": [None, *up]}
        standard = [bool(i) and stage.is_standard() for i, stage in enumerate(down)]
        wanted = [i for i, stage in enumerate(down) if i and stage.values is None and not standard[i]]
        self.grids = _grids(model.generative, wanted, context) if grids is None else grids
        if set(self.grids) != set(wanted):
            raise DamagedError("The file is damaged: its grids are not those of the model's layers; use another copy.")
        self.nodes = [_node(i, stage, self.grids, standard=standard[i]) for i, stage in enumerate(down)]
        for i, stage in enumerate(up, 1):
            if stage.values != down[i].values or math.prod(stage.shape) != math.prod(down[i].shape):
                raise InputError(f"Layer {i} is of different kinds in p and q: its latents cannot be coded.")
            stage.set_division(self.nodes[i].division)


def _node(index: int, stage: Stage, grids: Grids, *, standard: bool) -> Node:
    """What the symbols of a node stand for, by its distribution in p, whose tables are made for it."""
    if stage.values is not None:
        division, (low, high) = stage.values, stage.values
        values = np.arange(float(low), high + 1.0)
    else:
        if not index:
            division = level_bins(GREY, 1.0 / (GREY - 1))
        else:
            division = quantile_bins() if standard else uniform_bins(*grids[index])
        values = division.centres
    stage.set_division(division)
    return Node(stage.shape, values, division, standard)


def _draw_ranges(generative: Stack, keys: Key[Array, " draws"], context: PyTree, nodes: tuple[int, ...]) -> Array:
    """Smallest and greatest value of some nodes over draws of the model, one for each key."""
    _, z = jax.vmap(generative.sample)(keys, context)
    return jnp.stack([jnp.stack([z[node - 1].min(), z[node - 1].max()]) for node in nodes])


_ranges = compiled(_draw_ranges, once=True)


def _grids(generative: Stack, wanted: Sequence[int], context: PyTree) -> Grids:
    """Where the bins of real layers with parents lie: over the range of draws of the model, and a bit more.

    Raises:
        InputError: the draws are not finite, or astronomical.
    """
    if not wanted:
        return {}
    rows = jax.tree.map(lambda leaf: jnp.asarray(np.resize(leaf, (DRAWS, *leaf.shape[1:])), jnp.float32), context)
    ranges = np.asarray(_ranges(generative, jr.split(jr.key(0), DRAWS), rows, tuple(wanted)), float)
    if not (np.abs(ranges) <= MAX_EDGE / 4).all():
        raise InputError(
            "Draws of the model run away, so it has diverged and cannot be coded with: fit it again, with a lower "
            "learning rate perhaps."
        )
    found = {}
    for node, (low, high) in zip(wanted, ranges.tolist(), strict=True):
        width = 2.0 ** math.ceil(math.log2(1.3 * max(high - low, 1e-6) / 2**UNIFORM_BITS))
        found[node] = (math.floor((low - 0.15 * (high - low)) / width) * width, width)
    return found


__all__ = ["Grids", "Networks", "Node", "float64", "schedule"]
