"""Damaged files, for tests that a reader refuses them."""

import zlib

from nelbo.codecs.framing import START


def mutated(data, rng, *ways):
    """A file with flipped bits, a cut end, bytes put in or taken, or what one of `ways` makes of (data, rng)."""
    at, how, altered = int(rng.integers(len(data))), int(rng.integers(4 + len(ways))), bytearray(data)
    if how == 0:
        for _ in range(int(rng.integers(1, 5))):
            altered[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    elif how == 1:
        del altered[at:]
    elif how == 2:
        altered[at:at] = rng.bytes(int(rng.integers(1, 50)))
    elif how == 3:
        del altered[at : at + int(rng.integers(1, 50))]
    else:
        return ways[how - 4](data, rng)
    return bytes(altered)


def digits_changed(text, rng, count=3):
    """A text with some of its digits replaced."""
    text = bytearray(text)
    for place in rng.choice([i for i, byte in enumerate(text) if chr(byte).isdigit()], count):
        text[place] = ord(str(rng.integers(10)))
    return bytes(text)


def other_numbers(data, rng):
    """A framed file with other digits in its header, and the header's checksum in order."""
    magic, version, size, _ = START.unpack(bytes(data[: START.size]))
    text = digits_changed(data[START.size : START.size + size], rng, 2)
    return START.pack(magic, version, len(text), zlib.crc32(text)) + text + bytes(data[START.size + size :])
