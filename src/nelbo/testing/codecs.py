"""The law of codecs."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from nelbo.codecs import Codec, Message


def check_codec(codec: Codec, symbols: Sequence[Any], *, lanes: int = 4) -> float:
    """Hold a codec to its contract; raise an `AssertionError` that says what does not hold.

    Pop gives what push was given, last in first out, and leaves the message as it was; push gives back what pop took.

    Args:
        codec: to be checked.
        symbols: arrays, or trees of arrays, to push.
        lanes: of the message.

    Returns:
        The bits that the symbols took.
    """
    message = Message(lanes=lanes)
    before = message.bits
    for symbol in symbols:
        message = codec.push(message, symbol)
    length = float(message.bits - before)
    received = Message(message.to_bytes(), lanes=lanes)
    for number, symbol in reversed(tuple(enumerate(symbols))):
        received, back = codec.pop(received)
        same = jax.tree.structure(back) == jax.tree.structure(symbol) and all(
            np.array_equal(a, b) for a, b in zip(jax.tree.leaves(back), jax.tree.leaves(symbol), strict=True)
        )
        assert same, f"symbol {number} came back as {back!r}, but {symbol!r} was pushed"
    assert received.is_spent(), "push and pop did not leave the message as it was"
    own = Message()
    own, drawn = codec.pop(own)
    codec.push(own, drawn)
    assert own.to_bytes()[-8:] == Message().to_bytes(), "push did not give back what pop took"
    return length
