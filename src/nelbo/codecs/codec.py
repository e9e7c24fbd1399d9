"""Codec pairs and how they are put together."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from nelbo.codecs.message import Found, Interval, Message
from nelbo.codecs.tables import STEPS, Bits


class Codec(NamedTuple):
    """Two functions that undo each other, bit for bit.

    Args:
        push: from a message and a symbol to the message with the symbol on it.
        pop: from a message to the message without the symbol that was pushed last, and that symbol.
    """

    push: Callable[[Message, Any], Message]
    pop: Callable[[Message], tuple[Message, Any]]


@runtime_checkable
class IntervalTable(Protocol):
    """What gives each of a row of symbols its interval in [0, 2^16)."""

    @property
    def entropy(self) -> int:
        """Of all symbols together [1/16 bit], about: what drawing them takes from a message."""
        ...

    def interval(self, symbols: np.ndarray, rows: slice = ...) -> Interval:
        """Starts and frequencies of symbols."""
        ...

    def find(self, slots: np.ndarray, rows: slice) -> Found:
        """Symbols whose intervals hold the numbers."""
        ...


def tabled(table: IntervalTable, count: int, *, drawn: bool = False) -> Codec:
    """`count` independent symbols, each with its own row of a table.

    `drawn` says that a sender pops them, as latents: see `Message`.
    """
    if isinstance(table, Bits):
        put = lambda message, symbols: message.push_bits(symbols, table.ones)  # noqa: E731
        take = lambda message: message.pop_bits(table.ones)  # noqa: E731
    else:
        put = lambda message, symbols: message.push(*table.interval(symbols), drawn=drawn)  # noqa: E731
        take = lambda message: message.pop(count, table.find, drawn=drawn)  # noqa: E731

    def push(message: Message, symbols: np.ndarray) -> Message:
        put(message, symbols)
        if drawn:
            message.unscramble(table.entropy // STEPS)
        return message

    def pop(message: Message) -> tuple[Message, np.ndarray]:
        if drawn:
            message.scramble(table.entropy // STEPS)
        return message, take(message)

    return Codec(push, pop)


def sequence(codecs: Sequence[Codec]) -> Codec:
    """A tuple of symbols, one for each codec; popped in order."""

    def push(message: Message, symbols: Sequence[Any]) -> Message:
        for codec, symbol in reversed(tuple(zip(codecs, symbols, strict=True))):
            message = codec.push(message, symbol)
        return message

    def pop(message: Message) -> tuple[Message, tuple[Any, ...]]:
        symbols = []
        for codec in codecs:
            message, symbol = codec.pop(message)
            symbols.append(symbol)
        return message, tuple(symbols)

    return Codec(push, pop)


def repeat(codec: Codec, count: int) -> Codec:
    """`count` symbols of one codec; popped in order."""
    return sequence((codec,) * count)


def conditional(first: Codec, then: Callable[[Any], Codec]) -> Codec:
    """A pair (a, b) with b coded given a."""

    def push(message: Message, pair: tuple[Any, Any]) -> Message:
        return first.push(then(pair[0]).push(message, pair[1]), pair[0])

    def pop(message: Message) -> tuple[Message, tuple[Any, Any]]:
        message, a = first.pop(message)
        message, b = then(a).pop(message)
        return message, (a, b)

    return Codec(push, pop)


def bits_back(prior: Codec, likelihood: Callable[[Any], Codec], posterior: Callable[[Any], Codec]) -> Codec:
    """Code x with a latent z: pop z of q(z | x), push x of p(x | z), push z of p(z) (Townsend et al. 2019, table 1).

    The message grows by log q(z | x) - log p(x, z) in bits: the negative ELBO on average.
    """

    def push(message: Message, x: Any) -> Message:
        message, z = posterior(x).pop(message)
        return prior.push(likelihood(z).push(message, x), z)

    def pop(message: Message) -> tuple[Message, Any]:
        message, z = prior.pop(message)
        message, x = likelihood(z).pop(message)
        return posterior(x).push(message, z), x

    return Codec(push, pop)
