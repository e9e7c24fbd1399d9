"""The frame of small `.nlb` files: a header in JSON, and streams whose sizes and checksums are checked before use.

    magic 8 | format u16 | header length u32 | CRC-32 of the header u32 | header, JSON
    for each stream: its bytes u32, CRC-32 of it u32, first 8 bytes of a SHA-256 over what it must decode to
    CRC-32 of this index u32 | the streams

All numbers are little-endian. Format 3 is of pictures, format 4 of models; 1 and 2 have a frame of their own.
"""

import json
import struct
import zlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from nelbo.codecs.message import DamagedError
from nelbo.core import InputError

MAGIC = b"\x93NELBO\r\n"
START = struct.Struct("<8sHII")
DIGEST = 8
_ENTRY = struct.Struct(f"<II{DIGEST}s")
_SUM = struct.Struct("<I")
Header = TypeVar("Header")


def has_format(data: bytes | memoryview, number: int) -> bool:
    """Whether a file begins as one of a format."""
    return len(data) >= START.size and bytes(data[:10]) == MAGIC + struct.pack("<H", number)


def pack_frame(number: int, text: bytes, streams: list[tuple[bytes, bytes]]) -> bytes:
    """The file of a format, a header, and streams with their digests."""
    index = b"".join(_ENTRY.pack(len(data), zlib.crc32(data), told) for data, told in streams)
    start = START.pack(MAGIC, number, len(text), zlib.crc32(text))
    return b"".join([start, text, index, _SUM.pack(zlib.crc32(index)), *(data for data, _ in streams)])


def unpack_frame(
    data: bytes | memoryview,
    number: int,
    what: str,
    read: Callable[[Any], tuple[Header, int]],
    *,
    most_header: int,
    name: str,
) -> tuple[Header, tuple[bytes, ...], tuple[bytes, ...]]:
    """Header, streams and digests of a file; the streams' checksums have been checked.

    Args:
        data: the whole file.
        number: of its format.
        what: it is, for messages.
        read: from the header's JSON to the header and the number of streams; any error means damage.
        most_header: bytes that a header may have.
        name: of a stream, for messages.

    Raises:
        InputError: no such file, or a damaged one.
    """
    if not has_format(data, number):
        raise InputError(f"This is no .nlb file of a {what}: give one that `nelbo compress` wrote.")
    _, _, size, checksum = START.unpack(bytes(data[: START.size]))
    text = bytes(data[START.size : START.size + size]) if size <= most_header else b""
    if len(text) != size or zlib.crc32(text) != checksum:
        raise DamagedError("The file is damaged: its header's checksum differs; use another copy.")
    try:
        header, count = read(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedError(f"The file is damaged: its header makes no sense ({error}); use another copy.") from error
    low = START.size + size
    high = low + count * _ENTRY.size
    index, sign = bytes(data[low:high]), bytes(data[high : high + _SUM.size])
    if len(sign) != _SUM.size or _SUM.unpack(sign)[0] != zlib.crc32(index):
        raise DamagedError("The file is damaged: its index's checksum differs; use another copy.")
    entries = list(_ENTRY.iter_unpack(index))
    ends = np.cumsum([high + _SUM.size, *(entry[0] for entry in entries)]).tolist()
    if ends[-1] != len(data):
        raise DamagedError("The file is damaged: its sizes do not fit together; use another copy.")
    streams = tuple(bytes(data[a:b]) for a, b in pairwise(ends))
    for place, (stream, entry) in enumerate(zip(streams, entries, strict=True)):
        if zlib.crc32(stream) != entry[1]:
            raise DamagedError(f"{name} {place} of the file is damaged: its checksum differs; use another copy.")
    return header, streams, tuple(entry[2] for entry in entries)


def whole(value: Any, low: int, high: int) -> int:
    """A whole number of a header.

    Raises:
        ValueError: something else, or out of range.
    """
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{value!r} is out of range")
    return value
