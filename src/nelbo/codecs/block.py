"""One block: a run of examples coded by bits back into bytes that can be read without any other block."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from nelbo.codecs.codec import Codec, tabled
from nelbo.codecs.message import DamagedError, Message
from nelbo.codecs.networks import Networks
from nelbo.codecs.rounding import Rounding
from nelbo.codecs.tables import GRID_BITS, Uniform

_GROWTH = 2  # examples done for each of the next batch, at least
_BORROWED = 6  # the same for each bit of the latents over one of the data: data may shrink to a sixth of their bits
_SYMBOLS_PER_LANE = 1024  # coded before a lane is added, so that the message has the bits that it takes


class Coded(NamedTuple):
    """A coded block.

    Args:
        message: the stream.
        roundings: the outputs that another machine could round differently.
    """

    message: bytes
    roundings: bytes


class BlockCoder:
    """Codes and decodes blocks of examples.

    Args:
        networks: the model's.
        batch: examples at once through the networks.
        lanes: of the message at most, a power of two.
    """

    def __init__(self, networks: Networks, batch: int, lanes: int) -> None:
        self._networks, self._batch, self._lanes = networks, batch, lanes
        bits = [math.log2(node.levels) * node.units for node in networks.nodes]
        self._growth = max(_GROWTH, math.ceil(_BORROWED * sum(bits[1:]) / max(bits[0], 1.0)))
        self._offsets: dict[tuple[str, int], int] = {}
        self._stride = 0
        for how, node in networks.steps:
            self._offsets[how, node] = self._stride
            self._stride += batch * networks.nodes[node].units * networks.stages[how][node].rounded

    def encode(self, symbols: np.ndarray, context: PyTree = None) -> Coded:
        """Code examples.

        Args:
            symbols: `(examples, units)`, whole numbers below the model's levels.
            context: of these examples, float64.

        Raises:
            InputError: the model gives NaN.
        """
        rounding, message = Rounding(), Message()
        for number, low, count in self._batches(len(symbols)):
            message.lanes = self._lanes_after(low)
            self._codec(rounding, number, count, _rows(context, low, count)).push(message, symbols[low : low + count])
        return Coded(message.to_bytes(), rounding.to_bytes())

    def decode(self, coded: Coded, count: int, context: PyTree = None) -> np.ndarray:
        """The examples of a block, `(count, units)`, int64.

        Args:
            coded: the block.
            count: of examples.
            context: of these examples, float64.

        Raises:
            DamagedError: no sender with this model wrote the block.
        """
        rounding, message = Rounding(coded.roundings), Message(coded.message)
        parts = []
        for number, low, rows in reversed(self._batches(count)):
            message.lanes = self._lanes_after(low)
            parts.append(self._codec(rounding, number, rows, _rows(context, low, rows)).pop(message)[1])
        if not message.is_spent():
            raise DamagedError("The stream is damaged: something is left of it.")
        return np.concatenate(parts[::-1]) if parts else np.zeros((0, self._networks.nodes[0].units), np.int64)

    def _batches(self, count: int) -> list[tuple[int, int, int]]:
        """Number, first example and size of each batch.

        The first example's latents are drawn from words that the message has to carry; later ones from earlier
        examples. So batches begin with one example and grow as the message does.
        """
        found, low = [], 0
        while low < count:
            rows = min(self._batch, max(1, low // self._growth), count - low)
            found.append((len(found), low, rows))
            low += rows
        return found

    def _lanes_after(self, done: int) -> int:
        """Lanes of the message after so many examples."""
        symbols = done * self._networks.nodes[0].units // _SYMBOLS_PER_LANE
        return min(self._lanes, 1 << max(symbols.bit_length() - 1, 0))

    def _codec(self, rounding: Rounding, number: int, count: int, context: PyTree) -> Codec:
        """Codec of a batch of examples: the networks' schedule forwards to push, backwards to pop."""
        steps = self._networks.steps

        def of_node(how: str, node: int, known: dict[int, np.ndarray]) -> Codec:
            own = self._networks.nodes[node]
            if how == "push" and own.is_standard:
                return _uniform(count, own.units)
            parameters = self._parameters(how, node, known, context, count)
            place, stage = number * self._stride + self._offsets[how, node], self._networks.stages[how][node]
            return stage.coding.codec(parameters, rounding, place, stage.tables, drawn=how == "pop")

        def push(message: Message, x: np.ndarray) -> Message:
            known = {0: x}
            for how, node in steps:
                if how == "pop":
                    message, known[node] = of_node(how, node, known).pop(message)
                else:
                    message = of_node(how, node, known).push(message, known[node])
            return message

        def pop(message: Message) -> tuple[Message, np.ndarray]:
            known: dict[int, np.ndarray] = {}
            for how, node in reversed(steps):
                if how == "push":
                    message, known[node] = of_node(how, node, known).pop(message)
                else:
                    message = of_node(how, node, known).push(message, known[node])
            return message, known[0]

        return Codec(push, pop)

    def _parameters(
        self, how: str, node: int, known: dict[int, np.ndarray], context: PyTree, count: int
    ) -> Sequence[np.ndarray]:
        """Parameters of one node of a batch, given the nodes that its distribution reads."""
        networks = self._networks
        nodes = range(node + 1, len(networks.nodes)) if how == "push" else range(node - 1, -1, -1)
        read = [self._values(i, known[i], count) if i in networks.reads[how][node] else None for i in nodes]
        return networks.stages[how][node](read, context, count)

    def _values(self, node: int, symbols: np.ndarray, count: int) -> np.ndarray:
        """A node as the networks see it."""
        own = self._networks.nodes[node]
        return own.values[symbols].reshape(count, *own.shape)


def _rows(context: PyTree, low: int, count: int) -> PyTree:
    return jax.tree.map(lambda leaf: leaf[low : low + count], context)


def _uniform(count: int, units: int) -> Codec:
    """Latents with prior N(0, I), in bins of equal mass."""
    inner = tabled(Uniform(GRID_BITS, count * units), count * units)
    return Codec(
        lambda message, symbols: inner.push(message, symbols.ravel()),
        lambda message: (message, inner.pop(message)[1].reshape(count, units)),
    )
